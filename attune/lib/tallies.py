"""Counters of this process, which cost a look-up and an addition; the roof adds them to the database now and then."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict

Key = tuple[str, str]  # the counter's name, and the values of its labels with commas between

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1800, 3600)  # upper bounds of a histogram's buckets
_lock = threading.Lock()
_counts: defaultdict[Key, float] = defaultdict(float)


def count(name: str, *labels: str, by: float = 1) -> None:
    """Add to a counter. Labels are words of ours, few and without commas."""
    with _lock:
        _counts[name, ",".join(labels)] += by


def observe(name: str, seconds: float) -> None:
    """Add a duration to a histogram: one to the bucket it belongs to, and itself to the sum."""
    place = bisect_left(SECONDS, seconds)
    bucket = f"{SECONDS[place]:g}" if place < len(SECONDS) else "+Inf"
    with _lock:
        _counts[f"{name}_bucket", bucket] += 1
        _counts[f"{name}_sum", ""] += seconds


def take() -> dict[Key, float]:
    """What was counted since the last time; it is for the caller to keep, or to `put_back`."""
    global _counts
    with _lock:
        taken, _counts = _counts, defaultdict(float)
    return dict(taken)


def put_back(taken: dict[Key, float]) -> None:
    """What could not be written down waits for the next time."""
    with _lock:
        for key, value in taken.items():
            _counts[key] += value
