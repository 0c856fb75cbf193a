"""Retention: every room says what it keeps and for how long; here it is deleted, by one process of all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from apps.access import retention as access
from apps.executions import retention as executions
from apps.packs import retention as packs
from apps.packs import services as installing
from apps.rules import retention as rules
from apps.sensors import retention as sensors
from attune.lib.retention import Kind, Pruned, prune

logger = logging.getLogger(__name__)

EVERY = 3600.0  # seconds


def kinds() -> list[Kind]:
    """All there are. Events before executions: an event must not outlive what tells why its execution is gone."""
    return [*rules.kinds(), *executions.kinds(), *sensors.kinds(), *packs.kinds(), *access.kinds()]


def prune_rows(go_on: Callable[[], bool] = lambda: True) -> list[Pruned]:
    """Delete what is old of every kind, for as long as `go_on()`."""
    done = [prune(kind, go_on=go_on) for kind in kinds()]
    told = ", ".join(f"{one.count} {one.name}" for one in done if one.count)
    if told:
        longest = 1000 * max(one.longest for one in done)
        logger.info("Deleted what is old: %s; the longest transaction took %.0f ms.", told, longest)
    return done


class Retention:
    """The chore of a process: prune every hour, rows only while `may()` says that it is this process's part."""

    def __init__(self, may: Callable[[], bool]) -> None:
        self._may = may
        self._rows_at = self._files_at = 0.0  # when it is next time, by the monotonic clock

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._rows_at and self._may():
            self._rows_at = now + EVERY
            prune_rows(self._may)
            installing.tidy()
        if now >= self._files_at:
            self._files_at = now + EVERY
            removed = executions.remove_orphans()
            if removed:
                logger.info("Removed %d files of executions that are no more.", removed)
