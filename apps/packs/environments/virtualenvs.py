"""Build a virtual environment: with uv, or with venv and pip where there is no uv that runs."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from apps.packs.building import run
from apps.packs.buildlogs import Log
from apps.packs.environments.files import REQUIREMENTS
from apps.packs.environments.interpreters import Interpreter
from apps.packs.environments.wanting import Wanted


def build_bare(target: Path, interpreter: Interpreter, log: Log, deadline: float) -> int:
    """One without any package."""
    run([interpreter.path, "-m", "venv", "--without-pip", str(target)], target.parent, log, deadline)
    return 0


def build(target: Path, interpreter: Interpreter, wanted: Wanted, log: Log, deadline: float) -> int:
    """One with the pack's requirements and the operator's packages, within the constraints."""
    folder, python, uv = wanted.folder, str(target / "bin" / "python"), find_uv()
    if uv:
        run([uv, "venv", "--quiet", "--no-project", "--python", interpreter.path, str(target)], folder, log, deadline)
        install = [uv, "pip", "install", "--python", python]
    else:
        log.write("There is no uv that runs here; venv and pip, which are slower, do the work.")
        run([interpreter.path, "-m", "venv", str(target)], folder, log, deadline)
        install = [python, "-m", "pip", "install", "--no-input"]
    run([*install, *_files(target, wanted)], folder, log, deadline)
    return len(list(site_packages(target).glob("*.dist-info")))


def site_packages(target: Path) -> Path:
    """Where a virtual environment's packages are."""
    return next(iter(target.glob("lib/python*/site-packages")), target)


def find_uv() -> str | None:
    """The uv that came with us, or one on the PATH, if it runs."""
    found: list[str | None] = []
    with contextlib.suppress(ImportError, FileNotFoundError):
        import uv

        found.append(str(uv.find_uv_bin()))
    for path in [*found, shutil.which("uv")]:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if path and subprocess.run([path, "--version"], capture_output=True, timeout=20, env={}).returncode == 0:
                return path
    return None


def _files(target: Path, wanted: Wanted) -> list[str]:
    """What the installer reads. The operator's lines are kept with the environment, to be looked at."""
    arguments = ["-r", REQUIREMENTS] if (wanted.folder / REQUIREMENTS).is_file() else []
    for option, name, lines in (("-r", "packages", wanted.packages), ("-c", "constraints", wanted.constraints)):
        if lines:
            arguments += [option, str(_written(target / f"{name}.txt", lines))]
    return arguments


def _written(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path
