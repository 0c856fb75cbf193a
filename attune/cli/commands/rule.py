"""`attune rule`: when something happens, and it meets the criteria, an action runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attune.cli import params
from attune.cli.addresses import place
from attune.cli.completion import refs_of
from attune.cli.errors import CommandError, Misused
from attune.cli.groups import Group, reference
from attune.cli.output import write
from attune.cli.session import Session

app = Group("Rules: when something happens, and it meets the criteria, an action runs.")
app.lists(
    "rules",
    "ref enabled trigger_ref action_ref label",
    by="search enabled of_pack trigger action",
    help="The rules of all packs.",
)
app.shows(
    "rules/{ref}",
    "ref label description enabled trigger_ref trigger_params criteria action_ref action_params throttle debounce "
    "dedup is_adhoc revision tags suppressed_last_hour",
    help="A rule.",
)
app.does("enable", "rules/{ref}/enable", "Rule {ref} is enabled.", help="Let it look at events.")
app.does("disable", "rules/{ref}/disable", "Rule {ref} is disabled.", help="Let it look at no events.")
app.deletes("rules/{ref}", "rule", help="Delete a rule; its history stays.")

TriggerParams = Annotated[
    list[str] | None, typer.Option("--trigger-param", metavar="NAME=VALUE", help="Of the trigger.", show_default=False)
]
ActionParams = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="Of the action; templates are welcome.", show_default=False),
]


@app.command("create")
def create(
    session: Session,
    ref: Annotated[str, typer.Argument(metavar="[REF]", help="pack.name", show_default=False)] = "",
    file: Annotated[str, typer.Option("--file", "-f", metavar="PATH", help="The rule as YAML or JSON; -: stdin.")] = "",
    trigger: Annotated[str, typer.Option("--trigger", metavar="REF", autocompletion=refs_of("triggers"))] = "",
    trigger_param: TriggerParams = None,
    criteria: Annotated[str, typer.Option("--criteria", metavar="JSON", help="JSON, @file or -; none: always.")] = "",
    action: Annotated[str, typer.Option("--action", metavar="REF", autocompletion=refs_of("actions"))] = "",
    param: ActionParams = None,
    label: Annotated[str, typer.Option("--label")] = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not let it look at events yet.")] = False,
) -> None:
    """Make a rule, from a file or from options; options win.

        attune rule create home.say --trigger core.intervaltimer --trigger-param unit=seconds \\
            --trigger-param interval=5 --action core.echo --param message='It is {{ event.payload.fired_at }}'
        attune rule create -f rule.yaml
    """
    rule = params.document(file, "The rule") if file else {}
    if not isinstance(rule, dict):
        raise Misused("The file should hold a mapping: ref, trigger_ref, criteria, action_ref, action_params.")
    given = {"ref": ref, "label": label, "trigger_ref": trigger, "action_ref": action}
    rule |= {name: value for name, value in given.items() if value}
    for name, words, things, schema in (
        ("trigger_params", trigger_param, "triggers", rule.get("trigger_ref") or rule.get("trigger")),
        ("action_params", param, "actions", rule.get("action_ref") or rule.get("action")),
    ):
        if words:
            rule[name] = _parameters(session, words, things, str(schema or ""), rule.get(name))
    if criteria:
        rule["criteria"] = params.json_argument(criteria, "--criteria")
    if disabled:
        rule["enabled"] = False
    made = session.api.post("rules", rule)["data"]
    session.output.done(f"Rule {made['ref']} is created{'' if made['enabled'] else ', disabled'}.", made)


@app.command("test")
def test(
    session: Session,
    ref: Annotated[str, reference("rules")] = "",
    event: Annotated[int | None, typer.Option("--event", metavar="ID", min=1, help="One that happened.")] = None,
    payload: Annotated[str, typer.Option("--payload", metavar="JSON", help="One made up: JSON, @file or -.")] = "",
    file: Annotated[str, typer.Option("--file", "-f", metavar="PATH", help="A rule that is not saved yet.")] = "",
) -> None:
    """What would a rule make of an event? Nothing is run. Fails if it would not match."""
    if bool(ref) is bool(file):
        raise Misused("Name a rule, or give one that is not saved yet with --file.")
    if (event is None) is not bool(payload):
        raise Misused("Say which event: --event ID for one that happened, or --payload JSON for one made up.")
    about: dict[str, Any] = {"event_id": event} if event else {"payload": params.json_argument(payload, "--payload")}
    if file:
        found = session.api.post("rules/test", _draft(file) | about)["data"]
    else:
        found = session.api.post(place("rules/{ref}/test", ref=ref), about)["data"]
    _show_verdict(session, found)
    if not found["matched"]:
        raise CommandError(found.get("error") or found.get("reason") or "It would not match.")


def _draft(file: str) -> dict[str, Any]:
    rule = params.document(file, "The rule")
    if not isinstance(rule, dict):
        raise Misused("The file should hold a mapping: trigger_ref, criteria, action_ref, action_params.")
    names = {"trigger": "trigger_ref", "action": "action_ref", "conditions": "criteria"}
    named = {names.get(name, name): value for name, value in rule.items()}
    wanted = ("trigger_ref", "criteria", "action_ref", "action_params")
    return {name: named[name] for name in wanted if named.get(name) is not None}


def _show_verdict(session: Session, found: dict[str, Any]) -> None:
    if not session.output.is_table:
        session.output.data(found)
        return
    session.output.thing(found, ["matched", "reason", "action_params", "error"])
    if found["criteria"]:
        write("\n")
        session.output.rows(found["criteria"], ["path", "operator", "expected", "actual", "result"])


def _parameters(session: Session, words: list[str], things: str, ref: str, base: Any) -> dict[str, Any]:
    """Parameters typed by the schema of that trigger or action; a template stays the text that it is."""
    schema = session.api.get(place(things + "/{ref}", ref=ref))["data"]["param_schema"] if ref else {}
    templates = [word for word in words if "{{" in word or "{%" in word]
    typed = params.parse([word for word in words if word not in templates], schema, base=base or {})
    return params.parse(templates, base=typed)
