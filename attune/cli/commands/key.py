"""`attune key`: secrets and settings that actions may read."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from attune.cli.addresses import place
from attune.cli.errors import CommandError, Misused, NotFound
from attune.cli.groups import Group, reference
from attune.cli.output import write
from attune.cli.params import json_of, read_file
from attune.cli.session import Session

app = Group("Keys: secrets and settings that actions may read.")
app.lists(
    "keys", "ref name owner_type owner encrypted alias created", by="owner", help="The keys, without their values."
)
app.deletes("keys/{ref}", "key", help="Delete a key.")

Ref = Annotated[str, reference("keys")]
Grantee = Annotated[str, typer.Argument(metavar="GRANTEE", help="The ref of a pack, an action or a sensor.")]


@app.command("show")
def show(session: Session, ref: Ref) -> None:
    """A key without its value."""
    found = session.api.get(place("keys/{ref}", ref=ref), decrypt=False)["data"]
    fields = "ref alias name owner_type owner granted_only reads last_read_at last_read_by created updated"
    session.output.thing(found, fields.split())


@app.command("uses")
def uses(session: Session, ref: Ref) -> None:
    """Which rules, actions and configurations name a key."""
    found = session.api.get(place("keys/{ref}/uses", ref=ref))["data"]["uses"]
    session.output.rows(found, ["kind", "ref", "place"], what="uses")


@app.command("grants")
def grants(session: Session, ref: Ref) -> None:
    """Which packs, actions and sensors may have a key that is not their own."""
    found = session.api.rows(place("keys/{ref}/grants", ref=ref), limit=0)
    session.output.rows(found, ["grantee", "granted_by", "created"], what="grants")


@app.command("grant")
def grant(session: Session, ref: Ref, grantee: Grantee) -> None:
    """Let a pack, an action or a sensor have a key that is not its own."""
    made = session.api.post(place("keys/{ref}/grants", ref=ref), {"grantee": grantee})["data"]
    session.output.done(f"{grantee} may have the key {ref}.", made)


@app.command("revoke")
def revoke(session: Session, ref: Ref, grantee: Grantee) -> None:
    """Take a grant back."""
    answer = session.api.delete(place("keys/{ref}/grants/{grantee}", ref=ref, grantee=grantee))
    session.output.done(f"{grantee} may not have the key {ref} any more.", answer)


@app.command("get")
def get(session: Session, ref: Ref) -> None:
    """The value of a key, to those who may have it. The server notes that it was read."""
    value = session.api.get(place("keys/{ref}", ref=ref), decrypt=True)["data"]["value"]
    if session.output.is_table and isinstance(value, str):
        write(f"{value}\n")
    else:
        session.output.data(value)


@app.command("set")
def set_value(
    session: Session,
    ref: Ref,
    file: Annotated[str, typer.Option("--file", "-f", metavar="PATH", help="Read the value from this file.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The value is JSON; else it is a text.")] = False,
    name: Annotated[str, typer.Option("--name", help="What people call it.")] = "",
    pack: Annotated[str, typer.Option("--pack", metavar="REF", help="It belongs to this pack.")] = "",
    action: Annotated[str, typer.Option("--action", metavar="REF", help="It belongs to this action.")] = "",
    sensor: Annotated[str, typer.Option("--sensor", metavar="REF", help="It belongs to this sensor.")] = "",
    for_all: Annotated[bool, typer.Option("--for-all", help="All that name it may have it.")] = False,
) -> None:
    """Keep a value under a ref, new or in place of the present one. Without an owner it is for those it is granted to.

    The value comes from a file, from stdin, or is asked for: never from the command line, which others on this
    machine can see.

        printf %s "$TOKEN" | attune key set token --pack jira
    """
    text = _value(ref, file)
    value = json_of(text, "The value") if as_json else text
    owners = {kind: owner for kind, owner in (("pack", pack), ("action", action), ("sensor", sensor)) if owner}
    if len(owners) > 1:
        raise Misused("A key has one owner: give --pack, --action or --sensor.")
    [(kind, owner)] = owners.items() or [("system", "")]
    known = f"{kind}.{owner}.{ref}" if owner else ref
    change: dict[str, Any] = {"value": value} | ({"name": name} if name else {})
    change |= {"granted_only": False} if for_all else {}
    try:
        kept = session.api.put(place("keys/{ref}", ref=known), change)["data"]
    except NotFound:
        place_of = {"local_ref": ref, f"owner_{kind}_ref": owner} if owner else {"ref": ref}
        closed = {} if owner or for_all else {"granted_only": True}
        kept = session.api.post("keys", change | closed | place_of | {"owner_type": kind})["data"]
    session.output.done(f"Key {kept['ref']} is kept.", kept | {"value": None})


def _value(ref: str, file: str) -> str:
    """From the file, else from stdin; somebody at a terminal is asked, without an echo."""
    if file:
        return read_file(str(Path(file).expanduser()), "The value")
    if not sys.stdin.isatty():
        return sys.stdin.read()
    try:
        return getpass.getpass(f"Value of {ref}: ")
    except EOFError:
        raise CommandError("No value was given; nothing is kept.") from None
