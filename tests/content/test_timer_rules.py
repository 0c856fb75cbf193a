"""Which timers fire now: misfire policies, restarts, clock jumps, rule changes. Pure: the test is the clock."""

from collections.abc import Iterable, Iterator

import pytest
from timer_rules import MOST_LINES, TimerRules
from timer_schedule import iso, parse_iso

START = "2026-05-01T10:00:00Z"
T0 = parse_iso(START)


def rule(unit: str = "seconds", interval: int = 10, *, rule_id: int = 1, since: str | None = START, **more) -> dict:
    config = {"unit": unit, "interval": interval, **{k: more.pop(k) for k in ("misfire",) if k in more}}
    return {
        "id": rule_id,
        "ref": f"demo.rule{rule_id}",
        "trigger_ref": "core.intervaltimer",
        "config": config,
        "since": since,
        **more,
    }


def one_shot(fire_at: str, **config) -> dict:
    return {**rule(), "trigger_ref": "core.datetimetimer", "config": {"fire_at": fire_at, **config}}


class Bench:
    """Timers on a test bench: the clock is turned by hand, and what fires and what is logged is kept."""

    def __init__(self, *rules: dict, at: float = T0) -> None:
        self.log: list[str] = []
        self.lines: list[dict] = []
        self.rules = TimerRules(self.log.append)
        self.started = fired(self._kept(self.rules.start(list(rules), at)))

    def at(self, moment: float) -> list[str]:
        """When those were due that fire now."""
        return scheduled(fired(self._kept(self.rules.due(moment))))

    def _kept(self, lines: Iterator[dict]) -> list[dict]:
        new = list(lines)
        self.lines += new
        return new


def fired(lines: list[dict]) -> list[dict]:
    return [line for line in lines if "passed_over" not in line]


def passed_over(lines: list[dict], word: str) -> list[dict]:
    return [line for line in lines if line.get("passed_over") == word]


def scheduled(lines: Iterable[dict]) -> list[str]:
    return [line["payload"]["scheduled_at"][11:19] for line in lines]


def test_an_event_tells_all_about_its_fire() -> None:
    bench = Bench(rule())
    (event,) = bench.rules.due(T0 + 10.25)
    assert event == {
        "trigger": "core.intervaltimer",
        "payload": {
            "type": "interval",
            "interval_seconds": 10,
            "unit": "seconds",
            "interval": 10,
            "scheduled_at": "2026-05-01T10:00:10+00:00",
            "fired_at": "2026-05-01T10:00:10.250000+00:00",
            "execution_count": 1,
            "missed": 0,
            "misfire": "fire_once",
            "rule_ref": "demo.rule1",
        },
        "trigger_instance_id": "rule_1",
        "dedup_key": "rule_1:2026-05-01T10:00:10+00:00",
    }


def test_an_hour_of_seconds_passes_without_drift() -> None:
    bench, now, events = Bench(rule(interval=1)), T0, []
    for step in range(3600):
        now = bench.rules.next_due() + (step * 37 % 100) / 110  # woken up late by up to 0.9 s, each time differently
        events += bench.rules.due(now)
    assert [event["dedup_key"] for event in events] == [f"rule_1:{iso(T0 + n)}" for n in range(1, 3601)]
    assert [event["payload"]["execution_count"] for event in events] == list(range(1, 3601))
    assert {event["payload"]["missed"] for event in events} == {0}


@pytest.mark.parametrize(
    ("misfire", "times", "missed"),
    [
        ("skip", [], []),
        ("fire_once", ["10:00:50"], [5]),
        ("fire_all", ["10:00:10", "10:00:20", "10:00:30", "10:00:40", "10:00:50"], [1, 1, 1, 1, 1]),
    ],
)
def test_the_misfire_policy_decides_what_downtime_leaves(misfire: str, times: list, missed: list) -> None:
    bench = Bench(rule(misfire=misfire), at=T0 + 55)
    assert scheduled(bench.started) == times
    assert [event["payload"]["missed"] for event in bench.started] == missed
    assert bench.at(T0 + 59) == []
    assert bench.at(T0 + 60) == ["10:01:00"]


@pytest.mark.parametrize(("misfire", "times"), [("skip", []), ("fire_once", ["11:00:00"])])
def test_a_forward_jump_of_the_clock_is_missed_time(misfire: str, times: list) -> None:
    bench = Bench(rule(misfire=misfire))
    assert bench.at(T0 + 3605) == times
    assert bench.at(T0 + 3610) == ["11:00:10"]


