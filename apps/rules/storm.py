"""Storm control at work: whether a rule that matched may act on this event now, or is held back.

Each key of a rule has one row. Whoever decides writes to it first, and so holds it until the end of the transaction:
of many that decide at once, one after the other sees what those before it did. Always called inside a transaction,
for rules in the order of their refs, so that no two wait for each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from apps.rules import controls
from apps.rules.models import Debounce, Restraint, Rule, Suppression
from attune.lib.rows import adapted, moment

BUCKET = 300  # seconds that are counted together
COUNTS_LIFE = timedelta(days=8)
BATCH = 1000  # rows forgotten at a time

_REMEMBER = """
    INSERT INTO rules_restraint (rule_id, control, "key", hits, until) VALUES (%s, %s, %s, '[]', %s)
    ON CONFLICT (rule_id, control, "key") DO UPDATE SET until = rules_restraint.until
    RETURNING id, hits, {now}"""
_WAIT = """
    INSERT INTO rules_debounce AS d (rule_id, "key", event_id, first_id, count, due_at)
    VALUES (%s, %s, %s, %s, 1, {later})
    ON CONFLICT (rule_id, "key") DO UPDATE SET count = d.count + 1, due_at = excluded.due_at,
        event_id = CASE WHEN excluded.event_id > d.event_id THEN excluded.event_id ELSE d.event_id END,
        superseded_id = CASE WHEN excluded.event_id > d.event_id THEN d.event_id ELSE excluded.event_id END,
        first_id = CASE WHEN excluded.first_id < d.first_id THEN excluded.first_id ELSE d.first_id END
    RETURNING event_id, superseded_id, due_at"""
_COUNT = """
    INSERT INTO rules_suppression AS s (rule_id, since, count) VALUES (%s, %s, %s)
    ON CONFLICT (rule_id, since) DO UPDATE SET count = s.count + excluded.count"""
# The database's clock decides, since the clocks of hosts differ; SQLite has but one host.
_CLOCK = {
    "postgresql": {"now": "clock_timestamp()", "later": "clock_timestamp() + CAST(%s AS TEXT)::interval"},
    "sqlite": {"now": "NULL", "later": "%s"},
}


@dataclass(frozen=True)
class Held:
    """Why a rule does not act on an event, and what its verdict says of it; `suppressed` events it is to be counted
    for."""

    reason: str
    note: dict[str, Any]
    suppressed: int = 1


@dataclass
class _Memory:
    """A restraint's row, held by this transaction."""

    pk: int
    hits: list[tuple[float, int]]
    now: datetime
    seconds: float

    def add(self, event_id: int) -> None:
        hits = [*self.hits, (self.now.timestamp(), event_id)]
        until = self.now + timedelta(seconds=self.seconds)
        Restraint.objects.filter(pk=self.pk).update(hits=hits, until=until)


def hold(rule: Rule, event_id: int, keys: Mapping[str, str]) -> Held | None:
    """Whether the rule is held back from acting on the event at once; None, and remembered, if it may."""
    held = _pass(rule, event_id, keys, ("dedup",) if rule.debounce else ("dedup", "throttle"))
    return held or (_wait(rule, event_id, keys["debounce"]) if rule.debounce else None)


def hold_after_quiet(rule: Rule, event_id: int, keys: Mapping[str, str]) -> Held | None:
    """The same for an event whose debounce is over: only the throttle is still asked."""
    return _pass(rule, event_id, keys, ("throttle",))


def count(held: Iterable[tuple[Rule, Held]]) -> None:
    """Count what was held back, for the rules' pages; last in the transaction."""
    seconds = int(timezone.now().timestamp()) // BUCKET * BUCKET
    since = adapted(datetime.fromtimestamp(seconds, UTC))
    with connection.cursor() as cursor:
        for rule, each in held:
            if each.suppressed:
                cursor.execute(_COUNT, [rule.pk, since, each.suppressed])


def suppressed_since(rule: Rule, ago: timedelta) -> int:
    """How many events the rule's controls kept back since then, to five minutes."""
    counted = Suppression.objects.filter(rule=rule, since__gt=timezone.now() - ago - timedelta(seconds=BUCKET))
    return counted.aggregate(total=Sum("count"))["total"] or 0


