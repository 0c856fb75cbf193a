"""Every change of an execution's status: conditional UPDATEs that count their rows, the same on both databases.

requested, scheduled -> running -> completed, failed, timeout, abandoned
requested, scheduled -> cancelled; running -> canceling -> cancelled, abandoned
running -> requested, when an attempt was lost that may be repeated
requested, scheduled -> scheduled, where a policy makes it wait
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.executions.models import LIVE, WAITING, Execution, Status
from apps.executions.policies.holding import IS_LIMITED, IS_RETRIED
from apps.packs import lookup
from attune.lib import crash, tallies
from attune.lib.columns import made
from attune.lib.rows import adapted, update

_CLAIMED_JSON = ("parameters", "key_slots", "env_vars", "permission_set_refs")
_CLAIMED = (
    "id", "attempt", "action_id", "action_ref", "pack_ref", "sealed", "timeout", "rule_ref", "trigger_ref", "event_id",
    "trace_tag", "parent_id", "original_id", "requested_by_id", "requested_token", "retry_number", "worker_selector",
    "lost_attempts", "depth", "caused_by",
    *_CLAIMED_JSON,
)  # fmt: skip
_CLAIM = f"""
    UPDATE executions_execution
    SET status = 'running', attempt = attempt + 1, worker = %s, started_at = %s, updated = %s, waits_key = ''
    WHERE id = %s AND status IN ('requested', 'scheduled') AND (run_after IS NULL OR run_after <= %s)
        AND worker_selector = %s {{unless}}
    RETURNING {lookup.ACTION_STAMP}, {IS_RETRIED}, {", ".join(_CLAIMED)}"""
_CLAIM_FREELY = _CLAIM.format(unless=f"AND NOT {IS_LIMITED}")
_CLAIM_LIMITED = _CLAIM.format(unless="")
_STILL = "id = %s AND attempt = %s AND status = %s"


def _move(execution: Execution, *, among: frozenset[Status], to: Status, fence: bool = False, **changes: Any) -> bool:
    """Move it if its status still is one of `among` (and, with `fence`, the attempt still ours); False if not."""
    rows = Execution.objects.filter(pk=execution.pk, status__in=among)
    if fence:
        rows = rows.filter(attempt=execution.attempt)
    if not rows.update(status=to, updated=timezone.now(), **changes):
        return False
    execution.status = to
    for name, value in changes.items():
        setattr(execution, name, value)
    return True


def claim(execution_id: int, *, worker: str, selector: str = "", limited: bool = False) -> Execution | None:
    """Take a waiting execution for this worker; None if someone else has it, it was cancelled, or is not due yet.

    None, too, if it asks for other workers than `selector`, which the caller has found this worker to meet; and if a
    policy limits it, unless the caller says `limited`: it has seen to that (`policies.turns`).
    What comes back has its action, with pack and runtime; None where that is no longer installed.
    """
    now = timezone.now()
    crash.point("before-claim")
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM_LIMITED if limited else _CLAIM_FREELY,
            [worker, adapted(now), adapted(now), execution_id, adapted(now), selector],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    crash.point("after-claim")
    values = dict(zip(_CLAIMED, row[2:], strict=True))
    for name in _CLAIMED_JSON:
        values[name] = json.loads(values[name])
    values |= {"status": Status.RUNNING, "worker": worker, "started_at": now}
    execution = made(Execution, values)
    execution.action = lookup.action(values["action_id"], stamp=row[0])
    execution.limited, execution.has_retry_policy = limited, bool(row[1])
    return execution


def wait(execution: Execution, *, key: str, until: datetime | None) -> bool:
    """Let a waiting execution wait for a policy's limit, to be looked at again then; False if it waits no more."""
    if execution.status == Status.SCHEDULED and (execution.waits_key, execution.waits_until) == (key, until):
        return True
    return _move(execution, among=WAITING, to=Status.SCHEDULED, waits_key=key, waits_until=until)


def refuse(execution: Execution, *, why: str) -> bool:
    """A policy does not let a waiting execution wait: it ends here. False if it waits no more."""
    if not _move(execution, among=WAITING, to=Status.CANCELLED, finished_at=timezone.now(), error=why, waits_key=""):
        return False
    _tally(Status.CANCELLED, {})
    return True


def let_go(keys: list[str]) -> None:
    """Those that wait for limits of these keys wait for a worker alone; nobody was told of them yet."""
    Execution.objects.filter(waits_key__in=keys, status__in=WAITING).update(waits_key="", nudged_at=None)


def finish(execution: Execution, *, to: Status, **outcome: Any) -> bool:
    """Write the end of this attempt. A cancel asked for meanwhile makes it `cancelled`, whatever the program did.

    False when the attempt is no longer ours (declared dead, or over): then nothing is written.
    """
    now = timezone.now()
    outcome = {"finished_at": now, "updated": now} | outcome
    if to is not Status.CANCELLED and update(
        Execution, {"status": to} | outcome, _STILL, execution.pk, execution.attempt, Status.RUNNING
    ):
        execution.status = to
        _tally(to, outcome)
        return True
    outcome["error"] = outcome.get("error") or "Cancelled on request."
    if not update(
        Execution, {"status": Status.CANCELLED} | outcome, _STILL, execution.pk, execution.attempt, Status.CANCELING
    ):
        return False
    execution.status = Status.CANCELLED
    _tally(Status.CANCELLED, outcome)
    return True


def _tally(to: Status, outcome: dict[str, Any]) -> None:
    tallies.count("executions_finished", to)
    if outcome.get("duration_ms") is not None:
        tallies.observe("execution_seconds", outcome["duration_ms"] / 1000)


def cancel(execution: Execution, *, why: str) -> bool:
    """Cancel it: at once while it waits, else ask its worker to end it. False when it is already over."""
    return refuse(execution, why=why) or _move(
        execution, among=frozenset({Status.RUNNING, Status.CANCELING}), to=Status.CANCELING
    )


def abandon(execution: Execution, *, why: str, **outcome: Any) -> bool:
    """Its worker died: nobody will write its end, so we do. False when it is over after all."""
    if not _move(
        execution, among=LIVE, to=Status.ABANDONED, fence=True, finished_at=timezone.now(), error=why, **outcome
    ):
        return False
    _tally(Status.ABANDONED, {})
    return True


def requeue(execution: Execution, *, lost: bool) -> bool:
    """Let it wait again for another attempt; `lost`: this one counts as such. False when it is over after all."""
    changes: dict[str, Any] = {"worker": "", "started_at": None, "nudged_at": None}
    if lost:
        changes["lost_attempts"] = execution.lost_attempts + 1
    return _move(execution, among=frozenset({Status.RUNNING}), to=Status.REQUESTED, fence=True, **changes)


def is_ours(execution: Execution) -> bool:
    """Whether this attempt still runs in our name: not cancelled, not declared dead."""
    return Execution.objects.filter(pk=execution.pk, attempt=execution.attempt, status=Status.RUNNING).exists()


def nudged(ids: list[int], *, at: datetime) -> None:
    """Note that a worker was told of these waiting executions."""
    Execution.objects.filter(pk__in=ids, status__in=WAITING).update(
        nudged_at=at, status=Status.SCHEDULED, waits_until=None
    )
