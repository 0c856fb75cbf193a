"""Say when a timer is due. Pure: no clock, no input or output.

Times are seconds since the epoch (UTC). Every schedule answers two questions:

- ``next_after(moment)``: the first fire time later than ``moment``, or None if there is none.
- ``passed(after, until, keep)``: how many fire times lie in ``(after, until]``, and the newest ``keep`` of them.

Fire times depend on the wall clock alone, never on when the sensor was started, so that a restart neither
shifts nor doubles them. This module is loaded by a process that stays small: it imports little, and the
calendar parts (cronsim, zoneinfo) only when a rule needs them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timezone, tzinfo

UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
LONGEST_INTERVAL = 3660 * 86400
MOST_COUNTED = 10_000  # fire times; a calendar is not walked through further back, so there may have been more


class BadTimer(ValueError):
    """Raised for a timer configuration that cannot be used; the message names the field and the remedy."""


def iso(moment: float) -> str:
    """The moment as ISO 8601 in UTC, ending in +00:00."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat()


def parse_iso(text: str, zone: tzinfo = timezone.utc) -> float:
    """The moment an ISO 8601 text names; a text without offset is read in ``zone``. Raises ValueError."""
    parsed = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).timestamp()


def zone_named(name: object) -> tzinfo:
    """The time zone of that IANA name. Raises BadTimer for one that is not known."""
    if name in (None, "", "UTC"):
        return timezone.utc
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise BadTimer(f"timezone {name!r} is not known; use an IANA name such as Europe/Paris or UTC") from None


class IntervalSchedule:
    """Fires at every multiple of the interval since the epoch: each minute at :00, each day at 00:00 UTC."""

    def __init__(self, config: dict) -> None:
        unit, interval = config.get("unit"), config.get("interval")
        if not isinstance(unit, str) or unit not in UNIT_SECONDS:
            raise BadTimer(f"unit {unit!r} is not known; use one of {', '.join(UNIT_SECONDS)}")
        if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
            raise BadTimer(f"interval {interval!r} must be a whole number of at least 1")
        self.seconds = interval * UNIT_SECONDS[unit]
        if self.seconds > LONGEST_INTERVAL:
            raise BadTimer(f"interval {interval} {unit} is too long; use at most ten years")
        self.facts = {"type": "interval", "interval_seconds": self.seconds, "unit": unit, "interval": interval}

    def next_after(self, moment: float) -> float:
        return (math.floor(moment) // self.seconds + 1) * self.seconds

    def passed(self, after: float, until: float, keep: int) -> tuple[int, list[float]]:
        newest = math.floor(until) // self.seconds
        count = max(0, newest - math.floor(after) // self.seconds)
        return count, [n * self.seconds for n in range(newest - min(count, keep) + 1, newest + 1)]


class CronSchedule:
    """Fires by the calendar of a time zone, with the daylight-saving rule of Debian cron.

    Five fields, or six with the seconds first. A job at a fixed hour and minute runs once on the day the clock
    goes back, and once (at the end of the gap) on the day it goes forward; one with ``*`` in hour or minute
    follows the clock through both. The five calendar fields choose the minutes and the seconds field the moments
    in them, so six fields keep the same rule.
    """

    def __init__(self, config: dict) -> None:
        from cronsim import CronSim, CronSimError

        self.expression, name = config.get("expression"), config.get("timezone") or "UTC"
        self.zone, self._calendar = zone_named(name), CronSim
        fields = self.expression.split() if isinstance(self.expression, str) else []
        if len(fields) not in (5, 6):
            raise BadTimer(f"expression {self.expression!r} must have five fields, or six with the seconds first")
        self._minutes = " ".join(fields[-5:])
        try:
            any_day = datetime(2000, 1, 1)
            seconds = CronSim(f"{fields[0]} * * * * *", any_day).seconds if len(fields) == 6 else {0}
            CronSim(self._minutes, any_day)
        except CronSimError as fault:
            raise BadTimer(f"expression {self.expression!r} is not valid: {fault}") from None
        self._seconds = sorted(seconds)
        self.facts = {"type": "cron", "expression": self.expression, "timezone": name}

    def _later_than(self, moment: float) -> Iterator[float]:
        # Start a second before this minute: its own later seconds still count. Inside the hour that the clock
        # repeats, cronsim answers with the first pass again, hence the comparison with the last time given.
        minute = math.floor(moment) // 60 * 60
        last = moment
        for match in self._calendar(self._minutes, datetime.fromtimestamp(minute - 1, self.zone)):
            for second in self._seconds:
                due = match.timestamp() + second
                if due > last:
                    yield due
                    last = due

    def next_after(self, moment: float) -> float | None:
        try:
            return next(self._later_than(moment), None)
        except OverflowError:  # past the year 9999
            return None

    def passed(self, after: float, until: float, keep: int) -> tuple[int, list[float]]:
        """As above; when MOST_COUNTED or more passed, those before a recent window may be left uncounted."""
        window = 3600.0
        while True:
            start = max(after, until - window)
            count, newest = 0, deque[float](maxlen=keep)
            for due in self._later_than(start):
                if due > until:
                    break
                count += 1
                newest.append(due)
            if start == after or count >= max(keep, MOST_COUNTED):
                return count, list(newest)
            window *= 24


class OneShotSchedule:
    """Fires once, at ``fire_at``."""

    def __init__(self, config: dict) -> None:
        fire_at, name = config.get("fire_at"), config.get("timezone") or "UTC"
        zone = zone_named(name)
        try:
            self.moment = parse_iso(str(fire_at), zone)
        except (ValueError, OverflowError):
            raise BadTimer(f"fire_at {fire_at!r} is not a date and time; use 2026-12-24T18:00:00+01:00") from None
        self.facts = {"type": "one_shot", "fire_at": fire_at, "timezone": name}

    def next_after(self, moment: float) -> float | None:
        return self.moment if self.moment > moment else None

    def passed(self, after: float, until: float, keep: int) -> tuple[int, list[float]]:
        due = [self.moment] if after < self.moment <= until else []
        return len(due), due[:keep]


Schedule = IntervalSchedule | CronSchedule | OneShotSchedule

SCHEDULES: dict[str, type[Schedule]] = {
    "core.intervaltimer": IntervalSchedule,
    "core.crontimer": CronSchedule,
    "core.datetimetimer": OneShotSchedule,
}


def schedule_for(trigger_ref: object, config: object) -> Schedule:
    """The schedule that a rule of this trigger asks for with its trigger parameters. Raises BadTimer."""
    if not isinstance(trigger_ref, str) or trigger_ref not in SCHEDULES:
        raise BadTimer(f"trigger {trigger_ref!r} is not a timer; use one of {', '.join(SCHEDULES)}")
    if not isinstance(config, dict):
        raise BadTimer("the trigger parameters must be an object")
    return SCHEDULES[trigger_ref](config)