def forget() -> int:
    """Remove memories that hold nothing back any more, and old counts. Returns how many memories."""
    now = timezone.now()
    old = list(Restraint.objects.filter(until__lt=now).values_list("pk", flat=True)[:BATCH])
    if old:
        Restraint.objects.filter(pk__in=old, until__lt=now).delete()
    Suppression.objects.filter(since__lt=now - COUNTS_LIFE).delete()
    return len(old)


def pending_of(event_id: int) -> dict[int, Debounce]:
    """The debounces that wait with this event, by rule."""
    return {each.rule_id: each for each in Debounce.objects.filter(event_id=event_id)}


def _pass(rule: Rule, event_id: int, keys: Mapping[str, str], names: tuple[str, ...]) -> Held | None:
    """Ask each control, and only if all let it through, remember the event with each."""
    memories = []
    for name in names:
        if not getattr(rule, name):
            continue
        limit, seconds = controls.limit_of(rule, name)
        memory = _remembered(rule, name, keys[name], seconds)
        if len(memory.hits) >= limit:
            return _held(name, keys[name], limit, memory)
        memories.append(memory)
    for memory in memories:
        memory.add(event_id)
    return None


def _remembered(rule: Rule, name: str, key: str, seconds: float) -> _Memory:
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBER.format(**_CLOCK[connection.vendor]), [rule.pk, name, key, adapted(now)])
        pk, hits, clock = cursor.fetchone()
    now = clock or now
    since = now.timestamp() - seconds
    return _Memory(pk, [(at, event) for at, event in json.loads(hits) if at > since], now, seconds)


def _held(name: str, key: str, limit: int, memory: _Memory) -> Held:
    free = datetime.fromtimestamp(memory.hits[-limit][0] + memory.seconds, UTC)
    last = memory.hits[-1][1]
    of_key = f" for {key!r}" if key else ""
    if name == "dedup":
        reason = f"Dedup: event {last} had the same key {key!r}; it counts again from {_clock(free)}."
    else:
        allowed = f"at most {controls.times(limit)} within {controls.span(memory.seconds)}{of_key}"
        reason = f"Throttle: {allowed}; the last it acted on is event {last}; it is free again at {_clock(free)}."
    return Held(reason, _note(name, key, free, by_event=last))


def _wait(rule: Rule, event_id: int, key: str) -> Held:
    """Put the event in the place of the one that waits; the later number is the last one, whoever comes first here."""
    _, seconds = controls.limit_of(rule, "debounce")
    later: Any = f"{seconds} seconds"
    if connection.vendor == "sqlite":
        later = adapted(timezone.now() + timedelta(seconds=seconds))
    with connection.cursor() as cursor:
        statement = _WAIT.format(**_CLOCK[connection.vendor])
        cursor.execute(statement, [rule.pk, key, event_id, event_id, later])
        waiting, superseded, due = cursor.fetchone()
    due = moment(due)
    of_key = f" for {key!r}" if key else ""
    if waiting == event_id:
        took = f"; it took the place of event {superseded}" if superseded else ""
        reason = f"Debounce: it waits for {controls.span(seconds)} without another event{of_key}{took}."
        note = _note("debounce", key, due) | {"replaces": superseded}
    else:
        reason = f"Debounce: event {waiting} came within {controls.span(seconds)}{of_key}; the last one counts."
        note = _note("debounce", key, due, by_event=waiting)
    return Held(reason, note, suppressed=1 if superseded else 0)


def _note(name: str, key: str, until: datetime, by_event: int | None = None) -> dict[str, Any]:
    until_text = until.astimezone(UTC).isoformat()
    return {"verdict": "suppressed", "control": name, "key": key, "until": until_text, "by_event": by_event}


def _clock(at: datetime) -> str:
    day = "" if at - timezone.now() < timedelta(hours=12) else f"{at.astimezone(UTC):%Y-%m-%d} "
    return f"{day}{at.astimezone(UTC):%H:%M:%S} UTC"
