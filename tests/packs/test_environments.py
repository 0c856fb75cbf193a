"""Environments are really built, once for the same wishes, whole or not at all."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from apps.packs import building, environments, indexes
from apps.packs.buildlogs import Log
from apps.packs.environments import Wanted
from apps.packs.errors import EnvironmentBroken, EnvironmentMissing
from apps.packs.models import Pack
from attune.lib.errors import InvalidInput
from tests.conftest import until
from tests.packs.conftest import Write
from tests.packs.wheels import tiny, wheel

pytestmark = pytest.mark.embedded_only

TINY = "./vendor/tiny-1.0-py3-none-any.whl\n"


@pytest.fixture(autouse=True)
def own_environments(settings: Any, tmp_path: Path) -> None:
    settings.ATTUNE_DATA_DIR = tmp_path / "data"
    settings.ATTUNE_ENVS_DIR = tmp_path / "data" / "environments"
    settings.ATTUNE_TMP_DIR = tmp_path / "data" / "tmp"


def built_by(backend: str) -> dict[str, str]:
    """A package in the folder `odd` whose build runs this Python code."""
    project = '[project]\nname = "odd"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "backend"\n'
    code = f"import os, subprocess, sys, time\n\ndef build_wheel(*_, **__):\n    {backend}\n"
    return {"odd/pyproject.toml": project + 'backend-path = ["."]\n', "odd/backend.py": code}


@pytest.fixture
def pack(write: Write) -> Pack:
    folder = write({"requirements.txt": TINY})
    wheel(folder / "vendor")
    return Pack(ref="demo", path=str(folder))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that every build can choose from: tiny 1.0, 2.0 and 3.0."""
    folder = tmp_path / "index"
    for version in ("1.0", "2.0", "3.0"):
        wheel(folder, version)
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(folder))
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    return folder


# Built once ----------------------------------------------------------------------------------------------------------
def test_requirements_are_installed_and_the_second_time_nothing_is_done(pack: Pack) -> None:
    first = environments.ensure(pack)
    assert first.python.fresh
    assert first.python.package_count == 1
    assert tiny(environments.python_of(pack)) == "1.0"
    assert first.nodejs is None
    lines: list[str] = []
    again = environments.ensure(pack, say=lines.append)
    assert (again.python.fresh, again.python.folder) == (False, first.python.folder)
    assert lines == []


def test_a_folder_that_is_not_loaded_can_be_built_and_shares_with_the_pack(pack: Pack) -> None:
    built = environments.ensure(Wanted(ref="demo", folder=pack.folder)).python
    assert environments.python_of(pack) == built.interpreter


def test_the_lines_of_a_build_are_told_while_it_runs_and_kept(pack: Pack) -> None:
    lines: list[str] = []
    environments.ensure(pack, say=lines.append)
    assert lines[0].startswith("Building python 3.")
    assert any("install" in line and line.startswith("$ ") for line in lines)
    assert any("tiny==1.0" in line for line in lines)
    log = environments.build_log(pack)
    assert all(line in log for line in lines)
    facts = environments.facts_of(pack)
    assert (facts["python"]["state"], facts["python"]["package_count"], facts["nodejs"]) == ("ready", 1, {})


def test_a_line_is_told_before_the_build_ends(write: Write, tmp_path: Path) -> None:
    waits = f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.05)\n    raise SystemExit('and gone')"
    folder = write({"requirements.txt": "./odd\n", **built_by(waits)})

    def say(line: str) -> None:
        if line.startswith("$ ") and "install" in line:
            (tmp_path / "go").touch()

    with pytest.raises(EnvironmentBroken, match="and gone"):
        environments.ensure(Wanted(ref="demo", folder=folder), say=say, timeout=60)


def test_credentials_in_addresses_are_neither_told_nor_shown(write: Write) -> None:
    folder = write({"requirements.txt": "tiny @ http://ada:secret@127.0.0.1:1/tiny-1.0-py3-none-any.whl\n"})
    lines: list[str] = []
    wanted = Wanted(ref="demo", folder=folder)
    with pytest.raises(EnvironmentBroken, match=r"//…@127\.0\.0\.1") as broken:
        environments.ensure(wanted, say=lines.append, timeout=60)
    assert "secret" not in "".join([*lines, broken.value.message, environments.build_log(wanted)])


