"""Which of several versions of a pack is the newer one (semver.org 2.0.0, chapter 11), and which of them may be taken.

Pure.
"""

from __future__ import annotations

import re
from functools import total_ordering

from apps.packs import versions

_PRE_RELEASE = re.compile(r"\d-?[A-Za-z]|\d-[0-9A-Za-z]")  # within a constraint: 1.0.0-rc.1, 1.0rc1
MOST_ALTERNATIVES = 100


@total_ordering
class Precedence:
    """A semantic version as a key to sort by; what follows a `+` does not count."""

    def __init__(self, version: str) -> None:
        numbers, _, identifiers = version.partition("+")[0].partition("-")
        self.release = tuple(int(number) for number in numbers.split("."))
        # No identifiers at all come last; numbers come before words, and few before many.
        self.identifiers = [
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in identifiers.split(".") if identifiers
        ]

    def _key(self) -> tuple[object, ...]:
        return self.release, not self.identifiers, self.identifiers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Precedence) and self._key() == other._key()

    def __lt__(self, other: Precedence) -> bool:
        return self._key() < other._key()

    __hash__ = None  # type: ignore[assignment]


def is_pre_release(version: str) -> bool:
    return "-" in version.partition("+")[0]


def allows(constraint: str, version: str) -> bool:
    """Whether a constraint takes a version: a pre-release only where it names one. ValueError for what is none."""
    exact = constraint.strip().lstrip("v=").strip()
    if versions.SEMVER.match(exact):
        return Precedence(exact) == Precedence(version)
    if is_pre_release(version) and not _PRE_RELEASE.search(constraint):
        return False
    return versions.meets(version, constraint)


def both(*constraints: str) -> str:
    """One constraint that asks for all of these. ValueError where that takes more alternatives than anybody means."""
    joined = [""]
    for constraint in dict.fromkeys(filter(None, map(str.strip, constraints))):
        if constraint in ("*", "x", "latest"):
            continue
        alternatives = [part.strip() for part in constraint.split("||")]
        if len(joined) * len(alternatives) > MOST_ALTERNATIVES:
            raise ValueError("there are too many alternatives")
        joined = [", ".join(filter(None, (before, part))) for before in joined for part in alternatives]
    return " || ".join(joined)
