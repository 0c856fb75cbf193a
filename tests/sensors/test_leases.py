"""One live process for each sensor, whatever happens to its host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as conf
from django.db import OperationalError, connection
from django.utils import timezone

from apps.packs.models import Pack
from apps.rules.models import Rule
from apps.sensors import desired, intake, services
from apps.sensors.leases import Leases
from apps.sensors.models import SensorProcess
from tests.conftest import until
from tests.sensors.conftest import process_of, said, sensor

State = SensorProcess.State


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").exists() else True


def test_only_one_host_gets_a_lease(stage: Pack) -> None:
    ticker = sensor("ticker")
    first, second = Leases("first", seconds=60), Leases("second", seconds=60)
    assert first.take(ticker.pk) is not None
    assert second.take(ticker.pk) is None
    assert second.write(ticker.pk, reason="not mine") is False
    assert first.write(ticker.pk, reason="mine") is True
    assert process_of("ticker").reason == "mine"


def test_a_lease_that_ran_out_may_be_taken_and_its_former_holder_writes_nothing_more(stage: Pack) -> None:
    ticker = sensor("ticker")
    first, second = Leases("first", seconds=-1), Leases("second", seconds=60)
    assert first.take(ticker.pk) is not None
    assert second.take(ticker.pk) is not None
    assert first.renew() == 0
    assert first.give_up(ticker.pk, reason="too late") is False
    assert process_of("ticker").host == "second"


def test_a_lease_renewed_in_time_is_not_taken(stage: Pack) -> None:
    ticker = sensor("ticker")
    first, second = Leases("first", seconds=60), Leases("second", seconds=60)
    first.take(ticker.pk)
    SensorProcess.objects.update(lease_expires_at=timezone.now() + timedelta(milliseconds=500))
    assert first.renew() == 1
    assert process_of("ticker").lease_expires_at > timezone.now() + timedelta(seconds=30)
    assert second.take(ticker.pk) is None


def test_many_hosts_at_once_start_a_sensor_once(want: Callable[..., Rule], make_host: Any) -> None:
    want("ticker")
    hosts = [make_host(f"host-{number}") for number in range(4)]
    until(lambda: len(said("ticker")) >= 4, "the ticker to tick")
    assert len({payload["pid"] for payload in said("ticker")}) == 1
    assert sum(len(host.supervisor.posts) for host in hosts) == 1


def test_a_lost_lease_kills_the_sensor_at_once_and_leaves_the_row_to_the_new_holder(
    want: Callable[..., Rule], make_host: Any
) -> None:
    want("stubborn")
    make_host()
    told = until(lambda: said("stubborn"), "the sensor to speak")[0]
    later = timezone.now() + timedelta(minutes=5)
    SensorProcess.objects.update(host="another", lease_expires_at=later, state=State.RUNNING, pid=1)
    until(lambda: not lives(told["pid"]) and not lives(told["child"]), "both processes to be gone")
    process = process_of("stubborn")
    assert (process.host, process.state, process.pid) == ("another", State.RUNNING, 1)


def test_when_a_host_hangs_its_sensors_are_dead_before_another_host_starts_them(
    want: Callable[..., Rule], make_host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    want("ticker")
    frozen, thaw, look = threading.Event(), threading.Event(), desired.look

    def hanging_look() -> list[desired.Glance]:
        if threading.current_thread().name == "host-a" and frozen.is_set():
            thaw.wait(60)
        return look()

    monkeypatch.setattr(desired, "look", hanging_look)
    first = make_host("host-a", lease=3.0)
    old = until(lambda: said("ticker"), "the ticker to tick")[0]["pid"]
    frozen.set()
    make_host("host-b", lease=3.0)
    until(lambda: process_of("ticker").host == "host-b", "host-b to take over")
    assert not lives(old)
    until(lambda: said("ticker")[-1]["pid"] != old, "the ticker to tick at host-b")
    thaw.set()
    until(lambda: not first.supervisor.posts, "host-a to notice")
    assert process_of("ticker").host == "host-b"
    ticks = sorted(said("ticker"), key=lambda payload: payload["at"])  # the last of the old one may be kept late
    pids = [payload["pid"] for payload in ticks]
    assert pids == sorted(pids, key=lambda pid: pid != old), "never two at a time"


def test_when_a_host_is_killed_its_sensors_die_with_it_and_another_host_takes_them(
    want: Callable[..., Rule], make_host: Any
) -> None:
    want("stubborn")
    name = connection.settings_dict["NAME"]
    script = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        f"connection.settings_dict['NAME'] = {str(name)!r}\n"
        "from apps.sensors.supervisor import Supervisor\n"
        "Supervisor(host='doomed', lease=4.0).run()\n"
    )
    doomed = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=conf.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"]},
    )
    try:
        told = until(lambda: said("stubborn"), "the sensor to speak")[0]
        assert process_of("stubborn").host == "doomed"
        os.kill(doomed.pid, signal.SIGKILL)
        until(lambda: not lives(told["pid"]) and not lives(told["child"]), "both processes to be gone")
    finally:
        doomed.kill()
        doomed.wait()
    assert services.state_of(process_of("stubborn")) in (State.RUNNING, "lost")
    make_host("heir")
    until(lambda: process_of("stubborn").host == "heir" and len(said("stubborn")) == 2, "the heir to start it")
    assert process_of("stubborn").generation == 2


class Speaker:
    """A child as the intake sees it: lines, and a log."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)
        self.noted: list[str] = []
        self.log = self

    @property
    def has_line(self) -> bool:
        return bool(self.lines)

    def next_line(self) -> bytes | None:
        return self.lines.pop(0) if self.lines else None

    def note(self, text: str) -> None:
        self.noted.append(text)

    def masked(self, data: bytes) -> bytes:
        return data