def test_other_requirements_are_another_environment(pack: Pack) -> None:
    first = environments.ensure(pack).python
    wheel(pack.folder / "vendor", "2.0")
    (pack.folder / "requirements.txt").write_text("./vendor/tiny-2.0-py3-none-any.whl\n")
    second = environments.ensure(pack).python
    assert second.folder != first.folder
    assert [tiny(built.interpreter) for built in (first, second)] == ["1.0", "2.0"]


def test_the_same_lines_are_another_environment_if_they_name_another_file(pack: Pack) -> None:
    first = environments.ensure(pack).python
    changed = wheel(pack.folder / "vendor")
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("more.py", "")
    assert environments.ensure(pack).python.folder != first.folder


def test_what_requirements_include_counts_too(write: Write, index: Path) -> None:
    folder = write({"requirements.txt": "-r more/other.txt\n", "more/other.txt": "tiny<3\n"})
    assert tiny(environments.ensure(Wanted(ref="demo", folder=folder)).python.interpreter) == "2.0"
    (folder / "more/other.txt").write_text("tiny<2\n")
    assert tiny(environments.ensure(Wanted(ref="demo", folder=folder)).python.interpreter) == "1.0"


def test_two_packs_use_conflicting_versions_side_by_side(write: Write, index: Path) -> None:
    packs = [
        Pack(ref=ref, path=str(write({"requirements.txt": f"tiny=={version}\n"}, folder=ref)))
        for ref, version in (("one", "1.0"), ("two", "2.0"))
    ]
    for pack in packs:
        environments.ensure(pack)
    assert [tiny(environments.python_of(pack)) for pack in packs] == ["1.0", "2.0"]


def test_packs_that_ask_for_the_same_share_one(write: Write, index: Path) -> None:
    folders = [write({"requirements.txt": "tiny\n"}, folder=name) for name in ("one", "two")]
    built = [environments.ensure(Wanted(ref="x", folder=folder)).python for folder in folders]
    assert [each.fresh for each in built] == [True, False]


@pytest.mark.parametrize("requirements", [None, "", "# nothing but a remark\n\n"])
def test_a_pack_without_requirements_has_a_bare_environment(write: Write, requirements: str | None) -> None:
    files = {} if requirements is None else {"requirements.txt": requirements}
    pack = Pack(ref="demo", path=str(write(files)))
    python = environments.python_of(pack)
    assert "bare" in str(python)
    told = subprocess.run([python, "-c", "import pip"], capture_output=True, timeout=60)
    assert told.returncode != 0


# What the operator wants ---------------------------------------------------------------------------------------------
def test_constraints_are_obeyed_and_part_of_the_wish(write: Write, index: Path) -> None:
    pack = Pack(ref="demo", path=str(write({"requirements.txt": "tiny\n"})))
    assert tiny(environments.ensure(pack).python.interpreter) == "3.0"
    pack.environment = {"constraints": ["tiny<3"]}
    with pytest.raises(EnvironmentMissing, match=r"attune pack build demo.*manage\.py load_pack demo"):
        environments.python_of(pack)
    assert tiny(environments.ensure(pack).python.interpreter) == "2.0"
    pack.environment = {"constraints": ["tiny>3"]}
    with pytest.raises(EnvironmentBroken):
        environments.ensure(pack)


def test_packages_are_added_to_those_of_the_pack_or_to_none(write: Write, index: Path) -> None:
    wheel(index, "7", name="more")
    pack = Pack(ref="demo", path=str(write()), environment={"packages": ["more"], "constraints": ["tiny<2"]})
    built = environments.ensure(pack).python
    assert (tiny(built.interpreter, "more"), tiny(built.interpreter)) == ("7", "")
    (pack.folder / "requirements.txt").write_text("tiny\n")
    built = environments.ensure(pack).python
    assert (tiny(built.interpreter, "more"), tiny(built.interpreter)) == ("7", "1.0")


