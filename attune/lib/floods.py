"""What anybody can make us write down must not fill the database: of one kind, at most a few a second are written."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass

_MOST_KINDS = 10_000


@dataclass
class _Window:
    second: int = 0
    written: int = 0
    left_out: int = 0


class Flood:
    """Says of each thing whether it is to be written; counted in each process for itself."""

    def __init__(self, most_a_second: int) -> None:
        self.most_a_second = most_a_second
        self._windows: dict[Hashable, _Window] = {}
        self._lock = threading.Lock()

    def left_out(self, kind: Hashable) -> int | None:
        """How many of this kind were not written since the last one that was; None when this one shall not be."""
        second = int(time.monotonic())
        with self._lock:
            if len(self._windows) > _MOST_KINDS:
                self._windows.clear()
            window = self._windows.setdefault(kind, _Window())
            if window.second != second:
                window.second, window.written = second, 0
            if window.written >= self.most_a_second:
                window.left_out += 1
                return None
            window.written += 1
            left_out, window.left_out = window.left_out, 0
            return left_out

    def clear(self) -> None:
        with self._lock:
            self._windows.clear()
