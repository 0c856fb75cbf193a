"""Build one environment once: under a file lock, with a log, and ready only when it is whole.

What was wished for has a folder (its home), and each build of it a numbered one therein (a generation), at its final
place from the start, for its paths are written into its scripts. It counts from the moment its `ready.json` is there,
which is written last; a build that died half-way is thus no environment, and the next begins anew. Building anew by
force makes the next generation and retires the one before, which whoever runs in it may go on using.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.packs.buildlogs import FAILED, LOG, Log, Say, story
from apps.packs.errors import EnvironmentBroken, EnvironmentMissing
from apps.packs.indexes import build_variables
from attune.lib import processes

Builder = Callable[[Path, Log], int]  # builds at this place, and says how many packages there are

READY = "ready.json"
RETIRED = "retired.json"
_GLANCE = 0.1  # seconds between two looks at a running command


@dataclass(frozen=True)
class Built:
    """One environment: its folder, the version of its interpreter, how many packages, and whether it was built now."""

    kind: str  # python, nodejs
    folder: Path
    version: str
    package_count: int
    fresh: bool = False

    @property
    def interpreter(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def node_modules(self) -> Path:
        return self.folder / "node_modules"

    @property
    def log(self) -> Path:
        return self.folder / LOG


def build_once(
    kind: str, home: Path, ref: str, version: str, build: Builder, *, force: bool = False, say: Say | None = None
) -> Built:
    """The environment of this home; built if it is not there, or by force. Raises EnvironmentBroken."""
    if not force and (built := ready(kind, home)) is not None:
        return _used(built)
    home.mkdir(parents=True, exist_ok=True)
    with locked(home):
        before = ready(kind, home)
        if before is not None and not force:  # somebody else has just built it
            return _used(before)
        (home / FAILED).unlink(missing_ok=True)
        _clear(home, before)
        target = home / str(max([0, *generations(home)]) + 1)
        log = Log(home / LOG, say)
        log.write(f"Building {kind} {version} for pack {ref}.")
        try:
            count = build(target, log)
        except (BuildFailed, OSError) as failed:
            shutil.rmtree(target, ignore_errors=True)
            log.path.rename(home / FAILED)
            raise EnvironmentBroken(
                story(ref, home / FAILED, str(failed), keeps=before is not None), details={"log": str(home / FAILED)}
            ) from None
        log.path.rename(target / LOG)
        _write(target / READY, {"kind": kind, "version": version, "package_count": count, "built_for": ref})
        if before is not None:
            _retire(before.folder)
        return Built(kind, target, version, count, fresh=True)


def ready(kind: str, home: Path) -> Built | None:
    """The environment in use of this home: built to the end, and its interpreter still there.

    A system upgrade may have taken that away.
    """
    for number in sorted(generations(home), reverse=True):
        target = home / str(number)
        entry = target / "node_modules" if kind == "nodejs" else target / "bin" / "python"
        with contextlib.suppress(OSError, ValueError, KeyError):
            facts = json.loads((target / READY).read_bytes())
            if entry.exists():
                return Built(kind, target, facts["version"], facts["package_count"])
    return None


def generations(home: Path) -> list[int]:
    """The numbers of all its builds, whole or not."""
    with contextlib.suppress(OSError):
        return [int(path.name) for path in home.iterdir() if path.name.isdecimal() and len(path.name) < 10]
    return []


def not_built(home: Path, ref: str) -> EnvironmentMissing | EnvironmentBroken:
    """The error for an environment that is not there: never built, or the last try failed."""
    if (home / FAILED).is_file():
        return EnvironmentBroken(story(ref, home / FAILED, "the last try failed"), details={"log": str(home / FAILED)})
    return EnvironmentMissing(
        f"The environment of pack {ref} is not built yet, at least not with today's wishes. Build it on the pack's "
        f"page, with `attune pack build {ref}`, or with: manage.py load_pack {ref}"
    )


# One command of a build ----------------------------------------------------------------------------------------------
class BuildFailed(Exception):
    """A command of a build failed."""


def run(argv: Sequence[str], folder: Path, log: Log, deadline: float) -> None:
    """Run one command of a build, its output to the log. Raises BuildFailed if it fails or takes too long.

    All it started is ended with it, found by its group and by the folder for temporary files that only it has.
    """
    temporary = settings.ATTUNE_TMP_DIR / f"build-{os.getpid()}-{time.monotonic_ns()}"
    temporary.mkdir(parents=True)
    marker = f"TMPDIR={temporary}"
    log.write(f"$ {' '.join(argv)}")
    try:
        with log.path.open("ab") as output:
            env = build_variables() | {"TMPDIR": str(temporary)}
            process = processes.start(argv, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT, marker=marker)
        try:
            code = _wait(process, log, deadline)
        finally:
            processes.end_group(process, grace=0.0, marker=marker)
            processes.release(process.pid)
            log.follow(to_the_end=True)
    except OSError as error:
        raise BuildFailed(f"{argv[0]} could not be started in {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if code != 0:
        raise BuildFailed(f"{Path(argv[0]).name} exited with code {code}")


def _wait(process: subprocess.Popen[bytes], log: Log, deadline: float) -> int:
    while True:
        left = deadline - time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(max(0.0, min(left, _GLANCE)))
        log.follow()
        if left <= 0:
            raise BuildFailed("it took too long and was stopped")
        if log.is_full:
            raise BuildFailed("it printed too much and was stopped")


# Homes ---------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Nobody else builds or removes here meanwhile."""
    path = home / "lock"
    while True:
        home.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("w")
        except FileNotFoundError:  # who had the lock before has just removed it
            continue
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file.fileno()):
                yield
                return


def _is_at(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    return False


def _used(built: Built) -> Built:
    """Noted, so that a clean-up sees that somebody has just asked for it."""
    with contextlib.suppress(OSError):
        os.utime(built.folder / READY)
    return built


def _clear(home: Path, current: Built | None) -> None:
    """Away with what builds left that died half-way; a whole one that is not in use (any more) is retired."""
    (home / LOG).unlink(missing_ok=True)
    for target in [home / str(number) for number in generations(home)]:
        if (target / READY).exists():
            if current is None or target != current.folder:
                _retire(target)
        elif not (target / RETIRED).exists():
            shutil.rmtree(target, ignore_errors=True)


def _retire(target: Path) -> None:
    """No longer in use for what begins now; from now on its age counts."""
    with contextlib.suppress(OSError):
        (target / READY).rename(target / RETIRED)
        os.utime(target / RETIRED)


def _write(path: Path, facts: dict[str, Any]) -> None:
    new = path.with_name(f".{path.name}")
    new.write_text(json.dumps(facts))
    new.rename(path)
