"""Make events of a sensor's lines: each once, none lost when the database is away, bad ones counted and shown."""

from __future__ import annotations

import contextlib
import logging
import time
from datetime import datetime

from django.db import Error, IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone

from apps.rules.errors import Overloaded
from apps.rules.models import Rule
from apps.rules.services import emit_event
from apps.sensors.child import Child
from apps.sensors.protocol import BadLine, Line, read_line
from attune.lib import crash
from attune.lib.errors import AttuneError

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError)  # the database does not answer; the same may work in a moment
LONGEST_PAUSE = 5.0  # seconds between two tries of a line


class Intake:
    """The way from one sensor's stdout to the rules. `events`, `bad_lines` and the rest await being written down."""

    def __init__(self, sensor_ref: str) -> None:
        self.sensor_ref = sensor_ref
        self.trigger_refs: list[str] = []
        self._rules: dict[int, Rule] = {}
        self.ever_known: set[int | str] = set()  # ids and refs of all rules that this sensor was ever told of
        self._line: bytes | None = None  # taken from the pipe, not yet in the database
        self._again_at = 0.0
        self._pause = 0.0
        self.forget_counts()

    def forget_counts(self) -> None:
        """Begin to count anew: what there was has been written down."""
        self.events = self.bad_lines = 0
        self.last_event_at: datetime | None = None
        self.last_fault = ""

    def know(self, rules: dict[int, Rule], trigger_refs: list[str]) -> None:
        """The rules and triggers that lines may name from now on."""
        self.ever_known |= rules.keys() | {rule.ref for rule in rules.values()}
        self._rules, self.trigger_refs = rules, trigger_refs

    def is_ready(self, child: Child | None) -> bool:
        """Whether there is a line to take in, and no reason to wait with it."""
        return (self._line is not None or (child is not None and child.has_line)) and time.monotonic() >= self._again_at

    @property
    def is_empty(self) -> bool:
        return self._line is None

    def take(self, child: Child, *, most: int) -> None:
        """Take in up to `most` lines. A line that could not be taken for now stays, and is tried again later."""
        if time.monotonic() < self._again_at:
            return
        for _ in range(most):
            if self._line is None:
                self._line = child.next_line()
            if self._line is None:
                return
            try:
                self._take(self._line, child)
            except AWAY as error:
                self._wait(f"An event of sensor {self.sensor_ref} waits for the database: {error}")
                forget_connection()
                return
            except Overloaded as error:
                self._wait(f"Events of sensor {self.sensor_ref} wait: {error.message}")
                return
            self._line, self._pause = None, 0.0

    def note_fault(self, reason: str, child: Child) -> None:
        """Count a line that was none, and keep its reason for people to see."""
        self.bad_lines += 1
        self.last_fault = child.log.masked(reason.encode("utf-8", "replace")).decode("utf-8", "replace")[:2000]
        child.log.note(f"Bad line: {reason[:500]}")

    def _take(self, raw: bytes, child: Child) -> None:
        line = read_line(raw, self.trigger_refs)
        if isinstance(line, BadLine):
            self.note_fault(f"{line.reason} It began: {raw[:120].decode('utf-8', 'replace')!r}", child)
        elif line is not None:
            try:
                self._emit(line)
            except Overloaded:
                raise
            except AttuneError as error:
                self.note_fault(error.message, child)
            except AWAY:
                raise
            except Exception:
                logger.exception("A line of sensor %s could not be kept.", self.sensor_ref)
                self.note_fault("Attune failed to keep this event; the server's log says why.", child)

    def _emit(self, line: Line) -> None:
        rule = None
        if line.rule is not None:
            rule = self._find(line.rule)
            if rule is None:
                return
        crash.point("before-line")
        try:
            emitted = emit_event(
                line.trigger_ref,
                payload=line.payload,
                source=f"sensor {self.sensor_ref}",
                rule=rule,
                dedup_key=line.dedup_key,
                passed_over=line.passed_over,
                reason=line.reason,
            )
        except IntegrityError:
            if rule is not None and not Rule.objects.filter(pk=rule.pk).exists():
                return  # deleted while the line was on its way
            raise
        crash.point("after-line")
        if emitted.created and not line.passed_over:
            self.events += 1
            self.last_event_at = timezone.now()

    def _find(self, named: int | str) -> Rule | None:
        """The rule that a line names; None when it was switched off while the line was on its way."""
        if isinstance(named, int):
            rule = self._rules.get(named)
        else:
            rule = next((rule for rule in self._rules.values() if rule.ref == named), None)
        if rule is None and named not in self.ever_known:
            raise AttuneError(
                f"The line is meant for rule {named}, which is no enabled rule of this sensor's triggers."
            )
        return rule

    def _wait(self, why: str) -> None:
        if not self._pause:
            logger.warning("%s", why)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or 0.25)
        self._again_at = time.monotonic() + self._pause


def forget_connection() -> None:
    """Let go of a connection that failed, so that the next query opens a new one."""
    if not connection.in_atomic_block:
        with contextlib.suppress(Error):
            connection.close()
