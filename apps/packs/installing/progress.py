"""How far an installation is: step, percent and log, written to its row now and then, and a sign of life with it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django import db
from django.conf import settings
from django.utils import timezone

from apps.packs.models import Installation

logger = logging.getLogger(__name__)

WRITE = 0.4  # seconds between two writes, at most one each
LOG_LIMIT = 256 * 1024  # characters kept
CUT = "… the rest of this log is left out.\n"
Step = Installation.Step
# Where each step begins, in percent of the whole.
BEGINS = {
    Step.FETCH: 0,
    Step.VERIFY: 20,
    Step.UNPACK: 25,
    Step.ANALYSE: 30,
    Step.BUILD: 35,
    Step.TEST: 75,
    Step.REGISTER: 92,
    Step.SWITCH: 96,
}


class Superseded(Exception):
    """Another worker has begun this installation anew, or it is over: whoever meets this stops at once."""


class Progress:
    """What one attempt tells of itself. `say` and `step` may be called from anywhere; a thread of its own writes."""

    def __init__(self, installation: Installation) -> None:
        self.pk, self.attempt = installation.pk, installation.attempt
        self._lock = threading.Lock()
        self._lines: list[str] = [installation.log] if installation.log else []
        self._length = len(installation.log)
        self._now: dict[str, Any] = {}
        self.lost = False  # another attempt has taken over

    def say(self, line: str) -> None:
        """Add a line to the log."""
        with self._lock:
            text = f"{line.rstrip()}\n"
            if self._length >= LOG_LIMIT:
                return
            self._length += len(text)
            self._lines.append(text if self._length < LOG_LIMIT else CUT)
            self._now["log"] = True

    def step(self, step: str) -> None:
        """The next step begins. Raises Superseded."""
        self.check()
        with self._lock:
            self._now |= {"step": step, "percent": BEGINS[Step(step)]}

    def know(self, **facts: Any) -> None:
        """Columns of the row that are known from now on: pack_ref, pack_version, from_version, result."""
        with self._lock:
            self._now |= facts

    def check(self) -> None:
        """Raises Superseded if this attempt counts no longer."""
        if self.lost:
            raise Superseded

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write what is told, and a sign of life, for as long as the block lasts."""
        ending = threading.Event()
        writer = threading.Thread(target=self._write_on, args=(ending,), name=f"installation {self.pk}", daemon=True)
        writer.start()
        try:
            yield
        finally:
            ending.set()
            writer.join()

    def finish(self, status: str, **facts: Any) -> bool:
        """The end, in one conditional UPDATE; False if it was not this attempt's to write."""
        with self._lock:
            told = {name: value for name, value in self._now.items() if name != "log"} | facts
            told["log"] = "".join(self._lines)
        ended = {"status": status, "finished_at": timezone.now(), "lease_until": None, "sealed_source": ""}
        return bool(self._mine().update(**told, **ended, updated=timezone.now()))

    # ------------------------------------------------------------------------------------------------------------------
    def _mine(self) -> Any:
        return Installation.objects.filter(pk=self.pk, attempt=self.attempt, status=Installation.Status.RUNNING)

    def _write_on(self, ending: threading.Event) -> None:
        signed = time.monotonic()
        try:
            while not ending.wait(WRITE):
                with self._lock:
                    told, self._now = self._now, {}
                    if told.pop("log", False):
                        told["log"] = "".join(self._lines)
                if not told and time.monotonic() - signed < settings.ATTUNE_LEASE / 3:
                    continue
                signed = time.monotonic()
                try:
                    lease = timezone.now() + timedelta(seconds=settings.ATTUNE_LEASE)
                    if not self._mine().update(**told, lease_until=lease, updated=timezone.now()):
                        self.lost = True
                        return
                except db.Error as error:
                    logger.warning("Installation %s could not tell how far it is (%s).", self.pk, error)
                    with self._lock:
                        self._now = told | self._now | {"log": True}
                    db.connection.close()
        finally:
            db.connections.close_all()
