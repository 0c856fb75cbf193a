"""A pack's Python is one that meets all that its files ask for, and where none does, that is said by name."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.packs import environments, runtimes
from apps.packs.environments import Wanted, interpreters, stating
from apps.packs.errors import EnvironmentMissing, RuntimeMissing
from apps.packs.loading import load_pack
from apps.packs.models import Action, Pack
from tests.packs.conftest import Write
from tests.packs.wheels import wheel

pytestmark = pytest.mark.embedded_only

OWN = platform.python_version()
Python = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_environments(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.ATTUNE_DATA_DIR = tmp_path / "data"
    settings.ATTUNE_ENVS_DIR = tmp_path / "data" / "environments"
    settings.ATTUNE_TMP_DIR = tmp_path / "data" / "tmp"
    yield
    interpreters.forget()


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Python:
    """`python("3.99.0")`: our own, in the first folder of the PATH, under another name and with another version."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(version: str, *, answers: bool = True) -> Path:
        path = folder / f"python{'.'.join(version.split('.')[:2])}"
        said = json.dumps([str(path), version, "cpython"]) if answers else ""
        path.write_text(
            f"#!/bin/sh\ncase \"$3\" in *base_executable*) echo '{said}'; exit {0 if answers else 127} ;; esac\n"
            f'exec {environments.base_python()} "$@"\n'
        )
        path.chmod(0o755)
        interpreters.forget()
        return path

    return make


def action(ref: str, version: str, runner: str = "python") -> dict[str, Any]:
    return {"ref": ref, "runner_type": runner, "entry_point": "x", "runtime_version": version}


def wanted(write: Write, *asked: tuple[str, str], **manifest: Any) -> Wanted:
    files = {f"actions/{ref}.yaml": action(f"demo.{ref}", version) for ref, version in asked}
    return Wanted(ref="demo", folder=write(files, **manifest))


