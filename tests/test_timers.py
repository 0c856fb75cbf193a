"""Timers as a newcomer sets them over HTTP, on real processes that are stopped and started again."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.live import Live, wait

STEP = 2  # seconds between two fires


def make_timer(live: Live, name: str, trigger: str, **params: Any) -> None:
    rule = {
        "ref": f"core.{name}",
        "label": name,
        "trigger_ref": f"core.{trigger}",
        "trigger_params": params,
        "action_ref": "core.echo",
        "action_params": {"message": "{{ payload.scheduled_at }}"},
    }
    live.call("POST", "/api/v1/rules", rule)


def fires(live: Live, name: str) -> list[dict[str, Any]]:
    """The payloads of the events that a rule looked at, oldest first."""
    return [event["payload"] for event in reversed(live.events(rule_ref=f"core.{name}", passed_over="false"))]


def seconds_of(payloads: list[dict[str, Any]]) -> list[int]:
    return [int(datetime.fromisoformat(payload["scheduled_at"]).timestamp()) for payload in payloads]


def test_what_is_missed_while_nothing_runs_is_skipped_fired_once_or_all_fired_and_nothing_twice(live: Live) -> None:
    live.start_all()
    for policy in ("skip", "fire_once", "fire_all"):
        make_timer(live, policy, "intervaltimer", unit="seconds", interval=STEP, misfire=policy)
    make_timer(live, "paris", "crontimer", expression=f"*/{STEP} * * * * *", timezone="Europe/Paris")
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    make_timer(live, "once", "datetimetimer", fire_at=soon)
    wait(lambda: fires(live, "once") and len(fires(live, "skip")) > 1, "the timers to fire")
    live.kill(signal.SIGTERM)
    time.sleep(4 * STEP)
    live.start_all()
    before = len(fires(live, "skip"))
    wait(lambda: len(fires(live, "skip")) > before + 1, "the timers to go on")
    live.kill(signal.SIGKILL)  # and once more, without a farewell
    time.sleep(4 * STEP)
    live.start_all()
    before = len(fires(live, "skip"))
    wait(lambda: len(fires(live, "skip")) > before + 1, "the timers to go on again")
    for rule in ("skip", "fire_once", "fire_all", "paris"):
        live.call("POST", f"/api/v1/rules/core.{rule}/disable")
    wait(lambda: all(event["processed_at"] for event in live.events()), "the last events to be decided on")

    for rule in ("skip", "fire_once", "fire_all", "paris", "once"):
        times = seconds_of(fires(live, rule))
        assert times == sorted(set(times)), rule
        kept = live.events(rule_ref=f"core.{rule}")[::-1]
        due = seconds_of([event["payload"] for event in kept])
        assert rule == "once" or due == list(range(due[0], due[-1] + 1, STEP)), rule  # a row for each scheduled time
        words = {event["passed_over"] for event in kept} - {None}
        assert words == {"skip": {"skipped"}, "fire_once": {"missed"}, "paris": {"missed"}}.get(rule, set()), rule
        for event in kept if words else ():
            [verdict] = live.call("GET", f"/api/v1/events/{event['id']}/verdicts")["items"]
            assert verdict["verdict"] == (event["passed_over"] or "matched") and verdict["rule_ref"] == f"core.{rule}"
        enforcements = live.call("GET", f"/api/v1/enforcements?rule_ref=core.{rule}&page_size=200")["items"]
        assert len(enforcements) == len(times)
    skipped, caught_up, whole = (fires(live, rule) for rule in ("skip", "fire_once", "fire_all"))
    assert seconds_of(whole) == list(range(seconds_of(whole)[0], seconds_of(whole)[-1] + 1, STEP))
    assert {payload["missed"] for payload in whole} == {0, 1}
    assert {payload["missed"] for payload in skipped} == {0}
    all_of = set(seconds_of(whole))
    once = {second for second in seconds_of(caught_up) if second >= min(all_of)}  # the other rule may have come later
    now_and_then = {second for second in seconds_of(skipped) if second >= min(all_of)}
    assert len(now_and_then) < len(once) < len(all_of)
    assert once < all_of
    assert len(now_and_then - once) <= 2  # what one rule had fired when all was killed, and the other had not
    assert len([payload for payload in caught_up if payload["missed"] > 1]) >= 2  # one for each time it was down
    assert len(fires(live, "once")) == 1


def test_a_timer_that_is_changed_stopped_and_started_follows_without_a_restart(live: Live) -> None:
    live.start_all()
    make_timer(live, "tick", "intervaltimer", unit="hours", interval=1)
    make_timer(live, "other", "intervaltimer", unit="seconds", interval=1)
    wait(lambda: fires(live, "other"), "the other timer")
    assert not fires(live, "tick")
    live.call("PUT", "/api/v1/rules/core.tick", {"trigger_params": {"unit": "seconds", "interval": 1}})
    wait(lambda: fires(live, "tick"), "the change to be felt")
    live.call("POST", "/api/v1/rules/core.tick/disable")
    time.sleep(3)
    there = len(fires(live, "tick"))
    count = len(fires(live, "other"))
    wait(lambda: len(fires(live, "other")) > count + 1, "the other timer to go on")
    assert len(fires(live, "tick")) == there
    live.call("POST", "/api/v1/rules/core.tick/enable")
    wait(lambda: len(fires(live, "tick")) > there, "it to fire again")
    process = live.call("GET", "/api/v1/sensors/core.timer_sensor")["data"]["process"]
    assert (process["generation"], process["restarts"], process["bad_lines"]) == (1, 0, 0)
