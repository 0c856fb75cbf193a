"""A sandbox under the launcher ends as certainly as what is started without one, whoever dies; and what it shows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from attune.lib.confining import bubblewrap, places, ports
from attune.lib.confining.bubblewrap import View
from attune.lib.launcher import clock
from attune.lib.programs import Program
from tests.conftest import ROOT
from tests.lib.test_launcher import hear, is_alive, until

BWRAP = shutil.which("bwrap") or ""
pytestmark = [
    pytest.mark.embedded_only,
    pytest.mark.skipif(sys.platform != "linux" or not BWRAP, reason="bubblewrap is for Linux"),
]


@pytest.fixture
def works(tmp_path):
    scratch = tmp_path / "trial"
    scratch.mkdir()
    if problem := bubblewrap.trial(BWRAP, before=[], scratch=str(scratch)):
        pytest.skip(problem)


@pytest.fixture
def begin(works, launcher, tmp_path):
    """`begin("sleep 100")`: a script in a sandbox; what it writes to /tmp lies in its folder `inside`."""
    (tmp_path / "inside").mkdir()

    def start(script: str) -> Program:
        view = View(cwd="/tmp", scratch=str(tmp_path / "inside"))
        return launcher.start(
            "1-1",
            [*bubblewrap.command(BWRAP, view), "bash", "-c", script],
            cwd=Path("/"),
            env={"PATH": "/usr/bin:/bin", "MARK": str(tmp_path)},
            stdin=None,
            marker=f"MARK={tmp_path}",
            since=clock(),
            keep={"execution": 1, "attempt": 1},
            sandboxed=True,
        )

    return start


def processes_of(tmp_path: Path) -> list[int]:
    """Those that carry the run's mark: the sandbox and all that is in it."""
    mark = b"\0MARK=" + str(tmp_path).encode() + b"\0"
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in b"\0" + path.read_bytes() and is_alive(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


STRAY = "setsid sleep 100 & touch /tmp/begun; echo one; "


def test_a_signal_reaches_the_program_inside_and_its_answer_counts(begin, tmp_path):
    program = begin("trap 'exit 42' TERM; touch /tmp/begun; while :; do sleep 0.05; done")
    until((tmp_path / "inside" / "begun").exists, "its start")
    program.signal(signal.SIGTERM)
    assert hear(program).returncode == 42


def test_a_program_that_a_signal_ended_gives_the_shells_code_for_it(begin):
    assert hear(begin("kill -SEGV $$")).returncode == 128 + signal.SIGSEGV


def test_kill_takes_everything_inside_with_it(begin, tmp_path):
    program = begin(STRAY + "trap '' TERM; while :; do sleep 0.05; done")
    until((tmp_path / "inside" / "begun").exists, "its start")
    program.signal(signal.SIGKILL)
    assert hear(program).returncode == -signal.SIGKILL
    until(lambda: not processes_of(tmp_path), "the end of all inside")


def test_the_end_of_a_lease_ends_what_is_inside(begin, launcher, tmp_path):
    launcher.lease(1.0)
    program = begin(STRAY + "sleep 100")
    assert hear(program).is_lost
    until(lambda: not processes_of(tmp_path), "the end of all inside")
    record = tmp_path / "spool" / "1-1.json"
    until(record.exists, "the record")
    assert json.loads(record.read_text())["killed"] is True
    assert record.with_suffix(".stdout").read_text() in ("one\n", "")


def test_what_ends_by_itself_after_its_worker_is_gone_is_kept(begin, launcher, tmp_path):
    launcher.lease(30.0)
    begin("touch /tmp/begun; echo one; sleep 1; echo two; exit 5")
    until((tmp_path / "inside" / "begun").exists, "its start")
    launcher._socket.close()
    launcher._socket = None
    record = tmp_path / "spool" / "1-1.json"
    until(record.exists, "the record")
    assert json.loads(record.read_text())["returncode"] == 5
    assert record.with_suffix(".stdout").read_text() == "one\ntwo\n"


def test_when_the_launcher_is_killed_nothing_inside_lives_on(begin, launcher, tmp_path):
    begin(STRAY + "sleep 100")
    until((tmp_path / "inside" / "begun").exists, "its start")
    os.kill(int(subprocess.check_output(["pgrep", "-f", f"launcher.py {launcher.spool}"])), signal.SIGKILL)
    until(lambda: not processes_of(tmp_path), "the end of all inside")


def test_what_is_hidden_in_what_is_shown_cannot_be_seen_but_what_is_shown_in_it_can():
    view = View(
        cwd="/srv/attune/pack", scratch="/s", readable=("/srv", "/srv/attune/pack"), hidden=("/srv/attune", "/x")
    )
    argv = bubblewrap.command("bwrap", view)
    order = [argv.index(path) for path in ("/srv", "/srv/attune", "/srv/attune/pack")]
    assert order == sorted(order) and argv[order[1] - 1] == "--tmpfs" and "/x" not in argv


def test_the_network_is_left_out_when_asked():
    assert "--unshare-net" in bubblewrap.command("bwrap", View(cwd="/", scratch="/s", network=False))
    assert "--unshare-net" not in bubblewrap.command("bwrap", View(cwd="/", scratch="/s"))


def test_an_interpreter_is_shown_with_its_libraries_and_the_links_to_it(tmp_path):
    home, links = tmp_path / "python", tmp_path / "bin"
    for folder in (home / "bin", home / "lib" / "python3.11", links):
        folder.mkdir(parents=True)
    (home / "lib" / "python3.11" / "os.py").touch()
    (home / "bin" / "python3").touch()
    (links / "python").symlink_to(home / "bin" / "python3")
    found = places.of_interpreter(str(links / "python"))
    assert found == ({str(links / "python"): str(home / "bin" / "python3")}, (str(home),))


def test_a_program_of_the_system_needs_nothing_more():
    assert places.of_interpreter("/usr/bin/env") == ({}, ())


def test_a_program_that_shares_its_folder_is_shown_alone(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").touch()
    assert places.of_interpreter(str(tmp_path / "bin" / "tool")) == ({}, (str(tmp_path / "bin" / "tool"),))


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ("echo bubblewrap 0.6.1", "bubblewrap is 0.6.1, and 0.8 or later is needed"),
        ("[ $1 = --version ] && echo bubblewrap 0.9.0 || { echo no namespaces >&2; exit 1; }", "(no namespaces)"),
        ("true", "too old"),
    ],
)
def test_a_sandbox_that_does_not_work_says_why(tmp_path, says, problem):
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    assert problem in bubblewrap.trial(str(program), before=[], scratch=str(tmp_path))


