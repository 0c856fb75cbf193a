"""Actions in a sandbox: what they see, what they cannot get at, and that they end as certainly as any other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest
from django.conf import settings

from apps.executions import isolation, runner, services
from apps.executions.isolation import sandboxes
from apps.executions.models import Execution, Status
from apps.packs.loading import load_pack
from apps.packs.models import Action
from attune.lib.confining import ports
from attune.lib.programs import Launcher
from tests.conftest import ROOT, until, write_pack

pytestmark = [
    pytest.mark.embedded_only,
    pytest.mark.skipif(sys.platform != "linux" or not sandboxes.offer().program, reason="no sandbox works here"),
]
HARMLESS = [
    *["read Attune's database", "read the key that secrets are sealed with", "read another execution's folder"],
    *["read another pack", "write to its own pack", "see the worker", "signal the worker"],
    *["connect to the database by its socket", "connect to the broker by its socket"],
]


@pytest.fixture
def sandbox(settings):
    settings.ATTUNE_SANDBOX = "bwrap"


@contextlib.contextmanager
def listening(family: int, address):
    with socket.socket(family) as door:
        door.bind(address)
        door.listen()
        yield door


@pytest.fixture
def prison(tmp_path, make_pack):
    """The pack that tries to break out, and what it is told to look for: real files, processes and doors."""
    folder = shutil.copytree(ROOT / "tests" / "data" / "packs" / "prison", tmp_path / "prison")
    report = load_pack(folder)
    assert report.ok, str(report)
    data = settings.ATTUNE_DATA_DIR
    other = data / "tmp" / "another"
    other.mkdir(parents=True, exist_ok=True)
    (other / "parameters.json").write_text("{}")
    database = data / "prize.sqlite3"
    database.write_text("rows")
    with contextlib.ExitStack() as doors:
        sockets = [str(tmp_path / name) for name in (".s.PGSQL", "redis.sock")]
        for path in sockets:
            doors.enter_context(listening(socket.AF_UNIX, path))
        port = doors.enter_context(listening(socket.AF_INET, ("127.0.0.1", 0))).getsockname()[1]
        yield {
            "data": str(data),
            "base": str(settings.BASE_DIR),
            "pack": make_pack("neighbour").path,
            "worker": os.getpid(),
            "sockets": sockets,
            "ports": [port],
        }
    shutil.rmtree(other)
    database.unlink()


def attempts(execution: Execution) -> dict[str, str]:
    assert execution.status == Status.COMPLETED, (execution.error, execution.stderr)
    return execution.result


def test_whoever_tries_to_break_out_is_denied_everything(prison, run, sandbox):
    action = Action.objects.get(ref="prison.break_out")
    Action.objects.update(network=False)
    action.refresh_from_db()
    found = attempts(run(action, prison))
    assert len(found) > 50
    assert {name: came for name, came in found.items() if came == "done"} == {}


def test_with_the_network_only_the_ports_of_this_machine_can_be_reached(prison, run, sandbox):
    found = attempts(run(Action.objects.get(ref="prison.break_out"), prison))
    assert [name for name, came in found.items() if came == "done"] == [f"connect to port {prison['ports'][0]}"]


def test_with_the_network_and_closed_ports_nothing_is_left(prison, run, sandbox, settings, monkeypatch, tmp_path):
    if not ports.can_be_closed():
        with pytest.raises(OSError, match=""):
            ports.close(prison["ports"])
        return
    settings.ATTUNE_CLOSED_PORTS = prison["ports"]
    made = Launcher()
    made.spool = tmp_path / "spool"
    for room in (runner, isolation):
        monkeypatch.setattr(room, "launcher", made)
    isolation.prepare()
    found = attempts(run(Action.objects.get(ref="prison.break_out"), prison))
    made._socket.close()
    assert len(found) > 50
    assert {name: came for name, came in found.items() if came == "done"} == {}
    assert isolation.in_words().endswith(f"without a way to port {prison['ports'][0]}")


def test_without_a_sandbox_the_same_attempts_succeed(prison, run):
    found = attempts(run(Action.objects.get(ref="prison.break_out"), prison | {"only": HARMLESS}))
    assert set(found.values()) == {"done"}


def test_an_action_finds_what_the_contract_promises(make_action, run, sandbox):
    script = """
        set -e
        [ "$PWD" = "$(pwd)" ]; test -r pack.yaml; cd "$TMPDIR"; echo a > a; cat /tmp/a "$HOME/a" /var/tmp/a
        echo b > /dev/shm/b; echo kept > "$ATTUNE_ARTIFACTS_DIR/kept"; jq -n 1; curl --version > /dev/null
        echo out > /dev/stdout; echo err > /dev/stderr; ls /proc | grep -c '^[0-9]'; cat
    """
    execution = run(make_action(script, parameters={"x": {"type": "string"}}), {"x": "y"})
    assert execution.status == Status.COMPLETED, (execution.error, execution.stderr)
    assert execution.stdout.split() == ["a", "a", "a", "1", "out", execution.stdout.split()[5], '{"x":"y"}']
    assert (settings.ATTUNE_ARTIFACTS_DIR / "kept").read_text() == "kept\n" and execution.stderr == "err\n"
    assert not list(settings.ATTUNE_TMP_DIR.glob(f"execution-{execution.pk}-*"))


@pytest.mark.parametrize(
    ("runner", "script"),
    [
        ("python", "import ssl, sqlite3, tempfile, multiprocessing; multiprocessing.Lock(); print('ok')"),
        ("nodejs", "require('fs').mkdtempSync(require('os').tmpdir() + '/x'); console.log('ok')"),
        ("native", "#!/bin/sh\necho ok"),
    ],
)
def test_every_runner_works_in_the_sandbox(make_pack, run, sandbox, runner, script):
    if runner == "nodejs" and not shutil.which("node"):
        pytest.skip("no Node.js")
    files = {"actions/a.yaml": {"ref": "demo.a", "runner_type": runner, "entry_point": "a"}, "actions/a": script}
    pack = make_pack("demo", files)
    (pack.folder / "actions" / "a").chmod(0o755)
    execution = run(Action.objects.get(ref="demo.a"))
    assert (execution.stdout, execution.error) == ("ok\n", "")


def test_what_python_compiles_in_the_sandbox_is_kept_for_the_pack_alone(make_pack, run, sandbox):
    files = {
        "actions/a.yaml": {"ref": "demo.a", "runner_type": "python", "entry_point": "a.py"},
        "actions/a.py": "import own, os; print(os.path.exists(own.__cached__))",
        "lib/own.py": "",
    }
    make_pack("demo", files)
    assert run(Action.objects.get(ref="demo.a")).stdout == "True\n"
    assert not list((settings.ATTUNE_DATA_DIR / "pycache" / "demo").glob("**/own.*.pyc"))


def test_a_warm_action_is_started_cold_in_a_sandbox(make_action, run, sandbox):
    script = "import os; print(os.path.exists('/etc/shadow'), os.getppid())"
    assert run(make_action(script, runner_type="python", runner="warm")).stdout == "False 1\n"


def test_limits_hold_in_the_sandbox_too(make_action, run, sandbox):
    execution = run(make_action("ulimit -n; while :; do :; done", limits={"open_files": 50, "cpu_seconds": 1}))
    assert execution.stdout == "50\n" and "It hit its limit of 1 s of processor time" in execution.error


TRAP = "trap 'echo said goodbye; exit 7' TERM; setsid sleep 1000 & echo $$; while :; do sleep 0.1; done"


def left(execution: Execution) -> list[str]:
    """Processes of a run that still live."""
    mark = f"execution-{execution.pk}-".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes():
                found.append(path.parent.name)
    return found


def test_at_its_time_limit_a_sandboxed_program_may_say_goodbye_and_nothing_is_left(make_action, run, sandbox):
    execution = run(make_action(TRAP, timeout=1))
    assert execution.status == Status.TIMEOUT and execution.exit_code == 7
    assert "said goodbye" in execution.stdout
    until(lambda: not left(execution), "the end of its processes")


def test_a_sandboxed_program_that_minds_no_signal_is_killed_with_all_it_started(make_action, run, sandbox):
    execution = run(make_action("trap '' TERM; setsid sleep 1000 & while :; do sleep 0.1; done", timeout=1))
    assert execution.status == Status.TIMEOUT and execution.exit_code == 128 + signal.SIGKILL
    until(lambda: not left(execution), "the end of its processes")


def test_a_sandboxed_program_is_cancelled(make_action, workers, sandbox):
    execution = services.request_execution(make_action(TRAP), parameters={})
    until(lambda: Execution.objects.get(pk=execution.pk).started_at and len(left(execution)) > 2, "its start")
    services.cancel_execution(Execution.objects.get(pk=execution.pk), actor="test")
    until(lambda: Execution.objects.get(pk=execution.pk).status == Status.CANCELLED, "its end")
    assert "said goodbye" in Execution.objects.get(pk=execution.pk).stdout
    until(lambda: not left(execution), "the end of its processes")


def test_the_end_of_the_program_is_the_end_of_what_it_left_running(make_action, run, sandbox):
    execution = run(make_action("setsid sleep 1000 & echo done"))
    assert execution.status == Status.COMPLETED and execution.stdout == "done\n"
    until(lambda: not left(execution), "the end of its processes")


@pytest.mark.parametrize(
    ("setting", "pack", "action", "network", "expected"),
    [
        ("auto", "", "", True, True),
        ("auto", "none", "", True, False),
        ("auto", "none", "bwrap", True, True),
        ("auto", "", "none", True, False),
        ("auto", "none", "", False, True),
        ("bwrap", "none", "none", True, True),
        ("none", "", "", True, False),
        ("none", "bwrap", "", True, True),
        ("none", "bwrap", "none", True, False),
        ("none", "", "", False, True),
    ],
)
def test_installation_pack_and_action_decide_on_the_sandbox(
    make_action, settings, setting, pack, action, network, expected
):
    settings.ATTUNE_SANDBOX = setting
    made = make_action("true")
    made.pack.sandbox, made.sandbox, made.network = pack, action, network
    assert bool(sandboxes.sandbox_for(made)) == expected


@pytest.mark.parametrize(("setting", "asked"), [("bwrap", ""), ("auto", "bwrap"), ("none", "bwrap")])
def test_where_a_sandbox_is_wanted_and_none_works_the_run_is_refused(
    make_action, run, settings, monkeypatch, setting, asked
):
    settings.ATTUNE_SANDBOX = setting
    monkeypatch.setattr(sandboxes, "offer", lambda: sandboxes.Offer("", "bubblewrap is not installed"))
    fields = {"sandbox": asked} if asked else {}
    execution = run(make_action("true", **fields))
    assert execution.status == Status.FAILED and "bubblewrap is not installed. Install bubblewrap" in execution.error


def test_by_default_a_machine_without_a_sandbox_runs_actions_as_they_are(make_action, run, settings, monkeypatch):
    settings.ATTUNE_SANDBOX = "auto"
    monkeypatch.setattr(sandboxes, "offer", lambda: sandboxes.Offer("", "bubblewrap is not installed"))
    assert run(make_action("true")).status == Status.COMPLETED


def test_the_operator_may_show_more(make_action, run, sandbox, settings, tmp_path_factory):
    shown, given = tmp_path_factory.mktemp("shown"), tmp_path_factory.mktemp("given")
    (shown / "file").write_text("read me")
    settings.ATTUNE_SANDBOX_READ, settings.ATTUNE_SANDBOX_WRITE = [str(shown)], [str(given)]
    execution = run(make_action(f"cat {shown}/file; touch {shown}/new; echo yes > {given}/new"))
    assert execution.stdout == "read me" and (given / "new").exists() and not (shown / "new").exists()


def test_what_a_pack_says_of_its_sandbox_is_checked_with_file_and_line(tmp_path, known_runtimes):
    files = {
        "actions/a.yaml": "ref: demo.a\nentry_point: a\nsandbox: none\nnetwork: false\n",
        "actions/b.yaml": "ref: demo.b\nentry_point: a\nsandbox: docker\n",
        "actions/a": "true",
    }
    found = load_pack(write_pack(tmp_path / "demo", "demo", files, sandbox="none"))
    report = "\n".join(map(str, [*found.faults, *found.warnings]))
    assert "actions/a.yaml:4: only a sandbox can keep it from the network; leave out `sandbox: none`" in report
    assert "actions/b.yaml:3: `sandbox` is 'docker'; choose one of bwrap, none" in report
    assert "it asks to run outside the sandbox" in report and "pack.yaml:" in report
