"""The checks on texts in a schema: `format`, and `pattern` in time that grows no faster than the text."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, date, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import re2
from cronsim import CronSim, CronSimError
from jsonschema import FormatChecker

_QUIET = re2.Options()
_QUIET.log_errors = False
_LONGEST = 256  # characters that a pattern outside google-re2's language is tried on
_MOST_WAYS = 20_000_000  # in which it may be tried: a part of a second
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?\Z")

FORMATS = FormatChecker(formats=())
IN_WORDS = {  # where the format's own name says too little
    "cron": "a cron expression of five fields, or six with the seconds first",
    "timezone": "the name of a time zone, such as Europe/Paris",
}


@lru_cache(maxsize=1024)
def pattern_fault(pattern: str) -> str:
    """What is wrong with a pattern, and the remedy; empty where it can be used.

    google-re2 searches in linear time. What it cannot read (look-around, back-references) is left to `re` on short
    texts, unless repetitions multiply: there is no end to the ways in which those can be tried.
    """
    if _linear(pattern) is not None:
        return ""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"{pattern!r} is not a regular expression: {error}"
    if _may_take_for_ever(pattern):
        return (
            f"{pattern!r} could take for ever: many repetitions, or one inside another, with look-around or "
            "back-references; write it without either"
        )
    return ""


def found_in(pattern: str, text: str) -> bool:
    """Whether the pattern, one without fault, is found anywhere in the text (as JSON Schema wants it)."""
    linear = _linear(pattern)
    try:
        if linear is not None:
            return linear.search(text) is not None
    except UnicodeEncodeError:  # half of a surrogate pair: no text
        return False
    return len(text) <= _LONGEST and not pattern_fault(pattern) and re.search(pattern, text) is not None


@lru_cache(maxsize=1024)
def _linear(pattern: str) -> Any:
    try:
        return re2.compile(pattern, _QUIET)
    except (re2.error, UnicodeEncodeError):
        return None


def _ways(parsed: Any) -> tuple[int, int]:
    """In how many ways, at most, a tree of Python's own parser fits the longest text, and what each costs besides.

    That is look-around: tried wherever it stands, but not gone back into, so that several add up.
    """
    ways, besides = 1, 0
    for operator, argument in parsed:
        name, inner = str(operator), (1, 0)
        if name == "BRANCH":
            inner = _added(argument[1])
        elif name == "GROUPREF_EXISTS":
            inner = _added([branch for branch in argument[1:] if branch])
        elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
            inner = _ways(argument[-1] if name == "SUBPATTERN" else argument)
        elif name.endswith("_REPEAT"):
            least, most = (min(int(bound), _LONGEST) for bound in argument[:2])
            one, cost = _ways(argument[2])
            inner = (most - least + 1) * one**most, cost
        elif name in ("ASSERT", "ASSERT_NOT"):
            inner = 1, _tried(*_ways(argument[1]))
        ways, besides = min(ways * inner[0], _MOST_WAYS + 1), min(besides + inner[1], _MOST_WAYS + 1)
    return ways, besides


def _added(branches: Any) -> tuple[int, int]:
    ways = [_ways(branch) for branch in branches]
    return sum(one for one, _ in ways), sum(cost for _, cost in ways)


def _tried(ways: int, besides: int) -> int:
    return ways * max(1, besides)


def _may_take_for_ever(pattern: str) -> bool:
    parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]
    begins = bool(parsed) and str(parsed[0][1]) in ("AT_BEGINNING", "AT_BEGINNING_STRING")
    return _tried(*_ways(parsed)) * (1 if begins else _LONGEST) > _MOST_WAYS


@FORMATS.checks("date-time", raises=ValueError)
def _date_time(value: object) -> bool:
    """RFC 3339, and what `isoformat()` makes: the offset may be missing, a blank may stand for the T."""
    if not isinstance(value, str):
        return True
    if not _MOMENT.match(value):
        return False
    datetime.fromisoformat(re.sub(r"\.\d+", "", value).upper())
    return True


@FORMATS.checks("date", raises=ValueError)
def _date(value: object) -> bool:
    return not isinstance(value, str) or (len(value) == 10 and bool(date.fromisoformat(value)))


@FORMATS.checks("timezone", raises=(ValueError, ZoneInfoNotFoundError, OSError))
def _timezone(value: object) -> bool:
    """An IANA name, such as Europe/Paris."""
    return not isinstance(value, str) or bool(ZoneInfo(value).key)


@FORMATS.checks("cron", raises=CronSimError)
def _cron(value: object) -> bool:
    """Five fields, or six with the seconds first, in Debian's cron language."""
    return not isinstance(value, str) or bool(CronSim(value, datetime.now(UTC)))


@FORMATS.checks("ipv4", raises=ValueError)
def _ipv4(value: object) -> bool:
    return not isinstance(value, str) or bool(IPv4Address(value).packed)


@FORMATS.checks("ipv6", raises=ValueError)
def _ipv6(value: object) -> bool:
    return not isinstance(value, str) or bool(IPv6Address(value).packed)


@FORMATS.checks("uuid", raises=ValueError)
def _uuid(value: object) -> bool:
    return not isinstance(value, str) or (len(value) == 36 and bool(uuid.UUID(value).bytes))