def test_wishes_are_read_as_lists_or_as_lines_of_text() -> None:
    given = {"constraints": "tiny<2   # old\n\n# remark\ntiny<2\n", "packages": ["Foo[bar]>=1; python_version>'3'"]}
    assert environments.read_environment(given) == {
        "constraints": ["tiny<2"],
        "packages": ["Foo[bar]>=1; python_version>'3'"],
        "allow_scripts": False,
        "sdk_compatibility": True,
    }
    assert environments.read_environment({})["packages"] == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "must be an object"),
        ({"constraint": []}, "`constraint` is not known; use constraints, packages"),
        ({"constraints": {"tiny": "1"}}, "must be a list of lines"),
        ({"constraints": [1]}, "must be a list of lines"),
        ({"constraints": ["-r other.txt"]}, "option of pip"),
        ({"packages": ["--index-url=https://example.org"]}, "option of pip"),
        ({"packages": ["-e ."]}, "option of pip"),
        ({"packages": ["tiny @ git+https://example.org/tiny"]}, "is an address"),
        ({"packages": ["./vendor/tiny.whl"]}, "is not a requirement"),
        ({"packages": ["tiny is nice"]}, "is not a requirement"),
        ({"constraints": ["tiny"]}, "constrains nothing; add a version, like 'tiny<2'"),
        ({"constraints": ["tiny[x]<2"]}, "names extras"),
        ({"packages": ["x" * 301]}, "longer than 300"),
        ({"packages": ["tiny"] * 201}, "at most 200"),
        ({"allow_scripts": "yes"}, "`allow_scripts` must be true or false"),
    ],
)
def test_wishes_that_cannot_be_kept_are_refused_by_name(given: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        environments.read_environment(given)


# How it is built -----------------------------------------------------------------------------------------------------
def test_pip_does_what_uv_would_where_no_uv_runs(
    write: Write, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "uv").write_text("#!/bin/sh\nexit 1\n")
    (broken / "uv").chmod(0o755)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(broken / "uv"))
    monkeypatch.setenv("PATH", f"{broken}{os.pathsep}{os.environ['PATH']}")
    pack = Pack(ref="demo", path=str(write({"requirements.txt": "tiny\n"})), environment={"constraints": ["tiny<3"]})
    assert tiny(environments.ensure(pack).python.interpreter) == "2.0"
    assert "There is no uv that runs here" in environments.build_log(pack)


def test_a_build_that_fails_leaves_nothing_but_its_log(pack: Pack, settings: Any) -> None:
    (pack.folder / "requirements.txt").write_text("./vendor/missing-1.0-py3-none-any.whl\n")
    with pytest.raises(EnvironmentBroken, match=r"attune pack build demo.*manage\.py load_pack demo") as broken:
        environments.ensure(pack)
    log = Path(broken.value.details["log"])
    assert "missing-1.0" in log.read_text()
    assert "missing-1.0" in broken.value.message
    assert [path.name for path in log.parent.iterdir() if path.is_dir()] == []
    with pytest.raises(EnvironmentBroken, match="the last try failed"):
        environments.python_of(pack)
    assert "missing-1.0" in environments.build_log(pack)
    assert environments.facts_of(pack)["python"]["state"] == "broken"
    wheel(pack.folder / "vendor")
    (pack.folder / "requirements.txt").write_text(TINY)
    assert environments.ensure(pack).python.fresh
    assert list(settings.ATTUNE_TMP_DIR.iterdir()) == []


