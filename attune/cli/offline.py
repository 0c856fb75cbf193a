"""What needs no server but its way of reading packs, which is asked as a program: so nothing is written twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from attune.cli.errors import CommandError, Misused, line_of, lines_of
from attune.cli.output import printable, say, write
from attune.cli.session import Session

REFUSED = 2  # its exit code for what it could not do
ROOT = Path(__file__).resolve().parent.parent.parent


def check(session: Session, path: str) -> None:
    """Print the faults, as compilers do. Raises: CommandError if there are any."""
    report = asked("check", _absolute(path))
    if not session.output.is_table:
        session.output.data(report)
    else:
        for fault in report["faults"]:
            write(printable(line_of(fault)) + "\n")
        for warning in (*report["warnings"], *report["not_loaded"]):
            say(f"warning: {line_of(warning)}")
    named = f"{report['ref'] or path} {report['version']}".strip()
    if report["faults"]:
        number = len(report["faults"])
        raise CommandError(f"{named} has {number} fault{'s' if number > 1 else ''}.")
    say(f"{named} is without fault: {_contents(report['components'])}.")


def build_index(folder: str, *, to: str, **about: str) -> Any:
    """An index of all packs in the folder, written to a folder if one is named."""
    given = about | {"to": str(Path(to).expanduser().resolve()) if to else ""}
    flags = [part for name, value in given.items() if value for part in (f"--{name.replace('_', '-')}", value)]
    return asked("index", _absolute(folder), *flags)


def asked(*arguments: str) -> Any:
    """What `python -m attune.offline` answers. Raises: CommandError for what it could not do."""
    command = [sys.executable, "-m", "attune.offline", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip().splitlines()[-5:] or [f"it ended with {done.returncode}"]
        hint = "This needs the server's own installation; a client alone does not have it."
        raise CommandError("The server's own part for this does not work here:", lines=said, hint=hint) from None
    if done.returncode == REFUSED:
        raise CommandError(answer["message"], lines=lines_of(answer.get("details") or {}))
    return answer


def _absolute(path: str) -> str:
    found = Path(path).expanduser().resolve()
    if not found.is_dir():
        raise Misused(f"{found} is not a folder.")
    return str(found)


def _contents(components: dict[str, int]) -> str:
    return ", ".join(f"{number} {kind if number != 1 else kind[:-1]}" for kind, number in components.items()) or "empty"
