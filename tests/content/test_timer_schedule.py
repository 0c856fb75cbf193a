"""When timers are due: the clock's grid, the calendar, and the days when the clock changes. Pure."""

import pytest
from timer_schedule import BadTimer, iso, parse_iso, schedule_for


def cron(expression: str, timezone: str = "UTC") -> object:
    return schedule_for("core.crontimer", {"expression": expression, "timezone": timezone})


def fires(expression: str, timezone: str, start: str, end: str) -> list[str]:
    """The fire times in (start, end], walked one by one, which must agree with asking for all at once."""
    schedule, moment, until = cron(expression, timezone), parse_iso(start), parse_iso(end)
    walked = []
    while (moment := schedule.next_after(moment)) is not None and moment <= until:
        walked.append(moment)
    assert schedule.passed(parse_iso(start), until, keep=1000) == (len(walked), walked)
    return [iso(moment)[:16] for moment in walked]


@pytest.mark.parametrize(
    ("unit", "interval", "after", "due"),
    [
        ("seconds", 10, "2026-05-01T10:00:09.9Z", "2026-05-01T10:00:10+00:00"),
        ("seconds", 10, "2026-05-01T10:00:10Z", "2026-05-01T10:00:20+00:00"),
        ("minutes", 15, "2026-05-01T10:07:31Z", "2026-05-01T10:15:00+00:00"),
        ("hours", 6, "2026-05-01T18:00:00Z", "2026-05-02T00:00:00+00:00"),
        ("days", 1, "2026-05-01T00:00:01Z", "2026-05-02T00:00:00+00:00"),
    ],
)
def test_an_interval_fires_on_the_grid_of_the_clock(unit: str, interval: int, after: str, due: str) -> None:
    schedule = schedule_for("core.intervaltimer", {"unit": unit, "interval": interval})
    assert iso(schedule.next_after(parse_iso(after))) == due


def test_an_interval_counts_what_passed_without_walking_through_it() -> None:
    schedule = schedule_for("core.intervaltimer", {"unit": "seconds", "interval": 1})
    year = 365 * 86400
    count, newest = schedule.passed(0.5, year + 0.5, keep=3)
    assert (count, newest) == (year, [year - 2, year - 1, year])
    assert schedule.passed(10, 10, keep=3) == (0, [])
    assert schedule.passed(10, 5, keep=3) == (0, [])


PARIS_BACK = ("2026-10-24T21:59:59Z", "2026-10-25T22:59:59Z")  # 25 October in Paris, 25 hours long
PARIS_FORWARD = ("2026-03-28T22:59:59Z", "2026-03-29T21:59:59Z")  # 29 March in Paris, 23 hours long


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *"])
def test_a_nightly_job_fires_once_on_the_days_when_the_clock_changes(expression: str) -> None:
    assert fires(expression, "Europe/Paris", *PARIS_BACK) == ["2026-10-25T00:30"]
    assert fires(expression, "Europe/Paris", *PARIS_FORWARD) == ["2026-03-29T01:00"]  # 03:00, where the gap ends


def test_an_hourly_job_follows_the_clock_through_both_days() -> None:
    assert len(fires("0 * * * *", "Europe/Paris", *PARIS_BACK)) == 25
    assert len(fires("0 * * * *", "Europe/Paris", *PARIS_FORWARD)) == 23
    assert len(fires("0 0 * * * *", "Europe/Paris", *PARIS_BACK)) == 25


def test_a_wildcard_in_the_minute_follows_the_clock_through_the_repeated_hour() -> None:
    expected = ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"]
    assert fires("*/30 2 * * *", "Europe/Paris", *PARIS_BACK) == expected


@pytest.mark.parametrize("moment", ["2026-10-25T00:30:00Z", "2026-10-25T00:45:00Z", "2026-10-25T01:10:00Z"])
def test_a_restart_inside_the_repeated_hour_does_not_fire_the_nightly_job_again(moment: str) -> None:
    assert iso(cron("30 2 * * *", "Europe/Paris").next_after(parse_iso(moment)))[:16] == "2026-10-26T01:30"


def test_lord_howe_moves_its_clock_by_half_an_hour() -> None:
    back = ("2026-04-04T12:59:59Z", "2026-04-05T13:29:59Z")  # 02:00 becomes 01:30 on 5 April
    forward = ("2026-10-03T13:29:59Z", "2026-10-04T12:59:59Z")  # 02:00 becomes 02:30 on 4 October
    assert fires("45 1 * * *", "Australia/Lord_Howe", *back) == ["2026-04-04T14:45"]
    assert fires("15 2 * * *", "Australia/Lord_Howe", *forward) == ["2026-10-03T15:30"]  # 02:30, where the gap ends
    assert len(fires("*/30 * * * *", "Australia/Lord_Howe", *back)) == 49
    assert len(fires("*/30 * * * *", "Australia/Lord_Howe", *forward)) == 47


