"""The Pythons and the Node.js of this machine, and which of them meets what a pack asks for."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.version import Version

from apps.packs import versions
from apps.packs.environments.stating import NODEJS, PYTHON, Need, needs
from apps.packs.environments.wanting import Wanted
from apps.packs.errors import RuntimeMissing

_NAME = re.compile(r"python3(\.\d+)?\Z")
_OLDEST = Version("3.8")
_ASK = (
    "import json, platform, sys;"
    "print(json.dumps([getattr(sys, '_base_executable', '') or sys.executable, platform.python_version(),"
    " sys.implementation.name]))"
)


@dataclass(frozen=True)
class Interpreter:
    path: str
    version: str

    def __str__(self) -> str:
        return f"{self.version} ({self.path})"


def base_python() -> str:
    """The interpreter our own environment was made from; what is installed beside us cannot be imported from it."""
    return getattr(sys, "_base_executable", "") or sys.executable


def pythons_for(wanted: Wanted) -> Iterator[Interpreter]:
    """The Pythons that meet all that the pack asks for: ours, then the nearest to it, newer ones first.

    Raises RuntimeMissing, if there is none, that names the constraints, who states them, and what there is.
    """
    asked = needs(wanted, PYTHON)
    seen: list[Interpreter] = []
    has_found = False
    for found in _all_pythons():
        seen.append(found)
        if fits(found, asked):
            has_found = True
            yield found
    if not has_found:
        raise RuntimeMissing(_none_fits(wanted, "python", seen, asked))


def _all_pythons() -> Iterator[Interpreter]:
    """Ours first: the others are only looked for when that is not enough."""
    yield Interpreter(base_python(), platform.python_version())
    yield from pythons()


def node_for(wanted: Wanted, *, is_needed: bool) -> Interpreter | None:
    """The Node.js on the PATH, if it meets what the pack asks for; None if there is none and none `is_needed`.

    Raises RuntimeMissing if it does not, or if one is needed and there is none.
    """
    found = node()
    if found is None:
        if is_needed:
            raise RuntimeMissing(
                f"Pack {wanted.ref} needs Node packages, but node is not on the PATH; install Node.js with npm."
            )
        return None
    if not fits(found, asked := needs(wanted, NODEJS)):
        raise RuntimeMissing(_none_fits(wanted, "nodejs", [found], asked))
    return found


def fits(found: Interpreter, asked: Sequence[Need]) -> bool:
    """Whether a version meets all that is asked for. Raises RuntimeMissing for a constraint that cannot be read."""
    try:
        return all(versions.meets(found.version, need.constraint) for need in asked)
    except ValueError as error:
        raise RuntimeMissing(f"The version that {', '.join(n.stated_by for n in asked)} needs: {error}") from None


def _none_fits(wanted: Wanted, kind: str, found: Sequence[Interpreter], asked: Sequence[Need]) -> str:
    """The one constraint that none meets, else all of them, for then no single one is to blame."""
    alone = [need for need in asked if not any(fits(one, [need]) for one in found)]
    said = ", and ".join(f"{need.stated_by} needs {kind} {need.constraint}" for need in (alone or asked)[:6])
    together = "" if alone or len(asked) < 2 else " No one of them meets all of that."
    return (
        f"{said}, but this machine has {', '.join(map(str, found[:10]))}.{together} Install one that fits and put it "
        f"on the server's PATH, or change what pack {wanted.ref} asks for."
    )


@lru_cache(maxsize=1)
def pythons() -> tuple[Interpreter, ...]:
    """The other Pythons of this machine, the nearest to our own version first; looked for once in each process."""
    own = Version(platform.python_version())
    found: dict[str, Interpreter] = {}
    for path in dict.fromkeys(_candidates()):
        told = _ask(path)
        if told and told.path != os.path.realpath(base_python()) and Version(told.version) >= _OLDEST:
            found[told.path] = told
    ranked = sorted(found.values(), key=lambda one: Version(one.version))
    newer = [one for one in ranked if Version(one.version) >= own]
    return (*newer, *reversed([one for one in ranked if Version(one.version) < own]))


@lru_cache(maxsize=1)
def node() -> Interpreter | None:
    path = shutil.which("node")
    if path:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True)
            return Interpreter(path, said.stdout.strip().removeprefix("v"))
    return None


def forget() -> None:
    """Look for them anew the next time."""
    pythons.cache_clear()
    node.cache_clear()


def _candidates() -> Iterator[str]:
    """Programs on the PATH (not of our own environment), and where uv and pyenv keep theirs."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        with contextlib.suppress(OSError):
            if folder and Path(folder).resolve() != Path(sys.prefix, "bin").resolve():
                yield from (str(path) for path in sorted(Path(folder).iterdir()) if _NAME.match(path.name))
    homes = [
        Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions",
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local" / "share" / "uv" / "python"),
    ]
    for home in homes:
        yield from (str(path) for path in sorted(home.glob("*/bin/python3")))


def _ask(path: str) -> Interpreter | None:
    """What is there, as it says itself; None if it does not answer, or is no CPython."""
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        said = subprocess.run([path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=20, check=True, env=env)
        real, version, implementation = json.loads(said.stdout)
        if implementation == "cpython" and re.fullmatch(r"[\d.]+", version):
            return Interpreter(os.path.realpath(real), version)
    return None
