"""Run the runners that a pack's manifest names, one after another, and put together what came of them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.packs import environments, runtimes
from apps.packs.environments import Wanted
from apps.packs.manifests import stays_inside
from apps.packs.models import Action
from apps.packs.testing import programs, pytests, scripts, unittests
from apps.packs.testing.results import Case, Status, Suite, TestResult
from attune.lib.errors import AttuneError
from attune.lib.masks import Mask
from attune.lib.surroundings import base_environment

DEFAULT_TIMEOUT = 300.0  # seconds for a runner that names none
MOST_RUNNERS = 20
KINDS = {"script": scripts, "unittest": unittests, "pytest": pytests}


class Unrunnable(Exception):
    """A runner that cannot be run, and why."""


@dataclass(frozen=True)
class Setting:
    """What all runners of a pack have in common."""

    ref: str
    folder: Path
    python: Path
    node_modules: Path | None
    say: programs.Say
    mask: Mask
    deadline: float
    wanted: Wanted

    @property
    def left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


def has_tests(testing: Mapping[str, Any]) -> bool:
    """Whether the manifest names tests that are switched on."""
    return testing.get("enabled") is not False and bool(testing.get("runners"))


def run_tests(
    *,
    ref: str,
    version: str,
    folder: Path,
    testing: Mapping[str, Any],
    python: Path,
    node_modules: Path | None = None,
    say: programs.Say = lambda _: None,
    timeout_cap: float = 600.0,
    wanted: Wanted | None = None,
    hidden: Iterable[Any] = (),
) -> TestResult:
    """Run the tests of the pack in this folder, with the interpreter and modules of its environment.

    Never raises for what is wrong with the tests: that is in the result. `say` gets what they print, line by line.
    `timeout_cap` is for all of them together. `wanted` is of use where tests need more packages than the pack does;
    `hidden` are secrets that must not be shown.
    """
    began, clock = datetime.now(UTC), time.monotonic()
    setting = Setting(
        ref=ref,
        folder=folder,
        python=python,
        node_modules=node_modules,
        say=say,
        mask=Mask(hidden),
        deadline=clock + timeout_cap,
        wanted=wanted or Wanted(ref=ref, folder=folder),
    )
    runners = testing.get("runners") if has_tests(testing) else {}
    named = list(runners.items())[:MOST_RUNNERS] if isinstance(runners, Mapping) else []
    suites = [_suite(str(name), runner, setting) for name, runner in named]
    duration = int((time.monotonic() - clock) * 1000)
    return TestResult(ref, version, began, duration, suites, setting.mask)


def _suite(name: str, runner: Any, setting: Setting) -> Suite:
    began = time.monotonic()
    kind = str(runner.get("type") or "script") if isinstance(runner, Mapping) else ""
    setting.say(f"Tests {name} ({kind or 'unknown'}):")
    try:
        cases = _cases(name, kind, runner, setting)
    except Unrunnable as why:
        cases = [Case(name, Status.ERROR, message=str(why))]
    except AttuneError as error:
        cases = [Case(name, Status.ERROR, message=error.message)]
    suite = Suite(name, kind, cases, int((time.monotonic() - began) * 1000))
    for case in cases:
        if case.status in (Status.FAILED, Status.ERROR):
            setting.say(setting.mask.text(f"{case.status}: {case.name}")[: programs.LONGEST_LINE])
    said = f"{suite.count(Status.PASSED)} passed, {suite.count(Status.FAILED, Status.ERROR)} failed"
    setting.say(f"Tests {name}: {said}, {suite.count(Status.SKIPPED)} skipped.")
    return suite


def _cases(name: str, kind: str, runner: Any, setting: Setting) -> list[Case]:
    if kind not in KINDS:
        raise Unrunnable(f"Its type is {kind!r}; use {', '.join(KINDS)}.")
    entry = _entry(runner.get("entry_point"), setting.folder)
    timeout = min(_timeout(runner.get("timeout")), setting.left)
    if timeout <= 0:
        raise Unrunnable("There was no time left for it.")
    python = pytests.python_for(setting.python, _beside(setting)) if kind == "pytest" else setting.python
    settings.ATTUNE_TMP_DIR.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="test-", dir=settings.ATTUNE_TMP_DIR))
    try:
        report = temporary / "report"
        argv = KINDS[kind].command(entry, setting.folder, python, report)
        outcome = programs.run(
            argv,
            cwd=setting.folder,
            env=_environment(setting, python, temporary),
            temporary=temporary,
            timeout=timeout,
            say=setting.say,
            mask=setting.mask,
        )
        return KINDS[kind].cases(name, outcome, report)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _entry(given: Any, folder: Path) -> Path:
    """The file or folder to run. Raises Unrunnable."""
    if not isinstance(given, str) or not stays_inside(given):
        raise Unrunnable("It names no `entry_point` within the pack; give the path of a file or folder in it.")
    path = folder / given
    if not path.exists():
        raise Unrunnable(f"Its entry point {given} is not there; add it, or correct the path in pack.yaml.")
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        raise Unrunnable(f"Its entry point {given} leads out of the pack; put a copy of the file there.")
    return path


def _timeout(given: Any) -> float:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return float(given) if is_number and given > 0 else DEFAULT_TIMEOUT


def _beside(setting: Setting) -> pytests.Build:
    """Builds an environment like the pack's with more packages in it."""

    def build(*packages: str) -> Path:
        wanted = setting.wanted.with_packages(*packages)
        return environments.ensure_python(wanted, timeout=setting.left, say=setting.say).interpreter

    return build


def _environment(setting: Setting, python: Path, temporary: Path) -> dict[str, str]:
    """As an action of the pack finds it, but without a token, and with folders of its own that go with it."""
    node = runtimes.installed(Action.Runner.NODEJS)
    for_python = runtimes.python_variables(setting.folder, setting.ref, python)
    for_node = runtimes.node_variables(node.path, setting.node_modules) if node.path else {}
    base = base_environment()
    home, artifacts = temporary / "home", temporary / "artifacts"
    for made in (home, artifacts):
        made.mkdir()
    paths = [str(python.parent), for_node.get("PATH", ""), base["PATH"]]
    return {
        **base,
        **for_node,
        **for_python,
        "PATH": ":".join(filter(None, paths)),
        "HOME": str(home),
        "PWD": str(setting.folder),
        "ATTUNE_PACK_REF": setting.ref,
        "ATTUNE_ARTIFACTS_DIR": str(artifacts),
    }
