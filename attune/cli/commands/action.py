"""`attune action`: what can be run, and running it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attune.cli import params
from attune.cli.addresses import place
from attune.cli.errors import CommandError
from attune.cli.groups import Group, reference
from attune.cli.output import write
from attune.cli.running import MaxWait, Watch, started
from attune.cli.session import Session

app = Group("Actions: what can be run, and running it.")
app.lists("actions", "ref enabled runner_type label", by="search enabled", pack=True, help="The actions of all packs.")

Ref = Annotated[str, reference("actions")]
ParamsJson = Annotated[str, typer.Option("--params-json", metavar="JSON", help="All at once: JSON, @file or -.")]


@app.command("show")
def show(session: Session, ref: Ref) -> None:
    """An action, and the parameters that it takes."""
    action = session.api.get(place("actions/{ref}", ref=ref))["data"]
    fields = "ref label description enabled runner_type runtime_version_constraint entrypoint timeout_seconds"
    session.output.thing(action, f"{fields} max_retries output_format secrets tags".split())
    parameters = parameter_rows(action["param_schema"])
    if session.output.is_table and parameters:
        write("\n")
        session.output.rows(parameters, ["parameter", "type", "required", "default", "description"])


@app.command("execute")
def execute(
    session: Session,
    ref: Ref,
    values: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", show_default=False)] = None,
    params_json: ParamsJson = "",
    env: Annotated[list[str] | None, typer.Option("--env", metavar="NAME=VALUE", show_default=False)] = None,
    timeout: Annotated[int | None, typer.Option("--timeout", metavar="SECONDS", min=1, show_default=False)] = None,
    trace_tag: Annotated[str, typer.Option("--trace-tag", metavar="TAG", help="To find it again.")] = "",
    watch: Watch = False,
    max_wait: MaxWait = None,
) -> None:
    """Run an action. Values are typed by its schema.

    attune action execute core.echo message=hi --watch
    attune action execute jira.create fields:='{"a": 1}' body=@letter.txt
    """
    schema = session.api.get(place("actions/{ref}", ref=ref))["data"]["param_schema"] if values else {}
    base = params.json_argument(params_json, "--params-json") if params_json else {}
    body: dict[str, Any] = {"action_ref": ref, "parameters": params.parse(values or (), schema, base=base)}
    body |= {"env_vars": params.parse(env or ()), "timeout_seconds": timeout, "trace_tag": trace_tag}
    try:
        execution = session.api.post("executions/execute", body, once=True)["data"]
    except CommandError as error:
        if error.exit_code == 1 and not error.hint:
            error.hint = f"See what it takes: attune action show {ref}"
        raise
    started(session, execution, watch, max_wait)


@app.command("enable")
def enable(session: Session, ref: Ref) -> None:
    """Let it be run."""
    session.output.done(f"Action {ref} is enabled.", _switch(session, ref, True))


@app.command("disable")
def disable(session: Session, ref: Ref) -> None:
    """Let it not be run."""
    session.output.done(f"Action {ref} is disabled.", _switch(session, ref, False))


def _switch(session: Session, ref: str, enabled: bool) -> Any:
    return session.api.put(place("actions/{ref}", ref=ref), {"enabled": enabled})["data"]


def parameter_rows(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters of a schema, one a row."""
    required = schema.get("required") or []
    return [
        {
            "parameter": name,
            "type": _type_of(kind),
            "required": name in required,
            "default": kind.get("default"),
            "description": kind.get("description"),
        }
        for name, kind in (schema.get("properties") or {}).items()
        if isinstance(kind, dict)
    ]


def _type_of(kind: dict[str, Any]) -> str:
    given = kind.get("type") or "any"
    named = " or ".join(given) if isinstance(given, list) else str(given)
    return f"{named} (secret)" if kind.get("secret") else named
