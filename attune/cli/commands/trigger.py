"""`attune trigger`: the kinds of event that there are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attune.cli import params
from attune.cli.addresses import place
from attune.cli.groups import Group, reference
from attune.cli.session import Session

app = Group("Triggers: the kinds of event that there are.")
app.lists(
    "triggers",
    "ref type enabled webhook_enabled label",
    by="search",
    pack=True,
    help="The triggers of all packs.",
)
app.shows(
    "triggers/{ref}",
    "ref label description type enabled webhook_enabled webhook_key param_schema out_schema tags",
    help="A trigger, with what its rules and its events hold.",
)
app.does("enable", "triggers/{ref}/enable", "Trigger {ref} is enabled.", help="Let events of it in.")
app.does("disable", "triggers/{ref}/disable", "Trigger {ref} is disabled.", help="Let no events of it in.")


@app.command("fire")
def fire(
    session: Session,
    ref: Annotated[str, reference("triggers")],
    values: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", show_default=False)] = None,
    payload: Annotated[str, typer.Option("--payload", metavar="JSON", help="All of it: JSON, @file or -.")] = "",
    rule: Annotated[str, typer.Option("--rule", metavar="REF", help="Only this rule looks at the event.")] = "",
    dedup_key: Annotated[
        str, typer.Option("--dedup-key", metavar="KEY", help="A second event of that key within a day is the same.")
    ] = "",
    trace_tag: Annotated[str, typer.Option("--trace-tag", metavar="TAG", help="To find again what comes of it.")] = "",
) -> None:
    """Send an event in, as a sensor would."""
    schema = session.api.get(place("triggers/{ref}", ref=ref))["data"]["out_schema"] if values else {}
    base = params.json_argument(payload, "The payload") if payload else {}
    body: dict[str, Any] = {"trigger_ref": ref, "payload": params.parse(values or (), schema, base=base)}
    body |= {"rule_ref": rule, "dedup_key": dedup_key, "trace_tag": trace_tag}
    answer = session.api.post("events", body, once=True)
    event = answer["data"]
    said = answer.get("message") or f"Event {event['id']} of {ref} is in."
    session.output.done(f"{said} What the rules make of it: attune event show {event['id']}", event)
