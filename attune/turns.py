"""Who is next: hints that wait in lanes, and within a lane each flow (a rule, a person) in its turn.

A hint's place is one behind the last of its own flow, but never before the first that waits. So who sends thousands
stands behind everybody else's next one, as in start-time fair queueing. Popping takes the lowest place.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

STAMP = 20  # characters before each hint that keep those of one place in the order in which they were sent


@dataclass(frozen=True, order=True)
class Hint:
    """A message that waits: its place in its lane, and what it says."""

    place: float
    stamped: bytes
    lane: str

    @property
    def data(self) -> bytes:
        return self.stamped[STAMP:]


def stamp(data: bytes) -> bytes:
    """The hint as it is kept."""
    return f"{time.time_ns():0{STAMP}d}".encode() + data


class Unreachable(Exception):
    """Whoever keeps the lanes does not answer; the rows are still there, and the sweep finds them."""


class Turns(Protocol):
    """Lanes of hints. With lanes given in order the first is served first, but no lane is left out."""

    def push(self, lane: str, flow: str, data: bytes) -> None:
        """Put a hint of that flow into a lane."""

    def pop(self, lanes: Sequence[str], most: int) -> list[Hint]:
        """About `most` hints at once, as many as wait: at least one of each lane, of the first lanes more."""

    def wait(self, lanes: Sequence[str], timeout: float) -> list[Hint]:
        """The next hint to come within so many seconds, if one does."""

    def put_back(self, hints: Iterable[Hint]) -> None:
        """Put hints back to where they were."""

    def depth(self, lane: str) -> int:
        """How many wait in a lane."""

    def clear(self, lane: str) -> None:
        """Forget all that waits in a lane."""

    def ping(self) -> None:
        """Nothing; raises Unreachable, as every other method may, when nobody keeps the lanes."""


class MemoryTurns:
    """Lanes within this process."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[Hint]] = defaultdict(list)
        self._last: dict[str, dict[str, float]] = defaultdict(dict)  # by lane and flow
        self._changed = threading.Condition()

    def push(self, lane: str, flow: str, data: bytes) -> None:
        with self._changed:
            waiting, last = self._lanes[lane], self._last[lane]
            if not waiting:
                last.clear()
            place = max(waiting[0].place if waiting else 0.0, last.get(flow, -1.0) + 1)
            last[flow] = place
            heapq.heappush(waiting, Hint(place, stamp(data), lane))
            self._changed.notify_all()

    def pop(self, lanes: Sequence[str], most: int) -> list[Hint]:
        with self._changed:
            found: list[Hint] = []
            for lane in lanes:
                waiting = self._lanes[lane]
                share = max(1, most - len(found))
                found += [heapq.heappop(waiting) for _ in range(min(share, len(waiting)))]
            return found

    def wait(self, lanes: Sequence[str], timeout: float) -> list[Hint]:
        with self._changed:
            self._changed.wait_for(lambda: any(self._lanes[lane] for lane in lanes), timeout)
            full = next((lane for lane in lanes if self._lanes[lane]), None)
            return [heapq.heappop(self._lanes[full])] if full else []

    def put_back(self, hints: Iterable[Hint]) -> None:
        with self._changed:
            for hint in hints:
                heapq.heappush(self._lanes[hint.lane], hint)
            self._changed.notify_all()

    def depth(self, lane: str) -> int:
        return len(self._lanes[lane])

    def clear(self, lane: str) -> None:
        with self._changed:
            self._lanes[lane].clear()

    def ping(self) -> None:
        return None
