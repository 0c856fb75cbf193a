"""Verdicts in words: what a rule made of an event, for pages and for the form's test."""

from __future__ import annotations

from typing import Any

from django.utils.safestring import SafeString

from apps.access import admin_show
from apps.access.principals import Principal, Role
from apps.access.reach import may, narrow
from apps.rules import pausing, ruled_out, services
from apps.rules.models import Enforcement, Event, Rule
from attune.lib.refs import pack_of

LOOKED_AT = 200  # the latest events of a trigger among which a rule's misses are looked for
SHOWN = 25
MOST_SHOWN = 100  # verdicts of one event on a page
_WHY = ("ref", "created", "enabled", "active_since", "trigger_ref", "pack__ref", "pack__enabled")

# Where a badge's colour goes by another word: a sensor may be stopped and well.
TONES = {"stopped": "chain_stopped", "missed": "suppressed"}
WORDS = {
    "matched": "It matched.",
    "error": "It could not be decided, or not be acted upon.",
    "not_matched": "It did not match.",
    "suppressed": "Its storm control held it back.",
    "waiting": "It waits.",
    "stopped": "The chain of events was too deep.",
    "paused": "All rules were paused.",
    "skipped": "Its time was passed over.",
    "missed": "Its time was missed.",
}


def of_event(event: Event, who: Principal) -> dict[str, Any]:
    """What every rule made of the event; and for a rule that never looked, why: `{verdicts, unshown}`.

    Of rules that did not match a page shows some; `unshown` counts the others.
    """
    told = [
        {**verdict, "words": verdict.get("reason") or WORDS[verdict["verdict"]], "badge": badge_of(verdict["verdict"])}
        for verdict in services.verdicts_of(event)
        if may(who, Role.VIEWER, pack_of(verdict["rule_ref"]))
    ]
    known = {verdict["rule_ref"] for verdict in told}
    told, unshown = told[:MOST_SHOWN], len(told[MOST_SHOWN:])
    if event.processed_at is None or event.passed_over:
        return {"verdicts": told, "unshown": unshown}
    others = narrow(who, Rule.objects.filter(trigger_ref=event.trigger_ref)).select_related("pack").order_by("ref")
    never = [rule for rule in others.only(*_WHY)[: len(known) + SHOWN] if rule.ref not in known]
    for rule in never[:SHOWN]:
        told.append(
            {
                "rule": rule.pk,
                "rule_ref": rule.ref,
                "verdict": "not_asked",
                "words": why_not_asked(rule, event),
                "badge": badge_of("not_asked", None),
            }
        )
    return {"verdicts": told, "unshown": unshown}


def why_not_asked(rule: Rule, event: Event) -> str:
    """Why a rule of the trigger has no verdict on an event that was decided on."""
    if event.rule_ref and event.rule_ref != rule.ref:
        return f"The event was meant for rule {event.rule_ref} alone."
    if rule.created > event.created:
        return "The rule was made after the event; replay the event to have it looked at."
    if not rule.enabled:
        return "The rule is off."
    if not rule.pack.enabled:
        return f"Pack {rule.pack.ref} is off."
    if rule.active_since and rule.active_since > event.created:
        return "The rule was switched on after the event; replay the event to have it looked at."
    return "It has no verdict of this rule any more; old ones are removed first."


def badge_of(verdict: str, count: int | None = None) -> SafeString:
    """A verdict as a badge, perhaps with how many there are."""
    word = admin_show.WORDS.get(verdict, verdict)
    return admin_show.badge(TONES.get(verdict, verdict), word if count is None else f"{count} {word}")


def of_rule(rule: Rule) -> list[dict[str, Any]]:
    """The rule's latest verdicts, matches and misses together, newest first."""
    kept = [
        {
            "event": e.event_id,
            "at": e.created,
            "verdict": e.verdict,
            "words": e.reason or WORDS[e.verdict],
            "enforcement": e.pk,
            "execution": e.execution,
        }
        for e in Enforcement.objects.filter(rule=rule)
        .select_related("execution")
        .only("event_id", "created", "verdict", "reason", "execution__id", "execution__status")
        .order_by("-id")[:SHOWN]
    ]
    columns = ("id", "created", "misses", "rule_set")
    events = list(Event.objects.filter(trigger_ref=rule.trigger_ref).only(*columns).order_by("-id")[:LOOKED_AT])
    acted = {each["event"] for each in kept}
    waiting = set(rule.debounces.values_list("event_id", flat=True))  # type: ignore[attr-defined]
    missed = [
        {
            "event": event.pk,
            "at": event.created,
            "verdict": _word(miss, event, waiting),
            "words": miss.get("reason", ""),
        }
        for event in events
        for miss in event.misses or []
        if miss.get("rule") == rule.pk and event.pk not in acted
    ]
    latest = sorted(kept + missed + _ruled_out(rule, events, missed), key=lambda verdict: -verdict["event"])[:SHOWN]
    payloads = Event.objects.in_bulk([verdict["event"] for verdict in latest if "entry" in verdict])
    for verdict in latest:
        verdict["badge"] = badge_of(verdict["verdict"])
        if verdict["event"] in payloads:
            verdict["words"] = ruled_out.reason(verdict["entry"], payloads[verdict["event"]])
    return latest


def _word(miss: dict[str, Any], event: Event, waiting: set[int]) -> str:
    if miss.get("control") == "debounce" and event.pk in waiting:
        return "waiting"
    return miss.get("verdict", "not_matched")


def _ruled_out(rule: Rule, events: list[Event], missed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where the rule was one of so many that the index left it out; without the words, which need the payload."""
    found = ruled_out.of_rule(rule.pk, events)
    weighed = {verdict["event"] for verdict in missed}
    weighed |= set(Enforcement.objects.filter(rule=rule, event__in=found).values_list("event_id", flat=True))
    return [
        {"event": event.pk, "at": event.created, "verdict": "not_matched", "entry": found[event.pk]}
        for event in events
        if event.pk in found and event.pk not in weighed
    ]


def silence(rule: Rule) -> str:
    """Why a rule could not run at all at this moment; empty where it could."""
    pause = pausing.current()
    if pause is not None:
        return f"All rules are paused by {pause.paused_by}: {pause.reason}"
    if not rule.enabled:
        return "The rule is off: it looks at no event."
    if rule.barred:
        return f"A match cannot be acted upon. {rule.barred}"
    if not rule.pack.enabled:
        return f"Its pack {rule.pack.ref} is off: none of its rules looks at events."
    if rule.trigger is None:
        return f"There is no trigger {rule.trigger_ref} any more; install its pack, or choose another trigger."
    if not rule.trigger.enabled:
        return f"Its trigger {rule.trigger_ref} is off: no event of it comes in."
    if not rule.trigger.pack.enabled:
        return f"Pack {rule.trigger.pack.ref} of its trigger is off: no event of it comes in."
    if rule.action is None:
        return f"There is no action {rule.action_ref} any more; install its pack, or choose another action."
    if not rule.action.enabled:
        return f"Its action {rule.action_ref} is off: a match cannot be acted upon."
    if not rule.action.pack.enabled:
        return f"Pack {rule.action.pack.ref} of its action is off: a match cannot be acted upon."
    return ""
