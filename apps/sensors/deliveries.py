"""The log of who knocked at a webhook: a row for each, except for a flood of refusals, of which one row tells.

Whoever knows no key can make us refuse, but not fill our database: of refusals of one kind (trigger and status) each
process writes at most a few a second, and the next one written says how many it stands for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.db import DatabaseError
from django.db.models import Model

from apps.sensors.models import WebhookDelivery
from attune.lib.floods import Flood
from attune.lib.plans import Step
from attune.lib.rows import insert

logger = logging.getLogger(__name__)

MOST_A_SECOND = 5  # rows of refusals of one kind, in each process
_flood = Flood(MOST_A_SECOND)


def of_event(columns: Mapping[str, Any]) -> Callable[[Step], tuple[type[Model], Mapping[str, Any]]]:
    """The row of a delivery that becomes an event, to be written with it."""
    return lambda event: (WebhookDelivery, {"status": 202, "event_id": event, **columns})


def note_known(**columns: Any) -> None:
    """A delivery that was received before: its event is kept, so a log that fails must not refuse it."""
    try:
        insert(WebhookDelivery, [{"status": 202, **columns}])
    except DatabaseError:
        logger.exception("A webhook delivery received before could not be logged.")


def note_refused(*, trigger_ref: str, status: int, reason: str, **columns: Any) -> None:
    """A delivery that was turned away, and why."""
    left_out = _flood.left_out((trigger_ref, status))
    if left_out is None:
        return
    if left_out:
        reason = f"{reason[:440]} (and {left_out} more like it before)"
    WebhookDelivery.objects.create(trigger_ref=trigger_ref, status=status, reason=reason[:500], **columns)
