"""Tests for Python's own unittest: run by a program of ours (`unittest-runner.py`) in the pack's Python, which writes a
line of JSON as each test ends."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from apps.packs.testing.programs import Outcome
from apps.packs.testing.results import Case, Status

_RUNNER = Path(__file__).with_name("unittest-runner.py")
_LARGEST = 32 * 1024 * 1024  # bytes of a report


def command(entry: Path, folder: Path, python: Path, report: Path) -> list[str]:
    return [str(python), "-B", str(_RUNNER), str(report), str(folder), str(entry)]


def cases(name: str, outcome: Outcome, report: Path) -> list[Case]:
    """What the report says; and where it does not reach to the end, why."""
    lines = _lines(report)
    found = [case for line in lines if (case := _case(line)) is not None]
    is_whole = any("ran" in line for line in lines)
    if outcome.problem or not is_whole:
        begun = next((line["begun"] for line in reversed(lines) if "begun" in line), "")
        during = f" It was in {begun}." if begun and not is_whole else ""
        return [*found, outcome.as_case(name, Status.ERROR, outcome.how + during)]
    if not found:
        return [outcome.as_case(name, Status.ERROR, "No tests were found; name a file or folder that has some.")]
    return found


def _case(line: dict[str, Any]) -> Case | None:
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return Case(
            str(line["name"]),
            Status(line["status"]),
            duration_ms=int(line["duration_ms"]),
            message=str(line["message"]),
        )
    return None


def _lines(report: Path) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    with contextlib.suppress(OSError), report.open("rb") as file:
        for line in file.read(_LARGEST).splitlines():
            with contextlib.suppress(ValueError):
                if isinstance(data := json.loads(line), dict):
                    lines.append(data)
    return lines
