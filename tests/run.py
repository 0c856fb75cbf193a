"""`make test`: the suite in embedded mode, then in server mode on PostgreSQL and Redis; says what could not run.

Server mode uses the services that answer at DATABASE_URL and REDIS_URL (or the usual local ports); failing that, it
starts its own in a temporary folder if the programs are installed. What cannot run is named in the last lines, and is
a failure when CI is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from tests import services

WORKERS = "2"  # tests side by side; each process has its own data folder, database and queues


def main(arguments: list[str]) -> int:
    began = time.monotonic()
    notes: list[str] = []
    print("== Embedded mode: SQLite, broker in memory", flush=True)
    embedded = pytest("embedded", arguments, notes)
    server: int | None = None
    with services.postgres(notes) as database, services.redis(notes) as redis:
        if database and redis:
            print("\n== Server mode: PostgreSQL, Redis", flush=True)
            server = pytest("server", arguments, notes, DATABASE_URL=database, REDIS_URL=redis)
    print(f"\nTook {time.monotonic() - began:.0f} s.")
    for note in dict.fromkeys(notes):
        print(f"NOT RUN: {note}")
    print(f"Embedded mode {_word(embedded)}; server mode {_word(server)}.")
    incomplete = bool(notes) and bool(os.environ.get("CI"))
    return embedded or server or int(incomplete)


def pytest(mode: str, arguments: list[str], notes: list[str], **services_env: str) -> int:
    """Run the suite in one mode; what it skipped is added to the notes."""
    other = {"embedded": "server_only", "server": "embedded_only"}[mode]
    with tempfile.NamedTemporaryFile("r", suffix=".skipped") as skipped:
        env = os.environ | {"ATTUNE_MODE": mode, "ATTUNE_TEST_SKIPPED": skipped.name} | services_env
        command = [sys.executable, "-m", "pytest", "-q", "-n", WORKERS, "--dist", "loadfile", "-m", f"not {other}"]
        code = subprocess.run([*command, *arguments], env=env, check=False).returncode
        notes += [f"{mode} mode: {line}" for line in skipped.read().splitlines()]
    return code


def _word(code: int | None) -> str:
    return "not run" if code is None else "passed" if code == 0 else "FAILED"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
