"""The parts of a policy, read into one normal form with every fault named. Pure: no database, no clock.

concurrency  {limit, group_by, on_limit}
rate_limit   {limit, window, group_by, on_limit}
retry        {max_retries, backoff, delay, max_delay, jitter, retry_on}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ENQUEUE, CANCEL = "enqueue", "cancel"
BACKOFFS = ("constant", "linear", "exponential")
RETRIED = ("failed", "timeout")
MOST = 1_000_000  # of a limit
LONGEST = 7 * 24 * 3600  # seconds of a window or a delay
MOST_RETRIES = 100
_PATH = re.compile(r"(?:parameters\.)?([^.\s]+(?:\.[^.\s]+)*)\Z")

Kept = dict[str, Any] | None


@dataclass
class Reading:
    """What was read: each part in its normal form or None, the faults by path, and keys that nobody knows."""

    parts: dict[str, Kept] = field(default_factory=dict)
    faults: list[dict[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def fault(self, path: str, message: str) -> None:
        self.faults.append({"path": path, "message": message})


def read(given: Mapping[str, Any]) -> Reading:
    """Read the parts among `given`; a part that is absent, null or empty is None, and at least one must be there."""
    reading = Reading()
    for name, reader in _READERS.items():
        value = given.get(name)
        if value is not None and not isinstance(value, dict):
            reading.fault(name, f"must be an object such as {_EXAMPLES[name]}")
            value = None
        reading.parts[name] = reader(_Part(name, value, reading)) if value else None
    if not any(reading.parts.values()) and not reading.faults:
        reading.fault("", "it says nothing yet; give it a part: concurrency, rate_limit or retry")
    return reading


class _Part:
    """One part as it was given; the getters take a key with its aliases and note what is wrong with its value."""

    def __init__(self, name: str, given: dict[str, Any], reading: Reading) -> None:
        self.name, self.given, self.reading = name, given, reading
        self.known: set[str] = set()

    def raw(self, *names: str) -> tuple[str, Any]:
        self.known.update(names)
        return next(((n, self.given[n]) for n in names if self.given.get(n) is not None), (names[0], None))

    def fault(self, name: str, message: str) -> None:
        self.reading.fault(f"{self.name}.{name}", message)

    def number(self, *names: str, least: float, most: float, default: float | None = None, whole: bool = True) -> Any:
        name, value = self.raw(*names)
        if value is None:
            if default is None:
                self.fault(names[0], f"is missing; give a {_number(whole)} from {least} to {most}")
            return default
        kinds = int if whole else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or not least <= value <= most:
            self.fault(name, f"is {value!r}; it must be a {_number(whole)} from {least} to {most}")
            return default
        return value

    def choice(self, *names: str, among: tuple[str, ...], default: str) -> str:
        name, value = self.raw(*names)
        if value is not None and value not in among:
            self.fault(name, f"is {value!r}; choose one of {', '.join(among)}")
        return default if value is None else value

    def strings(self, *names: str) -> tuple[str, list[str]]:
        name, value = self.raw(*names)
        value = [value] if isinstance(value, str) else value or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.fault(name, "must be a list of texts")
            return name, []
        return name, value

    def done(self, kept: dict[str, Any]) -> dict[str, Any]:
        self.reading.unknown += [f"{self.name}.{key}" for key in self.given if key not in self.known]
        return kept


def _number(whole: bool) -> str:
    return "whole number" if whole else "number"


def _concurrency(part: _Part) -> dict[str, Any]:
    return part.done({"limit": part.number("limit", least=1, most=MOST), **_limiting(part)})


def _rate_limit(part: _Part) -> dict[str, Any]:
    kept = {
        "limit": part.number("limit", "max_executions", least=1, most=MOST),
        "window": part.number("window", "window_seconds", least=1, most=LONGEST),
    }
    return part.done(kept | _limiting(part))


def _limiting(part: _Part) -> dict[str, Any]:
    return {
        "group_by": _group_by(part),
        "on_limit": part.choice("on_limit", "method", among=(ENQUEUE, CANCEL), default=ENQUEUE),
    }


def _group_by(part: _Part) -> list[str]:
    """Paths of parameters, each as `parameters.…`."""
    name, paths = part.strings("group_by", "parameters")
    kept = []
    for path in paths:
        found = _PATH.match(path)
        if found is None or path == "parameters":
            part.fault(name, f"{path!r} is not the path of a parameter; write it as parameters.host")
        else:
            kept.append(f"parameters.{found[1]}")
    return list(dict.fromkeys(kept))


def _retry(part: _Part) -> dict[str, Any]:
    kept = {
        "max_retries": part.number("max_retries", least=0, most=MOST_RETRIES),
        "backoff": part.choice("backoff", "back_off", among=BACKOFFS, default="exponential"),
        "delay": part.number("delay", least=0, most=LONGEST, default=1, whole=False),
        "max_delay": part.number("max_delay", least=0, most=LONGEST, default=300, whole=False),
        "jitter": part.number("jitter", least=0, most=1, default=0, whole=False),
    }
    name, statuses = part.strings("retry_on")
    wrong = [each for each in statuses if each not in RETRIED]
    if wrong:
        part.fault(name, f"{', '.join(map(repr, wrong))} is not tried again; there are {' and '.join(RETRIED)}")
    if part.given.get("retry_on") == []:
        part.fault(name, "is empty; leave it out, or set max_retries to 0 to try nothing again")
    return part.done(kept | {"retry_on": [each for each in RETRIED if each in statuses] or list(RETRIED)})


_READERS: dict[str, Callable[[_Part], dict[str, Any]]] = {
    "concurrency": _concurrency,
    "rate_limit": _rate_limit,
    "retry": _retry,
}
_EXAMPLES = {"concurrency": "{limit: 1}", "rate_limit": "{limit: 10, window: 60}", "retry": "{max_retries: 3}"}
NAMES = tuple(_READERS)
