"""Warm Pythons under the launcher: what becomes of them and their runs when worker, launcher or lease is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attune.lib.launcher import clock
from attune.lib.programs import Program
from tests.lib.test_launcher import hear, is_alive, until

pytestmark = [
    pytest.mark.embedded_only,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="warm Pythons are for Linux"),
]

ENV = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
PARENT = "import os; print(os.getppid(), os.getpid()); "


@pytest.fixture
def begin(launcher, tmp_path):
    """`begin("print(1)")`: a script as a run that may be warm."""

    def start(text: str, *, name: str = "1-1", since: float = 0.0, idle: float = 60.0, **more) -> Program:
        script = tmp_path / f"{name}.py"
        script.write_text(text)
        marker = f"TMPDIR={tmp_path}/{name}"
        return launcher.start(
            name,
            [more.pop("python", sys.executable), str(script)],
            cwd=tmp_path,
            env={**ENV, "TMPDIR": f"{tmp_path}/{name}", **more},
            stdin=None,
            marker=marker,
            since=since or clock(),
            keep={"execution": 1, "attempt": 1},
            warm={"env": ENV, "idle": idle},
        )

    return start


def said(program: Program) -> list[int]:
    """The numbers that a script printed."""
    return [int(word) for word in os.read(program.stdout, 1000).split()]


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def test_runs_of_one_interpreter_share_a_warm_one_and_others_do_not(begin):
    first, second = (said(hear(begin(PARENT, name=f"{n}-1"))) for n in (1, 2))
    assert first[0] == second[0] and first[1] != second[1] and "zygote.py" in command(first[0])
    other = said(hear(begin(PARENT, name="3-1", python=os.path.realpath(sys.executable))))  # noqa: PTH109, RUF100
    assert other[0] != first[0]


def test_one_that_nobody_needs_is_ended(begin):
    zygote, _ = said(hear(begin(PARENT, idle=0.2)))
    until(lambda: not is_alive(zygote), "the idle one to end")


def test_an_environment_that_does_not_fit_into_a_message_is_a_cold_start(begin):
    program = hear(begin(PARENT, **{f"N{n}": "x" * 100_000 for n in range(15)}))
    assert program.returncode == 0 and "zygote.py" not in command(said(program)[0])


def test_an_interpreter_that_is_not_there_is_an_error(begin):
    with pytest.raises(FileNotFoundError):
        hear(begin(PARENT, python="/no/such/python"))


def test_a_folder_that_is_not_there_is_an_error(begin, launcher, tmp_path):
    hear(begin(PARENT))
    with pytest.raises(FileNotFoundError):
        hear(
            launcher.start(
                "2-1",
                [sys.executable, str(tmp_path / "1-1.py")],
                cwd=tmp_path / "gone",
                env=ENV | {"TMPDIR": "/x"},
                stdin=None,
                marker="TMPDIR=/x",
                since=clock(),
                keep={},
                warm={"env": ENV, "idle": 60.0},
            )
        )


def test_what_was_taken_up_before_the_lease_ran_out_is_not_started_any_more(begin, launcher):
    since = clock()
    zygote, _ = said(hear(begin(PARENT, name="0-1")))
    launcher.lease(0.05)
    until(lambda: not is_alive(zygote), "the warm Python to end with the lease")
    launcher.lease(60)
    assert hear(begin("print(1)", since=since)).is_unstarted
    assert hear(begin("print(1)", name="2-1")).returncode == 0


def test_a_run_whose_warm_python_is_killed_is_told_as_killed_with_all_it_started(begin, tmp_path):
    program = begin(
        PARENT + "import subprocess, time; p = subprocess.Popen(['sleep', '300']); print(p.pid); time.sleep(300)"
    )
    numbers: list[int] = []
    until(lambda: numbers.extend(said(program)) or len(numbers) == 3, "the script to have begun")
    os.kill(numbers[0], signal.SIGKILL)
    assert hear(program).returncode == -signal.SIGKILL
    until(lambda: not any(map(is_alive, numbers)), "all of them to be dead")


def test_a_signal_that_comes_before_the_script_has_begun_reaches_it(begin):
    program = begin("import time; time.sleep(300)")
    program.signal(signal.SIGTERM)  # while its warm Python still starts
    assert hear(program).returncode == -signal.SIGTERM


def test_when_the_launcher_is_killed_its_warm_pythons_and_their_runs_end(begin, launcher):
    program = begin(PARENT + "import time; time.sleep(300)")
    numbers = said(program)
    owner = int(Path(f"/proc/{numbers[0]}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert "launcher.py" in command(owner)
    os.kill(owner, signal.SIGKILL)
    assert hear(program).is_orphan
    until(lambda: not any(map(is_alive, numbers)), "both to be dead")


WORKER = """
import os, sys, time
from pathlib import Path
from attune.lib.launcher import clock
from attune.lib.programs import launcher
folder = Path(sys.argv[1])
launcher.spool = folder / "spool"
launcher.lease(float(sys.argv[2]))
env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
launcher.start("7-2", [sys.executable, str(folder / "script.py")], cwd=folder, env=env | {"TMPDIR": str(folder)},
               stdin=None, marker=f"TMPDIR={folder}", since=clock(), keep={"execution": 7, "attempt": 2},
               warm={"env": env, "idle": 60.0})
while not (folder / "begun").exists():
    time.sleep(0.01)
print("started", flush=True)
time.sleep(100)
"""
SCRIPT = """
import os, sys, time
print("one", flush=True)
parent = open(f"/proc/{os.getppid()}/cmdline").read()
open("new", "w").write(f"{os.getpid()} {os.getppid()} {'zygote.py' in parent}")
os.rename("new", "begun")
time.sleep(%s)
print("two")
sys.exit(5)
"""


@pytest.mark.parametrize(("lease", "pause", "expected"), [("20", "1", (5, False)), ("0.5", "300", (-9, True))])
def test_the_launcher_writes_down_what_ends_without_its_worker(tmp_path, lease, pause, expected):
    (tmp_path / "script.py").write_text(SCRIPT % pause)
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), lease], stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "started\n"
    worker.send_signal(signal.SIGKILL if expected[0] == 5 else signal.SIGSTOP)
    try:
        file = tmp_path / "spool" / "7-2.json"
        until(file.exists, "the record")
        record = json.loads(file.read_text())
        assert (record["returncode"], record["killed"]) == expected
        printed = "one\ntwo\n" if expected[0] == 5 else "one\n"
        assert file.with_suffix(".stdout").read_text() == printed
        pid, zygote, was_warm = (tmp_path / "begun").read_text().split()
        assert was_warm == "True"
        until(lambda: not is_alive(int(pid)) and not is_alive(int(zygote)), "the run and its warm Python to be gone")
    finally:
        worker.kill()
        worker.wait()
