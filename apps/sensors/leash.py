"""Kill a host's sensors when its lease is about to run out, even while the host hangs in a call to the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 0.6  # of the lease; the rest is time for the sensors to be gone before another host may start them


class Leash(threading.Thread):
    """Calls `cut` again and again while the last renewal is too old, from a thread of its own."""

    def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
        super().__init__(name="sensor leash", daemon=True)
        self._patience = PATIENCE * seconds
        self._look_every = min(1.0, seconds / 15)
        self._cut = cut
        self._renewed = time.monotonic()
        self._over = threading.Event()

    def renewed(self, asked_at: float) -> None:
        """The lease was renewed by a request made at that time (of the monotonic clock)."""
        self._renewed = asked_at

    @property
    def is_cut(self) -> bool:
        return time.monotonic() - self._renewed > self._patience

    def run(self) -> None:
        while not self._over.wait(self._look_every):
            if self.is_cut:
                self._cut()

    def end(self) -> None:
        self._over.set()
