"""After an execution was asked for: say so, or watch it to its end, and let the exit code tell how that was."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attune.cli.errors import CommandError
from attune.cli.output import say
from attune.cli.session import Session

Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end, with its output.")]
MaxWait = Annotated[
    float | None,
    typer.Option("--max-wait", metavar="SECONDS", min=0, help="Wait no longer than this.", show_default=False),
]


def started(session: Session, execution: dict[str, Any], watch: bool, max_wait: float | None) -> None:
    """Show the new execution, or watch it."""
    id = execution["id"]
    if watch or max_wait is not None:
        ended(session, id, max_wait)
        return
    session.output.thing(execution, ["id", "action_ref", "status"])
    if session.output.is_table:
        say(f"Watch it: attune execution watch {id}")


def ended(session: Session, id: int, max_wait: float | None) -> None:
    """Watch it to its end. Raises: CommandError if it did not complete."""
    from attune.cli.watching import outcome, watch

    execution = watch(session.api, id, most=max_wait, is_quiet=not session.output.is_table)
    if not session.output.is_table:
        session.output.data(execution)
    if execution["status"] != "completed":
        raise CommandError(outcome(execution), hint=f"All of it: attune execution show {id}")
    say(outcome(execution))
