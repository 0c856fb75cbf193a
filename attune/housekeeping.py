"""What each process with workers does on the side: give a sign of life, look for forgotten work, keep sensors up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django import db
from django.conf import settings

from apps.access import audit_seals
from apps.executions import lanes, workers
from apps.executions import services as executions
from apps.executions.leading import Leadership
from apps.packs import services as packs
from apps.rules import services as rules
from attune.hints import HintBroker
from attune.retention import Retention

logger = logging.getLogger(__name__)

TICK = 0.5  # seconds


class Housekeeping(threading.Thread):
    """One thread with a list of chores, each done every so many seconds; one that fails is logged and tried again."""

    def __init__(self, chores: dict[Callable[[], object], float], *, name: str = "housekeeping") -> None:
        super().__init__(name=name, daemon=True)
        self.chores, self.ending = chores, threading.Event()

    def run(self) -> None:
        due = dict.fromkeys(self.chores, 0.0)
        while not self.ending.wait(TICK):
            for chore, every in self.chores.items():
                now = time.monotonic()
                if now < due[chore]:
                    continue
                due[chore] = now + every
                try:
                    chore()
                except db.Error as error:
                    logger.warning(
                        "The database did not answer (%s); trying again.", " ".join(str(error).split())[:200]
                    )
                    db.connection.close()
                except Exception:
                    logger.exception("A chore failed: %s.", getattr(chore, "__qualname__", chore))
        db.connections.close_all()

    def stop(self) -> None:
        self.ending.set()
        self.join(timeout=5)


def fleet_chores(part: Leadership) -> tuple[dict[Callable[[], object], float], dict[Callable[[], object], float]]:
    """What one process of all has to do, or each host for itself: quick chores, and slow ones for another thread.

    The sweeps are not among them: they are cheap, safe to do twice, and wait for nobody's lease when a process dies.
    """

    def seal_the_log() -> None:
        if part.holds():
            audit_seals.seal_new()

    return {part.seek: settings.ATTUNE_LEASE / 3, seal_the_log: 60.0}, {Retention(part.holds): 10.0}


def worker_chores(broker: HintBroker) -> dict[Callable[[], object], float]:
    """What a process that runs actions has to do, and how often (in seconds)."""

    def heed() -> None:
        draining, ours = workers.heed()
        broker.listen(lanes.QUEUE, ours)
        broker.hold(lanes.QUEUE, draining)
        broker.hold(lanes.PEOPLE, draining)

    return {
        heed: 1.0,
        executions.wake_due: 1.0,
        executions.settle_lost: settings.ATTUNE_SWEEP,
        executions.forget: 60.0,
        rules.sweep: settings.ATTUNE_SWEEP,
        rules.act_on_due: 1.0,
        rules.forget: 60.0,
        rules.review_owners: 60.0,
        packs.sweep: settings.ATTUNE_SWEEP,
    }
