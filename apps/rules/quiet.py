"""Act on debounced events once it has been quiet for as long as their rules say. The waiting is a row, not a timer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import Exists
from django.db.models.functions import Now

from apps.rules import enforcing, storm
from apps.rules.enforcing import Decision
from apps.rules.models import Debounce, Enforcement, Event, Pause, Rule

BATCH = 200  # events acted on at a time


def due() -> list[int]:
    """The debounces whose time is up, oldest first; none while rules are paused."""
    rows = Debounce.objects.filter(~Exists(Pause.objects.filter(active=True)), due_at__lte=Now())
    return list(rows.order_by("due_at").values_list("pk", flat=True)[:BATCH])


def act(debounce_id: int) -> None:
    """Decide on the event that waits, by the rule as it is now; nothing happens if it waits no longer."""
    waiting = Debounce.objects.select_related("rule__pack", "rule__action__pack").filter(pk=debounce_id).first()
    if waiting is None:
        return
    event = Event.objects.filter(pk=waiting.event_id).first()
    decision = _decision(waiting, event) if event else None
    with transaction.atomic():
        if not _take(waiting) or event is None or decision is None:
            return
        held = storm.hold_after_quiet(waiting.rule, event.pk, decision.keys) if "throttle" in decision.keys else None
        if held:
            decision = replace(decision, matched=False, reason=held.reason, note=held.note, request=None)
            storm.count([(waiting.rule, held)])
        if decision.matched is False:
            _rewrite(event, waiting.rule, decision.reason, decision.note)
        else:
            enforcing.act_late(event, decision)
        _tell_if_suppressed(event)


def drop_due(reason: str) -> None:
    """Let go of what came due during a pause; the verdict on its event says why. In the caller's transaction."""
    for waiting in Debounce.objects.filter(due_at__lte=Now()).select_related("rule"):
        event = Event.objects.filter(pk=waiting.event_id).first()
        if _take(waiting) and event:
            _rewrite(event, waiting.rule, reason, {"verdict": "paused"})
            _tell_if_suppressed(event)


def _decision(waiting: Debounce, event: Event) -> Decision:
    """What the rule makes of the event now that it is quiet."""
    rule = waiting.rule
    if not rule.enabled or not rule.pack.enabled:
        what = "the rule" if not rule.enabled else f"pack {rule.pack.ref}"
        reason = f"Debounce: {what} was switched off before the time was up."
        return Decision(rule, False, reason, note={"verdict": "suppressed", "control": "debounce"})
    decision = enforcing.decide(rule, event)
    if waiting.count == 1:
        return decision
    stands = f"It stands for {waiting.count} events since event {waiting.first_id}"
    return replace(decision, reason=f"{decision.reason} ({stands}.)")


def _take(waiting: Debounce) -> bool:
    """Whether it is ours to act on: nobody else did, and no later event came."""
    same = Debounce.objects.filter(pk=waiting.pk, event_id=waiting.event_id, due_at=waiting.due_at)
    return bool(same.delete()[0])


def _rewrite(event: Event, rule: Rule, reason: str, note: dict[str, Any]) -> None:
    """Put another verdict of this rule in the place of the one that it waits."""
    row = Event.objects.select_for_update().only("misses").get(pk=event.pk)
    verdict = {"rule": rule.pk, "rule_ref": rule.ref, "revision": rule.revision, "reason": reason[:500]} | note
    misses = [miss for miss in row.misses if miss.get("rule") != rule.pk]
    Event.objects.filter(pk=event.pk).update(misses=[*misses, verdict])


def _tell_if_suppressed(event: Event) -> None:
    """Say anew whether storm control holds the event back: where the rule has acted since, its note counts no more."""
    row = Event.objects.select_for_update().only("misses").get(pk=event.pk)
    acted = set(Enforcement.objects.filter(event=event).values_list("rule", flat=True))
    suppressed = enforcing.is_suppressed(miss for miss in row.misses if miss.get("rule") not in acted)
    Event.objects.filter(pk=event.pk).update(suppressed=suppressed)
