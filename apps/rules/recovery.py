"""Find events that nobody decided on, because the nudge was lost or its worker died."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from apps.rules.models import Event

BATCH = 500  # events of one sweep


def undecided() -> list[int]:
    """Events that have waited longer than a sweep, oldest first."""
    since = timezone.now() - timedelta(seconds=settings.ATTUNE_SWEEP)
    waiting = Event.objects.filter(processed_at=None, created__lt=since)
    return list(waiting.order_by("id").values_list("id", flat=True)[:BATCH])
