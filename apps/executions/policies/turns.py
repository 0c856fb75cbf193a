"""Whether a waiting execution may start now. The limits are counted anew each time, from the rows that run.

Who counts for a group of a limit holds that group's lock until the claim is committed, so that two workers never both
find the last place free. On SQLite every transaction that writes is alone anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Min, Q, QuerySet
from django.utils import timezone

from apps.executions import lifecycle, workers
from apps.executions.models import LIVE, WAITING, Execution, Policy, PolicyStart
from apps.executions.policies.holding import CONCURRENCY, RATE, Limit, limits_of
from apps.executions.policies.parts import CANCEL

_SCOPED = {Policy.Scope.ACTION: "action_ref", Policy.Scope.PACK: "pack_ref"}
_LOOKED_AT = (
    "id", "status", "action_ref", "pack_ref", "parameters", "key_slots", "waits_key", "waits_until", "worker_selector",
)  # fmt: skip
NAMED = 3  # executions that a text names before it counts the rest


@dataclass(frozen=True)
class Turn:
    """The execution, if it is ours now; and others that may start instead or besides, for somebody to look at."""

    execution: Execution | None
    wake: list[int]


@dataclass(frozen=True)
class Use:
    """How far a group's limit is used."""

    limit: Limit
    count: int
    running: list[int]  # numbers of the executions that count, where they are known
    until: datetime | None = None  # when the next place comes free, where that is known

    @property
    def free(self) -> int:
        return max(0, self.limit.part["limit"] - self.count)

    @property
    def words(self) -> str:
        """`1 of 1 running (execution 42)`, `10 of 10 started within 60 s`."""
        most = self.limit.part["limit"]
        if self.limit.kind == RATE:
            return f"{self.count} of {most} started within {self.limit.part['window']} s"
        if not self.running:
            return f"{self.count} of {most} running"
        named = ", ".join(map(str, self.running[:NAMED]))
        more = f" and {len(self.running) - NAMED} more" if len(self.running) > NAMED else ""
        return f"{self.count} of {most} running (execution{'s' if len(self.running) > 1 else ''} {named}{more})"


def take(execution_id: int, *, worker: str, selector: str = "") -> Turn:
    """Take a waiting execution for this worker, if nobody else has it and the policies that hold let it start.

    Nothing happens if it asks for other workers than `selector`, which the caller has found this one to meet.

    If they do not, it is noted what it waits for, or it ends as cancelled, as the policy says.
    """
    execution = lifecycle.claim(execution_id, worker=worker, selector=selector)
    if execution is not None:
        return Turn(execution, [])
    due = Q(run_after=None) | Q(run_after__lte=timezone.now())
    rows = Execution.objects.filter(due, pk=execution_id, status__in=WAITING, worker_selector=selector)
    waiting = rows.only(*_LOOKED_AT).first()
    if waiting is None:
        return Turn(None, [])
    with transaction.atomic():
        return _take_in_turn(waiting, worker)


def _take_in_turn(waiting: Execution, worker: str) -> Turn:
    limits = limits_of(waiting.action_ref, waiting.pack_ref)
    groups = [limit.group(waiting.parameters, waiting.key_slots) for limit in limits]
    _lock(limits, groups)
    uses = [use_of(limit, group) for limit, group in zip(limits, groups, strict=True)]
    keys = [limit.key(group) for limit, group in zip(limits, groups, strict=True)]
    served = workers.taken_selectors()
    lines = [_first_in_line(key, use.free + 1, served) for key, use in zip(keys, uses, strict=True)]
    left = [waiting.waits_key] if waiting.waits_key else []  # the line that it may be about to leave
    for use in uses:
        if not use.free and use.limit.part["on_limit"] == CANCEL:
            lifecycle.refuse(waiting, why=f"Cancelled by policy {use.limit.policy.ref}: {use.words}.")
            return Turn(None, heads(left))
    for use, key, line in zip(uses, keys, lines, strict=True):
        before = [pk for pk in line if pk < waiting.pk]
        if len(before) >= use.free:
            lifecycle.wait(waiting, key=key, until=use.until)
            return Turn(None, [*before[: min(1, use.free)], *heads([other for other in left if other != key])])
    execution = lifecycle.claim(waiting.pk, worker=worker, selector=waiting.worker_selector, limited=bool(limits))
    if execution is None:
        return Turn(None, [])
    started = [
        PolicyStart(policy=limit.policy, group=group, at=execution.started_at)
        for limit, group in zip(limits, groups, strict=True)
        if limit.kind == RATE
    ]
    PolicyStart.objects.bulk_create(started)
    others = [[pk for pk in line if pk != waiting.pk] for line in lines]
    return Turn(execution, [line[0] for line, use in zip(others, uses, strict=True) if line and use.free > 1])


