"""Ask something that may hang: one thread asks, and whoever wants to know waits no longer than a limit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import connections

logger = logging.getLogger(__name__)

T = TypeVar("T")
SILENT = "no answer"


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What came of asking: a value, or in words why there is none."""

    value: T | None = None
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


class Probe(Generic[T]):
    """One question, asked in a thread of its own (with a database connection of its own) that begins when needed.

    An answer is good for `keep` seconds. While the thread hangs nobody waits for more than `limit` seconds from when
    it was asked, and no second thread is begun: those who come later hear at once that there is no answer.
    """

    def __init__(self, ask: Callable[[], T], *, limit: float, keep: float) -> None:
        self._ask, self.limit, self.keep = ask, limit, keep
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None
        self._answer: Answer[T] | None = None
        self._answered_at = 0.0
        self._asked_at = 0.0  # 0: nobody waits for an answer
        self._resting = False

    def begin(self) -> None:
        """Have it asked, if the last answer is too old; returns at once."""
        with self._turn:
            self._begin()

    def look(self) -> Answer[T]:
        """An answer that is fresh enough; waits for it, if it must."""
        with self._turn:
            self._begin()
            if self._asked_at:
                left = self._asked_at + self.limit - time.monotonic()
                self._turn.wait_for(lambda: not self._asked_at, timeout=max(0.0, left))
            return self._latest()

    def latest(self) -> Answer[T] | None:
        """The last answer, however old; None where nobody ever asked. Never waits."""
        with self._turn:
            is_first = self._answer is None and time.monotonic() - self._asked_at < self.limit
            return self._latest() if self._answer or (self._asked_at and not is_first) else None

    def rest(self) -> None:
        """Let go of the thread and its connection, and forget the answer, unless it hangs."""
        with self._turn:
            thread, self._resting = self._thread, True
            self._turn.notify_all()
        if thread is not None:
            thread.join(self.limit)
        with self._turn:
            if thread is None or not thread.is_alive():
                self._thread = self._answer = None
                self._asked_at = 0.0

    def _latest(self) -> Answer[T]:
        if self._asked_at and (self._answer is None or time.monotonic() - self._asked_at >= self.limit):
            return Answer(problem=SILENT)
        assert self._answer is not None
        return self._answer

    def _begin(self) -> None:
        self._resting = False
        now = time.monotonic()
        if self._asked_at or (self._answer is not None and now - self._answered_at < self.keep):
            return
        self._asked_at = now
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
            self._thread.start()
        self._turn.notify_all()

    def _run(self) -> None:
        try:
            while True:
                with self._turn:
                    self._turn.wait_for(lambda: self._asked_at or self._resting)
                    if self._resting:
                        return
                answer = self._try()
                with self._turn:
                    self._answer, self._answered_at, self._asked_at = answer, time.monotonic(), 0.0
                    self._turn.notify_all()
        finally:
            connections.close_all()

    def _try(self) -> Answer[T]:
        try:
            return Answer(self._ask())
        except Exception as error:
            logger.debug("A probe failed.", exc_info=True)
            connections.close_all()
            return Answer(problem=" ".join(str(error).split())[:200] or type(error).__name__)
