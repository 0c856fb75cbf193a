"""One sensor at this host: start it, keep it told, start it again when it dies, stop it when nothing wants it.

idle ──start──▶ running ──stop asked──▶ ending ──▶ idle, or given up when nothing wants it
  ▲                └──────died──────────────┘
  └── after 1, 2, 4 … 60 s
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from selectors import BaseSelector

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from apps.rules.errors import Overloaded
from apps.sensors import alerts, briefing, desired, launching
from apps.sensors.briefing import RuleBrief
from apps.sensors.child import Child
from apps.sensors.desired import Glance, Plan, Program
from apps.sensors.intake import AWAY, Intake
from apps.sensors.leases import Leases, State, from_now
from apps.sensors.models import SensorProcess
from attune.lib.errors import AttuneError

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 60.0  # seconds
STEADY = 60.0  # seconds after which a sensor counts as healthy again
ALERT_AFTER = 3  # failures in a row
COUNT_EVERY = 1.0  # seconds between two writes of the counters
LINES_A_TURN = 10  # so that one that floods us does not hold up the others
LAST_LINES = 200  # of a sensor that is no longer ours


class LeaseLost(Exception):
    """Another host has this sensor now, or it was deleted."""


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures in a row: 1, 2, 4 … 60."""
    return min(LONGEST_BACKOFF, 2.0 ** min(failures - 1, 10))


