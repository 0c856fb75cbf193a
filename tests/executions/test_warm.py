"""Python actions forked from a warm Python behave as those that get an interpreter of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

from apps.executions import services
from apps.executions.models import Execution, Status
from apps.packs import environments, runtimes
from apps.packs.models import Action
from tests.conftest import ROOT, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="warm Pythons are for Linux")

# Who started it: the script's own parent, noted where the test can read it. The first line of each script.
PROBE = (
    'import os; open(os.environ["ATTUNE_ARTIFACTS_DIR"] + "/parent", "w").write('
    'str(os.getppid()) + " " + open(f"/proc/{os.getppid()}/cmdline").read()); del os\n'
)
# What is compared: each script below its name.
TABLE = (ROOT / "tests/data/python_scripts.txt").read_text()
SCRIPTS = {
    name: script.strip("\n") for name, script in re.findall(r"^=== (.*)\n((?:(?!===).*\n)*)", TABLE, re.MULTILINE)
}
SCRIPTS["a source that is not utf-8"] = "# \udce9\nprint(1)"
UNPROBED = {"a future", "annotations and a doc", "a syntax error", "a source that is not utf-8"}
UNPROBED |= {name for name in SCRIPTS if name.startswith("multiprocessing")}  # some of its processes start anew
UNPROBED |= {"a warning of the compiler"}


@pytest.fixture
def make_both(make_pack):
    """`make_both(script)`: the same script as a cold and as a warm action."""

    def make(script: str, **fields) -> tuple[Action, Action]:
        common = {"runner_type": "python", "entry_point": "act.py", "parameter_delivery": "stdin"} | fields
        files = {f"actions/{way}.yaml": {"ref": f"demo.{way}", "runner": way, **common} for way in ("cold", "warm")}
        files |= {"actions/beside.py": "WHERE = __file__", "lib/of_lib.py": "WHERE = __file__"}
        pack = make_pack("demo", {**files, "actions/act.py": "pass"})
        (pack.folder / "actions/act.py").write_bytes(script.encode("utf-8", "surrogateescape"))
        return tuple(Action.objects.select_related("pack").get(ref=f"demo.{way}") for way in ("cold", "warm"))

    return make


def parent() -> tuple[int, bool]:
    """The process that the last script was started by, and whether that is a warm Python."""
    file = settings.ATTUNE_ARTIFACTS_DIR / "parent"
    pid, command = file.read_text().split(" ", 1)
    file.unlink()
    return int(pid), "zygote.py" in command


def seen(execution: Execution) -> dict:
    """All that can be seen of a run, and is not another's by nature."""
    texts = {name: getattr(execution, name) for name in ("stdout", "stderr", "error")}
    # Process numbers and addresses; and a forked script may go two frames less deep.
    own = r"0x[0-9a-f]+|-\d+:|pid=\d+|repeated \d+ more"
    texts = {name: re.sub(own, "…", text) for name, text in texts.items()}
    return texts | {"status": execution.status, "exit_code": execution.exit_code, "result": type(execution.result)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_does_the_same_warm_and_cold(make_both, run, name):
    script = SCRIPTS[name] if name in UNPROBED else PROBE + SCRIPTS[name]
    cold, warm = make_both(script)
    expected, first, second = (run(action, {"who": "wörld"}) for action in (cold, warm, warm))
    if name not in UNPROBED:
        assert parent()[1]
    assert seen(first) == seen(expected)
    assert seen(second) == seen(expected)


@pytest.mark.parametrize("delivery", ["env", "stdin", "file"])
def test_parameters_arrive_the_same_in_every_delivery(make_both, run, delivery):
    show = "import os, sys; file = os.environ.get('ATTUNE_PARAMETER_FILE')\n"
    show += "print(sys.stdin.read(), file and (open(file).read(), oct(os.stat(file).st_mode)))\n"
    show += "print({k: v for k, v in os.environ.items() if k.startswith(('ATTUNE_ACTION_', 'ATTUNE_PARAMETER_F'))})"
    cold, warm = make_both(PROBE + show, parameter_delivery=delivery, parameters={"who": {"type": "string"}})
    expected, found = (run(action, {"who": "it's mé"}) for action in (cold, warm))
    assert parent()[1] and expected.status == found.status == Status.COMPLETED
    assert re.sub(r"execution-\d+", "", found.stdout) == re.sub(r"execution-\d+", "", expected.stdout)


def test_an_edited_script_is_seen_at_once(make_both, run):
    _, warm = make_both(PROBE + "print('one')")
    assert run(warm).stdout == "one\n" and parent()[1]
    warm.script.write_text(PROBE + "print('two')")
    assert run(warm).stdout == "two\n" and parent()[1]


def test_a_script_that_has_lain_there_for_long_is_compiled_once_and_an_edit_still_seen(make_both, run):
    _, warm = make_both(PROBE + "print('one')")
    os.utime(warm.script, (1, 1))
    for text in ("one", "two"):
        warm.script.write_text(PROBE + f"print('{text}')")
        os.utime(warm.script, (1, 1))  # only the time of change tells
        time.sleep(2.1)  # until it counts as old
        assert [run(warm).stdout for _ in range(3)] == [f"{text}\n"] * 3


def test_a_module_that_hides_a_loaded_one_is_what_its_script_gets(make_both, run):
    cold, warm = make_both(PROBE + "import json, of_lib; print(json.__file__)")
    (warm.pack.folder / "actions/json.py").write_text("import of_lib")
    assert run(warm).stdout == run(cold).stdout == f"{warm.pack.folder}/actions/json.py\n"
    (warm.pack.folder / "actions/json.py").unlink()
    assert "lib/python3" in run(warm).stdout and parent()[1]
    (warm.pack.folder / "lib/json.py").write_text("")
    assert run(warm).stdout == f"{warm.pack.folder}/lib/json.py\n"


def test_what_changes_in_lib_is_seen_at_once(make_both, run):
    _, warm = make_both(
        PROBE + "import of_lib\ntry: import later\nexcept ImportError: later = 0\nprint(of_lib.WHERE, later)"
    )
    assert run(warm).stdout.endswith("of_lib.py 0\n")
    before, _ = parent()
    (warm.pack.folder / "lib/later.py").write_text("")
    assert "<module 'later'" in run(warm).stdout
    run(warm)
    after, is_warm = parent()
    assert is_warm and after != before  # another one has taken over


def test_runs_share_a_parent_and_neither_numbers_nor_names(make_both, run):
    _, warm = make_both(
        PROBE + "import os, random, tempfile, uuid; print(random.random(), uuid.uuid4(), tempfile.mktemp())"
    )
    first, one = run(warm).stdout, parent()
    second, other = run(warm).stdout, parent()
    assert one == other and one[1]
    assert all(a != b for a, b in zip(first.split(), second.split(), strict=True))


def test_at_its_time_limit_the_whole_group_is_ended_as_ever(make_both, run, tmp_path):
    script = f"""
import signal, subprocess, sys, time
def end(*_):
    print("asked to end")
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
child = subprocess.Popen(["sleep", "300"])
print(child.pid, file=open("{tmp_path}/pid", "w"), flush=True)
time.sleep(300)
"""
    for action in make_both(PROBE + script, timeout=1):
        execution = run(action)
        assert execution.status == Status.TIMEOUT and execution.stdout == "asked to end\n"
        assert not is_alive(int((tmp_path / "pid").read_text()))
    assert parent()[1]


def test_what_left_its_group_without_another_program_is_found_at_the_time_limit(make_both, run, tmp_path):
    script = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    print(os.getpid(), file=open("{tmp_path}/pid", "w"), flush=True)
time.sleep(300)
"""
    _, warm = make_both(PROBE + script, timeout=1)
    assert run(warm).status == Status.TIMEOUT and parent()[1]
    until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the stray to be dead")


def test_a_background_child_dies_with_the_script(make_both, run, tmp_path):
    script = f"import subprocess; print(subprocess.Popen(['sleep', '300']).pid, file=open('{tmp_path}/pid', 'w'))"
    _, warm = make_both(PROBE + script)
    assert run(warm).status == Status.COMPLETED and parent()[1]
    until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the child to be dead")


def test_a_running_one_can_be_cancelled(make_both, workers, tmp_path):
    _, warm = make_both(
        PROBE + f"import os, time; open('{tmp_path}/pid', 'w').write(str(os.getpid())); time.sleep(300)"
    )
    execution = services.request_execution(warm, parameters={})
    pid = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    services.cancel_execution(execution, actor="anna")
    until(lambda: Execution.objects.get(pk=execution.pk).is_final)
    assert Execution.objects.get(pk=execution.pk).status == Status.CANCELLED and not is_alive(pid)


def test_a_script_that_kills_its_parent_harms_itself_and_the_next_gets_a_fresh_one(make_both, run):
    _, warm = make_both(
        PROBE
        + "import os, sys, time\nif 'x' in sys.stdin.read(): os.kill(os.getppid(), 9); time.sleep(300)\nprint('fine')"
    )
    run(warm)
    before, _ = parent()
    killer = run(warm, {"x": 1})
    assert killer.status == Status.FAILED and killer.exit_code in (-9, 137) and not is_alive(before)
    assert run(warm).stdout == "fine\n"
    after, is_warm = parent()
    assert is_warm and after != before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_dies_or_hangs_between_two_runs_is_replaced(make_both, run, number):
    _, warm = make_both(PROBE + "print('fine')")
    run(warm)
    before, _ = parent()
    os.kill(before, number)
    again = run(warm)
    assert again.status == Status.COMPLETED and again.stdout == "fine\n"
    assert run(warm).stdout == "fine\n"
    until(lambda: not is_alive(before), "the old one to be gone")
    assert parent()[0] != before


def test_fifty_at_once_each_have_their_own(make_both, flow):
    _, warm = make_both(
        "import os, sys, time; time.sleep(0.05); print(sys.stdin.read().strip(), os.environ['ATTUNE_EXEC_ID'])"
    )
    with flow():
        asked = [services.request_execution(warm, parameters={"n": n}) for n in range(50)]
    for n, execution in enumerate(asked):
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED, execution.error
        assert execution.stdout.split() == [f'{{"n":{n}}}', str(execution.pk)]


def test_a_variable_that_interpreters_obey_is_given_to_a_cold_start(make_both, run):
    _, warm = make_both(PROBE + "import sys; print(sys.flags.optimize)", env_vars=["PYTHONOPTIMIZE"])
    assert run(warm).stdout == "0\n" and parent()[1]
    assert run(warm, env_vars={"PYTHONOPTIMIZE": "2"}).stdout == "2\n" and not parent()[1]
    assert run(warm, env_vars={"DEBUG": "1"}).stdout == "0\n" and parent()[1]


def test_a_pack_that_sets_up_its_interpreter_itself_gets_a_cold_start_each_time(make_both, run):
    cold, warm = make_both(PROBE + "print('run')")
    (warm.pack.folder / "lib/sitecustomize.py").write_text("print('set up')")
    assert run(warm).stdout == run(warm).stdout == run(cold).stdout == "set up\nrun\n"


@pytest.mark.parametrize(
    ("action", "pack", "installation", "expected"),
    [
        ("", "", "cold", False),
        ("", "", "warm", True),
        ("", "warm", "cold", True),
        ("", "cold", "warm", False),
        ("cold", "warm", "warm", False),
        ("warm", "cold", "cold", True),
    ],
)
def test_the_action_decides_then_its_pack_then_the_installation(
    make_pack, settings, action, pack, installation, expected
):
    definition = {"ref": "demo.act", "runner_type": "python", "entry_point": "act.py"}
    manifest = {"runner": pack} if pack else {}
    definition |= {"runner": action} if action else {}
    make_pack("demo", {"actions/act.yaml": definition, "actions/act.py": ""}, **manifest)
    settings.ATTUNE_PYTHON_RUNNER = installation
    runtimes.forget_commands()
    found = Action.objects.select_related("pack").get(ref="demo.act")
    assert runtimes.command_for(found).is_warm is expected
    runtimes.forget_commands()


def test_another_word_for_the_runner_is_a_fault(make_pack):
    files = {"actions/act.yaml": {"ref": "demo.act", "entry_point": "act.py", "runner": "hot"}, "actions/act.py": ""}
    with pytest.raises(AssertionError, match="`runner` is 'hot'; choose one of warm, cold"):
        make_pack("demo", files)


def test_only_python_actions_are_warm(make_action, run):
    action = make_action("echo $0", runner="warm")
    assert not runtimes.command_for(action).is_warm and run(action).status == Status.COMPLETED


def test_the_example_pack_says_the_same_warm(make_pack, run, tmp_path, monkeypatch):
    """hello_python with a stand-in for the package that it needs, so that nothing is downloaded."""
    source = (ROOT / "packs/examples/hello_python/actions/describe_size.py").read_text()
    files = {"actions/act.py": source, "lib/humanize.py": "def naturalsize(n, binary): return f'{n} {binary}'"}
    for way in ("cold", "warm"):
        files[f"actions/{way}.yaml"] = {
            "ref": f"demo.{way}",
            "runner": way,
            "runner_type": "python",
            "entry_point": "act.py",
            "parameter_delivery": "stdin",
            "output_format": "json",
        }
    make_pack("demo", files)
    cold, warm = (Action.objects.select_related("pack").get(ref=f"demo.{way}") for way in ("cold", "warm"))
    for parameters in ({"bytes": 12, "binary": True}, {"bytes": -1}):
        assert seen(run(warm, parameters)) == seen(run(cold, parameters))
    assert run(warm, {"bytes": 12}).result == {"bytes": 12, "text": "12 False"}


def test_what_is_installed_into_the_packs_environment_is_imported(make_both, run):
    _, warm = make_both(PROBE + "import installed; print(installed.WHERE)")
    site = next(environments.python_of(warm.pack).parent.parent.glob("lib/python*/site-packages"))
    (site / "installed.py").write_text("WHERE = __file__")
    try:
        assert run(warm).stdout == f"{site}/installed.py\n" and parent()[1]
    finally:
        (site / "installed.py").unlink()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_json_of_identity_is_whole(make_both, run):
    """The widest script of the table does say something."""
    _, warm = make_both(PROBE + SCRIPTS["what a script sees"])
    found = json.loads(run(warm, {"a": 1}).stdout)
    assert found["fds"] == ["0", "1", "2", "3"] and found["stdin"] == '{"a":1}\n'
    assert found["globals"]["__name__"] == "__main__" and found["path"][0] == str(warm.script.parent)
