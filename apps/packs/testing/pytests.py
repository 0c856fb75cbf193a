"""Tests for pytest, in the pack's own environment if pytest is there, else in one beside it that has it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from apps.packs.testing.programs import Outcome
from apps.packs.testing.results import Case, Status

Build = Callable[..., Path]  # the interpreter of an environment like the pack's, with these packages too

_LARGEST = 32 * 1024 * 1024  # bytes of a report
_STATUS = {"failure": Status.FAILED, "error": Status.ERROR, "skipped": Status.SKIPPED}
_NO_TESTS = 5  # pytest's exit code


def python_for(python: Path, build: Build) -> Path:
    """The interpreter that has pytest. Raises EnvironmentBroken if it cannot be had."""
    has_it = any(python.parent.parent.glob("lib/python*/site-packages/pytest/__init__.py"))
    return python if has_it else build("pytest")


def command(entry: Path, folder: Path, python: Path, report: Path) -> list[str]:
    options = [
        *("-p", "no:cacheprovider"),
        *("-o", "junit_family=xunit2", "-o", "junit_logging=all", "-o", "junit_log_passing_tests=false"),
        *(f"--junitxml={report}", f"--rootdir={folder}", f"--basetemp={report.parent / 'pytest'}"),
    ]
    return [str(python), "-B", "-m", "pytest", *options, str(entry)]


def cases(name: str, outcome: Outcome, report: Path) -> list[Case]:
    """What the report says; and where there is none, why."""
    found = _cases(report)
    if outcome.problem or found is None:
        return [*(found or []), outcome.as_case(name, Status.ERROR, outcome.how)]
    if outcome.code == _NO_TESTS or not found:
        return [outcome.as_case(name, Status.ERROR, "No tests were found; name a file or folder that has some.")]
    if outcome.code and all(case.status in (Status.PASSED, Status.SKIPPED) for case in found):
        return [*found, outcome.as_case(name, Status.ERROR, outcome.how)]
    return found


def _cases(report: Path) -> list[Case] | None:
    """The cases of a JUnit report; None where there is none that can be read."""
    with contextlib.suppress(OSError, ElementTree.ParseError, ValueError):
        with report.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST or b"<!DOCTYPE" in content:  # pytest writes none: somebody else did
            return None
        report_of = ElementTree.fromstring(content)  # noqa: S314  (without a DOCTYPE it has no entities)
        return [_case(element) for element in report_of.iter("testcase")]
    return None


def _case(element: ElementTree.Element) -> Case:
    status, message = Status.PASSED, ""
    for tag, meant in _STATUS.items():
        if (part := element.find(tag)) is not None:
            status, message = meant, part.text or part.get("message") or ""
    return Case(
        ".".join(filter(None, (element.get("classname"), element.get("name")))),
        status,
        duration_ms=int(float(element.get("time") or 0) * 1000),
        message=message,
        stdout=element.findtext("system-out") or "",
        stderr=element.findtext("system-err") or "",
    )