@pytest.mark.parametrize(
    ("misfire", "times"),
    [("skip", []), ("fire_once", ["10:00:04"]), ("fire_all", ["10:00:02", "10:00:03", "10:00:04"])],
)
def test_a_sensor_that_was_paused_treats_what_it_slept_through_as_missed(misfire: str, times: list) -> None:
    bench = Bench(rule(interval=1, misfire=misfire))
    assert bench.at(T0 + 1) == ["10:00:01"]
    assert bench.at(T0 + 4.3) == times
    assert bench.at(T0 + 5) == ["10:00:05"]


def test_skip_also_drops_a_single_fire_that_is_much_too_late() -> None:
    bench = Bench(rule("hours", 1, misfire="skip"))
    assert bench.at(T0 + 3600 + 59) == ["11:00:00"]
    assert bench.at(T0 + 7200 + 1800) == []
    assert scheduled(passed_over(bench.lines, "skipped")) == ["12:00:00"]


# What does not fire --------------------------------------------------------------------------------------------------
def test_a_time_that_is_passed_over_has_a_line_under_the_key_of_its_fire() -> None:
    bench = Bench(rule(misfire="skip"), at=T0 + 25.25)
    assert bench.lines[1] == {
        "trigger": "core.intervaltimer",
        "payload": {
            "type": "interval",
            "interval_seconds": 10,
            "unit": "seconds",
            "interval": 10,
            "scheduled_at": "2026-05-01T10:00:20+00:00",
            "execution_count": 0,
            "missed": 1,
            "misfire": "skip",
            "rule_ref": "demo.rule1",
        },
        "trigger_instance_id": "rule_1",
        "dedup_key": "rule_1:2026-05-01T10:00:20+00:00",
        "passed_over": "skipped",
        "reason": "It was noticed at 2026-05-01T10:00:25.250000+00:00; misfire: skip lets late times pass.",
    }


@pytest.mark.parametrize(("misfire", "word", "fires"), [("skip", "skipped", 0), ("fire_once", "missed", 1)])
def test_each_time_of_a_gap_has_one_line_oldest_first(misfire: str, word: str, fires: int) -> None:
    bench = Bench(rule(misfire=misfire), at=T0 + 55)
    assert scheduled(bench.lines) == [f"10:00:{second}" for second in (10, 20, 30, 40, 50)]
    assert len(passed_over(bench.lines, word)) == 5 - fires and len(bench.started) == fires
    assert passed_over(bench.lines, word) == bench.lines[: 5 - fires]
    assert [line["payload"]["execution_count"] for line in bench.lines] == [0] * (5 - fires) + [1] * fires


@pytest.mark.parametrize("misfire", ["skip", "fire_once", "fire_all"])
@pytest.mark.parametrize("schedule", ["interval", "cron"])
@pytest.mark.parametrize("gap", [MOST_LINES, MOST_LINES + 1, 5000])
def test_the_newest_thousand_of_a_gap_have_a_line_each_and_the_older_ones_one(
    misfire: str, schedule: str, gap: int
) -> None:
    given = rule(interval=1, misfire=misfire)
    if schedule == "cron":
        given |= {"trigger_ref": "core.crontimer", "config": {"expression": "* * * * * *", "misfire": misfire}}
    bench = Bench(given, at=T0 + gap)
    single = bench.lines[-MOST_LINES:]
    assert scheduled(single) == [iso(T0 + n)[11:19] for n in range(gap - MOST_LINES + 1, gap + 1)]
    assert len(fired(bench.lines)) == {"skip": 0, "fire_once": 1, "fire_all": MOST_LINES}[misfire]
    assert all(line["payload"]["missed"] == 1 for line in single[:-1])
    older = bench.lines[:-MOST_LINES]
    assert len(older) == (gap > MOST_LINES)
    for line in older:
        about = line["payload"]
        assert line["passed_over"] == ("skipped" if misfire == "skip" else "missed")
        assert about["missed"] == gap - MOST_LINES and about["scheduled_at"] == iso(T0 + gap - MOST_LINES)
        assert about.get("first_scheduled_at", about["scheduled_at"]) == iso(T0 + 1)
        assert line["dedup_key"] == f"rule_1:{about['scheduled_at']}"
        assert ("4000 times since" in line["reason"]) == (gap == 5000)


def test_of_a_calendar_that_passed_too_long_ago_to_count_it_is_said_that_there_may_be_more() -> None:
    cron = {"trigger_ref": "core.crontimer", "config": {"expression": "* * * * * *", "misfire": "skip"}}
    older = Bench(rule() | cron, at=T0 + 30 * 86400).lines[0]
    assert older["payload"]["missed"] >= 10_000 and " or more times since 2026-05-01T10:00:01+00:00" in older["reason"]
    assert older["payload"]["first_scheduled_at"] == iso(T0 + 1)


