"""What each rule made of an event, put together from its enforcements, its list of misses, and what still waits."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.rules import ruled_out, storm
from apps.rules.models import Enforcement, Event, Rule

NEAR = 200  # later events of the trigger among which the one is looked for that took an event's place

WORDS = ["matched", "error", "not_matched", "suppressed", "waiting", "stopped", "paused", "skipped", "missed"]


def of_passed_over(word: str, rule: Rule | None, reason: str) -> dict[str, Any]:
    """What makes a new event one that was passed over: decided, with a verdict of the rule it was meant for."""
    verdict: dict[str, Any] = {"rule": None, "rule_ref": "", "verdict": word}
    if rule:
        verdict |= {"rule": rule.pk, "rule_ref": rule.ref, "revision": rule.revision}
    verdict["reason"] = reason[:500] or "Its sensor did not say why."
    return {"passed_over": word, "processed_at": timezone.now(), "misses": [verdict]}


def verdicts_of(event: Event) -> list[dict[str, Any]]:
    """What each rule made of the event: those that matched or failed, then those that did not act on it.

    Each `{rule, rule_ref, verdict, reason, results, enforcement, execution}`, `verdict` one of WORDS. One that is
    suppressed or waits has also `{control, key, until, by_event, by_execution}`.
    """
    kept = [
        {
            "rule": e.rule_id,
            "rule_ref": e.rule_ref,
            "revision": e.rule_revision,
            "verdict": e.verdict,
            "reason": e.reason,
            "results": e.results,
            "action_ref": e.action_ref,
            "action_params": e.action_params,
            "enforcement": e.pk,
            "execution": e.execution_id,
        }
        for e in event.enforcements.order_by("id")
    ]
    acted = {each["rule"] for each in kept}
    decided = [known["rule_ref"] for known in kept] + [miss["rule_ref"] for miss in event.misses]
    missed = [
        {"verdict": "not_matched", "results": [], **miss, "enforcement": None, "execution": None}
        for miss in [*event.misses, *ruled_out.verdicts(event, decided=decided)]
        if miss.get("rule") not in acted  # it waited, and has acted since
    ]
    _explain([miss for miss in missed if miss["verdict"] == "suppressed"], event)
    return kept + missed


def _explain(suppressed: list[dict[str, Any]], event: Event) -> None:
    """Say what can only be told later: whether it still waits, what came in its place, and what ran instead."""
    waiting = storm.pending_of(event.pk) if any(miss.get("control") == "debounce" for miss in suppressed) else {}
    for miss in suppressed:
        pending = waiting.get(miss["rule"])
        if pending is not None:
            miss |= {"verdict": "waiting", "until": pending.due_at.isoformat()}
        elif "replaces" in miss:
            successor = _successor(event, miss["rule"])
            took = f"event {successor}" if successor else "a later event"
            miss |= {"by_event": successor, "reason": f"Debounce: {took} took its place; the last one counts."}
        miss.pop("replaces", None)
    by = {miss["by_event"] for miss in suppressed if miss.get("by_event")}
    rows = Enforcement.objects.filter(event__in=by).values_list("event", "rule", "execution") if by else ()
    ran: dict[Any, int | None] = {(number, rule): execution for number, rule, execution in rows}
    for miss in suppressed:
        miss["by_execution"] = ran.get((miss.get("by_event"), miss["rule"]))


def _successor(event: Event, rule: int | None) -> int | None:
    """The event that took this one's place in a debounce, if it is near."""
    later = Event.objects.filter(trigger_ref=event.trigger_ref, pk__gt=event.pk).order_by("id")
    for number, misses in later.values_list("id", "misses")[:NEAR]:
        if any(miss.get("rule") == rule and miss.get("replaces") == event.pk for miss in misses):
            return number
    return None
