"""Whether this installation can take more events: looked at every second beside the work, asked before each event.

What is asked is a variable of this process, so it costs an event nothing. Where nobody looks, all events come in.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apps.executions.models import Execution, Status
from apps.rules.errors import Overloaded
from apps.rules.models import Event
from attune.lib import tallies

logger = logging.getLogger(__name__)

REASONS = ("events", "executions", "disk")
AGAIN = 10  # seconds that a sender is asked to wait for a backlog
AGAIN_DISK = 60  # … and for an operator
RELIEF = 0.9  # of a limit has to be reached again before events are let in, so that it does not flicker


@dataclass(frozen=True)
class Pressure:
    """Why no events are taken: `reason` for programs, `message` for people."""

    reason: str  # one of REASONS
    message: str
    since: datetime
    retry_after: int


_now: Pressure | None = None


def current() -> Pressure | None:
    """What was found last; None while events are taken."""
    return _now


def check() -> None:
    """Raises Overloaded while no events are taken."""
    if _now is not None:
        tallies.count("events_refused", _now.reason)
        raise Overloaded(_now.message, reason=_now.reason, retry_after=_now.retry_after)


def look() -> None:
    """Count what waits, as far as its limit, and look at the disk."""
    global _now
    was = _now
    found = _disk(was) or _backlog(was)
    if found is None:
        _now = None
        if was is not None:
            logger.warning("Events are taken again.")
        return
    reason, message, retry_after = found
    if was is None or was.reason != reason:
        logger.error("No more events are taken: %s", message)
        was = None
    _now = Pressure(reason, message, was.since if was else timezone.now(), retry_after)


def forget() -> None:
    """Let events in until somebody looks again."""
    global _now
    _now = None


def free_disk() -> int:
    """Bytes that the data folder's disk has left."""
    return shutil.disk_usage(settings.ATTUNE_DATA_DIR).free


def _disk(was: Pressure | None) -> tuple[str, str, int] | None:
    reserve = settings.ATTUNE_DISK_RESERVE
    if was is not None and was.reason == "disk":
        reserve = int(reserve / RELIEF)
    if not reserve or (free := free_disk()) >= reserve:
        return None
    message = (
        f"The disk of the data folder has {free // 2**20} MiB left, and events are taken from "
        f"{settings.ATTUNE_DISK_RESERVE // 2**20} MiB on (ATTUNE_DISK_RESERVE). Make room; nothing need be restarted."
    )
    return "disk", message, AGAIN_DISK


def _backlog(was: Pressure | None) -> tuple[str, str, int] | None:
    undecided = Event.objects.filter(processed_at=None)
    # One status at a time: each is a stretch of the index (status, id).
    waiting = [Execution.objects.filter(status=status) for status in (Status.REQUESTED, Status.SCHEDULED)]
    for reason, rows, limit, what, setting in (
        ("events", [undecided], settings.ATTUNE_MAX_UNDECIDED, "events wait to be decided on", "ATTUNE_MAX_UNDECIDED"),
        ("executions", waiting, settings.ATTUNE_MAX_WAITING, "executions wait for a worker", "ATTUNE_MAX_WAITING"),
    ):
        most = int(limit * RELIEF) if was is not None and was.reason == reason else limit
        if limit and _more_than(most, rows):
            message = f"More than {most:,} {what} ({setting}); send this again later."
            return reason, message, AGAIN
    return None


def _more_than(most: int, parts: list[QuerySet[Any]]) -> bool:
    """Whether these are more rows, counting no further than need be."""
    counted = 0
    for part in parts:
        counted += part.order_by()[: most + 1 - counted].count()
        if counted > most:
            return True
    return False