@pytest.mark.parametrize("misfire", ["skip", "fire_once", "fire_all"])
@pytest.mark.parametrize("kept", [1, 2, 700, 1001])
def test_a_sensor_that_dies_among_its_lines_neither_doubles_nor_loses_a_time(misfire: str, kept: int) -> None:
    given = rule(interval=1, misfire=misfire)
    before = Bench(given, at=T0 + 1300).lines[:kept]
    last = {"payload": before[-1]["payload"], "created": iso(T0 + 1300), "dedup_key": before[-1]["dedup_key"]}
    after = Bench({**given, "last_event": last}, at=T0 + 1310)
    after.at(T0 + 1311)
    told = []
    for line in before + after.lines:
        told += range(
            round(parse_iso(line["payload"].get("first_scheduled_at", line["payload"]["scheduled_at"]))),
            round(parse_iso(line["payload"]["scheduled_at"])) + 1,
        )
    assert told == [T0 + n for n in range(1, 1312)]
    counts = [line["payload"]["execution_count"] for line in fired(before + after.lines)]
    assert counts == list(range(1, len(counts) + 1)) and (misfire == "skip" or counts)


def test_a_clock_that_jumps_forward_and_back_leaves_one_line_for_each_time() -> None:
    bench = Bench(rule(misfire="fire_once"))
    for moment in (10, 20, 625, 30, 40, 620, 630, 640):
        bench.at(T0 + moment)
    assert [parse_iso(line["payload"]["scheduled_at"]) for line in bench.lines] == [T0 + n for n in range(10, 650, 10)]
    assert len(passed_over(bench.lines, "missed")) == 59


# Restarts and clocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [3600, 300, 5, 0.5])
def test_a_clock_set_back_never_fires_a_time_again(back: float) -> None:
    bench = Bench(rule())
    assert bench.at(T0 + 10) == ["10:00:10"]
    now, times = T0 + 10 - back, []
    while now < T0 + 21:
        times += bench.at(now)
        now += 0.5
    assert times == ["10:00:20"]


def test_a_restart_neither_shifts_nor_doubles() -> None:
    before = Bench(rule(), at=T0 + 1)
    last = [event for moment in (10, 20) for event in before.rules.due(T0 + moment)][-1]
    kept = {"payload": last["payload"], "created": iso(T0 + 20.4), "dedup_key": last["dedup_key"]}
    after = Bench(rule(last_event=kept), at=T0 + 23.7)
    assert after.started == []
    (event,) = after.rules.due(T0 + 30)
    assert scheduled([event]) == ["10:00:30"]
    assert event["payload"]["execution_count"] == 3


def test_a_rule_switched_on_again_does_not_make_up_for_the_time_it_was_off() -> None:
    kept = {"payload": {"scheduled_at": "2026-05-01T09:00:00+00:00", "execution_count": 4}, "created": None}
    bench = Bench(rule(last_event=kept, since=iso(T0 + 100)), at=T0 + 101)
    assert bench.started == []
    assert bench.at(T0 + 110) == ["10:01:50"]


def test_an_event_without_its_scheduled_time_counts_from_when_it_was_kept() -> None:
    kept = {"payload": {"execution_count": "x"}, "created": iso(T0 + 15)}
    assert scheduled(Bench(rule(last_event=kept), at=T0 + 25).started) == ["10:00:20"]


def test_a_rule_of_unknown_age_begins_now() -> None:
    bench = Bench(rule(since=None), at=T0 + 55)
    assert bench.started == []
    assert bench.at(T0 + 60) == ["10:01:00"]


@pytest.mark.parametrize(
    ("misfire", "now", "times"),
    [
        ("fire_once", T0 + 30, ["10:00:20"]),
        ("fire_all", T0 + 30, ["10:00:20"]),
        ("skip", T0 + 30, []),
        ("fire_once", T0 + 10, []),
    ],
)
def test_a_one_shot_that_passed_while_nothing_ran_follows_its_policy(misfire: str, now: float, times: list) -> None:
    bench = Bench(one_shot("2026-05-01T10:00:20Z", misfire=misfire), at=now)
    assert scheduled(bench.started) == times
    assert bench.at(T0 + 20 if now < T0 + 20 else T0 + 9999) == ([] if now > T0 + 20 else ["10:00:20"])
    assert bench.rules.next_due() is None


def test_a_one_shot_of_the_past_never_fires_and_says_so() -> None:
    bench = Bench(one_shot("2026-05-01T09:59:59Z"), at=T0 + 30)
    assert bench.started == bench.at(T0 + 9999) == []
    assert bench.log == ["demo.rule1: it will never fire, its time lies in the past or does not exist."]


def test_a_one_shot_fires_once_however_often_the_sensor_restarts() -> None:
    kept = {"payload": {"scheduled_at": "2026-05-01T10:00:20+00:00", "execution_count": 1}, "created": START}
    bench = Bench({**one_shot("2026-05-01T10:00:20Z"), "last_event": kept}, at=T0 + 30)
    assert bench.started == bench.at(T0 + 9999) == bench.log == []


