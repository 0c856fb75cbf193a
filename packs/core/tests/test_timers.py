"""The pack's own test of its timers; runs in the pack's environment: python tests/test_timers.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from timer_rules import TimerRules
from timer_schedule import parse_iso, schedule_for


class TimersTest(unittest.TestCase):
    def test_an_interval_fires_on_the_grid_of_the_clock(self) -> None:
        schedule = schedule_for("core.intervaltimer", {"unit": "minutes", "interval": 15})
        self.assertEqual(schedule.next_after(parse_iso("2026-05-01T10:07:31Z")), parse_iso("2026-05-01T10:15:00Z"))

    def test_a_nightly_job_fires_once_on_the_day_the_clock_goes_back(self) -> None:
        schedule = schedule_for("core.crontimer", {"expression": "30 2 * * *", "timezone": "Europe/Paris"})
        day = parse_iso("2026-10-24T22:00:00Z"), parse_iso("2026-10-25T22:59:59Z")
        self.assertEqual(schedule.passed(*day, keep=10), (1, [parse_iso("2026-10-25T00:30:00Z")]))

    def test_what_was_missed_is_fired_once_and_each_time_told(self) -> None:
        now = parse_iso("2026-05-01T10:00:30Z")
        rule = {
            "id": 7,
            "ref": "demo.minutely",
            "trigger_ref": "core.intervaltimer",
            "config": {"unit": "minutes", "interval": 1},
            "since": "2026-05-01T09:00:00Z",
        }
        *others, event = TimerRules(print).start([rule], now)
        self.assertEqual(event["dedup_key"], "rule_7:2026-05-01T10:00:00+00:00")
        self.assertEqual(event["payload"]["missed"], 60)
        self.assertEqual([line["passed_over"] for line in others], ["missed"] * 59)


if __name__ == "__main__":
    unittest.main()
