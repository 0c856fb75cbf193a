"""Keep the timers of all rules, and say which events are due now. Pure: the caller brings the time.

The rule of this module: each fire time in ``(last, now]`` gets one line, where ``last`` is the latest fire time
already dealt with, at first the moment the rule was enabled or the last event kept by the server.
One fire time that passed just now is on time; anything else was missed, and the rule's ``misfire`` policy says
whether it fires late or is passed over, which is a line too. ``last`` only moves forward, so a clock set back never
fires a time twice. Lines come oldest first: whoever goes on from the last one that was kept neither doubles nor loses
a time, wherever the others got lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from timer_schedule import MOST_COUNTED, BadTimer, Schedule, iso, parse_iso, schedule_for

TYPE_CHECKING = False  # spares the running sensor the typing module
if TYPE_CHECKING:
    from typing import Any

MOST_LINES = 1000  # of the times missed together, the newest get a line each; the older ones one between them
WHY_PASSED_OVER = {
    "skip": "misfire: skip lets late times pass",
    "fire_once": "misfire: fire_once makes up for the latest time only",
    "fire_all": f"misfire: fire_all makes up for the newest {MOST_LINES} only",
}
ON_TIME_SECONDS = 60.0

Log = Callable[[str], None]


class Timer:
    """The timer of one rule: when it is due, and which times have their lines already."""

    def __init__(self, rule: dict, now: float) -> None:
        """Read a rule in the snapshot's shape, its ``ref`` filled in. Raises BadTimer."""
        self.rule_id, self.ref = _rule_id(rule), rule["ref"]
        self.trigger_ref, self.config = rule.get("trigger_ref"), rule.get("config") or {}
        self.schedule: Schedule = schedule_for(self.trigger_ref, self.config)
        self.misfire = self.config.get("misfire") or "fire_once"
        if self.misfire not in WHY_PASSED_OVER:
            raise BadTimer(f"misfire {self.misfire!r} is not known; use one of {', '.join(WHY_PASSED_OVER)}")
        last_event = rule.get("last_event") or {}
        payload = last_event.get("payload") or {}
        self.told = _moment(payload.get("scheduled_at") or last_event.get("created"))
        known = [moment for moment in (_moment(rule.get("since")), self.told) if moment is not None]
        self.last = max(known, default=now)
        count = payload.get("execution_count")
        self.count = count if isinstance(count, int) else 0
        self.next = self.schedule.next_after(self.last)

    def carry_on(self, old: Timer, *, told_since: bool) -> None:
        """Take over from the rule's running timer what it knows better than the message: what it told, how often."""
        self.count = max(self.count, old.count)
        told = [moment for moment in (self.told, old.told) if moment is not None]
        self.told = max(told, default=None)
        if (self.trigger_ref, self.config) != (old.trigger_ref, old.config):
            self.last = max([self.last, *told])
        else:
            self.last = max(self.last, old.last) if told_since else old.last
        self.next = self.schedule.next_after(self.last)

    def due(self, now: float, on_time: float) -> Iterator[dict]:
        """A line for each fire time up to ``now``, oldest first; with the first of them all are dealt with."""
        if self.next is None or now < self.next:
            return
        first = self.next
        count, times = self.schedule.passed(self.last, now, MOST_LINES + 1)
        self.told = self.last = times[-1]
        self.next = self.schedule.next_after(self.last)
        if count == 1 and now - times[0] <= on_time:
            yield self._fire(times[0], now, missed=0)
            return
        if len(times) > MOST_LINES:
            yield self._pass_over(times.pop(0), now, missed=count - MOST_LINES, first=first)
        passed = len(times) - {"skip": 0, "fire_once": 1, "fire_all": len(times)}[self.misfire]
        for moment in times[:passed]:
            yield self._pass_over(moment, now, missed=1, first=moment)
        for moment in times[passed:]:
            yield self._fire(moment, now, missed=count if self.misfire == "fire_once" else 1)

    def _fire(self, scheduled: float, now: float, *, missed: int) -> dict:
        self.count += 1
        return self._line(scheduled, missed, fired_at=iso(round(now, 3)))

    def _pass_over(self, scheduled: float, now: float, *, missed: int, first: float) -> dict:
        """The line of all times from ``first`` to ``scheduled``, mostly one, which do not fire."""
        what, since = "It was", {}
        if first < scheduled:
            about = " or more" if missed >= MOST_COUNTED else ""
            what, since = f"{missed}{about} times since {iso(first)} were", {"first_scheduled_at": iso(first)}
        return {
            **self._line(scheduled, missed, **since),
            "passed_over": "skipped" if self.misfire == "skip" else "missed",
            "reason": f"{what} noticed at {iso(round(now, 3))}; {WHY_PASSED_OVER[self.misfire]}.",
        }

    def _line(self, scheduled: float, missed: int, **more: str) -> dict:
        scheduled_at = iso(scheduled)
        payload = {
            **self.schedule.facts,
            "scheduled_at": scheduled_at,
            **more,
            "execution_count": self.count,
            "missed": missed,
            "misfire": self.misfire,
            "rule_ref": self.ref,
        }
        return {
            "trigger": self.trigger_ref,
            "payload": payload,
            "trigger_instance_id": f"rule_{self.rule_id}",
            "dedup_key": f"rule_{self.rule_id}:{scheduled_at}",
        }


