"""The interpreters on this machine, and the command that runs an action's or a sensor's script in place."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps.packs import environments, versions
from apps.packs.building import READY
from apps.packs.environments import interpreters
from apps.packs.errors import RunnerUnavailable, RuntimeMissing, ScriptMissing
from apps.packs.models import Action, Runtime, Sensor, Start
from attune.lib.processes import SYSTEM_PATH

Runner = Action.Runner
_REMEDY = {
    Runner.SHELL: "install bash",
    Runner.PYTHON: "install Python 3.11 or later",
    Runner.NODEJS: "install Node.js, so that `node` is on the server's PATH",
}
SEEDS: dict[str, dict[str, Any]] = {
    Runner.SHELL: {
        "name": "Shell",
        "description": "Scripts for bash.",
        "execution_config": {"interpreter": ["bash"], "version_command": ["bash", "--version"]},
    },
    Runner.PYTHON: {
        "name": "Python",
        "description": "Python scripts, each pack in an environment of its own.",
        "execution_config": {"interpreter": ["python3"], "version_command": ["python3", "--version"]},
    },
    Runner.NODEJS: {
        "name": "Node.js",
        "description": "JavaScript for Node.js, with the pack's own node_modules.",
        "execution_config": {"interpreter": ["node"], "version_command": ["node", "--version"]},
    },
    Runner.NATIVE: {
        "name": "Native",
        "description": "Programs that run by themselves.",
        "execution_config": {"interpreter": []},
    },
}


def ref_of(runner: str) -> str:
    """The runtime of a runner type; empty for a runner that is not in this version."""
    return f"core.{runner}" if runner in SEEDS else ""


@dataclass(frozen=True)
class Command:
    """What to start: the program and its arguments, where, and the variables to add to the environment."""

    argv: list[str]
    cwd: Path
    env: dict[str, str]
    is_warm: bool = False  # may be forked from a Python that has started with `env`
    environments: tuple[str, ...] = ()  # files that are there while what it was built with is in use


@dataclass(frozen=True)
class Installed:
    """An interpreter as it is on this machine; no path, and the reason, where it is not."""

    path: str
    version: str
    problem: str = ""


# Rows ----------------------------------------------------------------------------------------------------------------
def ensure_rows() -> dict[str, Runtime]:
    """The runtime rows by ref, made where they are missing: one query when all are there."""
    rows = {runtime.ref: runtime for runtime in Runtime.objects.filter(ref__in=[ref_of(runner) for runner in SEEDS])}
    for runner, seed in SEEDS.items():
        if ref_of(runner) not in rows:
            rows[ref_of(runner)] = Runtime.objects.get_or_create(ref=ref_of(runner), defaults=seed)[0]
    return rows


def detect() -> list[Runtime]:
    """Look for every interpreter anew and write what was found to the rows."""
    _installed.cache_clear()
    _commands.clear()
    interpreters.forget()
    rows = ensure_rows()
    for runner in SEEDS:
        row, found = rows[ref_of(runner)], installed(runner)
        row.path, row.version, row.problem = found.path, found.version, found.problem
        row.available, row.detected_at = not found.problem, timezone.now()
        row.save(update_fields=["path", "version", "problem", "available", "detected_at", "updated"])
    return list(rows.values())


def installed(runner: str) -> Installed:
    """The interpreter of a runner on this machine, looked for once in each process."""
    return _installed(runner)


@lru_cache(maxsize=8)
def _installed(runner: str) -> Installed:
    config = SEEDS[runner]["execution_config"]
    if not config["interpreter"]:
        return Installed("", "")
    name = config["interpreter"][0]
    path = environments.base_python() if runner == Runner.PYTHON else shutil.which(name)
    if not path:
        return Installed("", "", f"`{name}` is not on the PATH; {_REMEDY[Runner(runner)]}.")
    try:
        said = subprocess.run(
            [path, *config["version_command"][1:]], capture_output=True, text=True, timeout=20, check=True, env={}
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Installed("", "", f"`{path}` does not answer ({error}); {_REMEDY[Runner(runner)]}.")
    version = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return Installed(path, version.group(0) if version else "")


# Commands ------------------------------------------------------------------------------------------------------------
_commands: dict[tuple[Any, ...], tuple[Command, str]] = {}
_KEPT = 4096


def command_for(component: Action | Sensor) -> Command:
    """The command that runs this component's script, in place, in its pack's environment.

    `component.pack` is read; nothing else of the database. What was found is kept for as long as the rows of the
    component and its pack stay the same; that script, program and environment are still there is looked at each time.
    Raises ScriptMissing, RuntimeMissing, RunnerUnavailable, EnvironmentMissing or EnvironmentBroken with the remedy.
    """
    pack = component.pack
    key = (type(component), component.pk, component.updated, pack.path, pack.updated)
    found = _commands.get(key)
    if found is None or not all(map(os.path.exists, found[0].environments)):
        found = _build(component)
        if len(_commands) >= _KEPT:
            _commands.clear()
        if component.pk is not None:
            _commands[key] = found
    command, script = found
    _check_script(component, script)
    if not os.access(command.argv[0], os.X_OK):
        _commands.pop(key, None)
        if command.argv[0] == script:
            raise ScriptMissing(f"{script}, which {component.ref} runs, is not executable; run: chmod +x {script}")
        raise RuntimeMissing(
            f"{command.argv[0]}, which runs {component.ref}, is gone; build the environment of its pack on the pack's "
            f"page, with `attune pack build {pack.ref}`, or with: manage.py load_pack {pack.ref}"
        )
    return command


def forget_commands() -> None:
    """Work every command out anew, e.g. after an environment was built."""
    _commands.clear()


def _check_script(component: Action | Sensor, script: str) -> None:
    try:
        mode = os.lstat(script).st_mode
    except OSError:
        raise ScriptMissing(
            f"{script}, which {component.ref} runs, is not there; put it back or reload the pack."
        ) from None
    if not stat.S_ISREG(mode):
        raise ScriptMissing(f"{script}, which {component.ref} runs, is not a plain file; a pack may not hold links.")


def _build(component: Action | Sensor) -> tuple[Command, str]:
    pack, runner = component.pack, component.runner_type
    if not pack.path:
        raise ScriptMissing(f"Pack {pack.ref} has no folder, so {component.ref} cannot run; install the pack again.")
    if not component.entry_point:
        raise RunnerUnavailable(f"{component.ref} is a workflow, which this version of Attune cannot run.")
    contained = runner == Runner.DOCKER and isinstance(component, Action)
    if runner not in SEEDS and not contained:
        raise RunnerUnavailable(
            f"{component.ref} needs the {runner} runner, which this version of Attune does not have; "
            f"use {', '.join(SEEDS)}."
        )
    script = str(component.script)
    _check_script(component, script)
    if not os.path.realpath(script).startswith(os.path.realpath(pack.path) + os.sep):
        raise ScriptMissing(f"{script}, which {component.ref} runs, lies outside its pack; move it inside.")
    if contained:  # what it needs is in its image
        return Command([script], pack.folder, {}), script
    found = installed(runner)
    if found.problem:
        raise RuntimeMissing(f"{component.ref} cannot run here: {found.problem}")
    argv, env, built = [script], {}, None
    if runner == Runner.SHELL:
        argv = [found.path, script]
    elif runner == Runner.PYTHON:
        built = environments.python_built_for(pack)
        found = Installed(str(built.interpreter), built.version)
        argv, env = [found.path, script], python_variables(pack.folder, pack.ref, built.interpreter)
    elif runner == Runner.NODEJS:
        built = environments.nodejs_built_for(pack)
        argv, env = [found.path, script], node_variables(found.path, built.node_modules if built else None)
    _check_version(component, found)
    marks = (str(built.folder / READY),) if built else ()
    return Command(argv, pack.folder, env, _is_warm(component), marks), script


def _is_warm(component: Action | Sensor) -> bool:
    """Only actions, and only where a process that forks is sure to be in good order."""
    if not isinstance(component, Action) or component.runner_type != Runner.PYTHON:
        return False
    wanted = component.runner or component.pack.runner or settings.ATTUNE_PYTHON_RUNNER
    return wanted == Start.WARM and sys.platform == "linux"


def _check_version(component: Action | Sensor, found: Installed) -> None:
    wanted = component.runtime_version
    if not wanted or not found.version:
        return
    try:
        fits = versions.meets(found.version, wanted)
    except ValueError as error:
        raise RuntimeMissing(f"{component.ref}: its runtime_version cannot be read: {error}") from None
    if not fits:
        raise RuntimeMissing(
            f"{component.ref} needs {component.runner_type} {wanted}, but {found.path} is {found.version}; "
            f"install a version that fits, or change its runtime_version."
        )


def python_variables(folder: Path, ref: str, python: Path) -> dict[str, str]:
    """What a pack's Python finds in its environment: its own packages first, `lib` to import from."""
    env = {
        "PATH": f"{python.parent}{os.pathsep}{SYSTEM_PATH}",
        "PYTHONPYCACHEPREFIX": str(settings.ATTUNE_DATA_DIR / "pycache" / ref),  # a run never writes into its pack
        "PYTHONUNBUFFERED": "1",  # what it prints can be read while it runs
    }
    if (folder / "lib").is_dir():
        env["PYTHONPATH"] = str(folder / "lib")
    return env


def node_variables(node: str, modules: Path | None) -> dict[str, str]:
    """What a pack's Node.js finds in its environment: its own packages first."""
    env = {"PATH": f"{Path(node).parent}{os.pathsep}{SYSTEM_PATH}"}
    if modules is not None:
        env["NODE_PATH"] = str(modules)
        env["PATH"] = f"{modules / '.bin'}{os.pathsep}{env['PATH']}"
    return env
