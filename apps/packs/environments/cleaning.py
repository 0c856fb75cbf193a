"""Which environments nobody uses any more, and how one is taken away."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from apps.packs.building import READY, RETIRED, generations, locked
from apps.packs.buildlogs import FAILED, LOG
from apps.packs.environments.places import homes_of, wanted_of
from apps.packs.environments.wanting import Wanted
from apps.packs.models import Pack

DAY = 24 * 3600.0  # seconds since it was last asked for, or retired; who runs in it has long ended


def folders_of(of: Pack | Wanted) -> set[Path]:
    """The folders of the environments that this pack, or these wishes, use today; none is built by asking."""
    return {built.folder for home in homes_of(wanted_of(of)) if (built := home.ready()) is not None}


def unused(keep: Iterable[Path]) -> list[Path]:
    """The folders of environments that are not among those to keep, and that nobody has asked for within a day.

    One that a process of this machine still runs in, as sensors do that began long ago, is left out as well.
    """
    kept = {path.resolve() for path in keep} | _run_in()
    found: list[Path] = []
    for home in sorted(settings.ATTUNE_ENVS_DIR.glob("*-*")):
        if home.is_dir() and not home.is_symlink():
            inside = _in(home)
            old = [path for path in inside if path.resolve() not in kept and _is_old(path)]
            whole = len(old) == len(inside) and home.resolve() not in kept and _is_old(home)
            found += [home] if whole else old
    return found


def remove(path: Path) -> bool:
    """Take away the folder of an environment; False if it was asked for meanwhile. ValueError if it is none."""
    inside = path.resolve().relative_to(settings.ATTUNE_ENVS_DIR.resolve()).parts
    if len(inside) not in (1, 2) or (len(inside) == 2 and not inside[1].isdecimal()):
        raise ValueError(f"{path} is not the folder of an environment")
    home = path if len(inside) == 1 else path.parent
    if not path.is_dir():
        return True
    if not _is_old(path):
        return False
    with locked(home):
        going = _in(home) if path == home else [path]
        if not all(_is_old(one) for one in going):
            return False
        for one in [*going, path]:
            (one / READY).unlink(missing_ok=True)  # it is none any more, even if we get no further
            shutil.rmtree(one, ignore_errors=True)
    return True


def _run_in() -> set[Path]:
    """Those that processes of this machine have in their environment (Linux; they stand in their PATH or NODE_PATH)."""
    found: set[Path] = set()
    root = settings.ATTUNE_ENVS_DIR.resolve()
    known = re.compile(re.escape(os.fsencode(root)) + rb"/([^/:\0]+)/(\d+)/")
    for process in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            named = known.findall(process.read_bytes())
            found |= {root / os.fsdecode(home) / os.fsdecode(number) for home, number in named}
    return found


def _in(home: Path) -> list[Path]:
    return [home / str(number) for number in generations(home)]


def _is_old(path: Path) -> bool:
    """Not built, asked for or retired within a day."""
    with contextlib.suppress(OSError):
        tellers = [one for name in (READY, RETIRED, FAILED, LOG) if (one := path / name).exists()]
        return max(one.stat().st_mtime for one in tellers or [path]) < time.time() - DAY
    return False
