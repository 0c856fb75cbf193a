"""`attune event`: what happened, and what the rules made of it."""

from __future__ import annotations

from typing import Annotated

import typer

from attune.cli.addresses import place
from attune.cli.groups import Group
from attune.cli.output import write
from attune.cli.session import Session

app = Group("Events: what happened, and what the rules made of it.")
app.lists(
    "events",
    "id trigger_ref source_ref created payload",
    by="trigger rule trace_tag",
    limit=50,
    help="The events, latest first.",
)

FIELDS = "id trigger_ref source_ref created processed_at replay_of trace_tag caused_by payload"
Id = Annotated[int, typer.Argument(metavar="ID", min=1, show_default=False)]


@app.command("show")
def show(session: Session, id: Id) -> None:
    """An event, and why each rule ran or did not."""
    event = session.api.get(place("events/{id}", id=id))["data"]
    verdicts = session.api.rows(place("events/{id}/verdicts", id=id))
    session.output.thing(event | {"verdicts": verdicts}, FIELDS.split())
    if session.output.is_table:
        write("\n")
        session.output.rows(verdicts, ["rule_ref", "verdict", "execution", "reason"], what="rules of this trigger")


@app.command("replay")
def replay(session: Session, id: Id) -> None:
    """Let the rules of today look at an event again."""
    event = session.api.post(place("events/{id}/replay", id=id))["data"]
    said = f"Event {event['id']} is event {id} again. What the rules make of it: attune event show {event['id']}"
    session.output.done(said, event)
