"""How long this room keeps its rows: events with their enforcements, sooner those that no rule matched, and keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.executions.models import LIVE, WAITING, Execution
from apps.rules.events import last_of_sensors, of_sensors
from apps.rules.models import Debounce, Enforcement, Event, EventKey, Pause
from attune.lib.retention import Kind


def kinds() -> list[Kind]:
    """What is deleted, and when. Enforcements go with their events."""
    return [
        Kind("events", Event, "created", settings.ATTUNE_KEEP_EVENTS, _dealt_with),
        Kind("events that no rule matched", Event, "created", settings.ATTUNE_KEEP_MISSES, _matched_by_none),
        Kind("expired event keys", EventKey, "expires_at", settings.ATTUNE_KEEP_MISSES),
    ]


def _dealt_with(rows: QuerySet[Any], before: datetime) -> QuerySet[Any]:
    """Decided on, and not needed any more.

    No execution of it waits or runs, be it a rule's, a retry or a rerun; no rule waits for quiet after it; no pause
    holds it that may still let it go; and no sensor goes on from it, as timers do from the last event for their rule.
    """
    fed = of_sensors(rows).exclude(rule=None).order_by().values_list("rule", flat=True).distinct()
    rows = rows.exclude(pk__in=list(last_of_sensors(fed).values()))
    held = Pause.objects.filter(Q(active=True) | Q(held=Pause.Held.PROCESS), pk=OuterRef("held_by"))
    rows = rows.exclude(Exists(held)).exclude(Exists(Debounce.objects.filter(event_id=OuterRef("pk"))))
    under_way = Execution.objects.filter(status__in=sorted(WAITING | LIVE), event_id__isnull=False)
    asked_for = Enforcement.objects.filter(event=OuterRef("pk"), execution__status__in=sorted(WAITING | LIVE))
    return rows.exclude(processed_at=None).exclude(Exists(asked_for)).exclude(pk__in=under_way.values("event_id"))


def _matched_by_none(rows: QuerySet[Any], before: datetime) -> QuerySet[Any]:
    return _dealt_with(rows, before).exclude(Exists(Enforcement.objects.filter(event=OuterRef("pk"))))
