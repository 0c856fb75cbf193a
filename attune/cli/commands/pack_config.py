"""`attune pack config`: the operator's own values for a pack."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attune.cli import params
from attune.cli.addresses import place
from attune.cli.errors import CommandError, Misused, line_of
from attune.cli.groups import Group, reference
from attune.cli.output import say, write
from attune.cli.session import Session

app = Group("The operator's own values for a pack.")

Ref = Annotated[str, reference("packs")]
Values = Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", show_default=False)]
File = Annotated[str, typer.Option("--file", "-f", metavar="PATH", help="YAML or JSON with all of it; -: stdin.")]
Unset = Annotated[
    list[str] | None,
    typer.Option("--unset", metavar="NAME", help="Leave it to the pack's default.", show_default=False),
]


@app.command("get")
def get(
    session: Session,
    ref: Ref,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this value.", show_default=False)] = "",
) -> None:
    """The configuration in use, defaults included; secret values are masked."""
    found = session.api.get(place("packs/{ref}/config", ref=ref))["data"]
    for fault in found["faults"]:
        say(f"Fault: {line_of(fault)}")
    if name:
        if name not in found["effective_config"]:
            raise CommandError(f"Pack {ref} has no value {name}.", hint=f"See them all: attune pack config get {ref}")
        value = found["effective_config"][name]
        write(f"{value}\n") if session.output.is_table and isinstance(value, str) else session.output.data(value)
    elif session.output.is_table:
        rows = [
            {"name": key, "value": value, "from": "set here" if key in found["config"] else "default"}
            for key, value in found["effective_config"].items()
        ]
        session.output.rows(rows, ["name", "value", "from"], what="values")
    else:
        session.output.data(found)


@app.command("set")
def set_values(session: Session, ref: Ref, values: Values = None, file: File = "", unset: Unset = None) -> None:
    """Set some values, or with --file replace them all. Values are typed by the pack's schema."""
    config = _wanted(session, ref, values, file, unset)
    found = session.api.put(place("packs/{ref}/config", ref=ref), {"config": config})["data"]
    session.output.done(f"The configuration of {ref} is changed.", found)


@app.command("validate")
def validate(session: Session, ref: Ref, values: Values = None, file: File = "", unset: Unset = None) -> None:
    """Would it be accepted? Nothing is changed; fails if it would not."""
    config = _wanted(session, ref, values, file, unset)
    found = session.api.post(place("packs/{ref}/config/validate", ref=ref), {"config": config})["data"]
    if not session.output.is_table:
        session.output.data(found)
    if not found["valid"]:
        faults = [line_of(fault) for fault in found["faults"]]
        raise CommandError(f"The configuration does not fit {ref}.", lines=faults)
    say(f"The configuration fits {ref}.")


def _wanted(session: Session, ref: str, values: list[str] | None, file: str, unset: list[str] | None) -> dict[str, Any]:
    """The present values with some of them changed, or those of a file. A mask stands for the present secret."""
    present = session.api.get(place("packs/{ref}/config", ref=ref))["data"]
    base = params.document(file, "The configuration") or {} if file else present["config"]
    config = params.parse(values or (), present["schema"], base=base)
    for name in unset or ():
        if config.pop(name, None) is None:
            raise Misused(f"{name} is not set here.")
    return config
