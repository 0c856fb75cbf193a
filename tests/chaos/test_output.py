"""Programs that print without end, print nothing, or leave their pipe to others; and a disk that is full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.checker import check
from tests.chaos.nemesis import LONG
from tests.chaos.town import PATIENCE, Town
from tests.live import wait

pytestmark = [pytest.mark.server_only, pytest.mark.timeout(900)]

KIB, MIB = 1024, 1024 * 1024
BYTES = (2000 if LONG else 200) * MIB
FLOODS: dict[str, tuple[str, dict[str, int], str, int]] = {
    "yes for a while": ("yes", {"seconds": 60 if LONG else 3}, "completed", 10 * MIB),
    "one line without end": ("say", {"bytes": BYTES}, "completed", BYTES),
    "a closed stdout": ("mute", {}, "completed", 0),
    "a child that holds the pipe": ("hold", {}, "completed", len("said before the end\n")),
}
MOST_GROWTH = 64 * 1024  # KiB


@pytest.mark.parametrize("flood", FLOODS)
def test_no_output_makes_the_worker_grow_and_its_end_is_right(town: Town, flood: str) -> None:
    action, parameters, expected, least = FLOODS[flood]
    town.drain()
    before = {member.pid: measure(member.pid) for member in town.of("worker")}
    execution = town.execute(action, **parameters)
    wait(lambda: town.ledger.started(execution), "it to start")
    assert finished(town, town.execute("work")) == "completed"  # its neighbours go on
    end = finished(town, execution)
    [(error, size)] = town.rows("SELECT error, stdout_bytes FROM executions_execution WHERE id = %s", execution)
    assert end == expected, error
    assert size >= least
    for member in town.of("worker"):
        assert peak(member.pid) - before[member.pid] < MOST_GROWTH
    check(town)


@pytest.fixture
def small_disk(town: Town) -> Iterator[Path]:
    """The folder of executions' logs on a disk of 256 KiB; needs root, as in CI."""
    folder = town.data / "logs" / "executions"
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_when_the_disk_of_the_logs_is_full_runs_end_as_they_would_and_say_so(town: Town, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(240 * KIB))
    execution = town.execute("say", bytes=300 * KIB)
    assert finished(town, execution) == "completed"
    [(error, stdout, size)] = town.rows(
        "SELECT error, stdout, stdout_bytes FROM executions_execution WHERE id = %s", execution
    )
    assert "No space left" in error
    assert size == 300 * KIB and stdout.startswith("xxx") and stdout.endswith("xxx")
    (small_disk / "ballast").unlink()
    for left in small_disk.rglob("*.log"):
        left.unlink()
    after = town.execute("say", bytes=100 * KIB)
    assert finished(town, after) == "completed"
    assert town.rows("SELECT error FROM executions_execution WHERE id = %s", after) == [("",)]
    assert town.all_are_alive()
    check(town)


def finished(town: Town, execution: int) -> str:
    over = "SELECT status FROM executions_execution WHERE id = %s AND finished_at IS NOT NULL"
    return wait(lambda: town.rows(over, execution), f"the end of {execution}", PATIENCE + 60)[0][0]


def measure(pid: int) -> int:
    """The process's memory now, in KiB; its peak counts anew from here."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split()[0])