def test_our_own_is_taken_where_it_fits_and_no_other_is_looked_for(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreters.forget()
    monkeypatch.setattr(interpreters, "_candidates", lambda: pytest.fail("the others were looked for"))
    built = environments.ensure_python(wanted(write, ("a", ">=3.10"), ("b", "<99")))
    assert built.version == OWN


@pytest.mark.parametrize("where", ["action", "sensor", "manifest", "request"])
def test_another_is_taken_where_only_that_fits(write: Write, python: Python, where: str) -> None:
    python("3.98.7")
    python("3.99.0")
    python("3.97.0", answers=False)
    asked = {
        "action": lambda: wanted(write, ("a", ">=3.98,<3.99"), ("b", ">=3.10")),
        "sensor": lambda: Wanted("demo", write({"sensors/s.yml": {"ref": "demo.s", "runtime_version": "3.98"}})),
        "manifest": lambda: wanted(write, dependencies={"python_version": "^3.98.0, <3.99"}),
        "request": lambda: replace(wanted(write), python_version="3.98"),
    }[where]()
    assert environments.ensure_python(asked).version == "3.98.7"


def test_of_several_that_fit_the_nearest_to_ours_is_taken(write: Write, python: Python) -> None:
    python("3.99.0")
    python("3.98.1")
    assert environments.ensure_python(wanted(write, ("a", ">=3.98"))).version == "3.98.1"


def test_one_that_was_built_by_request_is_used_though_ours_would_do(write: Write, python: Python) -> None:
    python("3.99.0")
    pack = Pack(ref="demo", path=str(write({"requirements.txt": "./vendor/tiny-1.0-py3-none-any.whl\n"})))
    wheel(pack.folder / "vendor")
    with pytest.raises(EnvironmentMissing):
        environments.python_of(pack)
    built = environments.ensure_python(replace(Wanted.of(pack), python_version="3.99"))
    assert built.version == "3.99.0"
    assert environments.python_of(pack) == built.interpreter
    assert environments.folders_of(pack) == {built.folder}


@pytest.mark.parametrize(
    ("asked", "manifest", "words"),
    [
        ([("a", ">=99"), ("b", ">=3.10")], {}, f"demo.a needs python >=99, but this machine has {OWN} (/"),
        ([], {"dependencies": {"python_version": "<3.1"}}, "pack.yaml (dependencies.python_version) needs python <3.1"),
        (
            [("a", f">{OWN}"), ("b", f"<{OWN}")],
            {},
            f"demo.a needs python >{OWN}, and demo.b needs python <{OWN}, but this machine has",
        ),
        ([("a", "one or two")], {}, "'one or two' is not a version constraint"),
    ],
)
def test_where_none_fits_the_constraint_who_states_it_and_what_there_is_are_named(
    write: Write, asked: list[tuple[str, str]], manifest: dict[str, Any], words: str
) -> None:
    with pytest.raises(RuntimeMissing) as refused:
        environments.ensure(wanted(write, *asked, **manifest))
    assert words in refused.value.message
    assert environments.facts_of(wanted(write, *asked, **manifest))["python"]["state"] == "broken"


@pytest.mark.django_db
def test_an_action_runs_in_the_python_it_asks_for(write: Write, python: Python) -> None:
    python("3.99.0")
    files = {"actions/x.yaml": action("demo.x", ">=3.99") | {"entry_point": "x.py"}, "actions/x.py": "print('here')"}
    assert load_pack(write(files)).ok
    one = Action.objects.select_related("pack").get(ref="demo.x")
    command = runtimes.command_for(one)
    assert subprocess.run(command.argv, capture_output=True, text=True, timeout=60).stdout == "here\n"
    assert environments.facts_of(one.pack)["python"]["version"] == "3.99.0"


@pytest.mark.django_db
def test_a_command_follows_its_environment_when_that_is_built_anew(write: Write) -> None:
    files = {"actions/x.yaml": action("demo.x", ">=3.10") | {"entry_point": "x.py"}, "actions/x.py": ""}
    assert load_pack(write(files)).ok
    one = Action.objects.select_related("pack").get(ref="demo.x")
    before = runtimes.command_for(one)
    assert runtimes.command_for(one) is before
    built = environments.ensure(one.pack, force=True).python
    assert runtimes.command_for(one).argv[0] == str(built.interpreter)


def test_every_python_of_this_machine_can_be_asked_for(write: Write) -> None:
    for series in {one.version.rpartition(".")[0] for one in interpreters.pythons()}:
        built = environments.ensure_python(wanted(write, ("a", series)))
        said = subprocess.run([built.interpreter, "--version"], capture_output=True, text=True, timeout=60).stdout
        assert said.startswith(f"Python {series}")


# Node ----------------------------------------------------------------------------------------------------------------
def test_a_node_that_does_not_fit_is_said(write: Write) -> None:
    folder = write(
        {"actions/n.yaml": action("demo.n", ">=999", "node"), "package.json": '{"dependencies": {"a": "1"}}'}
    )
    with pytest.raises(RuntimeMissing, match=r"demo\.n needs nodejs >=999, but this machine has \d+\.\d+\.\d+ \(/"):
        environments.ensure_nodejs(Wanted("demo", folder))


def test_a_node_that_is_not_there_is_only_missed_where_packages_are_wanted(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write({"actions/n.yaml": action("demo.n", ">=18", "nodejs")})
    monkeypatch.setenv("PATH", "/nonexistent")
    interpreters.forget()
    assert environments.ensure_nodejs(Wanted("demo", folder)) is None
    (folder / "package.json").write_text('{"dependencies": {"a": "1"}}')
    with pytest.raises(RuntimeMissing, match=r"install Node\.js with npm"):
        environments.ensure_nodejs(Wanted("demo", folder))


# Reading the files ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "ref: demo.a\nrunner_type: python\nruntime_version: '>=3.10'\n",
        'ref: "demo.a"\nrunner_type: "python3"   # a remark\nruntime_version: ">=3.10"\n',
        "{ref: demo.a, runner_type: python, runtime_version: '>=3.10'}\n",
        '{"ref": "demo.a", "runner_type": "python", "runtime_version": ">=3.10"}\n',
        "name: demo.a\nrunner_type: python\nruntime_version: >-\n  >=3.10\n",
        "ref: demo.a\nx: &v '>=3.10'\nrunner_type: python\nruntime_version: *v\n",
        "ref: demo.a\n'runner_type': python\n'runtime_version': '>=3.10'\n",
    ],
)
def test_a_version_is_read_however_it_is_written(write: Write, text: str) -> None:
    folder = write({"actions/a.yaml": text})
    assert stating.needs(Wanted("demo", folder), "python") == [stating.Need("python", ">=3.10", "demo.a")]


def test_what_only_looks_like_a_version_is_none(write: Write) -> None:
    files = {
        "actions/a.yaml": "ref: demo.a\nrunner_type: python\ndescription: |\n  runtime_version: '>=99'\n",
        "actions/b.yaml": action("demo.b", ">=99", "shell"),
        "actions/c.yaml": "runtime_version: [1\n",
        "actions/d.yaml": action("demo.d", "") | {"meta": {"runtime_version": ">=99"}},
        "actions/e.yaml": b"\xff runtime_version",
        "lib/f.yaml": action("demo.f", ">=99"),
    }
    assert stating.needs(Wanted("demo", write(files)), "python") == []


def test_files_that_are_known_are_read_once(write: Write) -> None:
    asked = replace(wanted(write, ("a", ">=3.10")), digest="one")
    assert len(stating.needs(asked, "python")) == 1
    (asked.folder / "actions/a.yaml").unlink()
    assert len(stating.needs(asked, "python")) == 1
    assert stating.needs(replace(asked, digest="two"), "python") == []


def test_a_thousand_actions_are_read_in_no_time(write: Write) -> None:
    asked = wanted(write, *((f"a{number}", ">=3.10") for number in range(1000)))
    before = time.process_time()
    assert len(stating.needs(asked, "python")) == 1
    assert time.process_time() - before < 2  # a tenth of that is what we want; a busy machine gets more
