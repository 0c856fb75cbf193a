"""Tests that are a program: exit code 0 means passed; lines that say `ok …` or `FAIL …` are cases of their own."""

from __future__ import annotations

import os
import re
from pathlib import Path

from apps.packs.testing.programs import Outcome
from apps.packs.testing.results import Case, Status
from attune.lib.errors import AttuneError

_INTERPRETERS = {".sh": "bash", ".bash": "bash", ".js": "node", ".mjs": "node", ".cjs": "node"}
# TAP (`not ok 2 - name # SKIP why`), and its simpler relatives (`ok   name`, `FAIL name: why`).
_LINE = re.compile(
    r"(?P<said>ok|not ok|PASS(?:ED)?|FAIL(?:ED)?|SKIP(?:PED)?)\b:?(?:\s+\d+)?(?:\s+-)?\s+(?P<name>\S.*)\Z"
)
_DIRECTIVE = re.compile(r"\s+#\s*(skip|todo)\b\s*(.*)\Z", re.IGNORECASE)
_PLAN = re.compile(r"1\.\.(\d{1,6})(?:\s*#.*)?\Z")
_BAIL = re.compile(r"Bail out!\s*(.*)\Z")


class NotRunnable(AttuneError):
    """Nothing is known that runs such a file."""


def command(entry: Path, _folder: Path, python: Path, _report: Path) -> list[str]:
    """By its ending, else by itself if it is executable, else as a shell script."""
    if entry.is_dir():
        raise NotRunnable(f"{entry.name} is a folder; name the script that runs the tests in it.")
    if entry.suffix == ".py":
        return [str(python), str(entry)]
    if entry.suffix not in _INTERPRETERS and os.access(entry, os.X_OK):
        return [str(entry)]
    return [_INTERPRETERS.get(entry.suffix, "bash"), str(entry)]


def cases(name: str, outcome: Outcome, _report: Path) -> list[Case]:
    """A case for each line that tells of one, else one for the whole."""
    found, planned, bailed = _told(outcome.stdout)
    went_wrong = any(case.status == Status.FAILED for case in found)
    if outcome.problem or outcome.code is None or outcome.code < 0:
        return [*found, outcome.as_case(name, Status.ERROR, outcome.how)]
    if bailed is not None:
        return [*found, outcome.as_case(name, Status.ERROR, f"It gave up: {bailed}")]
    if planned is not None and planned != len(found):
        message = f"It planned {planned} tests, and {len(found)} were told of."
        return [*found, outcome.as_case(name, Status.ERROR, message)]
    if not found:
        status = Status.FAILED if outcome.code else Status.PASSED
        return [outcome.as_case(name, status, outcome.how if outcome.code else "")]
    if outcome.code and not went_wrong:
        return [*found, outcome.as_case(name, Status.FAILED, outcome.how)]
    return found


def _told(text: str) -> tuple[list[Case], int | None, str | None]:
    """The cases, how many were planned, and why it gave up."""
    found: list[Case] = []
    planned, bailed = None, None
    for line in text.splitlines():
        if plan := _PLAN.match(line):
            planned = int(plan[1])
        elif bail := _BAIL.match(line):
            bailed = bail[1] or "it does not say why"
        elif told := _LINE.match(line):
            found.append(_case(told["said"], told["name"].rstrip()))
    return found, planned, bailed


def _case(said: str, name: str) -> Case:
    directive = _DIRECTIVE.search(name)
    if directive:
        return Case(name[: directive.start()] or name, Status.SKIPPED, message=directive[2])
    if said.startswith("SKIP"):
        return Case(name, Status.SKIPPED)
    if said == "ok" or said.startswith("PASS"):
        return Case(name, Status.PASSED)
    title, colon, why = name.partition(": ")
    return Case(title if colon else name, Status.FAILED, message=why)