def test_a_build_that_takes_too_long_is_stopped_with_all_it_started(write: Write, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    forks = (
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"    open({str(told)!r}, 'w').write(str(child.pid))\n    time.sleep(600)"
    )
    wanted = Wanted(ref="demo", folder=write({"requirements.txt": "./odd\n", **built_by(forks)}))
    for timeout in (3, 10, 40):  # until the child could be started in time, however busy the machine is
        if not told.exists():
            with pytest.raises(EnvironmentBroken, match="took too long"):
                environments.ensure(wanted, timeout=timeout)
    until(lambda: not is_alive(int(told.read_text())), "the end of the child")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_of_a_build_that_prints_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.packs.buildlogs.LARGEST", 100_000)
    told: list[str] = []
    with pytest.raises(building.BuildFailed, match="printed too much"):
        building.run(["yes"], tmp_path, Log(tmp_path / "log", told.append), time.monotonic() + 60)
    assert told[:3] == ["$ yes", "y", "y"]


def test_a_build_that_died_half_way_is_begun_anew(pack: Pack) -> None:
    folder = environments.ensure(pack).python.folder
    (folder / "ready.json").unlink()  # what a killed build leaves: a folder without its last file
    (folder / "rubbish").write_text("x")
    assert environments.ensure(pack).python.fresh
    assert not (folder / "rubbish").exists()


def test_an_environment_whose_interpreter_went_away_is_built_again(pack: Pack) -> None:
    built = environments.ensure(pack).python
    built.interpreter.unlink()
    with pytest.raises(EnvironmentMissing):
        environments.python_of(pack)
    assert environments.ensure(pack).python.fresh


def test_of_several_at_once_one_builds_and_all_have_it(pack: Pack) -> None:
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda: results.append(environments.ensure(pack).python.fresh)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert sorted(results) == [False, False, False, True]


# By force ------------------------------------------------------------------------------------------------------------
def test_building_anew_leaves_the_one_in_use_until_and_after_the_new_one_is_whole(pack: Pack) -> None:
    before = environments.ensure(pack).python
    running = subprocess.Popen([before.interpreter, "-c", "input(); import tiny; print(tiny.VERSION)"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    after = environments.ensure(pack, force=True).python
    assert after.fresh
    assert after.folder != before.folder
    assert environments.python_of(pack) == after.interpreter
    assert running.communicate("\n", timeout=60)[0] == "1.0\n"


def test_building_anew_that_fails_keeps_what_there_was(pack: Pack) -> None:
    before = environments.ensure(pack).python
    with pytest.raises(EnvironmentBroken, match="What was built before stays in use"):
        environments.ensure(pack, force=True, timeout=0)
    assert environments.python_of(pack) == before.interpreter
    assert "the last try, which failed" in environments.build_log(pack)


# Clean-up ------------------------------------------------------------------------------------------------------------
def age(folder: Path) -> None:
    """Nobody has asked for it for two days."""
    then = time.time() - 2 * 86400
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (then, then), follow_symlinks=False)


def test_what_nobody_uses_any_more_is_removed_and_nothing_else(pack: Pack, settings: Any) -> None:
    old = environments.ensure(pack).python
    wheel(pack.folder / "vendor", "2.0")
    (pack.folder / "requirements.txt").write_text("./vendor/tiny-2.0-py3-none-any.whl\n")
    retired = environments.ensure(pack).python
    used = environments.ensure(pack, force=True).python
    keep = environments.folders_of(pack)
    assert keep == {used.folder}
    assert environments.unused(keep) == []  # all of them are young
    age(settings.ATTUNE_ENVS_DIR)
    assert set(environments.unused(keep)) == {old.folder.parent, retired.folder}
    assert all(environments.remove(path) for path in environments.unused(keep))
    assert [path.exists() for path in (old.folder, retired.folder, used.folder)] == [False, False, True]
    assert tiny(environments.python_of(pack)) == "2.0"


def test_what_was_asked_for_meanwhile_is_not_removed(pack: Pack, settings: Any) -> None:
    built = environments.ensure(pack).python
    age(settings.ATTUNE_ENVS_DIR)
    found = environments.unused(set())
    assert found == [built.folder.parent]
    environments.ensure(pack)
    assert not environments.remove(found[0])
    assert built.interpreter.exists()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux tells")
def test_what_a_process_still_runs_in_is_not_removed(pack: Pack, settings: Any) -> None:
    before = environments.ensure(pack).python
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={"PATH": f"{before.folder}/bin:/usr/bin:/bin"}) as sensor:
        environments.ensure(pack, force=True)
        age(settings.ATTUNE_ENVS_DIR)
        assert environments.unused(environments.folders_of(pack)) == []
        assert sensor.stdin
        sensor.stdin.close()
    assert environments.unused(environments.folders_of(pack)) == [before.folder]


def test_only_environments_can_be_removed(pack: Pack, settings: Any, tmp_path: Path) -> None:
    built = environments.ensure(pack).python
    age(settings.ATTUNE_ENVS_DIR)
    for path in (tmp_path, settings.ATTUNE_ENVS_DIR, built.folder / "bin", settings.ATTUNE_ENVS_DIR / ".." / "x"):
        with pytest.raises(ValueError):
            environments.remove(path)


# Node ----------------------------------------------------------------------------------------------------------------
def package(path: Path) -> Path:
    """An npm package of one module, with a script that must not be run unless allowed."""
    manifest = {"name": "tiny", "version": "1.0.0", "main": "i.js", "scripts": {"postinstall": "echo > RAN"}}
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {"package.json": json.dumps(manifest), "i.js": "exports.v = 1"}.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def node_pack(write: Write, tmp_path: Path) -> Pack:
    tarball = package(tmp_path / "tiny.tgz")
    folder = write({"package.json": json.dumps({"name": "demo", "dependencies": {"tiny": f"file:{tarball}"}})})
    return Pack(ref="demo", path=str(folder))


def test_node_packages_are_installed_without_running_their_scripts(node_pack: Pack) -> None:
    built = environments.ensure(node_pack).nodejs
    assert built is not None
    assert built.package_count == 1
    assert environments.node_modules_of(node_pack) == built.node_modules
    assert (built.node_modules / "tiny" / "i.js").is_file()
    assert not (built.node_modules / "tiny" / "RAN").exists()
    assert not (node_pack.folder / "node_modules").exists()
    assert "npm" in environments.build_log(node_pack)


def test_their_scripts_run_where_the_operator_allows_it(node_pack: Pack) -> None:
    environments.ensure(node_pack)
    node_pack.environment = {"allow_scripts": True}
    with pytest.raises(EnvironmentMissing):
        environments.node_modules_of(node_pack)
    built = environments.ensure(node_pack).nodejs
    assert built is not None
    assert (built.node_modules / "tiny" / "RAN").exists()


def test_a_lock_is_obeyed_to_the_letter(node_pack: Pack) -> None:
    subprocess.run(
        ["npm", "install", "--package-lock-only", "--no-audit"], cwd=node_pack.folder, check=True, capture_output=True
    )
    built = environments.ensure(node_pack).nodejs
    assert built is not None
    assert " ci " in environments.build_log(node_pack)
    asked = json.loads((node_pack.folder / "package.json").read_text())
    asked["dependencies"]["other"] = asked["dependencies"]["tiny"]
    (node_pack.folder / "package.json").write_text(json.dumps(asked))
    with pytest.raises(EnvironmentBroken, match="npm exited"):
        environments.ensure(node_pack)


@pytest.mark.parametrize("manifest", ["{}", '{"name": "x"}', '{"dependencies": {}}', "[]"])
def test_a_package_file_that_asks_for_nothing_needs_nothing(write: Write, manifest: str) -> None:
    pack = Pack(ref="demo", path=str(write({"package.json": manifest})))
    assert environments.node_modules_of(pack) is None


def test_a_package_file_that_is_not_json_is_an_error_for_people(write: Write) -> None:
    pack = Pack(ref="demo", path=str(write({"package.json": "{"})))
    with pytest.raises(EnvironmentBroken, match=r"package\.json is not JSON"):
        environments.node_modules_of(pack)


# What a build may see ------------------------------------------------------------------------------------------------
def test_a_build_sees_the_index_and_no_secret_of_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "ATTUNE_ENCRYPTION_KEY", "PYTHONPATH", "LD_PRELOAD", "NODE_OPTIONS"):
        monkeypatch.setenv(name, "secret")
    for name in ("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "SSL_CERT_FILE", "PIP_FIND_LINKS", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://mirror.example/simple\nfind-links = /a\n  /b\n[install]\ncert = /c.pem\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://one.example https://two.example")
    seen = indexes.build_variables()
    assert "secret" not in seen.values()
    assert seen["UV_INDEX_URL"] == "https://mirror.example/simple"
    assert seen["UV_EXTRA_INDEX_URL"] == "https://one.example https://two.example"
    assert seen["UV_FIND_LINKS"] == "/a,/b"
    assert seen["SSL_CERT_FILE"] == "/c.pem"
    monkeypatch.setenv("UV_INDEX_URL", "https://own.example")
    assert indexes.build_variables()["UV_INDEX_URL"] == "https://own.example"
