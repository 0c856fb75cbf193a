"""How long this room keeps its rows: the log of webhook deliveries."""

from __future__ import annotations

from django.conf import settings

from apps.sensors.models import WebhookDelivery
from attune.lib.retention import Kind


def kinds() -> list[Kind]:
    """What is deleted, and when."""
    return [Kind("webhook deliveries", WebhookDelivery, "received_at", settings.ATTUNE_KEEP_DELIVERIES)]