def test_a_line_taken_while_the_database_is_away_is_kept_and_tried_again(
    want: Callable[..., Rule], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = want("ticker")
    taker = intake.Intake("sensing_stage.ticker")
    taker.know({rule.pk: rule}, ["sensing_stage.ticker_spoke"])
    speaker: Any = Speaker(b'{"n": 1}', b'{"n": 2}')
    emit, failures = intake.emit_event, [OperationalError("gone away")] * 2

    def away(*args: Any, **more: Any) -> Any:
        if failures:
            raise failures.pop()
        return emit(*args, **more)

    monkeypatch.setattr(intake, "emit_event", away)
    taker.take(speaker, most=10)
    assert not taker.is_empty
    assert not taker.is_ready(speaker)
    assert said("ticker") == []
    until(lambda: taker.take(speaker, most=10) or taker.events == 2, "the database to come back")
    assert said("ticker") == [{"n": 1}, {"n": 2}]
    assert (taker.is_empty, taker.bad_lines) == (True, 0)


def test_a_line_for_a_rule_just_switched_off_is_no_fault_of_the_sensor(want: Callable[..., Rule]) -> None:
    rule = want("ticker")
    taker = intake.Intake("sensing_stage.ticker")
    taker.know({rule.pk: rule}, ["sensing_stage.ticker_spoke"])
    taker.know({}, ["sensing_stage.ticker_spoke"])
    late = [b'{"payload": {}, "trigger_instance_id": "rule_%d"}' % rule.pk]
    late.append(f'{{"payload": {{}}, "trigger_instance_id": "rule_{rule.ref}"}}'.encode())
    taker.take(Speaker(*late, b'{"payload": {}, "trigger_instance_id": "rule_987654"}'), most=10)  # type: ignore[arg-type]
    assert (taker.events, taker.bad_lines) == (0, 1)
    assert "rule 987654" in taker.last_fault


def test_a_line_for_a_rule_just_deleted_is_no_fault_of_the_sensor(want: Callable[..., Rule]) -> None:
    rule = want("ticker")
    taker = intake.Intake("sensing_stage.ticker")
    taker.know({rule.pk: rule}, ["sensing_stage.ticker_spoke"])
    Rule.objects.filter(pk=rule.pk).delete()
    taker.take(Speaker(b'{"payload": {}, "trigger_instance_id": "rule_%d"}' % rule.pk), most=1)  # type: ignore[arg-type]
    assert (taker.events, taker.bad_lines) == (0, 0)
    assert said("ticker") == []


def test_a_second_line_with_the_same_key_is_the_same_event(want: Callable[..., Rule]) -> None:
    rule = want("ticker")
    taker = intake.Intake("sensing_stage.ticker")
    taker.know({rule.pk: rule}, ["sensing_stage.ticker_spoke"])
    taker.take(Speaker(*[b'{"payload": {"n": 1}, "dedup_key": "once"}'] * 3), most=10)  # type: ignore[arg-type]
    assert (taker.events, taker.bad_lines) == (1, 0)
    assert said("ticker") == [{"n": 1}]


@pytest.mark.server_only  # only PostgreSQL can be cut off
def test_connections_cut_by_the_database_cost_no_line_and_no_sensor(want: Callable[..., Rule], make_host: Any) -> None:
    want("flooder")
    make_host()
    for wanted in (50, 100, 150):
        until(lambda wanted=wanted: len(said("flooder")) > wanted, "the flood to go on")  # type: ignore[misc]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
    until(lambda: len(said("flooder")) > 250, "the flood to go on")
    numbers = [payload["n"] for payload in said("flooder")]
    assert sorted(set(numbers)) == list(range(max(numbers) + 1))
    assert process_of("flooder").generation == 1