CONNECT = 'for port; do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && echo open || echo closed; done'


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_closed_ports_are_closed_to_all_that_the_launcher_starts_and_no_others(works, launcher, tmp_path, where):
    if not ports.can_be_closed():
        with pytest.raises(OSError, match=""):
            ports.close([5432])
        return
    before = bubblewrap.command(BWRAP, View(cwd="/tmp", scratch=str(tmp_path))) if where == "inside" else []
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        doors = [door.getsockname()[1] for door in (one, other)]
        launcher.plan = {"closed_ports": doors[:1]}
        program = launcher.start(
            "1-1",
            [*before, "bash", "-c", CONNECT, "-", *map(str, doors)],
            cwd=Path("/"),
            env={"PATH": "/usr/bin:/bin"},
            stdin=None,
            marker=f"MARK={tmp_path}",
            since=clock(),
            keep={"execution": 1, "attempt": 1},
            sandboxed=bool(before),
        )
        assert hear(program).returncode == 0
    assert os.read(program.stdout, 100) == b"closed\nopen\n"


@pytest.mark.parametrize("given", ["database", "0", "65536", "-1", "5432;6379"])
def test_ports_that_are_none_stop_the_start_with_the_remedy(given):
    env = os.environ | {"ATTUNE_CLOSED_PORTS": given}
    told = subprocess.run([sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert told.returncode != 0
    assert f"ATTUNE_CLOSED_PORTS is {given!r}; give numbers from 1 to 65535, with commas between." in told.stderr
