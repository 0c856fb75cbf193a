"""A sensor's log file: bounded, masked, and never a reason to fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.sensors import sensorlog
from apps.sensors.sensorlog import SensorLog


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.ATTUNE_LOG_DIR = tmp_path


def test_lines_are_kept_with_their_time_and_the_last_one_is_at_hand(tmp_path: Path) -> None:
    log = SensorLog("demo.sensor")
    log.write(b"first")
    log.write("größer \xff".encode() + b"\xff\r")
    log.write(b"   ")
    log.note("ours")
    log.close()
    lines = (tmp_path / "sensors" / "demo.sensor.log").read_bytes().splitlines()
    assert lines[0].endswith(b"Z first")
    assert log.last_line == "größer ÿ\N{REPLACEMENT CHARACTER}"
    assert lines[-1].endswith(b"Z [attune] ours")


def test_a_new_run_goes_on_with_the_same_file(tmp_path: Path) -> None:
    for number in range(3):
        log = SensorLog("demo.sensor")
        log.write(b"run %d" % number)
        log.close()
    assert len((tmp_path / "sensors" / "demo.sensor.log").read_bytes().splitlines()) == 3


def test_old_files_make_room_for_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensorlog, "FILE_SIZE", 1000)
    for _ in range(3):
        log = SensorLog("demo.sensor")
        for number in range(100):
            log.write(b"line %d" % number)
        log.close()
    files = sorted(path.name for path in (tmp_path / "sensors").iterdir())
    assert files == ["demo.sensor.log", *(f"demo.sensor.log.{number}" for number in range(1, 5))]
    assert all(path.stat().st_size <= 1000 for path in (tmp_path / "sensors").iterdir())
    assert sensorlog.tail("demo.sensor").splitlines()[-1].endswith("line 99")


def test_the_size_of_a_log_is_that_of_all_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sensorlog.size_and_age("demo.sensor") == (0, None)
    monkeypatch.setattr(sensorlog, "FILE_SIZE", 1000)
    log = SensorLog("demo.sensor")
    for number in range(100):
        log.write(b"line %d" % number)
    log.close()
    size, written = sensorlog.size_and_age("demo.sensor")
    assert size == sum(path.stat().st_size for path in (tmp_path / "sensors").iterdir()) > 1000
    assert written is not None and written.tzinfo is not None


def test_the_tail_begins_with_a_whole_line() -> None:
    log = SensorLog("demo.sensor")
    for number in range(100):
        log.write(b"line %d" % number)
    tail = sensorlog.tail("demo.sensor", limit=100).splitlines()
    assert tail[-1].endswith("line 99")
    assert all(line.startswith("20") for line in tail)
    assert sensorlog.tail("demo.other") == ""


def test_secrets_are_masked_the_longer_first() -> None:
    log = SensorLog("demo.sensor", secrets=["open", "open-sesame", "ab"])
    log.write(b"say open-sesame, or open, or ab")
    log.close()
    assert sensorlog.tail("demo.sensor").rstrip().endswith("say ********, or ********, or ab")


def test_a_disk_that_takes_nothing_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sensors").write_text("a file where the folder should be")
    log = SensorLog("demo.sensor")
    log.write(b"still remembered")
    log.close()
    assert log.last_line == "still remembered"
