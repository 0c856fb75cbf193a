"""`make chaos`: the long version, about ten minutes; `make chaos SEED=7` the one with that seed again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos import report
from tests.chaos.nemesis import SEED


def main(arguments: list[str]) -> int:
    print(f"CHAOS_SEED={SEED}", flush=True)
    env = os.environ | {"ATTUNE_MODE": "server", "CHAOS_LONG": "1", "CHAOS_SEED": str(SEED)}
    with tempfile.NamedTemporaryFile(suffix=".report") as file:
        code = _run(arguments, env | {report.PLACE: file.name})
        print(f"\n{report.told(Path(file.name))}\n\nCHAOS_SEED={SEED}: {'failed' if code else 'all equations held'}.")
    return code


def _run(arguments: list[str], env: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", "-v", "-m", "not embedded_only", *(arguments or ["tests/chaos"])]
    return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
