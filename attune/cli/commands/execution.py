"""`attune execution`: what ran, what came of it, what it says right now."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from attune.cli import params
from attune.cli.addresses import place
from attune.cli.errors import CommandError
from attune.cli.groups import Group
from attune.cli.output import say, write, write_raw
from attune.cli.running import MaxWait, Watch, ended, started
from attune.cli.session import Session

app = Group("Executions: what ran, what came of it, what it says right now.")
app.lists(
    "executions",
    "id action_ref status rule_ref started_at duration_ms waits_for",
    by="status action rule trigger in_pack parent trace_tag",
    limit=50,
    help="The executions, latest first.",
)
app.shows(
    "executions/{id}",
    "id action_ref status waits_for error exit_code duration_ms created started_at finished_at rule_ref trigger_ref "
    "event enforcement parent original_execution attempt retry_number worker_name trace_tag parameters result",
    help="All that is known of an execution.",
)
app.does("cancel", "executions/{id}/cancel", "Execution {id} is told to end.", help="End an execution.")

Id = Annotated[int, typer.Argument(metavar="ID", min=1, show_default=False)]
PIECE = 8 * 1024 * 1024


@app.command("watch")
def watch(session: Session, id: Id, max_wait: MaxWait = None) -> None:
    """Follow an execution to its end, with its output."""
    ended(session, id, max_wait)


@app.command("logs")
def logs(
    session: Session,
    id: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the execution has ended.")] = False,
    stream: Annotated[str, typer.Option("--stream", metavar="stdout|stderr", help="Only this one.")] = "",
) -> None:
    """What an execution printed: its stdout on stdout, its stderr on stderr."""
    streams = [stream] if stream else ["stdout", "stderr"]
    if follow and session.output.is_table:
        from attune.cli.watching import follow_logs

        follow_logs(session.api, id, streams)
        return
    if follow:
        from attune.cli.watching import watch as watch_it

        watch_it(session.api, id, is_quiet=True)
    texts = {name: _log(session, id, name) for name in streams}
    if not session.output.is_table:
        session.output.data({name: text.decode(errors="replace") for name, text in texts.items()})
        return
    for name, text in texts.items():
        write_raw(text, to_stderr=name == "stderr" and not stream)


@app.command("result")
def result(session: Session, id: Id) -> None:
    """What an execution gave back; fails if it did not complete."""
    execution = session.api.get(place("executions/{id}", id=id))["data"]
    answer = execution["result"]
    if not answer:
        hint = f"Wait for it: attune execution watch {id}"
        raise CommandError(f"Execution {id} is {execution['status']}.", hint=hint)
    data = answer.get("data")
    if session.output.is_table and isinstance(data, str):
        write(data if data.endswith("\n") else f"{data}\n")
    else:
        session.output.data(data)
    if not answer["succeeded"]:
        raise CommandError(
            f"Execution {id} is {execution['status']}: {answer.get('error') or 'no reason is known'}",
            hint=f"See what it printed: attune execution logs {id}",
        )


@app.command("rerun")
def rerun(
    session: Session,
    id: Id,
    values: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", show_default=False)] = None,
    watch: Watch = False,
    max_wait: MaxWait = None,
) -> None:
    """Run it again, with the same parameters, or with some of them changed."""
    body: dict[str, Any] = {}
    if values:
        old = session.api.get(place("executions/{id}", id=id))["data"]
        schema = session.api.get(place("actions/{ref}", ref=old["action_ref"]))["data"]["param_schema"]
        body["parameters"] = params.parse(values, schema, base=old["parameters"])
        if "********" in json.dumps(body["parameters"]):
            say("Secret parameters are not shown, so they are not sent again; give them anew if the action needs them.")
    started(session, session.api.post(place("executions/{id}/rerun", id=id), body)["data"], watch, max_wait)


def _log(session: Session, id: int, stream: str) -> bytes:
    """All of a log, in pieces: one answer holds at most so much."""
    whole = b""
    while True:
        piece = session.api.text(
            place("executions/{id}/logs/{stream}", id=id, stream=stream), offset=len(whole), limit=PIECE
        )
        whole += piece
        if len(piece) < PIECE:
            return whole