class TimerRules:
    """The timers of all rules that this sensor serves."""

    def __init__(self, log: Log) -> None:
        self.timers: dict[str, Timer] = {}
        self._log = log

    def start(self, snapshot: object, now: float) -> Iterator[dict]:
        """Take over the rules as the server wrote them down, and give what fell due while no sensor ran."""
        if not isinstance(snapshot, list):
            self._log("ATTUNE_SENSOR_TRIGGERS is not a list of rules; starting without any.")
            snapshot = []
        for rule in snapshot:
            self._set(rule, now, starting=True)
        return self.due(now, on_time=0)

    def apply(self, message: object, now: float) -> None:
        """Follow one control message: a rule was created, updated, enabled, disabled or deleted."""
        if not isinstance(message, dict) or not isinstance(message.get("event_type"), str):
            self._log("A control message without event_type was ignored.")
            return
        change = message["event_type"].rpartition(".")[2]
        if change in ("disabled", "deleted") or message.get("enabled") is False:
            self.timers.pop(_rule_id(message), None)
        elif change in ("created", "updated", "enabled"):
            self._set(message, now)
        else:
            self._log(f"The control message {change!r} is not known and was ignored.")

    def due(self, now: float, on_time: float = ON_TIME_SECONDS) -> Iterator[dict]:
        """The lines of all rules due at ``now``; a timer that fails is dropped with a log line, the rest go on."""
        for key, timer in list(self.timers.items()):
            try:
                yield from timer.due(now, on_time)
            except Exception as fault:
                self._log(f"{timer.ref}: stopped, its next fire time cannot be found: {fault!r}")
                del self.timers[key]

    def next_due(self) -> float | None:
        """The earliest fire time to come, or None if nothing will ever be due."""
        return min((timer.next for timer in self.timers.values() if timer.next is not None), default=None)

    def _set(self, rule: Any, now: float, *, starting: bool = False) -> None:
        """Put a rule's timer in place of its old one; a bad rule is logged by name and has no timer."""
        key = _rule_id(rule)
        if not key:
            self._log("A rule without an id was ignored.")
            return
        old = self.timers.pop(key, None)
        ref = _first(rule, "ref", "rule_ref", default=old.ref if old else f"rule {key}")
        carried = {"trigger_ref": old.trigger_ref, "config": old.config} if old else {}
        config = _first(rule, "config", "trigger_params", default=carried.get("config"))
        given = {**carried, **rule, "ref": ref, "config": config}
        if not starting and given.get("since") is None:
            given["since"] = iso(now)
        try:
            timer = Timer(given, now)
        except Exception as fault:
            self._log(f"{ref}: not started, {fault if isinstance(fault, BadTimer) else repr(fault)}.")
            return
        if old:
            timer.carry_on(old, told_since=rule.get("since") is not None)
        self.timers[key] = timer
        if timer.next is None and (timer.told is None or timer.last > timer.told):
            self._log(f"{ref}: it will never fire, its time lies in the past or does not exist.")
        elif timer.last > now + ON_TIME_SECONDS:
            self._log(f"{ref}: it is settled up to {iso(timer.last)}, ahead of the clock; it waits until then.")


def _first(rule: dict, *names: str, default: Any = None) -> Any:
    """The value under the first of these names that the rule has."""
    return next((rule[name] for name in names if name in rule), default)


def _rule_id(rule: Any) -> str:
    value = _first(rule, "rule_id", "id") if isinstance(rule, dict) else None
    return "" if value is None else str(value)


def _moment(text: Any) -> float | None:
    """An ISO time as the server sends it, or None if it sends none. Raises BadTimer for anything else."""
    if text in (None, ""):
        return None
    try:
        return parse_iso(str(text))
    except ValueError:
        raise BadTimer(f"the time {text!r} sent by the server is not ISO 8601") from None
