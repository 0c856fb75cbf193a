"""Find installations that nobody works on, because the nudge was lost or their worker died."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from apps.packs.models import Installation

Status = Installation.Status


def forgotten() -> list[int]:
    """Those that have waited longer than a sweep, and those whose worker gives no sign of life any more."""
    now = timezone.now()
    waiting = Q(status=Status.REQUESTED, created__lt=now - timedelta(seconds=settings.ATTUNE_SWEEP))
    lost = Q(status=Status.RUNNING, lease_until__lt=now)
    return list(Installation.objects.filter(waiting | lost).order_by("id").values_list("id", flat=True))