class Post:
    """A sensor that this host holds the lease of. The host calls `see`, `work` and `step`; all else follows.

    Every method may raise LeaseLost, or the database's errors: then it changed nothing and is called again.
    """

    def __init__(self, row: SensorProcess, glance: Glance, *, leases: Leases, selector: BaseSelector) -> None:
        self.sensor_id = glance.sensor_id
        self.ref = glance.ref
        self.is_given_up = False
        self.child: Child | None = None
        self._leases = leases
        self._selector = selector
        self._generation = row.generation
        self._failures = row.failures
        self._start_at = time.monotonic() + _seconds_until(row)
        self._why_not = glance.why_not
        self._stamp = glance.stamp
        self._program: Program | None = None  # what runs now
        self._rules: dict[int, RuleBrief] = {}  # what it knows
        self._look_closer = False
        self._is_announced = False  # that it runs is on its row
        self._alarm = ""  # the error that people shall be told of
        self._count_at = 0.0
        self._intake = Intake(glance.ref)

    # What the host tells it -------------------------------------------------------------------------------------------
    def see(self, glance: Glance) -> None:
        """Take note of what is wanted now."""
        self._why_not = glance.why_not
        if glance.stamp != self._stamp:
            self._stamp, self._look_closer = glance.stamp, True
        if glance.restart_requested_at is not None:
            self._write(restart_requested_at=None, failures=0)
            self._failures, self._start_at = 0, 0.0
            if self.child is not None:
                self.child.stop("restart requested")

    def retire(self, why: str) -> None:
        """The host is going away: stop, and leave the sensor to others."""
        self._why_not = why

    # What it does by itself -------------------------------------------------------------------------------------------
    @property
    def has_work(self) -> bool:
        return self._intake.is_ready(self.child)

    @property
    def starts_at(self) -> float:
        """When it wants to be started, by the monotonic clock; never while it runs or should not."""
        return self._start_at if self.child is None and not self._why_not else math.inf

    def work(self) -> None:
        """Take in some of the lines that the sensor has printed."""
        if self.child is not None:
            self._intake.take(self.child, most=LINES_A_TURN)

    def step(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        self._count(now)
        if self._alarm:
            self._raise_alarm()
        if self.child is None:
            if self._why_not:
                self._give_up()
            elif now >= self._start_at:
                self._try_to_start()
            return
        if not self._is_announced:
            self._announce(self.child)
        self.child.check()
        if self.child.is_over and self._intake.is_empty:
            self._settle(self.child, now)
        elif self.child.exited or self.child.end_asked:
            return
        elif self._why_not:
            self.child.stop(self._why_not)
        elif self._look_closer:
            self._follow(self.child)
        elif self._failures and now - self.child.started >= STEADY:
            self._write(failures=0)
            self._failures = 0

    def abandon(self, why: str) -> None:
        """Kill it at once and write nothing: the sensor is no longer ours."""
        if self.child is not None:
            self.child.kill(why)
            with contextlib.suppress(*AWAY):  # what it has said is said
                self._intake.take(self.child, most=LAST_LINES)
            self.child.close()
            self.child = None
        logger.warning("Sensor %s is no longer hosted here: %s", self.ref, why)

    # Start and change -------------------------------------------------------------------------------------------------
    def _try_to_start(self) -> None:
        try:
            self._start()
        except (LeaseLost, *AWAY):
            raise
        except AttuneError as error:
            self._failed(error.message)
        except OSError as error:
            self._failed(f"Its program could not be started: {error}.")
        except Exception as error:
            logger.exception("Sensor %s could not be started.", self.ref)
            self._failed(f"Attune failed to start it ({error}); the server's log says more.")

    def _start(self) -> None:
        plan = self._plan()
        self._write(
            generation=self._generation + 1,
            state=State.STARTING,
            reason="",
            lease_expires_at=from_now(self._leases.seconds),
            restart_requested_at=None,  # this is what was asked for
        )
        self._generation += 1
        self._look_closer = False
        if plan.program.problem:
            self._failed(plan.program.problem)
            return
        self.child = launching.start(plan, generation=self._generation, selector=self._selector)
        self._program = plan.program
        self._learn(plan)
        self._is_announced = False
        self._announce(self.child)

    def _plan(self) -> Plan:
        plan = desired.plan(self.sensor_id)
        if plan is None:
            raise LeaseLost("the sensor was deleted")
        return plan

    def _announce(self, child: Child) -> None:
        self._write(state=State.RUNNING, pid=child.process.pid, started_at=Now(), stopped_at=None, next_start_at=None)
        self._is_announced = True
        logger.info("Sensor %s runs as process %s.", self.ref, child.process.pid)

    def _learn(self, plan: Plan) -> None:
        self._rules = plan.rules
        self._intake.know(plan.rows, plan.sensor.trigger_refs)

    def _follow(self, child: Child) -> None:
        """Something changed: tell the sensor if telling is enough, else start it anew; or find that nothing matters."""
        self._look_closer = False
        try:
            plan = self._plan()
            gone = self._rules.keys() - plan.rules.keys()
            there = desired.rules_still_there(gone) if gone else ()
            known = {key for key in self._intake.ever_known if isinstance(key, int)}
            changes = briefing.changes(self._rules, plan.rules, still_there=there, ever_known=known)
            if plan.program != self._program:
                child.stop("its program or settings changed")
            elif changes and not self._tell(child, plan, changes):
                child.stop("its rules changed")
            else:
                self._learn(plan)
        except AWAY:
            self._look_closer = True
            raise

    def _tell(self, child: Child, plan: Plan, changes: list[briefing.Change]) -> bool:
        if not plan.sensor.takes_control_lines:
            return False
        last = desired.last_events(change.rule.id for change in changes)
        return child.tell(
            b"".join(change.rule.control(change.event_type, last.get(change.rule.id)) for change in changes)
        )

    # End --------------------------------------------------------------------------------------------------------------
    def _settle(self, child: Child, now: float) -> None:
        """It has ended and all it printed is kept: write down how, and what comes next."""
        if child.take_half_line().strip():
            self._intake.note_fault("The sensor ended in the middle of a line, which was dropped.", child)
        self._count(now, at_once=True)
        restarts = F("restarts") + 1
        if self._why_not:
            self._give_up()
        elif child.end_asked:
            reason = f"Restarting: {child.end_asked}."
            self._write(state=State.STARTING, reason=reason, pid=None, stopped_at=Now(), restarts=restarts)
            self._start_at = now
        else:
            if now - child.started >= STEADY:
                self._failures = 0
            last = f": {child.log.last_line}" if child.log.last_line else "."
            self._failed(f"The sensor {child.how_it_ended}{last}", restarts=restarts)
        child.log.note(f"It {child.how_it_ended} ({child.end_asked or 'by itself'}).")
        child.close()
        self.child = None

    def _failed(self, error: str, **changes: object) -> None:
        """It does not run through its own fault: wait longer each time, and raise the alarm after some times."""
        failures = self._failures + 1
        pause = backoff(failures)
        self._write(
            state=State.BACKOFF,
            reason=f"Trying again after failure {failures} in a row.",
            pid=None,
            stopped_at=Now(),
            next_start_at=from_now(pause),
            failures=failures,
            last_error=error[:4000],
            last_error_at=Now(),
            **changes,
        )
        self._failures = failures
        self._start_at = time.monotonic() + pause
        logger.warning("Sensor %s failed %s times in a row; next start in %g s: %s", self.ref, failures, pause, error)
        self._alarm = error if failures == ALERT_AFTER else ""

    def _raise_alarm(self) -> None:
        error, self._alarm = self._alarm, ""
        occasion = f"{self.sensor_id}:{self._generation}"
        try:
            alerts.sensor_keeps_failing(self.ref, failures=ALERT_AFTER, error=error, occasion=occasion)
        except Overloaded:
            self._alarm = error  # it waits like the sensor's own events
        except AWAY:
            self._alarm = error
            raise

    def _give_up(self) -> None:
        self._count(time.monotonic(), at_once=True)
        if not self._leases.give_up(self.sensor_id, reason=self._why_not):
            raise LeaseLost("another host took it over")
        self.is_given_up = True

    # The row ----------------------------------------------------------------------------------------------------------
    def _count(self, now: float, *, at_once: bool = False) -> None:
        """Write the counters down, at most once a second."""
        intake = self._intake
        if not (intake.events or intake.bad_lines) or (now < self._count_at and not at_once):
            return
        changes: dict[str, object] = {}
        if intake.last_event_at:
            changes["last_event_at"] = intake.last_event_at
        if intake.last_fault:
            changes |= {"last_error": intake.last_fault, "last_error_at": Now()}
        self._write(events=F("events") + intake.events, bad_lines=F("bad_lines") + intake.bad_lines, **changes)
        intake.forget_counts()
        self._count_at = now + COUNT_EVERY

    def _write(self, **changes: object) -> None:
        if not self._leases.write(self.sensor_id, **changes):
            raise LeaseLost("another host took it over")


def _seconds_until(row: SensorProcess) -> float:
    """How long the row says to wait with the next start."""
    return max(0.0, (row.next_start_at - timezone.now()).total_seconds()) if row.next_start_at else 0.0
