"""Keep what came of a pack's tests, and say whether the pack may be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.packs.models import Installation, PackTest
from apps.packs.testing.results import Status, TestResult

LENIENT = ("warn", "ignore", "continue", "allow")  # other words for `on_failure` block, and so does saying nothing


def keep(result: TestResult, *, reason: str, installation: Installation | None = None) -> PackTest:
    """Write the result to a row."""
    return PackTest.objects.create(
        pack_ref=result.pack_ref,
        pack_version=result.pack_version,
        trigger_reason=reason,
        status=result.status,
        total=result.total,
        passed=result.passed,
        failed=result.failed,
        skipped=result.skipped,
        pass_rate=result.pass_rate,
        duration_ms=result.duration_ms,
        result=result.on_the_wire(),
        installation=installation,
    )


def blocks(result: TestResult, testing: Mapping[str, Any]) -> str:
    """Why the pack may not be used, in a sentence; empty where it may.

    That is, by the manifest's `on_failure`, where a test could not be run to its end, or too few passed.
    """
    if str(testing.get("on_failure") or "").strip().lower() in LENIENT:
        return ""
    least = _least(testing.get("min_pass_rate"))
    if result.status == Status.ERROR:
        said = "could not be run to their end"
    elif result.pass_rate < least:
        said = f"passed at {result.pass_rate:.0%}, and {least:.0%} is asked for"
    else:
        return ""
    problems = [problem.rstrip(".") for problem in result.problems]
    more = f" And {len(problems) - 3} more." if len(problems) > 3 else ""
    return f"The tests of pack {result.pack_ref} {result.pack_version} {said}: {'; '.join(problems[:3])}.{more}"


def _least(given: Any) -> float:
    """`min_pass_rate` from 0 to 1; a number beyond 1 is meant as per cent, what is no number as 1."""
    if isinstance(given, bool) or not isinstance(given, int | float) or given < 0:
        return 1.0
    return min(1.0, given / 100 if given > 1 else float(given))
