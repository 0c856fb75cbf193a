"""An execution in words: how it stands and what comes next, and its steps in time."""

from __future__ import annotations

import signal
from typing import Any

from django.utils import timezone

from apps.access.admin_show import ago, span
from apps.executions.models import Execution, Status
from apps.executions.waiting import why_waiting

_SHELL = {126: "the program may not be executed", 127: "the program, or one it calls, was not found"}


def story(execution: Execution) -> str:
    """One or two sentences: what happened, and what happens next."""
    status, worker = execution.status, execution.worker or "a worker"
    if status in (Status.REQUESTED, Status.SCHEDULED):
        if execution.run_after and execution.run_after > timezone.now():
            return f"Retry {execution.retry_number} waits its turn: it starts {ago(execution.run_after)}."
        return why_waiting(execution)
    running = span(max(0.0, (timezone.now() - execution.started_at).total_seconds())) if execution.started_at else ""
    if status == Status.RUNNING:
        return f"Running for {running} on {worker}."
    if status == Status.CANCELING:
        return "Cancelling: the program was sent TERM, and gets KILL after ten seconds."
    took = span((execution.duration_ms or 0) / 1000)
    if status == Status.COMPLETED:
        return f"Completed in {took}."
    if status == Status.TIMEOUT:
        return f"Ended at its time limit, after {took}. Raise the limit of the action or of the request, or do less."
    if status == Status.CANCELLED:
        return "Cancelled" + (f" after {took}." if execution.duration_ms else " before it started.")
    if status == Status.ABANDONED:
        return f"Its worker {worker} died, so nobody knows how far it got. Look before you run it again."
    return f"Failed after {took}. {exit_in_words(execution.exit_code)}".rstrip()


def exit_in_words(code: int | None) -> str:
    """What an exit code means, where it has a meaning of its own."""
    if code in (None, 0):
        return ""
    number = -code if code < 0 else code - 128 if code > 128 else 0
    if number:
        try:
            name = signal.Signals(number).name
        except ValueError:
            return f"Exit code {code}."
        more = " (out of memory, perhaps)" if name == "SIGKILL" else ""
        return f"Exit code {code}: ended by {name}{more}."
    return f"Exit code {code}{': ' + _SHELL[code] if code in _SHELL else ''}."


def steps(execution: Execution) -> list[dict[str, Any]]:
    """What happened when, and how long it had to wait for it."""
    known = [("Asked for", execution.created), ("Started", execution.started_at), ("Over", execution.finished_at)]
    if execution.run_after:
        known.insert(1, ("Not before", execution.run_after))
    told: list[dict[str, Any]] = []
    before = None
    for name, at in known:
        if at is None:
            continue
        told.append({"name": name, "at": at, "after": span((at - before).total_seconds()) if before else ""})
        before = at
    return told
