"""The rules of a trigger that has many: their index, kept in memory under one stamp, and a row that tells of them.

An event is weighed against the few that the index finds. The rest did not match; which rules that were is kept once in
a RuleSet, with their criteria, and every event only points to it.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection, transaction

from apps.rules.indexing import Demands, Index, demands_of
from apps.rules.models import Rule, RuleSet

FEW = 8  # rules that are weighed while the sender of an event waits; more of them are a worker's business
MOST = 500  # triggers with many rules that are kept in memory
LONGEST = 4000  # characters of criteria that are indexed, since they are kept with each set
TRIES = 3

# What changes when a rule does, or its pack or action; and which rules look at the events of `e.trigger_ref`.
STAMP_OF_RULE = """{array}(r.id, r.revision, CAST(r.updated AS TEXT), r.action_id, CAST(p.updated AS TEXT),
    CAST(a.updated AS TEXT), a.enabled, CAST(ap.updated AS TEXT), ap.enabled)"""
LOOKING = """rules_rule r JOIN packs_pack p ON p.id = r.pack_id
    LEFT JOIN packs_action a ON a.id = r.action_id LEFT JOIN packs_pack ap ON ap.id = a.pack_id
    WHERE r.trigger_ref = e.trigger_ref AND r.enabled AND p.enabled"""
JSON = {
    "postgresql": {"list_of": "jsonb_agg", "array": "jsonb_build_array", "members": "SELECT unnest(%s::bigint[])"},
    "sqlite": {"list_of": "json_group_array", "array": "json_array", "members": "SELECT value FROM json_each(%s)"},
}
# What changes when a rule comes, goes, is switched or changed, or a pack is: from an index, without a look at rows.
_STAMP = """
    (SELECT COUNT(*) || ' ' || COALESCE(SUM(r.id), 0) || ' ' || COALESCE(SUM(r.revision), 0) || ' '
        || COALESCE(CAST(MAX(r.updated) AS TEXT), '')
     FROM rules_rule r WHERE r.trigger_ref = e.trigger_ref AND r.enabled)
    || ' ' ||
    (SELECT COUNT(*) || ' ' || COALESCE(SUM(p.id), 0) || ' ' || COALESCE(CAST(MAX(p.updated) AS TEXT), '')
     FROM packs_pack p WHERE p.enabled)"""
_FROM = "FROM (SELECT CAST(%s AS TEXT) AS trigger_ref) e"
_LOOK = f"""
    SELECT {_STAMP}, (SELECT {{list_of}}({STAMP_OF_RULE}) FROM {LOOKING}) {_FROM}"""
_LOOK_AMONG = _LOOK.replace(LOOKING, f"{LOOKING} AND r.id IN ({{members}})")
_WHOLE = f"""
    SELECT {_STAMP}, (SELECT {{list_of}}({{array}}(r.id, r.revision, CAST(r.updated AS TEXT))) FROM {LOOKING})
    {_FROM}"""


@dataclass(frozen=True)
class Part:
    """One rule of a set: what it demands, and what is kept of it."""

    stamp: list[Any]
    kept: list[Any]  # number, ref, revision, criteria; the last is None where it demands nothing
    demands: Demands


class Known:
    """The rules of one trigger as they were at that stamp."""

    def __init__(self, trigger_ref: str, stamp: str, parts: list[Part]) -> None:
        self.trigger_ref, self.stamp = trigger_ref, stamp
        self.parts = {part.kept[0]: part for part in parts}
        self.index = Index((part.kept[0], part.demands) for part in parts)
        self._number: int | None = None

    def number(self) -> int:
        """The number of the row that tells which rules these are; written when it is first asked for."""
        if self._number is None:
            kept = [part.kept for part in self.parts.values()]
            row, _ = RuleSet.objects.get_or_create(
                trigger_ref=self.trigger_ref, stamp=self.stamp, defaults={"size": len(kept), "rules": packed(kept)}
            )
            transaction.on_commit(partial(setattr, self, "_number", row.pk))  # a row that is rolled back is not there
            return row.pk
        return self._number


_known: OrderedDict[str, Known] = OrderedDict()
_lock = threading.Lock()


def are_many(trigger_ref: str) -> bool:
    """Whether the trigger had many rules when they were last looked at."""
    return trigger_ref in _known


def to_weigh(trigger_ref: str, context: dict[str, Any]) -> tuple[list[list[Any]], int | None]:
    """The stamps of the trigger's rules that have to be weighed for an event, and the number of the set they are of.

    `context` is what the criteria of all rules see. Without a number, the stamps are those of all rules.
    """
    known = _known.get(trigger_ref) or _read(trigger_ref, None)
    for _ in range(TRIES):
        if len(known.parts) <= FEW:
            break
        stamp, stamps = _look(trigger_ref, known.index.candidates(context))
        if stamp == known.stamp:
            return stamps, known.number()
        known = _read(trigger_ref, known)
    return _look(trigger_ref, None)[1], None  # they became few, or change faster than they can be read


def _look(trigger_ref: str, numbers: list[int] | None) -> tuple[str, list[list[Any]]]:
    """The stamp of the set, and those of the rules with these numbers (None: of all)."""
    if numbers is None:
        return _two(_LOOK, trigger_ref)
    return _two(_LOOK_AMONG, numbers if connection.vendor == "postgresql" else json.dumps(numbers), trigger_ref)


def _read(trigger_ref: str, stale: Known | None) -> Known:
    """Read the trigger's rules anew, of which those that stayed the same are not read again; one thread for all."""
    with _lock:
        known = _known.get(trigger_ref)
        if known is not None and known is not stale:
            return known
        stamp, listed = _two(_WHOLE, trigger_ref)
        before = stale.parts if stale else {}
        same = {at[0]: before[at[0]] for at in listed if at[0] in before and before[at[0]].stamp == at}
        new = Rule.objects.filter(trigger_ref=trigger_ref, enabled=True)
        if same:
            new = new.filter(pk__in=[at[0] for at in listed if at[0] not in same])
        rows = {row[0]: row for row in new.values_list("pk", "ref", "revision", "criteria")}
        parts = [same.get(at[0]) or _part(at, rows[at[0]]) for at in listed if at[0] in same or at[0] in rows]
        known = Known(trigger_ref, stamp, sorted(parts, key=lambda part: part.kept[1]))
        _known.pop(trigger_ref, None)
        if len(parts) > FEW:
            _known[trigger_ref] = known
        while len(_known) > MOST:
            _known.popitem(last=False)
        return known


def _part(stamp: list[Any], row: tuple[Any, ...]) -> Part:
    number, ref, revision, criteria = row
    demands = demands_of(criteria) if len(json.dumps(criteria)) <= LONGEST else ()
    return Part(stamp, [number, ref, revision, criteria if demands else None], demands)


def _two(statement: str, *parameters: Any) -> tuple[str, list[list[Any]]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(**JSON[connection.vendor]), parameters)
        stamp, found = cursor.fetchone()
    return stamp, json.loads(found or "[]")


def packed(kept: list[list[Any]]) -> bytes:
    """The rules of a set as a RuleSet holds them: compressed, since criteria are much alike."""
    return zlib.compress(json.dumps(kept, separators=(",", ":")).encode(), 6)


def unpacked(rule_set: RuleSet) -> list[list[Any]]:
    """The rules of a set: each its number, ref, revision and criteria, the last None where it was weighed each time."""
    return json.loads(zlib.decompress(rule_set.rules))
