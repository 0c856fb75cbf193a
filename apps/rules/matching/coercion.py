"""How JavaScript turns JSON values into each other, as far as JsonLogic's operators need it.

Source: ECMAScript's abstract operations ToPrimitive, ToNumber, ToString, IsLooselyEqual, IsLessThan; `parseFloat`.
Text is compared by code points and integers are compared exactly, where JavaScript would round them.
"""

import math
import re
from typing import Any

# `++` and `*+` give no digit back, so that a long text of digits takes linear time.
NUMBER = re.compile(r"[+-]?(?:Infinity|(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?)\Z")
LEADING_NUMBER = re.compile(r"[+-]?(?:Infinity|(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?)")
OTHER_BASE = re.compile(r"0(?:[xX][0-9a-fA-F]{1,256}|[oO][0-7]{1,256}|[bB][01]{1,256})\Z")
EXACT = 2**53


class _Undefined:
    """An argument that was not given; not the same as null."""

    def __bool__(self) -> bool:
        return False


UNDEFINED = _Undefined()


def truthy(value: Any) -> bool:
    """JsonLogic's truth: null, false, 0, "" and [] are false; every object and "0" are true."""
    if isinstance(value, dict):
        return True
    return bool(value) and not (isinstance(value, float) and math.isnan(value))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain_number(value: float) -> int | float:
    """4.0 as 4, so that what was whole stays whole."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def to_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if value is UNDEFINED:
        return "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) < 10**21:
        return str(value)
    if isinstance(value, int | float):
        return _number_text(to_float(value))
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, list | tuple):
        return ",".join("" if item is None else to_text(item) for item in value)
    return str(value)


def _number_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < 10**21:
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    power = int(exponent)
    if -7 < power < 0:
        return f"{value:.{len(mantissa.replace('.', '').lstrip('-')) - 1 - power}f}"
    return f"{mantissa.removesuffix('.0')}e{power:+d}"


def to_number(value: Any) -> int | float:
    if isinstance(value, bool) or value is None:
        return int(bool(value))
    if isinstance(value, int | float):
        return value
    if value is UNDEFINED or isinstance(value, dict):
        return math.nan
    text = to_text(value).strip()
    if not text:
        return 0
    if NUMBER.match(text):
        return _read(text)
    return to_float(int(text, 0)) if OTHER_BASE.match(text) else math.nan


def leading_number(value: Any) -> int | float:
    """`parseFloat`: the number that the value's text begins with."""
    if is_number(value):
        return value
    match = LEADING_NUMBER.match(to_text(value).lstrip())
    return _read(match.group()) if match else math.nan


def _read(text: str) -> int | float:
    if text.lstrip("+-").isdigit() and len(text) < 300:
        return int(text)
    return plain_number(float(text.replace("Infinity", "inf")))


def loosely_equal(left: Any, right: Any) -> bool:
    """`==`: null equals only null, numbers and text meet as numbers, a list or object equals only itself."""
    if left is None or right is None or left is UNDEFINED or right is UNDEFINED:
        return left in (None, UNDEFINED) and right in (None, UNDEFINED)
    left_holds, right_holds = isinstance(left, dict | list), isinstance(right, dict | list)
    if left_holds and right_holds:
        return left is right
    if left_holds:
        left = to_text(left)
    if right_holds:
        right = to_text(right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return to_number(left) == to_number(right)


def strictly_equal(left: Any, right: Any) -> bool:
    """`===`: of one type and equal; a list or object equals only itself."""
    if isinstance(left, dict | list):
        return left is right
    if is_number(left) and is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def less(left: Any, right: Any, *, or_equal: bool = False) -> bool:
    """`<` and `<=`: two texts by their characters, everything else as numbers; NaN is never less."""
    if isinstance(left, dict | list):
        left = to_text(left)
    if isinstance(right, dict | list):
        right = to_text(right)
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = to_number(left), to_number(right)
    return bool(left <= right if or_equal else left < right)
