"""One switch that keeps all rules from looking at events; and what becomes of the events that came meanwhile.

They are kept as always, with the verdict `paused`. At the end they are left at that (`skip`), or all of them are made
undecided again, for the rules as they are then (`process`). That is done in batches and may be taken up by anybody.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.access import audit, reach
from apps.rules import quiet
from apps.rules.errors import NotPaused, PausedAlready, RuleInvalid
from apps.rules.models import Event, Pause

BATCH = 500  # events let go at a time


def current() -> Pause | None:
    """The pause that is on."""
    return Pause.objects.filter(active=True).first()


@transaction.atomic
def pause_rules(*, reason: str, actor: Any) -> Pause:
    """Keep all rules from looking at events. Raises PausedAlready, and RuleInvalid where the reason is missing."""
    reach.require_all(actor)
    reason = reason.strip()[:500]
    if not reason:
        fault = {"path": "reason", "message": "is missing"}
        raise RuleInvalid("Say why the rules are paused: others will want to know.", details={"faults": [fault]})
    try:
        with transaction.atomic():
            pause = Pause.objects.create(reason=reason, paused_by=audit.actor_name(actor)[:200])
    except IntegrityError:
        on = current()
        told = f" by {on.paused_by}: {on.reason}" if on else ""
        raise PausedAlready(f"Rules are paused already{told}. Resume them first to pause them anew.") from None
    audit.record(actor, "rules.pause", "rules", after={"reason": reason})
    return pause


@transaction.atomic
def resume_rules(*, held: str = Pause.Held.SKIP, actor: Any) -> Pause:
    """Let rules look at events again. `held`: what becomes of those that came meanwhile, `skip` or `process`.

    Raises NotPaused.
    """
    reach.require_all(actor)
    on = current()
    ended = {"active": None, "ended_at": timezone.now(), "ended_by": audit.actor_name(actor)[:200], "held": held}
    if on is None or not Pause.objects.filter(pk=on.pk, active=True).update(**ended):
        raise NotPaused("Rules are not paused.")
    if held == Pause.Held.SKIP:
        quiet.drop_due(f"rules were paused by {on.paused_by}: {on.reason}")
    audit.record(actor, "rules.resume", "rules", before={"reason": on.reason}, after={"held": held})
    on.refresh_from_db()
    return on


def let_go() -> list[int]:
    """Make some events undecided that a pause held which ended with `process`, oldest first; their numbers.

    Called again and again: a decision that was under way when the pause ended may be written afterwards.
    """
    pauses = Pause.objects.filter(held=Pause.Held.PROCESS).values("pk")
    found = list(Event.objects.filter(held_by__in=pauses).order_by("id").values_list("id", flat=True)[:BATCH])
    if found:
        Event.objects.filter(pk__in=found, held_by__isnull=False).update(processed_at=None, misses=[], held_by=None)
    return found


def held_by(pause: Pause, *, most: int) -> int:
    """How many events it holds, counted to `most`."""
    return Event.objects.filter(held_by=pause.pk).order_by()[:most].count()
