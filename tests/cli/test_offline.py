"""What needs no server: writing a pack, checking one, making an index of many."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from attune.cli.skeleton import RUNNERS
from tests.conftest import ROOT, write_pack

pytestmark = pytest.mark.embedded_only


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_new_pack_is_without_fault_passes_its_own_tests_and_runs(attune, runner):
    ref = f"new_{runner}"
    said = attune("pack", "create", ref, "--runner", runner)
    assert f"attune pack install ./{ref}" in said.err
    folder = attune.folder / ref
    assert {"pack.yaml", "README.md", "CHANGELOG.md", "actions", "triggers", "rules", "tests"} == {
        path.name for path in folder.iterdir()
    }
    for path in folder.rglob("*.*"):
        assert "__pack__" not in path.read_text() if path.is_file() else True
    checked = attune("pack", "check", ref)
    assert checked.out == "" and f"{ref} 0.1.0 is without fault: 1 trigger, 1 action, 1 rule." in checked.err
    attune("pack", "install", f"./{ref}")
    assert "tests passed." in attune("pack", "test", ref).err
    event = attune.json("trigger", "fire", f"{ref}.visitor_came", "name=Ada")
    [verdict] = attune.json("event", "show", str(event["id"]))["verdicts"]
    attune("execution", "watch", str(verdict["execution"]))
    assert attune("execution", "result", str(verdict["execution"])).out == "Hello, Ada!\n"


def test_a_pack_is_written_nowhere_but_where_nothing_is(offline):
    offline("pack", "create", "mine", "--dir", "some/where")
    (offline.folder / "full").mkdir()
    (offline.folder / "full" / "file").write_text("mine")
    assert "not empty" in offline("pack", "create", "mine", "--dir", "full", code=1).err
    assert "not a pack ref" in offline("pack", "create", "My Pack", code=2).err
    assert "no runner perl" in offline("pack", "create", "mine", "--runner", "perl", code=2).err
    assert "cannot be written" in offline("pack", "create", "mine", "--dir", "/proc/nope", code=1).err
    assert offline.json("pack", "check", "some/where")["ok"] is True


def test_faults_are_printed_with_file_and_line_and_fail(offline, tmp_path):
    files = {
        "actions/bad.yaml": "ref: demo.bad\nentry_point: ../x.sh\nparameters:\n  a: {type: strin}\n",
        "actions/broken.yaml": "ref: [\n",
        "triggers/t.yaml": "ref: other.t\n",
        "rules/r.yaml": "ref: demo.r\ntrigger_ref: core.nope\naction_ref: demo.gone\n",
        "sensors/s.yaml": "ref: demo.s\nentry_point: s.py\ntrigger_types: [demo.none]\nodd: 1\n",
    }
    folder = write_pack(tmp_path / "demo", "demo", files)
    said = offline("pack", "check", str(folder), code=1)
    lines = said.out.splitlines()
    for place in ("actions/bad.yaml:2: ", "actions/bad.yaml:4: ", "actions/broken.yaml:", "triggers/t.yaml:1: ",
                  "rules/r.yaml:2: ", "rules/r.yaml:3: ", "sensors/s.yaml:3: "):  # fmt: skip
        assert [line for line in lines if line.startswith(place)], f"{place} is not in {said.out}"
    assert "warning: sensors/s.yaml:4: `odd`" in said.err and f"has {len(lines)} faults." in said.err
    report = offline.json("pack", "check", str(folder), code=1)
    assert len(report["faults"]) == len(lines) and report["ok"] is False


def test_what_other_packs_bring_is_not_missed_and_what_core_brings_is_known(offline, tmp_path):
    rules = {
        "rules/a.yaml": "ref: demo.a\ntrigger_ref: slack.message\naction_ref: jira.create\n",
        "rules/b.yaml": "ref: demo.b\ntrigger_ref: core.intervaltimer\ntrigger_params: {unit: x, interval: 1}\n"
        "action_ref: core.echo\n",
    }
    said = offline("pack", "check", str(write_pack(tmp_path / "demo", "demo", rules)), code=1)
    assert said.out.startswith("rules/b.yaml:3: ") and said.out.count("\n") == 1
    assert "slack.message" in said.err and "jira.create" in said.err


@pytest.mark.parametrize(
    "pack", ["packs/core", *(f"packs/examples/{name}" for name in ("hello_shell", "hello_python"))]
)
def test_the_packs_that_ship_are_without_fault(offline, pack):
    offline("pack", "check", str(ROOT / pack))


def test_what_is_no_pack_is_not_walked_through(offline):
    said = offline("pack", "check", "/proc", code=1)
    assert said.out == "pack.yaml: pack.yaml is missing; every pack begins with one\n"
    assert "is not a folder" in offline("pack", "check", "/no/where", code=2).err


def test_a_check_leaves_nothing_behind_and_needs_no_settings(offline, tmp_path):
    """It does not look at the installation's database and secrets, whatever the environment says of them."""
    folder = write_pack(tmp_path / "demo", "demo", {})
    before = sorted(path for path in tmp_path.rglob("*"))
    env = {"ATTUNE_MODE": "server", "DATABASE_URL": "postgres://127.0.0.1:1/none", "ATTUNE_DATA_DIR": "/proc/none"}
    offline("pack", "check", str(folder), **env)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_it_imports_of_the_server_only_what_it_needs(tmp_path):
    folder = write_pack(tmp_path / "demo", "demo", {})
    code = "import sys; from attune.offline import main; main(['check', sys.argv[1]]); "
    code += "print(*(name for name, module in sys.modules.items() if module), file=sys.stderr)"
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = set(done.stderr.split())
    assert "apps.rules.loading" in found
    assert found & {"psycopg", "uvicorn", "dramatiq", "unfold", "drf_spectacular", "django.contrib.admin"} == set()


def test_an_index_is_made_of_a_folder_of_packs(offline, tmp_path):
    for ref in ("one", "two"):
        write_pack(tmp_path / "packs" / ref, ref, {})
    said = offline("pack", "index", "build", "packs", "--to", "public", "--name", "Ours")
    assert [line.split()[0] for line in said.out.splitlines()] == ["REF", "one", "two"]
    index = json.loads((tmp_path / "public" / "index.json").read_text())
    assert (index["registry_name"], [pack["ref"] for pack in index["packs"]]) == ("Ours", ["one", "two"])
    assert (tmp_path / "public" / "one-1.0.0.tar.gz").exists()
    assert offline.json("pack", "index", "build", "packs", "--to", "public") == index
    (tmp_path / "packs" / "one" / "README.md").write_text("changed")
    assert "raise `version`" in offline("pack", "index", "build", "packs", "--to", "public", code=1).err
    (tmp_path / "empty").mkdir()
    assert "no pack" in offline("pack", "index", "build", "empty", code=1).err
