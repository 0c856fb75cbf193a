"""The timer sensor as a real process: it fires on the clock's grid, follows its control input, and ends when told."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.content.conftest import CORE

SENSOR = CORE / "sensors" / "timer_sensor.py"
PATIENCE = 30.0


class Sensor:
    """A running timer sensor; its events and its log are gathered as they come."""

    def __init__(self, snapshot: object) -> None:
        given = snapshot if isinstance(snapshot, str) else json.dumps(snapshot)
        self.process = subprocess.Popen(
            [sys.executable, str(SENSOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={"ATTUNE_SENSOR_TRIGGERS": given, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.events: list[dict] = []
        self.log: list[str] = []
        self._gather(self.process.stdout, lambda line: self.events.append(json.loads(line)))
        self._gather(self.process.stderr, self.log.append)

    @staticmethod
    def _gather(stream, keep: Callable[[str], object]) -> None:
        def read() -> None:
            for line in stream:
                keep(line.rstrip("\n"))

        threading.Thread(target=read, daemon=True).start()

    def tell(self, *lines: object) -> None:
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def wait_for(self, fact: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not fact():
            assert time.monotonic() < deadline, f"events {self.events[-5:]}, log {self.log[-5:]}"
            assert self.process.poll() is None, f"ended with {self.process.returncode}, log {self.log[-5:]}"
            time.sleep(0.02)

    def events_of(self, rule_id: int) -> list[dict]:
        return [event for event in list(self.events) if event["trigger_instance_id"] == f"rule_{rule_id}"]


@pytest.fixture
def start_sensor() -> Iterator[Callable[[object], Sensor]]:
    started: list[Sensor] = []

    def start(snapshot: object) -> Sensor:
        started.append(Sensor(snapshot))
        started[-1].wait_for(lambda: any("watching" in line for line in started[-1].log))
        return started[-1]

    yield start
    for sensor in started:
        sensor.process.kill()
        sensor.process.wait()


def each_second(rule_id: int, **more) -> dict:
    config = {"unit": "seconds", "interval": 1}
    return {"id": rule_id, "ref": f"demo.r{rule_id}", "trigger_ref": "core.intervaltimer", "config": config, **more}


def now() -> datetime:
    return datetime.now(UTC)


def test_it_fires_each_second_on_the_second(start_sensor) -> None:
    begun = time.time()
    sensor = start_sensor([each_second(1)])
    sensor.wait_for(lambda: len(sensor.events) >= 4)
    moments = [datetime.fromisoformat(event["payload"]["scheduled_at"]) for event in sensor.events]
    assert all(moment.microsecond == 0 and moment.timestamp() > begun for moment in moments)
    assert moments == sorted(set(moments))
    for event, moment in zip(sensor.events, moments, strict=False):
        assert event["trigger"] == "core.intervaltimer"
        assert event["dedup_key"] == f"rule_1:{moment.isoformat()}"
        assert datetime.fromisoformat(event["payload"]["fired_at"]) >= moment


def test_all_three_kinds_of_timer_run_side_by_side(start_sensor) -> None:
    soon = (now() + timedelta(seconds=2)).isoformat()
    cron = {"expression": "* * * * * *", "timezone": "Europe/Paris"}
    sensor = start_sensor(
        [
            each_second(1),
            {"id": 2, "ref": "demo.cron", "trigger_ref": "core.crontimer", "config": cron},
            {"id": 3, "ref": "demo.once", "trigger_ref": "core.datetimetimer", "config": {"fire_at": soon}},
        ]
    )
    sensor.wait_for(lambda: all(sensor.events_of(number) for number in (1, 2, 3)))
    sensor.wait_for(lambda: len(sensor.events_of(2)) >= 3)
    (once,) = sensor.events_of(3)
    assert once["payload"]["type"] == "one_shot"
    assert once["payload"]["scheduled_at"] == soon
    assert sensor.events_of(2)[0]["payload"]["timezone"] == "Europe/Paris"


def test_rules_come_and_go_while_it_runs(start_sensor) -> None:
    sensor = start_sensor([])
    params = {"unit": "seconds", "interval": 1}
    born = {"event_type": "rule.created", "rule_id": 5, "rule_ref": "demo.r5", "trigger_ref": "core.intervaltimer"}
    sensor.tell({**born, "trigger_params": params}, {**born, "rule_id": 6, "trigger_params": params})
    sensor.wait_for(lambda: sensor.events_of(5) and sensor.events_of(6))
    sensor.tell({"event_type": "rule.disabled", "rule_id": 5, "rule_ref": "demo.r5"})
    sensor.tell({**born, "rule_id": 7, "trigger_params": params})
    sensor.wait_for(lambda: sensor.events_of(7))
    before = len(sensor.events_of(5))
    sensor.wait_for(lambda: len(sensor.events_of(7)) >= 3)
    assert len(sensor.events_of(5)) == before


def test_a_message_that_arrives_in_pieces_is_read_whole_and_nonsense_between_is_skipped(start_sensor) -> None:
    sensor = start_sensor([])
    text = json.dumps({"event_type": "rule.enabled", **each_second(9)})
    sensor.process.stdin.write(text[:40])
    sensor.process.stdin.flush()
    time.sleep(0.1)
    sensor.process.stdin.write(text[40:] + "\nnot json\n\n[\n")
    sensor.process.stdin.flush()
    sensor.wait_for(lambda: sensor.events_of(9))
    assert any("A control message is not JSON" in line for line in sensor.log)


def test_what_was_due_while_it_was_down_is_made_up_for_once_and_each_time_told(start_sensor) -> None:
    since = now().replace(microsecond=0) - timedelta(minutes=10)
    sensor = start_sensor([each_second(1, since=since.isoformat())])
    sensor.wait_for(lambda: sensor.events and sensor.events[-1]["payload"]["missed"] == 0)
    fires = [event for event in sensor.events if "passed_over" not in event]
    assert fires[0]["payload"]["missed"] >= 600 and len(fires) < 10
    moments = [datetime.fromisoformat(event["payload"]["scheduled_at"]) for event in sensor.events]
    assert moments == [since + timedelta(seconds=n) for n in range(1, len(moments) + 1)]
    assert len({event["dedup_key"] for event in sensor.events}) == len(moments)


def test_paused_and_continued_it_fires_no_time_twice(start_sensor) -> None:
    sensor = start_sensor([each_second(1)])
    sensor.wait_for(lambda: len(sensor.events) >= 1)
    sensor.process.send_signal(signal.SIGSTOP)
    time.sleep(3.2)
    sensor.process.send_signal(signal.SIGCONT)
    sensor.wait_for(lambda: any(event["payload"]["missed"] >= 2 for event in sensor.events))
    sensor.wait_for(lambda: sensor.events[-1]["payload"]["missed"] == 0)
    keys = [event["dedup_key"] for event in sensor.events]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("snapshot", ["", "not json", "{}", '[{"id": 1}]', "null"])
def test_a_snapshot_it_cannot_use_leaves_it_waiting_for_messages(start_sensor, snapshot: str) -> None:
    sensor = start_sensor(snapshot)
    sensor.tell({"event_type": "rule.created", **each_second(2)})
    sensor.wait_for(lambda: sensor.events_of(2))


@pytest.mark.parametrize("snapshot", [[], [each_second(1)]])
def test_it_ends_when_its_host_is_gone(start_sensor, snapshot: list) -> None:
    sensor = start_sensor(snapshot)
    sensor.process.stdin.close()
    assert sensor.process.wait(timeout=PATIENCE) == 0


@pytest.mark.parametrize("snapshot", [[], [each_second(1)]])
def test_it_ends_when_it_is_told_to(start_sensor, snapshot: list) -> None:
    sensor = start_sensor(snapshot)
    sensor.process.terminate()
    assert sensor.process.wait(timeout=PATIENCE) == 0
    assert not any("Traceback" in line for line in sensor.log)


def test_it_leaves_quietly_when_nobody_reads_its_events() -> None:
    process = subprocess.Popen(
        [sys.executable, str(SENSOR)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"ATTUNE_SENSOR_TRIGGERS": json.dumps([each_second(1)])},
    )
    process.stdout.close()
    assert process.wait(timeout=PATIENCE) == 0
    assert "Traceback" not in process.stderr.read()
    process.stdin.close()
    process.stderr.close()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_it_stays_small_and_asleep(start_sensor) -> None:
    far = {"id": 1, "ref": "demo.daily", "trigger_ref": "core.intervaltimer", "config": {"unit": "days", "interval": 1}}
    sensor = start_sensor([far])
    status = Path(f"/proc/{sensor.process.pid}/status").read_text(encoding="ascii")
    kilobytes = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    assert kilobytes < 14 * 1024

    def cpu_ticks() -> int:
        fields = Path(f"/proc/{sensor.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = cpu_ticks()
    time.sleep(1.5)
    assert (cpu_ticks() - before) / os.sysconf("SC_CLK_TCK") <= 0.05
