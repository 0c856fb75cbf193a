"""The launcher starts programs, tells of their ends, and keeps what ends without anybody to tell."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attune.lib import processes
from attune.lib.launcher import clock, kill_marked
from attune.lib.programs import Launcher, Program

pytestmark = [
    pytest.mark.embedded_only,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]

PATH = {"PATH": os.environ["PATH"]}


def begin(launcher: Launcher, *argv: str, name: str = "1-1", stdin: bytes | None = None, since: float = 0.0) -> Program:
    with contextlib.nullcontext() if stdin is None else processes.document(stdin) as given:
        return launcher.start(
            name,
            argv,
            cwd=Path("/"),
            env={**PATH, "MARK": f"{launcher.spool}-{name}"},
            stdin=given,
            marker=f"MARK={launcher.spool}-{name}",
            since=since or clock(),
            keep={"execution": 1, "attempt": 1},
        )


def hear(program: Program, seconds: float = 30.0) -> Program:
    """Listen to the launcher until it says that the program is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([program.status], [], [], 1)[0] and program.listen():
            return program
    raise AssertionError("Nothing was heard of the program's end.")


def is_over(pid: int) -> bool:
    """Whether a process is gone with all that it had open, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until(condition, what: str):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"Waited in vain for {what}."
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_gets_its_stdin_and_its_return_code_is_told(launcher):
    program = begin(launcher, "bash", "-c", "cat; echo err >&2; exit 3", stdin=b"hello")
    assert hear(program).returncode == 3
    assert (os.read(program.stdout, 100), os.read(program.stderr, 100)) == (b"hello", b"err\n")


def test_a_signal_reaches_the_whole_group_and_is_told_as_python_does(launcher):
    program = begin(launcher, "bash", "-c", "sleep 100 & wait")
    program.signal(signal.SIGTERM)
    assert hear(program).returncode == -signal.SIGTERM


@pytest.mark.parametrize("argv", [("/no/such/program",), ("no-such-program",), ("/etc/hostname",), ("with\0zero",)])
def test_what_cannot_be_started_is_an_error(launcher, argv):
    with pytest.raises(OSError):
        hear(begin(launcher, *argv))
    assert hear(begin(launcher, "true")).returncode == 0  # and the launcher lives on


def test_a_background_child_that_holds_the_pipes_is_killed_with_the_group(launcher, tmp_path):
    program = begin(launcher, "bash", "-c", f"sleep 100 & echo $! > {tmp_path}/pid; exit 0")
    assert hear(program).returncode == 0
    until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the child to be dead")


def test_programs_do_not_inherit_what_the_launcher_ignores_or_holds(launcher):
    held = begin(launcher, "sleep", "100")
    program = hear(begin(launcher, "bash", "-c", "trap; ls /proc/self/fd", name="2-1"))
    said = os.read(program.stdout, 1000).decode()
    assert said.split() == ["0", "1", "2", "3"]  # no signal is trapped; the last is what `ls` itself opened
    held.signal(signal.SIGKILL)


def test_a_hundred_programs_at_once_each_give_their_own_end(launcher):
    programs = [begin(launcher, "bash", "-c", f"exit {number}", name=f"{number}-1") for number in range(100)]
    assert [hear(program).returncode for program in programs] == list(range(100))
    for program in programs:
        program.forget()


def test_an_environment_of_many_megabytes_does_not_break_the_socket(launcher):
    names = {f"N{number}": "x" * 100_000 for number in range(15)}
    program = launcher.start(
        "1-1",
        ["bash", "-c", "echo ${#N14}"],
        cwd=Path("/"),
        env=PATH | names,
        stdin=None,
        marker="",
        since=clock(),
        keep={},
    )
    assert hear(program).returncode == 0 and os.read(program.stdout, 100) == b"100000\n"


def test_what_ends_within_the_lease_of_a_killed_worker_is_kept_with_all_it_printed(tmp_path):
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), "20"], stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "started\n"
    worker.kill()
    file = tmp_path / "spool" / "7-2.json"
    until(file.exists, "the record")
    record = json.loads(file.read_text())
    assert (record["execution"], record["attempt"], record["returncode"], record["killed"]) == (7, 2, 5, False)
    assert file.with_suffix(".stdout").read_text() == "one\ntwo\n"
    until(lambda: not (tmp_path / "spool" / "lock").exists(), "the launcher to end")


def test_what_still_runs_at_the_end_of_the_lease_is_killed_with_its_grandchildren(tmp_path):
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), "0.5"], stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "started\n"
    worker.send_signal(signal.SIGSTOP)  # frozen, not dead
    try:
        file = tmp_path / "spool" / "7-2.json"
        until(file.exists, "the record")
        assert json.loads(file.read_text())["killed"] is True
        until(lambda: not is_alive(int((tmp_path / "stray").read_text())), "the grandchild of another session to die")
    finally:
        worker.kill()
        worker.wait()


WORKER = """
import os, sys, time
from pathlib import Path
from attune.lib.launcher import clock, kill_marked
from attune.lib.programs import launcher
folder = Path(sys.argv[1])
launcher.spool = folder / "spool"
launcher.lease(float(sys.argv[2]))
script = f"setsid sleep 100 & echo $! > {folder}/stray; echo one; sleep 2; echo two; exit 5"
env = {"PATH": os.environ["PATH"], "MARK": f"{folder}"}
launcher.start("7-2", ["bash", "-c", script], cwd=Path("/"), env=env, stdin=None, marker=f"MARK={folder}",
               since=clock(), keep={"execution": 7, "attempt": 2})
while not (folder / "stray").exists() or not (folder / "stray").read_text():
    time.sleep(0.01)
print("started", flush=True)
time.sleep(100)
"""


def test_what_was_taken_up_before_the_lease_ran_out_is_not_started_any_more(launcher):
    assert hear(begin(launcher, "true", name="0-1")).returncode == 0  # there is a launcher to hear of the lease
    since = clock()
    launcher.lease(0.05)
    time.sleep(0.5)  # frozen meanwhile
    launcher.lease(60)
    late = hear(begin(launcher, "true", since=since))
    assert late.is_unstarted and late.returncode is None
    assert hear(begin(launcher, "true", name="2-1")).returncode == 0


def test_when_the_launcher_dies_its_programs_are_lost_and_another_one_serves_the_next(launcher, tmp_path):
    program = begin(launcher, "sleep", "100")
    pid = int(subprocess.check_output(["pgrep", "-f", f"launcher.py {launcher.spool}"]))
    os.kill(pid, signal.SIGKILL)
    assert hear(program).is_orphan
    kill_marked([program.marker])
    until(lambda: is_over(pid), "all of the launcher's end")
    assert hear(begin(launcher, "true", name="2-1")).returncode == 0
