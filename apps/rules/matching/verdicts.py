"""What criteria answer: the verdict, the faults found when they are saved, and values cut short for display."""

import json
import math
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

MAX_TEXT = 200
MAX_ITEMS = 20
MAX_DEPTH = 3
MAX_SENTENCE = 120


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of criteria to one event.

    `matched` is True, False, or None where a comparison could not be made; `reason` says why in plain words; `results`
    holds one `{path, operator, expected, actual, result, error?}` for each comparison that was made; `error` is None
    unless `matched` is.
    """

    matched: bool | None
    reason: str
    results: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with what somebody wants to save: where it stands, and what to do about it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ComparisonError(Exception):
    """Raised when a comparison cannot be made, because of the types, the pattern or the operator's name."""


def shortened(value: Any, depth: int = 0) -> Any:
    """The value itself if it is small, else as much of it as a page can show; always plain JSON."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if value.bit_length() <= 64 else f"a whole number of {value.bit_length()} bits"
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray):
        value, kind = bytes(value[: MAX_TEXT + 1]).decode("utf-8", "replace"), str
    if kind is str:
        room = MAX_TEXT >> depth
        return value if len(value) <= room else value[:room] + "…"
    if isinstance(value, dict | list | tuple | set | frozenset):
        if depth >= MAX_DEPTH:
            return "{…}" if isinstance(value, dict) else "[…]"
        return _shortened_container(value, depth)
    return str(value)[:MAX_TEXT]


def _shortened_container(value: Any, depth: int) -> Any:
    room = MAX_ITEMS >> 2 * depth
    if isinstance(value, dict):
        kept = {str(shortened(key)): shortened(item, depth + 1) for key, item in islice(value.items(), room)}
        return kept if len(value) <= room else kept | {"…": f"{len(value) - room} more"}
    items = [shortened(item, depth + 1) for item in islice(value, room)]
    return items if len(value) <= room else [*items, f"… {len(value) - room} more"]


def shown(value: Any) -> str:
    """The value as it stands in a sentence: JSON, on one line, cut short."""
    kind = type(value)
    if kind is int and -(2**63) < value < 2**63:
        return str(value)
    text = json.dumps(shortened(value), ensure_ascii=False)
    return text if len(text) <= MAX_SENTENCE else text[:MAX_SENTENCE] + "…"


def kind_of(value: Any) -> str:
    """The JSON name of a value's type, for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str | bytes | bytearray):
        return "text"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else type(value).__name__