def test_a_bad_rule_is_named_and_the_others_go_on() -> None:
    bad = [
        rule(rule_id=2, interval=0),
        {**rule(rule_id=3), "trigger_ref": "core.crontimer", "config": {"expression": "nonsense"}},
        {**rule(rule_id=4), "config": "text"},
        {**rule(rule_id=5), "since": "yesterday"},
        rule(rule_id=6, misfire="maybe"),
        {"ref": "demo.no_id"},
        "not a rule",
        {**rule(rule_id=7), "last_event": "broken"},
    ]
    bench = Bench(*bad, rule(rule_id=9))
    for number in (2, 3, 4, 5, 6, 7):
        assert any(line.startswith(f"demo.rule{number}: not started, ") for line in bench.log)
    assert bench.at(T0 + 10) == ["10:00:10"]


def test_a_snapshot_that_is_no_list_leaves_an_idle_sensor() -> None:
    log: list[str] = []
    rules = TimerRules(log.append)
    assert list(rules.start({"id": 1}, T0)) == []
    assert rules.next_due() is None
    assert "not a list" in log[0]


def message(kind: str, **more) -> dict:
    return {"event_type": f"rule.{kind}", "rule_id": 1, "rule_ref": "demo.rule1", **more}


def timer_message(kind: str, interval: int, **more) -> dict:
    params = {"unit": "seconds", "interval": interval}
    return message(kind, trigger_ref="core.intervaltimer", trigger_params=params, **more)


def test_rules_come_and_go_by_message() -> None:
    bench = Bench()
    bench.rules.apply(timer_message("created", 10), T0 + 1)
    assert bench.at(T0 + 10) == ["10:00:10"]
    bench.rules.apply(message("disabled"), T0 + 11)
    assert bench.at(T0 + 20) == []
    bench.rules.apply(timer_message("enabled", 10), T0 + 25)
    assert bench.at(T0 + 30) == ["10:00:30"]
    bench.rules.apply(message("deleted"), T0 + 31)
    assert bench.rules.next_due() is None


def test_a_changed_timer_begins_anew_and_makes_up_for_nothing() -> None:
    bench = Bench(rule("hours", 24))
    bench.rules.apply(timer_message("updated", 5), T0 + 1003)
    assert bench.at(T0 + 1003) == []
    assert bench.at(T0 + 1005) == [iso(T0 + 1005)[11:19]]


def test_a_renamed_rule_keeps_its_place() -> None:
    bench = Bench(rule())
    bench.at(T0 + 10)
    bench.rules.apply(timer_message("updated", 10), T0 + 20.1)
    (event,) = bench.rules.due(T0 + 20.1)
    assert (scheduled([event]), event["payload"]["execution_count"]) == (["10:00:20"], 2)
    bench.rules.apply(message("updated", rule_ref="demo.renamed"), T0 + 22)
    (event,) = bench.rules.due(T0 + 30)
    assert event["payload"]["rule_ref"] == "demo.renamed"


def test_a_message_with_an_old_last_event_does_not_fire_again_what_was_fired_since() -> None:
    bench = Bench(rule())
    assert bench.at(T0 + 10) == ["10:00:10"]
    bench.rules.apply(timer_message("updated", 10, since=START, last_event=None), T0 + 12)
    bench.rules.apply(timer_message("updated", 5, since=START), T0 + 12)
    assert bench.at(T0 + 12) == []
    assert bench.at(T0 + 15) == ["10:00:15"]


def test_a_rule_made_useless_by_an_update_stops_and_a_repaired_one_starts() -> None:
    bench = Bench(rule())
    bench.rules.apply(timer_message("updated", 0), T0 + 1)
    assert bench.at(T0 + 10) == []
    assert "interval 0 must be" in bench.log[-1]
    bench.rules.apply(timer_message("updated", 10), T0 + 11)
    assert bench.at(T0 + 20) == ["10:00:20"]


@pytest.mark.parametrize("nonsense", [None, 5, "text", [], {}, {"event_type": 3}, message("exploded")])
def test_a_message_that_makes_no_sense_is_logged_and_changes_nothing(nonsense: object) -> None:
    bench = Bench(rule())
    bench.rules.apply(nonsense, T0 + 1)
    assert "ignored" in bench.log[-1]
    assert bench.at(T0 + 10) == ["10:00:10"]


def test_a_message_in_the_shape_of_the_snapshot_is_read_too() -> None:
    bench = Bench()
    bench.rules.apply({"event_type": "rule.created", **rule(rule_id=8)}, T0 + 1)
    (event,) = bench.rules.due(T0 + 10)
    assert event["trigger_instance_id"] == "rule_8"
