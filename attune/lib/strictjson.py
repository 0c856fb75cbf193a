"""Read JSON written by strangers: strictly, and within bounds that every database and reader after us can take. Pure.

Python's own reader takes NaN, 1e400, NUL characters and half surrogate pairs; PostgreSQL and other readers do not. And
what is nested without end breaks whoever walks over it afterwards.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 32
_SUSPECT_ESCAPE = re.compile(r"\\u(0000|[dD][89a-fA-F])")


class BadJson(ValueError):
    """The text is not JSON that can be kept; the message says why, as the end of a sentence."""


def read(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value that `raw` is the JSON of; its texts can be kept as they are. Raises BadJson."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadJson(f"is not JSON: it is not UTF-8 (byte {error.start})") from None
    value = read_text(text, max_depth=max_depth)
    if "\\u" in text and _SUSPECT_ESCAPE.search(text):
        for part in _texts(value):
            if fault := fault_of_text(part):
                raise BadJson(f"holds {fault}")
    return value


def read_text(text: str, *, max_depth: int = MAX_DEPTH) -> Any:
    """As `read`, for a text, and whatever its escapes stand for. Raises BadJson."""
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise BadJson(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise BadJson(f"is nested more than {max_depth} levels deep") from None
    except BadJson:
        raise
    except ValueError:  # Python refuses to read whole numbers of thousands of digits
        raise BadJson("is not JSON that can be kept: a number has too many digits") from None
    if not _within_depth(value, max_depth):
        raise BadJson(f"is nested more than {max_depth} levels deep")
    return value


def fault_of_text(text: str) -> str:
    """Why a text cannot be kept in a database; empty when it can."""
    if "\x00" in text:
        return "a NUL character"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "half a surrogate pair"
    return ""


def _no_constant(name: str) -> Any:
    raise BadJson(f"holds {name}, which is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BadJson(f"holds the number {digits[:20]}, which is too large")
    return number


def _within_depth(value: Any, most: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        if not level:
            return True
        level = [inner for outer in level for inner in _parts(outer) if isinstance(inner, dict | list)]
    return not level


def _parts(container: dict[str, Any] | list[Any]) -> Any:
    return container.values() if isinstance(container, dict) else container


def _texts(value: Any) -> Iterator[str]:
    """Every string in the value, names included; the depth has been checked."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
