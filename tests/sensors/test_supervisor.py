"""The host of sensors, with real sensors as its guests: what they say, how they end, and what they are told."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as conf

from apps.access.tokens import read_run_token
from apps.executions.models import Execution
from apps.packs.errors import EnvironmentBroken
from apps.packs.loading import load_pack
from apps.packs.models import Pack, Trigger
from apps.packs.services import build_environment, set_enabled
from apps.rules import services as rules
from apps.rules.models import Event, Rule
from apps.sensors import sensorlog, services, supervisor, tasks, tokens
from apps.sensors.errors import SensorDisabled
from apps.sensors.models import SensorProcess
from tests.conftest import until
from tests.sensors.conftest import process_of, said, sensor

State = SensorProcess.State


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_sensor_runs_while_an_enabled_rule_wants_its_events(want: Callable[..., Rule], make_host: Any) -> None:
    rule = want("ticker")
    make_host()
    pid = until(lambda: said("ticker"), "the ticker to tick")[0]["pid"]
    process = process_of("ticker")
    assert (process.state, process.pid, process.generation, process.host) == (State.RUNNING, pid, 1, "host-a")
    until(lambda: process_of("ticker").events >= 2, "the events to be counted")
    assert process_of("ticker").last_event_at is not None
    assert process_of("crasher").state == State.STOPPED
    assert process_of("crasher").reason == "No enabled rule uses sensing_stage.crasher_spoke."

    rules.set_enabled(rule, False, actor="test")
    until(lambda: process_of("ticker").state == State.STOPPED, "the ticker to stop")
    assert not lives(pid)
    assert process_of("ticker").reason == "No enabled rule uses sensing_stage.ticker_spoke."
    assert process_of("ticker").host == ""


def test_a_sensor_finds_what_the_contract_says_in_its_environment_and_nothing_of_ours(
    want: Callable[..., Rule], make_host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_SECRET_CANARY", "x")
    rule = want("teller", what="größer")
    of_it = {"rule": rule, "source": "sensor sensing_stage.teller"}
    earlier = rules.emit_event("sensing_stage.teller_spoke", payload={"n": 7}, dedup_key="k", **of_it).event
    rules.replay_event(earlier, actor="test")  # a sensor does not go on from what a person repeats
    make_host()
    told = until(lambda: said("teller")[2:], "the teller to speak")[0]
    environment = told["environment"]
    teller = sensor("teller")
    assert told["rule"] == {
        "id": rule.pk,
        "ref": rule.ref,
        "trigger_ref": "sensing_stage.teller_spoke",
        "config": {"what": "größer"},
        "active": True,
        "enabled": True,
        "since": rule.active_since.isoformat(timespec="microseconds"),
        "last_event": {
            "payload": {"n": 7},
            "created": earlier.created.isoformat(timespec="microseconds"),
            "dedup_key": "k",
        },
    }
    assert environment["ATTUNE_SENSOR_REF"] == "sensing_stage.teller"
    assert environment["ATTUNE_SENSOR_ID"] == str(teller.pk)
    assert environment["ATTUNE_PACK_REF"] == "sensing_stage"
    assert environment["ATTUNE_SENSOR_TRIGGER_TYPES"] == '["sensing_stage.teller_spoke"]'
    assert environment["ATTUNE_SENSOR_VOLUME"] == "11"
    assert environment["ATTUNE_SENSOR_GREETING"] == "bonjour"
    assert environment["ATTUNE_API_URL"] == conf.ATTUNE_API_URL
    assert environment["ATTUNE_LOG_LEVEL"]
    for folder in ("ATTUNE_SENSOR_STATE_DIR", "ATTUNE_ARTIFACTS_DIR", "TMPDIR", "HOME"):
        assert os.access(environment[folder], os.W_OK), folder
    assert {"PATH", "HOME", "USER", "PWD", "TMPDIR", "LANG"} <= environment.keys()
    assert told["cwd"] == teller.pack.path
    ours = {"SERVER_SECRET_CANARY", "SECRET_KEY", "DATABASE_URL", "ATTUNE_ENCRYPTION_KEY", "DJANGO_SETTINGS_MODULE"}
    assert not ours & set(told["names"])

    assert environment["ATTUNE_API_TOKEN"] == "********"
    token = environment["BACKWARDS"][::-1]
    principal = tokens.principal_of(read_run_token(token))  # type: ignore[arg-type]
    assert principal is not None
    assert principal.sensor_ref == "sensing_stage.teller"
    assert tuple(principal.trigger_refs) == ("sensing_stage.teller_spoke",)
    services.restart_sensor(teller, actor="test")
    until(lambda: process_of("teller").generation == 2, "the restart")
    assert tokens.principal_of(read_run_token(token)) is None  # type: ignore[arg-type]


def test_what_a_sensor_passed_over_is_kept_once_and_runs_nothing(want: Callable[..., Rule], make_host: Any) -> None:
    want("skipper")
    make_host()
    until(lambda: len(said("skipper")) == 3, "the skipper's last line")
    kept = Event.objects.filter(trigger_ref="sensing_stage.skipper_spoke").order_by("id")
    assert [(event.payload["n"], event.passed_over) for event in kept] == [(1, "skipped"), (2, "missed"), (5, "")]
    [[skipped], [missed], [looked]] = [rules.verdicts_of(event) for event in kept]
    assert (skipped["verdict"], skipped["reason"]) == ("skipped", "The tide was out.")
    assert (missed["verdict"], missed["rule"]) == ("missed", None) and "did not say why" in missed["reason"]
    assert looked["verdict"] == "matched" and Execution.objects.get().event_id == kept[2].pk
    until(lambda: process_of("skipper").events == 1, "the one event to be counted")
    assert process_of("skipper").bad_lines == 3


def test_bad_lines_are_counted_and_shown_and_the_good_ones_between_them_kept(
    want: Callable[..., Rule], make_host: Any
) -> None:
    want("babbler")
    make_host()
    until(lambda: len(said("babbler")) == 2, "the last line of the babbler")
    assert said("babbler") == [{"n": 1}, {"n": 3, "text": "größer 🎈"}]
    until(lambda: process_of("babbler").bad_lines == 8, "the bad lines to be counted")
    process = process_of("babbler")
    assert (process.state, process.events, process.failures) == (State.RUNNING, 2, 0)
    assert "longer than" in process.last_error
    log = sensorlog.tail("sensing_stage.babbler")
    for hint in ("is not JSON", "not an object", "not UTF-8", "core.other", "NUL", "Payload of", "rule 999999"):
        assert hint in log


def test_a_sensor_that_dies_is_started_again_ever_later_and_an_alert_is_raised(
    want: Callable[..., Rule], make_host: Any
) -> None:
    pack, _ = Pack.objects.get_or_create(ref="core", defaults={"label": "Core"})
    Trigger.objects.get_or_create(ref="core.alert", pack=pack)
    want("crasher")
    make_host()
    until(lambda: SensorProcess.objects.filter(sensor__ref="sensing_stage.crasher", failures=2), "two failures")
    second = process_of("crasher")
    assert second.state == State.BACKOFF
    assert second.last_error == "The sensor exited with code 3: boom: no credentials"
    assert second.next_start_at - second.last_error_at == pytest.approx(
        timedelta(seconds=2), abs=timedelta(seconds=0.01)
    )
    alert = until(lambda: Event.objects.filter(trigger_ref="core.alert").first(), "the alert")
    assert alert.payload["source"] == "sensing_stage.crasher"
    assert "boom: no credentials" in alert.payload["message"]
    assert alert.payload["details"]["failures"] == 3
    third = process_of("crasher")
    assert third.next_start_at - third.last_error_at == pytest.approx(timedelta(seconds=4), abs=timedelta(seconds=0.01))
    assert third.restarts == 3
    assert "first words" in sensorlog.tail("sensing_stage.crasher")


def test_a_restart_asked_for_does_not_wait_for_the_end_of_the_pause(want: Callable[..., Rule], make_host: Any) -> None:
    want("crasher")
    make_host()
    until(lambda: SensorProcess.objects.filter(sensor__ref="sensing_stage.crasher", failures=3), "three failures")
    generation = process_of("crasher").generation
    asked = time.monotonic()
    services.restart_sensor(sensor("crasher"), actor="test")
    until(lambda: process_of("crasher").generation > generation, "the restart")
    assert time.monotonic() - asked < 4
    assert process_of("crasher").restart_requested_at is None


def test_a_disabled_sensor_cannot_be_restarted(stage: Pack) -> None:
    set_enabled(sensor("ticker"), False, actor="test")
    with pytest.raises(SensorDisabled, match=r"Sensor sensing_stage\.ticker is disabled; enable it"):
        services.restart_sensor(sensor("ticker"), actor="test")


def test_half_a_line_at_the_end_is_dropped_and_counted(want: Callable[..., Rule], make_host: Any) -> None:
    want("halfway")
    make_host()
    until(lambda: process_of("halfway").state == State.BACKOFF if said("halfway") else False, "the end of the sensor")
    process = process_of("halfway")
    assert said("halfway")[0] == {"n": 1}
    assert process.bad_lines == 1
    assert "exited with code 0" in process.last_error
    assert "middle of a line" in sensorlog.tail("sensing_stage.halfway")


def test_a_flood_is_held_back_and_does_not_starve_the_other_sensors(want: Callable[..., Rule], make_host: Any) -> None:
    want("flooder")
    want("ticker")
    make_host()
    until(lambda: len(said("ticker")) >= 3 and len(said("flooder")) > 50, "both to be heard")
    numbers = [payload["n"] for payload in said("flooder")]
    assert numbers == list(range(len(numbers)))
    assert process_of("flooder").bad_lines == 0
    refs = Event.objects.order_by("id").values_list("trigger_ref", flat=True)
    between = "".join("t" if "ticker" in ref else "." for ref in refs).split("t")[1:-1]
    assert max(map(len, between)) < 2000, "one read of the flood holds more lines than that"


def test_a_sensor_that_ignores_term_is_killed_with_all_it_started(want: Callable[..., Rule], make_host: Any) -> None:
    want("stubborn")
    make_host()
    told = until(lambda: said("stubborn"), "the sensor to speak")[0]
    assert lives(told["pid"])
    assert lives(told["child"])
    set_enabled(sensor("stubborn"), False, actor="test")
    until(lambda: process_of("stubborn").state == State.STOPPED, "the sensor to be killed")
    until(lambda: not lives(told["pid"]) and not lives(told["child"]), "both processes to be gone")
    assert process_of("stubborn").reason == "The sensor is disabled."


def test_a_disabled_pack_stops_its_sensors(want: Callable[..., Rule], make_host: Any, stage: Pack) -> None:
    want("ticker")
    make_host()
    until(lambda: said("ticker"), "the ticker to tick")
    set_enabled(stage, False, actor="test")
    until(lambda: process_of("ticker").state == State.STOPPED, "the ticker to stop")
    assert process_of("ticker").reason == "Its pack sensing_stage is disabled."


def test_a_rules_change_restarts_a_sensor_that_reads_no_control_lines(
    want: Callable[..., Rule], make_host: Any
) -> None:
    rule = want("teller", what="one")
    make_host()
    first = until(lambda: said("teller"), "the teller to speak")[0]
    rules.update_rule(rule, trigger_params={"what": "two"}, actor="test")
    second = until(lambda: said("teller")[1:], "the teller to speak of the change")[0]
    assert first["rule"]["config"] == {"what": "one"}
    assert second["rule"]["config"] == {"what": "two"}
    assert first["pid"] != second["pid"]
    assert not lives(first["pid"])
    assert process_of("teller").failures == 0


def test_a_change_that_means_nothing_to_the_sensor_does_not_restart_it(
    want: Callable[..., Rule], make_host: Any
) -> None:
    rule = want("teller", what="one")
    make_host()
    until(lambda: said("teller"), "the teller to speak")
    rules.update_rule(rule, label="A better name", criteria={"var": "payload.n", "==": 5}, actor="test")
    want("teller", rule="second", what="two")
    until(lambda: len(said("teller")) == 3, "the restart for the second rule")
    assert process_of("teller").generation == 2


def test_a_sensor_that_reads_control_lines_is_told_and_never_restarted(
    want: Callable[..., Rule], make_host: Any
) -> None:
    first = want("listener", rule="first", what="one")
    make_host()
    until(lambda: said("listener"), "the listener to start")
    second = want("listener", rule="second")
    until(lambda: len(said("listener")) == 2, "rule.created to be heard")
    rules.update_rule(first, trigger_params={"what": "two"}, actor="test")
    until(lambda: len(said("listener")) == 3, "rule.updated to be heard")
    rules.set_enabled(first, False, actor="test")
    until(lambda: len(said("listener")) == 4, "rule.disabled to be heard")
    rules.set_enabled(first, True, actor="test")
    until(lambda: len(said("listener")) == 5, "rule.enabled to be heard")
    rules.delete_rule(second, actor="test")
    until(lambda: len(said("listener")) == 6, "rule.deleted to be heard")

    start, *heard = said("listener")
    assert start["started"] == ["sensing_stage.first"]
    assert [(line["heard"]["event_type"], line["heard"]["rule_ref"]) for line in heard] == [
        ("rule.created", "sensing_stage.second"),
        ("rule.updated", "sensing_stage.first"),
        ("rule.disabled", "sensing_stage.first"),
        ("rule.enabled", "sensing_stage.first"),
        ("rule.deleted", "sensing_stage.second"),
    ]
    assert heard[1]["heard"]["trigger_params"] == {"what": "two"}
    assert heard[0]["heard"]["trigger_params"] == {"what": "anything"}
    assert {line["pid"] for line in (start, *heard)} == {start["pid"]}


def test_what_a_sensor_writes_to_stderr_is_logged_without_its_secrets(
    want: Callable[..., Rule], make_host: Any, stage: Pack
) -> None:
    Pack.objects.filter(pk=stage.pk).update(config={"password": "open-sesame"})
    want("gossip")
    make_host()
    until(lambda: said("gossip"), "the gossip to speak")
    log = until(lambda: "the token is" in services.log_tail(sensor("gossip")) and services.log_tail(sensor("gossip")))
    assert "the token is ********, the password is ********" in log
    assert "open-sesame" not in log


def test_a_token_that_a_sensor_prints_is_in_no_event(want: Callable[..., Rule], make_host: Any) -> None:
    want("gossip")
    make_host()
    until(lambda: said("gossip"), "the gossip to speak")
    assert said("gossip") == [{"n": 1, "said": 'a "token": ********', "********": 2}]


def test_a_sensor_whose_script_is_gone_says_so_and_is_tried_again(want: Callable[..., Rule], make_host: Any) -> None:
    want("ticker")
    ticker = sensor("ticker")
    type(ticker).objects.filter(pk=ticker.pk).update(
        entry_point="gone.sh", updated=ticker.updated + timedelta(seconds=1)
    )
    make_host()
    until(lambda: SensorProcess.objects.filter(sensor=ticker, state=State.BACKOFF).exists(), "the failure")
    assert "gone.sh" in process_of("ticker").last_error
    type(ticker).objects.filter(pk=ticker.pk).update(
        entry_point="ticker.sh", updated=ticker.updated + timedelta(seconds=2)
    )
    until(lambda: said("ticker"), "the ticker to tick")


def test_when_its_host_ends_a_sensor_is_stopped_and_free(want: Callable[..., Rule], make_host: Any) -> None:
    want("ticker")
    host = make_host()
    pid = until(lambda: said("ticker"), "the ticker to tick")[0]["pid"]
    host.end()
    assert not lives(pid)
    process = process_of("ticker")
    assert (process.state, process.host, process.lease_expires_at, process.pid) == (State.STOPPED, "", None, None)
    assert process.reason == "Its host was shut down."
    make_host("host-b")
    until(lambda: process_of("ticker").host == "host-b" and process_of("ticker").state == State.RUNNING, "host-b")


def test_a_restart_asked_for_while_nothing_ran_is_met_by_the_first_start(
    want: Callable[..., Rule], make_host: Any
) -> None:
    services.restart_sensor(sensor("ticker"), actor="test")
    make_host()
    until(lambda: process_of("ticker").reason.startswith("No enabled rule"), "the host to look at it")
    want("ticker")
    until(lambda: len(said("ticker")) >= 4, "the ticker to tick")
    assert (process_of("ticker").generation, process_of("ticker").restart_requested_at) == (1, None)


def test_the_core_packs_timers_fire_through_the_host_and_are_retuned_without_a_restart(
    stage: Pack, make_host: Any
) -> None:
    report = load_pack(conf.ATTUNE_SYSTEM_PACKS_DIR / "core")
    assert report.ok, str(report)
    try:
        build_environment(Pack.objects.get(ref="core"))
    except EnvironmentBroken as error:
        pytest.skip(f"the core pack's packages cannot be installed here: {error}")
    slow = {"unit": "hours", "interval": 1}
    timers = [
        rules.create_rule(
            ref=f"sensing_stage.timer{number}",
            pack=stage,
            trigger_ref="core.intervaltimer",
            trigger_params=params,
            action_ref="sensing_stage.nothing",
            actor="test",
        )
        for number, params in enumerate([{"unit": "seconds", "interval": 1}, slow])
    ]
    make_host()
    fired = Event.objects.filter(trigger_ref="core.intervaltimer").order_by("id")
    until(lambda: fired.count() >= 2, "the timer to fire twice")
    assert {event.rule_id for event in fired} == {timers[0].pk}
    assert fired[0].payload["type"] == "interval"
    assert fired[0].dedup_key
    rules.update_rule(timers[0], trigger_params=slow, actor="test")
    rules.update_rule(timers[1], trigger_params={"unit": "seconds", "interval": 1}, actor="test")
    until(lambda: fired.filter(rule=timers[1]).count() >= 2, "the other timer to fire twice")
    assert SensorProcess.objects.get(sensor__ref="core.timer_sensor").generation == 1
    assert SensorProcess.objects.get(sensor__ref="core.timer_sensor").bad_lines == 0


def test_a_process_hosts_once_however_often_it_is_asked(want: Callable[..., Rule]) -> None:
    want("ticker")
    first = threading.Thread(target=tasks.host_sensors.fn)
    first.start()
    try:
        until(lambda: said("ticker"), "the ticker to tick")
        again = threading.Thread(target=tasks.host_sensors.fn)
        again.start()
        again.join(30)
        assert not again.is_alive()
        assert first.is_alive()
    finally:
        supervisor.stop()
        first.join(30)
    assert not first.is_alive()
    assert process_of("ticker").reason == "Its host was shut down."
