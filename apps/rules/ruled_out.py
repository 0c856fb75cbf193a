"""The verdicts that are not written down: of rules that the index ruled out. Told again when somebody asks.

What is needed is kept: the event, and with its set of rules their criteria as they were. So the reason is word for word
the one that weighing the rule would have given, whatever became of the rule since.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apps.rules import enforcing, matching, rulesets
from apps.rules.models import Event, RuleSet


def verdicts(event: Event, *, decided: Iterable[str]) -> list[dict[str, Any]]:
    """What is known of the rules of the event's set but those of the refs `decided`.

    Each `{rule, rule_ref, revision, reason, results}`.
    """
    kept = RuleSet.objects.filter(pk=event.rule_set_id).first() if event.rule_set_id else None
    if kept is None:
        return []
    known, context = set(decided), enforcing.context_of(None, event)
    return [
        _verdict(entry, context) for entry in rulesets.unpacked(kept) if entry[1] not in known and entry[3] is not None
    ]


def of_rule(rule_number: int, events: list[Event]) -> dict[int, list[Any]]:
    """What was kept of the rule, for each of these events that it was ruled out of if nothing else is known of it."""
    sets = RuleSet.objects.in_bulk({event.rule_set_id for event in events if event.rule_set_id})
    entries = {
        number: next((entry for entry in rulesets.unpacked(kept) if entry[0] == rule_number), None)
        for number, kept in sets.items()
    }
    found = {event.pk: entries.get(event.rule_set_id) for event in events if event.rule_set_id}
    return {number: entry for number, entry in found.items() if entry and entry[3] is not None}


def reason(entry: list[Any], event: Event) -> str:
    """Why a rule, of which that is kept, did not match."""
    return str(_verdict(entry, enforcing.context_of(None, event))["reason"])


def _verdict(entry: list[Any], context: dict[str, Any]) -> dict[str, Any]:
    number, ref, revision, criteria = entry
    found = matching.evaluate(criteria, context)
    told = found.reason if found.matched is False else "Something that it demands was not so."
    return {
        "rule": number, "rule_ref": ref, "revision": revision, "reason": told[:500], "results": list(found.results)
    }  # fmt: skip
