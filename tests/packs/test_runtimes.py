"""The command that runs a script in place, on real interpreters, and what is said where it cannot be run."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.packs import environments, runtimes
from apps.packs.errors import EnvironmentBroken, EnvironmentMissing, RunnerUnavailable, RuntimeMissing, ScriptMissing
from apps.packs.loading import load_pack
from apps.packs.models import Action, Runtime
from tests.packs.conftest import Write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_environments(settings: Any, tmp_path: Path) -> None:
    settings.ATTUNE_DATA_DIR = tmp_path / "data"
    settings.ATTUNE_ENVS_DIR = tmp_path / "data" / "environments"


@pytest.fixture
def action(write: Write) -> Callable[..., Action]:
    """An action of one script in a loaded pack: `action("x.py", "print(1)", runner_type="python")`."""

    def make(entry_point: str, script: str | None, *, files: dict[str, Any] | None = None, **fields: Any) -> Action:
        given = {"actions/x.yaml": {"ref": "demo.x", "entry_point": entry_point} | fields} | (files or {})
        if script is not None:
            given[f"actions/{entry_point}"] = script
        report = load_pack(write(given))
        assert report.ok, report.faults
        return Action.objects.select_related("pack", "runtime").get(ref="demo.x")

    return make


def run(action: Action, **env: str) -> subprocess.CompletedProcess[str]:
    command = runtimes.command_for(action)
    variables = {"PATH": os.environ["PATH"]} | env | command.env
    return subprocess.run(command.argv, cwd=command.cwd, env=variables, capture_output=True, text=True, timeout=60)


def test_what_was_found_is_written_to_the_rows() -> None:
    assert {row.ref for row in runtimes.detect()} == {"core.shell", "core.python", "core.nodejs", "core.native"}
    shell = Runtime.objects.get(ref="core.shell")
    assert shell.available
    assert Path(shell.path).name == "bash"
    assert shell.version[0].isdigit()
    assert shell.execution_config["interpreter"] == ["bash"]
    assert Runtime.objects.get(ref="core.native").available


def test_an_interpreter_that_is_missing_is_said_to_be_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, action: Callable[..., Action]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    runtimes.detect()
    node = Runtime.objects.get(ref="core.nodejs")
    assert not node.available
    assert "install Node.js" in node.problem
    with pytest.raises(RuntimeMissing, match=r"demo\.x cannot run here: .*install Node\.js"):
        runtimes.command_for(action("x.js", "", runner_type="nodejs"))
    monkeypatch.undo()
    runtimes.detect()


def test_a_shell_script_runs_in_place_whatever_its_mode(action: Callable[..., Action]) -> None:
    one = action("sub/x.sh", 'echo "$PWD $0"')
    outcome = run(one)
    assert outcome.stdout.split() == [str(one.pack.folder), str(one.script)]


def test_python_finds_its_siblings_and_lib_but_nothing_of_the_server(action: Callable[..., Action]) -> None:
    script = (
        "import json, sys, sibling, helper\n"
        "found = []\n"
        "for name in ('django', 'attune', 'yaml', 'pip'):\n"
        "    try:\n        __import__(name); found.append(name)\n"
        "    except ImportError: pass\n"
        "print(json.dumps([sibling.X, helper.Y, found]))\n"
    )
    files = {"actions/sibling.py": "X = 1", "lib/helper.py": "Y = 2"}
    one = action("x.py", script, files=files, runner_type="python", runtime_version=">=3.8")
    outcome = run(one)
    assert json.loads(outcome.stdout) == [1, 2, []], outcome.stderr
    assert not list(one.pack.folder.rglob("__pycache__"))


def test_a_javascript_runs(action: Callable[..., Action]) -> None:
    assert run(action("x.js", "console.log(1 + 1)", runner_type="nodejs")).stdout == "2\n"


def test_a_native_program_runs_by_itself_once_it_may(action: Callable[..., Action]) -> None:
    one = action("tool", "#!/bin/sh\necho native\n", runner_type="native")
    with pytest.raises(ScriptMissing, match="chmod \\+x"):
        runtimes.command_for(one)
    one.script.chmod(0o755)
    assert run(one).stdout == "native\n"


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"runner_type": "python", "runtime_version": ">=99"}, RuntimeMissing, "needs python >=99, but"),
        ({"entry_point": "", "workflow_file": "w.yaml"}, RunnerUnavailable, "workflow"),
    ],
)
def test_what_cannot_be_run_here_is_refused(
    action: Callable[..., Action], fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    entry_point = fields.pop("entry_point", "x.sh")
    with pytest.raises(error, match=words):
        runtimes.command_for(action(entry_point, "true" if entry_point else None, **fields))


def test_a_script_that_is_not_there_or_became_a_link_is_refused_each_time(action: Callable[..., Action]) -> None:
    one = action("x.sh", "true")
    runtimes.command_for(one)
    one.script.unlink()
    with pytest.raises(ScriptMissing, match=r"x\.sh, which demo\.x runs, is not there"):
        runtimes.command_for(one)
    one.script.symlink_to("/bin/true")
    with pytest.raises(ScriptMissing, match="not a plain file"):
        runtimes.command_for(one)


def test_a_folder_that_became_a_link_out_of_the_pack_is_refused(action: Callable[..., Action], tmp_path: Path) -> None:
    one = action("sub/x.sh", "true")
    (one.pack.folder / "actions" / "sub").rename(tmp_path / "outside")
    (one.pack.folder / "actions" / "sub").symlink_to(tmp_path / "outside")
    with pytest.raises(ScriptMissing, match="outside its pack"):
        runtimes.command_for(one)


def test_a_command_is_kept_until_a_row_changes_and_is_cheap(action: Callable[..., Action]) -> None:
    one = action("x.sh", "true")
    first = runtimes.command_for(one)
    assert runtimes.command_for(one) is first
    before = time.process_time()
    for _ in range(1000):
        runtimes.command_for(one)
    assert time.process_time() - before < 1  # 50 µs each is what we want; a busy machine gets twenty times that
    again = action("y.sh", "true")
    assert runtimes.command_for(again).argv[1].endswith("actions/y.sh")


def test_no_query_is_made_for_a_component_with_its_pack(
    action: Callable[..., Action], django_assert_num_queries: Any
) -> None:
    one = action("x.sh", "true")
    with django_assert_num_queries(0):
        runtimes.command_for(one)


def test_requirements_that_are_not_built_or_were_not_to_be_built_say_so(action: Callable[..., Action]) -> None:
    one = action("x.py", "", runner_type="python", files={"requirements.txt": "./nowhere/tiny-1.0-py3-none-any.whl\n"})
    with pytest.raises(EnvironmentMissing, match=r"manage\.py load_pack demo"):
        runtimes.command_for(one)
    with pytest.raises(EnvironmentBroken):
        environments.ensure(one.pack)
    with pytest.raises(EnvironmentBroken, match="the last try failed"):
        runtimes.command_for(one)