def use_of(limit: Limit, group: str) -> Use:
    """How far the limit is used by this group: by what runs on workers that are alive, or started in the window."""
    if limit.kind == CONCURRENCY:
        running = _running(limit, group)
        return Use(limit, len(running), running)
    most, window = limit.part["limit"], timedelta(seconds=limit.part["window"])
    starts = PolicyStart.objects.filter(policy=limit.policy, group=group, at__gt=timezone.now() - window)
    count = starts.count()
    if count < most:
        return Use(limit, count, [])
    place = starts.order_by("-at").values_list("at", flat=True)[most - 1 : most].first()
    return Use(limit, count, [], until=place + window if place else None)


def heads(keys: list[str]) -> list[int]:
    """The oldest execution that waits for each of these; where some choose their workers, the oldest of each choice."""
    if not keys:
        return []
    return [head for _, head in lines_of(Execution.objects.filter(waits_key__in=keys))]


def lines_of(rows: QuerySet[Execution]) -> list[tuple[str, int]]:
    """The lines in which these wait, as `(key, first)`: those with other labels are looked at by other workers."""
    waiting: Any = rows.filter(status__in=WAITING).order_by().values_list("waits_key", "worker_selector")
    return [(key, head) for key, _, head in waiting.annotate(Min("id"))]


def next_after(execution: Execution) -> list[int]:
    """Who may start now that this one, which was started under a limit, is over."""
    limits = limits_of(execution.action_ref, execution.pack_ref)
    group = [limit.group(execution.parameters, execution.key_slots) for limit in limits]
    return heads([limit.key(g) for limit, g in zip(limits, group, strict=True) if limit.kind == CONCURRENCY])


def _running(limit: Limit, group: str) -> list[int]:
    policy = limit.policy
    scoped = {_SCOPED[Policy.Scope(policy.scope)]: policy.scope_ref} if policy.scope_ref else {}
    rows = Execution.objects.filter(status__in=LIVE, worker__in=workers.alive_names(), **scoped).order_by("id")
    if not limit.part["group_by"]:
        return list(rows.values_list("id", flat=True))
    found: Any = rows.values_list("id", "parameters", "key_slots")
    return [pk for pk, parameters, key_slots in found if limit.group(parameters, key_slots) == group]


def _first_in_line(key: str, most: int, served: list[str]) -> list[int]:
    """Who is before the others; not those for whose labels there is no worker, who would only hold up the rest."""
    rows = Execution.objects.filter(waits_key=key, status__in=WAITING, worker_selector__in=served).order_by("id")
    return list(rows.values_list("id", flat=True)[:most])


def _lock(limits: list[Limit], groups: list[str]) -> None:
    """Be the only one who counts for these groups until the transaction ends; all take their locks in one order."""
    if connection.vendor != "postgresql":
        return
    numbers = sorted(
        int.from_bytes(bytes.fromhex(group[:16]), signed=True) ^ limit.policy.pk
        for limit, group in zip(limits, groups, strict=True)
    )
    with connection.cursor() as cursor:
        for number in numbers:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