def test_a_gap_at_midnight_is_met_at_its_end() -> None:
    day = ("2026-04-23T12:00:00Z", "2026-04-24T12:00:00Z")  # in Cairo 00:00 becomes 01:00 on 24 April
    assert fires("0 0 * * *", "Africa/Cairo", *day) == ["2026-04-23T22:00"]
    assert fires("30 0 * * *", "Africa/Cairo", *day) == ["2026-04-23T22:00"]


@pytest.mark.parametrize(
    ("expression", "start", "due"),
    [
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00+00:00"),
        ("0 12 L * *", "2026-02-03T00:00:00Z", "2026-02-28T12:00:00+00:00"),
        ("0 9 * * MON#2", "2026-06-01T00:00:00Z", "2026-06-08T09:00:00+00:00"),
        ("0 9 13 * FRI", "2026-06-06T00:00:00Z", "2026-06-12T09:00:00+00:00"),
        ("*/15 * * * * *", "2026-06-06T10:00:31Z", "2026-06-06T10:00:45+00:00"),
        ("10,50 59 23 31 12 *", "2026-06-06T00:00:00Z", "2026-12-31T23:59:10+00:00"),
        ("10,50 59 23 31 12 *", "2026-12-31T23:59:10Z", "2026-12-31T23:59:50+00:00"),
    ],
)
def test_cron_fields_mean_what_they_mean_elsewhere(expression: str, start: str, due: str) -> None:
    assert iso(cron(expression).next_after(parse_iso(start))) == due


def test_a_long_absence_is_looked_at_from_its_near_end() -> None:
    count, newest = cron("* * * * * *").passed(0, parse_iso("2026-05-01T00:00:00Z"), keep=1000)
    assert count >= 1000
    assert [iso(newest[0]), iso(newest[-1])] == ["2026-04-30T23:43:21+00:00", "2026-05-01T00:00:00+00:00"]


@pytest.mark.parametrize(
    ("fire_at", "timezone", "due"),
    [
        ("2026-12-24T18:00:00+01:00", "UTC", "2026-12-24T17:00:00+00:00"),
        ("2026-12-24T18:00:00Z", "Europe/Paris", "2026-12-24T18:00:00+00:00"),
        ("2026-12-24T18:00:00", "Europe/Paris", "2026-12-24T17:00:00+00:00"),
        ("2026-07-14 18:00", "Europe/Paris", "2026-07-14T16:00:00+00:00"),
        ("2026-12-24T18:00:00", None, "2026-12-24T18:00:00+00:00"),
    ],
)
def test_a_one_shot_without_offset_is_read_in_its_time_zone(fire_at: str, timezone: str | None, due: str) -> None:
    schedule = schedule_for("core.datetimetimer", {"fire_at": fire_at, "timezone": timezone})
    assert iso(schedule.next_after(0)) == due
    assert schedule.next_after(parse_iso(due)) is None


@pytest.mark.parametrize(
    ("trigger", "config", "complaint"),
    [
        ("core.intervaltimer", {"unit": "weeks", "interval": 1}, "unit 'weeks' is not known"),
        ("core.intervaltimer", {"unit": "seconds", "interval": 0}, "interval 0 must be"),
        ("core.intervaltimer", {"unit": "seconds", "interval": True}, "interval True must be"),
        ("core.intervaltimer", {"unit": "seconds", "interval": 1.5}, "interval 1.5 must be"),
        ("core.intervaltimer", {"unit": "days", "interval": 10**30}, "too long"),
        ("core.intervaltimer", {"unit": ["seconds"], "interval": 1}, "unit ['seconds'] is not known"),
        ("core.intervaltimer", {}, "unit None is not known"),
        ("core.crontimer", {"expression": "61 * * * *"}, "'61 * * * *' is not valid: Bad minute"),
        ("core.crontimer", {"expression": "* * * *"}, "must have five fields"),
        ("core.crontimer", {"expression": 5}, "must have five fields"),
        ("core.crontimer", {"expression": "61 * * * * *"}, "Bad second"),
        ("core.crontimer", {"expression": "0 0 31 2 *"}, "Bad day-of-month"),
        ("core.crontimer", {"expression": "* * * * *", "timezone": "Mars/Olympus"}, "'Mars/Olympus' is not known"),
        ("core.crontimer", {"expression": "* * * * *", "timezone": "../../etc/passwd"}, "is not known"),
        ("core.crontimer", {"expression": "* * * * *", "timezone": "Europe"}, "is not known"),
        ("core.datetimetimer", {"fire_at": "tomorrow"}, "fire_at 'tomorrow' is not a date and time"),
        ("core.datetimetimer", {}, "fire_at None is not a date and time"),
        ("core.echo", {}, "trigger 'core.echo' is not a timer"),
        ("core.intervaltimer", [1], "must be an object"),
    ],
)
def test_a_bad_configuration_is_refused_with_the_field_and_the_remedy(
    trigger: str, config: object, complaint: str
) -> None:
    with pytest.raises(BadTimer) as refusal:
        schedule_for(trigger, config)
    assert complaint in str(refusal.value)
