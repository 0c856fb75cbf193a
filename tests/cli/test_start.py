"""The command starts lightly: it imports neither Django nor a room, and heavy libraries only where they are used."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib

import pytest
from django.conf import settings

from attune.cli import VERSION
from tests.conftest import ROOT

pytestmark = pytest.mark.embedded_only

MODULES = sorted((ROOT / "attune" / "cli").rglob("*.py"))


def imported_by(*arguments: str) -> set[str]:
    """The modules that a run of the command has imported in the end."""
    code = "import sys; from attune.cli.main import main; main(); print('|', *sys.modules, file=sys.stderr)"
    env = os.environ | {"ATTUNE_CONFIG": "/nowhere/config.toml", "ATTUNE_API_URL": "http://127.0.0.1:1"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.rpartition("|")[2].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["version"], ["pack", "--help"], ["rule", "create", "--help"]], ids=" ".join
)
def test_help_needs_no_server_no_http_and_no_colours(arguments):
    found = imported_by(*arguments)
    assert "typer" in found
    assert found & {"httpx", "rich", "yaml", "django", "apps", "attune.settings", "attune.cli.client"} == set()


def test_a_command_that_asks_the_server_imports_nothing_of_the_server():
    found = imported_by("pack", "list")
    assert "httpx" in found
    assert found & {"rich", "click", "pygments", "pydantic", "django", "apps", "attune.settings"} == set()


def test_the_help_of_the_root_imports_no_group():
    assert {name for name in imported_by("--help") if name.startswith("attune.cli.commands")} == set()


def test_no_file_of_it_knows_django_a_room_or_the_roof():
    assert len(MODULES) > 25
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in named:
                assert not name.startswith(("django", "rest_framework", "apps")), f"{path} imports {name}"
                assert not name.startswith("attune") or name.startswith("attune.cli"), f"{path} imports {name}"


def test_the_versions_agree(offline):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION == settings.ATTUNE_VERSION
    assert offline("version").out == f"attune {VERSION}\n"
    assert offline.json("version") == {"client": VERSION}


def test_the_script_that_make_writes_finds_its_folder_from_everywhere(tmp_path):
    """Also where the folder has a space in its name, and another `attune` lies where one stands."""
    here = tmp_path / "a folder"
    (here / ".venv" / "bin").mkdir(parents=True)
    (here / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for name in ("Makefile", "attune"):
        (here / name).symlink_to(ROOT / name)
    subprocess.run(["make", "-s", ".venv/bin/attune"], cwd=here, check=True, timeout=60)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "attune").mkdir(parents=True)
    (elsewhere / "attune" / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    command = [here / ".venv" / "bin" / "attune", "version"]
    site = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if "site-packages" in path)}
    done = subprocess.run(command, cwd=elsewhere, env=os.environ | site, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"attune {VERSION}\n", done.stderr


def test_every_exit_code_is_in_the_help(offline):
    from attune.cli.errors import EXIT_CODES

    told = offline("--help").out
    for code, meaning in EXIT_CODES.items():
        assert f"{code:<3}  {meaning}" in told
