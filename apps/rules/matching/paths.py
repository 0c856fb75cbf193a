"""Find a value in an event by its path: `payload.items.0.name`, `trigger.headers['X-Hook']`, `payload.items[*].name`.

A segment is a name, a number (an index in a list, a key in an object), a quoted name in brackets or after a dot, or
`*` for every member. A leading `$.` is allowed, as in JSONPath; `$` alone is everything. Where several values match,
the first one counts. A path that leads nowhere is null.
"""

import re
from functools import lru_cache
from typing import Any

MAX_LENGTH = 1000
MAX_SEGMENTS = 64

MISSING = object()
_EVERY = object()
_BRACKET = re.compile(r"""\[\s*(?:(\*)|(\d{1,9})|"([^"]*)"|'([^']*)')\s*\]""")
_NAME = re.compile(r"""(["'])(?P<quoted>[^"']*)\1(?=[.\[]|$)|[^.\[\]]+""")
_FORM = 'write it as payload.name, payload.items.0, payload.items[*].id or payload["a key"]'

Segment = tuple[Any, int | None]


class PathError(ValueError):
    """Raised when a path cannot be read."""


@lru_cache(maxsize=4096)
def parsed(path: str) -> tuple[Segment, ...]:
    """The segments of a path, each as a key and, if it may be one, a list index.

    Raises PathError naming the path and the right form.
    """
    if not path or len(path) > MAX_LENGTH:
        raise PathError(f"the path {path[:80]!r} is empty or longer than {MAX_LENGTH} characters; {_FORM}")
    segments: list[Segment] = []
    position, end = (1 if path.startswith("$") and path[1:2] in ("", ".", "[") else 0), len(path)
    joined = position == 0
    while position < end:
        if not joined and path[position] == ".":
            position, joined = position + 1, True
        bracket = _BRACKET.match(path, position)
        name = _NAME.match(path, position) if joined else None
        found = bracket or name
        if found is None:
            raise PathError(f"the path {path[:80]!r} cannot be read at character {position + 1}; {_FORM}")
        segments.append(_bracket_segment(bracket) if bracket else _segment(found))
        position, joined = found.end(), False
    if joined or len(segments) > MAX_SEGMENTS:
        raise PathError(f"the path {path[:80]!r} ends in a dot or has more than {MAX_SEGMENTS} parts; {_FORM}")
    return tuple(segments)


def _segment(found: re.Match[str]) -> Segment:
    if (quoted := found["quoted"]) is not None:
        return quoted, None
    name = found.group()
    if name == "*":
        return _EVERY, None
    return name, int(name) if name.isascii() and name.isdigit() and len(name) < 10 else None


def _bracket_segment(bracket: re.Match[str]) -> Segment:
    every, index, double, single = bracket.groups()
    if every:
        return _EVERY, None
    if index is not None:
        return index, int(index)
    return (double if double is not None else single), None


def found(value: Any, segments: tuple[Segment, ...]) -> Any:
    """The first value that the segments lead to, or None."""
    for position, (key, index) in enumerate(segments):
        if key is _EVERY:
            return _first_of(value, segments[position + 1 :])
        value = _member(value, key, index)
        if value is MISSING:
            return None
    return value


def _member(value: Any, key: Any, index: int | None) -> Any:
    if isinstance(value, dict):
        try:
            return value[key]
        except KeyError:
            return MISSING
    if index is not None and isinstance(value, list | tuple) and index < len(value):
        return value[index]
    return MISSING


def _first_of(value: Any, rest: tuple[Segment, ...]) -> Any:
    found_one = next(_all_of(value, rest), MISSING)
    return None if found_one is MISSING else found_one


def _all_of(value: Any, rest: tuple[Segment, ...]) -> Any:
    """Every value that `rest` leads to from the members of `value`, in order."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for member in members:
        for position, (key, index) in enumerate(rest):
            if key is _EVERY:
                yield from _all_of(member, rest[position + 1 :])
                break
            member = _member(member, key, index)
            if member is MISSING:
                break
        else:
            yield member
