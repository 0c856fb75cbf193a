"""Clocks that jump, and the days when they are changed, with two hosts of sensors that die in turn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.chaos.checker import check
from tests.chaos.clock import Clock, changes_of
from tests.chaos.timers import each_second_has_one_row, fires, kill_the_host, rows, stop
from tests.chaos.town import PATIENCE, Town
from tests.live import wait

pytestmark = [pytest.mark.server_only, pytest.mark.timeout(900)]

HOUR = 3600.0
PARIS = ZoneInfo("Europe/Paris")
SOON = 4.0  # seconds before a fire that a clock is set to


@pytest.fixture(scope="module")
def _clock(_town: Town) -> Clock:
    return Clock(_town)


@pytest.fixture
def clock(town: Town, _clock: Clock) -> Iterator[Clock]:
    """The timers' clock, with two hosts alive."""
    town.staff(web=1, worker=2, sensors=2)
    yield _clock
    town.staff(web=1, worker=2, sensors=0)


def make(town: Town, name: str, trigger: str, **parameters: Any) -> str:
    """A rule of its own that such a timer fires; its ref."""
    rule = {"ref": f"clock.{name}", "label": name, "trigger_ref": f"clock.{trigger}", "action_ref": "core.noop"}
    town.live.call("POST", "/api/v1/rules", rule | {"trigger_params": parameters})
    return f"clock.{name}"


def test_a_clock_that_jumps_an_hour_forward_and_back_fires_no_second_twice_and_loses_none(
    town: Town, clock: Clock
) -> None:
    rule = make(town, "jumping", "intervaltimer", unit="seconds", interval=1, misfire="fire_once")
    goes_on(town, rule)
    clock.turn(HOUR)
    goes_on(town, rule)
    kill_the_host(town)
    goes_on(town, rule)
    clock.turn(-HOUR)
    kill_the_host(town)  # the next one begins with a clock that is an hour behind what was fired
    clock.turn(HOUR)
    goes_on(town, rule)
    stop(town, rule)
    assert each_second_has_one_row(town, rule)
    missed = [last - first + 1 for first, last, word in rows(town, rule) if word == "missed"]
    assert sum(missed) > 0.9 * HOUR and max(missed) > 0.6 * HOUR  # the newest thousand have one each
    check(town)


def test_a_nightly_timer_fires_once_on_both_days_when_the_clock_is_changed(town: Town, clock: Clock) -> None:
    nightly = make(town, "nightly", "crontimer", expression="30 2 * * *", timezone="Europe/Paris", misfire="skip")
    tick = make(town, "ticking", "intervaltimer", unit="seconds", interval=1, misfire="skip")
    goes_on(town, tick)
    expected: list[float] = []
    for change, turned in changes_of(PARIS):
        due = change.timestamp() if turned > timedelta() else (change - timedelta(minutes=30)).timestamp()
        clock.turn_to(due - SOON)
        expected.append(due)
        wait(lambda: fires(town, nightly) == expected, f"the night of {change:%d %B}", PATIENCE)
        kill_the_host(town)  # in the hour that comes twice, or right after the one that does not come
        goes_on(town, tick)
        clock.turn_to(due + HOUR - SOON)  # half past two again, where there is one
        wait(lambda due=due: fires(town, tick)[-1] > due + HOUR + SOON, "that hour to be over", PATIENCE)  # type: ignore[misc]
        assert fires(town, nightly) == expected
    stop(town, nightly)
    stop(town, tick)
    assert each_second_has_one_row(town, tick)
    check(town)


def goes_on(town: Town, rule: str) -> None:
    """Wait until it has fired twice more."""
    before = len(fires(town, rule))
    wait(lambda: len(fires(town, rule)) > before + 1, f"{rule} to go on", PATIENCE)
