"""`make test`: the suite in embedded mode, then in server mode on PostgreSQL and Redis; says what could not run.

Server mode uses the services that answer at DATABASE_URL and REDIS_URL (or the usual local ports); failing that, it
starts its own in a temporary folder if the programs are installed. What cannot run is named in the last lines, and is
a failure when CI is set.

Real processes share one machine with other tests. A test that fails is looked at once more, alone: if it fails again,
so does the run; if not, something shook it, which is named in the last lines too, for somebody to mend.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import services

WORKERS = "2"  # tests side by side; each process has its own data folder, database and queues
MOST_SHAKEN = 3  # tests of one mode that get a second look; if more fail it is no accident
FAILED = 1  # pytest's exit code for failed tests, and for nothing else


def main(arguments: list[str]) -> int:
    began = time.monotonic()
    notes: list[str] = []
    shaken: list[str] = []
    print("== Embedded mode: SQLite, broker in memory", flush=True)
    embedded = pytest("embedded", arguments, notes, shaken)
    server: int | None = None
    with services.postgres(notes) as database, services.redis(notes) as redis:
        if database and redis:
            print("\n== Server mode: PostgreSQL, Redis", flush=True)
            server = pytest("server", arguments, notes, shaken, DATABASE_URL=database, REDIS_URL=redis)
    print(f"\nTook {time.monotonic() - began:.0f} s.")
    for note in dict.fromkeys(notes):
        print(f"NOT RUN: {note}")
    for test in shaken:
        print(f"SHAKEN: {test} failed, and passed when it was run alone; find out why.")
    print(f"Embedded mode {_word(embedded)}; server mode {_word(server)}.")
    incomplete = bool(notes) and bool(os.environ.get("CI"))
    return embedded or server or int(incomplete)


def pytest(mode: str, arguments: list[str], notes: list[str], shaken: list[str], **services_env: str) -> int:
    """Run the suite in one mode; what it skipped is added to the notes, and what failed only once to the shaken."""
    other = {"embedded": "server_only", "server": "embedded_only"}[mode]
    with tempfile.TemporaryDirectory() as folder:
        skipped, failed = Path(folder, "skipped"), Path(folder, "failed")
        env = os.environ | {"ATTUNE_MODE": mode, "ATTUNE_TEST_SKIPPED": str(skipped), "ATTUNE_TEST_FAILED": str(failed)}
        command = [sys.executable, "-m", "pytest", "-q", "-m", f"not {other}"]
        side_by_side = [*command, "-n", WORKERS, "--dist", "loadfile", *arguments]
        code = subprocess.run(side_by_side, env=env | services_env, check=False).returncode
        not_run, tests = _lines(skipped), _lines(failed)
        if code == FAILED and 0 < len(tests) <= MOST_SHAKEN:
            print(f"\n== A second look at what failed in {mode} mode", flush=True)
            code = subprocess.run([*command, *tests], env=env | services_env, check=False).returncode
            shaken += [f"{mode} mode: {test}" for test in tests] if code == 0 else []
            not_run += _lines(skipped)
        notes += [f"{mode} mode: {line}" for line in not_run]
    return code


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _word(code: int | None) -> str:
    return "not run" if code is None else "passed" if code == 0 else "FAILED"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
