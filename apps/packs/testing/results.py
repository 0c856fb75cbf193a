"""What came of a pack's tests: suites of cases, counted, in bounds, and in the words of the wire. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from attune.lib.json_values import storable_text
from attune.lib.masks import Mask

MOST_CASES = 2000  # that are listed of a suite; all are counted
LONGEST_NAME = 300
LONGEST = 4000  # characters of a message or an output


class Status(StrEnum):
    """Of a case and of the whole; `error` is what could not be run to its end."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


@dataclass(frozen=True)
class Case:
    """One test."""

    name: str
    status: Status
    duration_ms: int = 0
    message: str = ""
    stdout: str = ""
    stderr: str = ""

    def on_the_wire(self, mask: Mask) -> dict[str, Any]:
        texts = {"errorMessage": self.message, "stdout": self.stdout, "stderr": self.stderr}
        return {
            "name": _cut(mask.text(self.name), LONGEST_NAME),
            "status": str(self.status),
            "durationMs": self.duration_ms,
            **{name: _cut(mask.text(text), LONGEST) for name, text in texts.items() if text},
        }


@dataclass(frozen=True)
class Suite:
    """What one runner of the manifest found out."""

    name: str
    runner_type: str
    cases: list[Case] = field(default_factory=list)
    duration_ms: int = 0

    def count(self, *statuses: Status) -> int:
        return sum(case.status in statuses for case in self.cases)

    def on_the_wire(self, mask: Mask) -> dict[str, Any]:
        # What went wrong is listed in any case.
        listed = sorted(self.cases, key=lambda case: case.status in (Status.PASSED, Status.SKIPPED))[:MOST_CASES]
        cases = self.cases if len(self.cases) <= MOST_CASES else listed
        return {
            "name": _cut(mask.text(self.name), LONGEST_NAME),
            "runnerType": self.runner_type,
            "total": len(self.cases),
            "passed": self.count(Status.PASSED),
            "failed": self.count(Status.FAILED, Status.ERROR),
            "skipped": self.count(Status.SKIPPED),
            "durationMs": self.duration_ms,
            "testCases": [case.on_the_wire(mask) for case in cases],
        }


@dataclass(frozen=True)
class TestResult:
    """All of it. `mask` hides secrets wherever the result is shown or kept."""

    __test__ = False  # not a test of ours, whatever its name

    pack_ref: str
    pack_version: str
    began: datetime
    duration_ms: int = 0
    suites: list[Suite] = field(default_factory=list)
    mask: Mask = field(default_factory=lambda: Mask(()))

    def count(self, *statuses: Status) -> int:
        return sum(suite.count(*statuses) for suite in self.suites)

    @property
    def total(self) -> int:
        return sum(len(suite.cases) for suite in self.suites)

    @property
    def passed(self) -> int:
        return self.count(Status.PASSED)

    @property
    def failed(self) -> int:
        return self.count(Status.FAILED, Status.ERROR)

    @property
    def skipped(self) -> int:
        return self.count(Status.SKIPPED)

    @property
    def pass_rate(self) -> float:
        """Of those that were not skipped, from 0 to 1; 1 where none failed for none ran."""
        ran = self.passed + self.failed
        return round(self.passed / ran, 4) if ran else 1.0

    @property
    def status(self) -> Status:
        for status in (Status.ERROR, Status.FAILED, Status.PASSED):
            if self.count(status):
                return status
        return Status.SKIPPED

    @property
    def problems(self) -> list[str]:
        """A line for each case that went wrong."""
        wrong = [case for suite in self.suites for case in suite.cases if case.status in (Status.FAILED, Status.ERROR)]
        said = [f"{case.name}: {_last_line(case.message)}" if case.message else case.name for case in wrong]
        return [_cut(self.mask.text(line), LONGEST_NAME) for line in said]

    def on_the_wire(self) -> dict[str, Any]:
        return {
            "packRef": self.pack_ref,
            "packVersion": self.pack_version,
            "executionTime": self.began.isoformat(timespec="microseconds"),
            "status": str(self.status),
            "totalTests": self.total,
            "passed": self.passed,
            "failed": self.failed,
            "skipped": self.skipped,
            "passRate": self.pass_rate,
            "durationMs": self.duration_ms,
            "testSuites": [suite.on_the_wire(self.mask) for suite in self.suites],
        }


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _cut(text: str, limit: int) -> str:
    """Its beginning and its end, where it is too long."""
    text = storable_text(text)
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]} … {text[-half:]}"
