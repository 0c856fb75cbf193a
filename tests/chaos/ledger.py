"""What actions wrote down themselves, read back: the only witness that is none of Attune's own parts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Attempt:
    """One attempt of one execution, as its own program saw it."""

    execution: int
    number: int
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)  # the times of all its lines, and of its children's

    @property
    def first(self) -> float:
        return min(self.seen)

    @property
    def last(self) -> float:
        return max(self.seen)


class Ledger:
    """The file, and what it says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def attempts(self) -> dict[int, list[Attempt]]:
        """The attempts of each execution. Raises ValueError for a line that is none: then two writes were mixed."""
        found: dict[tuple[int, int], Attempt] = {}
        for line in self.path.read_text().splitlines():
            word, execution, number, at, _ = line.split(" ")
            key = int(execution), int(number)
            attempt = found.setdefault(key, Attempt(*key))
            {"START": attempt.starts, "END": attempt.ends, "BEAT": []}[word].append(float(at))
            attempt.seen.append(float(at))
        by_execution: dict[int, list[Attempt]] = defaultdict(list)
        for attempt in sorted(found.values(), key=lambda attempt: attempt.first):
            by_execution[attempt.execution].append(attempt)
        return by_execution

    def of(self, execution: int) -> list[Attempt]:
        return self.attempts().get(execution, [])

    def started(self, execution: int) -> bool:
        return any(attempt.starts for attempt in self.of(execution))

    def last_sign_of(self, execution: int) -> float:
        return max(attempt.last for attempt in self.of(execution))
