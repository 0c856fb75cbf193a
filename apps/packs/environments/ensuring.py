"""Give a pack what its code needs: find the environment that was built for the same wishes, or build it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.packs import buildlogs
from apps.packs.building import Built, build_once, not_built
from apps.packs.buildlogs import FAILED, Log, Say
from apps.packs.environments import files, nodes, sdk, virtualenvs
from apps.packs.environments.places import (
    homes_of,
    is_sdk_compatible,
    nodejs_home,
    python_home,
    python_homes,
    wanted_of,
)
from apps.packs.environments.stating import NODEJS, PYTHON
from apps.packs.environments.wanting import Wanted
from apps.packs.errors import EnvironmentMissing
from apps.packs.models import Pack
from attune.lib.errors import AttuneError

TIMEOUT = 600.0  # seconds for all that one pack needs


@dataclass(frozen=True)
class Environment:
    """All that a pack's code needs besides itself."""

    python: Built
    nodejs: Built | None = None  # None: it asks for no Node packages


def ensure(of: Pack | Wanted, *, force: bool = False, timeout: float = TIMEOUT, say: Say | None = None) -> Environment:
    """Build what the pack needs and does not have yet. `timeout` is for all of it.

    Raises EnvironmentBroken with the end of the log, RuntimeMissing where no interpreter here is what is asked for.
    """
    wanted, deadline = wanted_of(of), time.monotonic() + timeout
    python = ensure_python(wanted, force=force, timeout=timeout, say=say)
    left = max(0.0, deadline - time.monotonic())
    return Environment(python, ensure_nodejs(wanted, force=force, timeout=left, say=say))


def ensure_python(wanted: Wanted, *, force: bool = False, timeout: float = TIMEOUT, say: Say | None = None) -> Built:
    """The virtual environment that is wanted; a bare one where neither the pack nor its operator asks for packages.

    `say` gets the lines of the log while it is built. Raises EnvironmentBroken, RuntimeMissing.
    """
    home = python_home(wanted)
    hooked = is_sdk_compatible(wanted)

    def build(target: Path, log: Log) -> int:
        deadline = time.monotonic() + timeout
        if home.is_bare:
            return virtualenvs.build_bare(target, home.interpreter, log, deadline)
        count = virtualenvs.build(target, home.interpreter, wanted, log, deadline)
        sdk.place(target, log, wanted=hooked)
        return count

    built = build_once(PYTHON, home.folder, wanted.ref, home.interpreter.version, build, force=force, say=say)
    if hooked and not built.fresh:
        sdk.refresh(built.folder)
    return built


def ensure_nodejs(
    wanted: Wanted, *, force: bool = False, timeout: float = TIMEOUT, say: Say | None = None
) -> Built | None:
    """The node_modules that are wanted; None where package.json asks for nothing, or is not there.

    Scripts of the packages are run only where the operator allows it. Raises EnvironmentBroken, RuntimeMissing.
    """
    home = nodejs_home(wanted)
    if home is None:
        return None
    given = files.node_files(wanted.folder)

    def build(target: Path, log: Log) -> int:
        return nodes.build(target, given, wanted, log, time.monotonic() + timeout)

    return build_once(NODEJS, home.folder, wanted.ref, home.interpreter.version, build, force=force, say=say)


def python_built_for(pack: Pack) -> Built:
    """What runs the pack's Python code. Raises EnvironmentMissing or EnvironmentBroken if that is not built, and
    RuntimeMissing.

    A pack without requirements shares a bare environment with others, which is made when first asked for.
    """
    wanted = Wanted.of(pack)
    home = python_home(wanted)
    return ensure_python(wanted) if home.is_bare and not home.ready() else _find_python(wanted)


def python_of(pack: Pack) -> Path:
    """The interpreter that runs the pack's Python code; raises as `python_built_for` does."""
    return python_built_for(pack).interpreter


def nodejs_built_for(pack: Pack) -> Built | None:
    """The pack's Node packages, None where it needs none.

    Raises EnvironmentMissing or EnvironmentBroken if they are not installed, RuntimeMissing.
    """
    return _find_nodejs(Wanted.of(pack))


def node_modules_of(pack: Pack) -> Path | None:
    """The pack's node_modules, None where it needs none; raises as `nodejs_built_for` does."""
    built = nodejs_built_for(pack)
    return built.node_modules if built else None


def build_log(of: Pack | Wanted) -> str:
    """The logs of the pack's environments as they are today, that of a later failure included; for people to read."""
    parts = []
    for home in homes_of(wanted_of(of)):
        built = home.ready()
        for said, path in (("", built.log if built else None), (" (the last try, which failed)", home.folder / FAILED)):
            text = buildlogs.read(path) if path else ""
            if text:
                parts.append(f"== {home.kind} {home.interpreter.version}{said}\n{text.rstrip()}\n")
    return "\n".join(parts)


def facts_of(of: Pack | Wanted) -> dict[str, Any]:
    """Whether it is there, for people: `python`, `nodejs` (empty where no Node packages are asked for), `build_log`.

    Each with its state (`ready`, `missing` or `broken`), and either what it is or what is the matter.
    """
    wanted = wanted_of(of)
    found: dict[str, Any] = {PYTHON: {}, NODEJS: {}, "build_log": build_log(wanted)}
    for kind, lookup in ((PYTHON, _find_python), (NODEJS, _find_nodejs)):
        try:
            built = lookup(wanted)
        except AttuneError as error:
            state = "missing" if isinstance(error, EnvironmentMissing) else "broken"
            found[kind] = {"state": state, "error": error.message}
        else:
            if built:
                facts = {"path": str(built.folder), "version": built.version, "package_count": built.package_count}
                found[kind] = {"state": "ready", **facts}
    return found


# Looking only --------------------------------------------------------------------------------------------------------
def _find_python(wanted: Wanted) -> Built:
    for home in python_homes(wanted):
        if built := home.ready():
            return built
    raise not_built(python_home(wanted).folder, wanted.ref)


def _find_nodejs(wanted: Wanted) -> Built | None:
    home = nodejs_home(wanted)
    if home is None:
        return None
    if built := home.ready():
        return built
    raise not_built(home.folder, wanted.ref)
