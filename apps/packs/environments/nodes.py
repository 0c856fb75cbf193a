"""Build node_modules with npm: `ci` where there is a lock, else `install`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from apps.packs.building import run
from apps.packs.buildlogs import Log
from apps.packs.environments.wanting import Wanted
from apps.packs.errors import RuntimeMissing


def build(target: Path, given: Mapping[str, bytes], wanted: Wanted, log: Log, deadline: float) -> int:
    """Install what these files (package.json, perhaps a lock) ask for. Raises BuildFailed, RuntimeMissing."""
    npm = shutil.which("npm")
    if not npm:
        raise RuntimeMissing(
            f"Pack {wanted.ref} needs Node packages, but npm is not on the PATH; install Node.js with npm."
        )
    target.mkdir(parents=True)
    for name, content in given.items():
        (target / name).write_bytes(content)
    command = "ci" if len(given) > 1 else "install"
    scripts = [] if wanted.allow_scripts else ["--ignore-scripts"]
    run([npm, command, *scripts, "--omit=dev", "--no-audit", "--no-fund"], target, log, deadline)
    modules = target / "node_modules"
    modules.mkdir(exist_ok=True)  # npm makes none where all that is asked for is optional and does not fit here
    return len([*modules.glob("*/package.json"), *modules.glob("@*/*/package.json")])
