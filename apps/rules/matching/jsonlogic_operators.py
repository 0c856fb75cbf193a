"""JsonLogic's operators that need nothing but their arguments. Pure; what one of them can make is bounded."""

import math
from collections.abc import Callable
from typing import Any

from apps.rules.matching.coercion import (
    UNDEFINED,
    is_number,
    leading_number,
    less,
    loosely_equal,
    plain_number,
    strictly_equal,
    to_float,
    to_number,
    to_text,
    truthy,
)
from apps.rules.matching.verdicts import ComparisonError

MAX_TEXT = 1_000_000
MAX_LIST = 100_000


def at(values: list[Any], position: int) -> Any:
    return values[position] if position < len(values) else UNDEFINED


def _in(values: list[Any]) -> bool:
    needle, haystack = at(values, 0), at(values, 1)
    if isinstance(haystack, str):
        return to_text(needle) in haystack
    return isinstance(haystack, list) and any(strictly_equal(needle, item) for item in haystack)


def _cat(values: list[Any]) -> str:
    return _bounded(
        "".join("" if value is None or value is UNDEFINED else _bounded(to_text(value)) for value in values)
    )


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ComparisonError(f"cat makes a text of more than {MAX_TEXT} characters")
    return text


def _substr(values: list[Any]) -> str:
    text, start, length = to_text(at(values, 0)), _whole(at(values, 1)), at(values, 2)
    text = text[max(len(text) + start, 0) if start < 0 else start :]
    if length is UNDEFINED:
        return text
    count = _whole(length)
    return text[: max(len(text) + count, 0) if count < 0 else count]


def _whole(value: Any) -> int:
    number = to_float(to_number(value))
    if math.isnan(number):
        return 0
    return int(max(min(number, MAX_TEXT * 10), -MAX_TEXT * 10))


def _merge(values: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for value in values:
        merged.extend(value if isinstance(value, list) else [value])
        if len(merged) > MAX_LIST:
            raise ComparisonError(f"merge makes a list of more than {MAX_LIST} members")
    return merged


def _chain(*, or_equal: bool) -> Callable[[list[Any]], bool]:
    def chained(values: list[Any]) -> bool:
        first = less(at(values, 0), at(values, 1), or_equal=or_equal)
        return first and (len(values) < 3 or less(values[1], values[2], or_equal=or_equal))

    return chained


def _arithmetic(calculate: Callable[[float, float], float]) -> Callable[[list[Any]], Any]:
    def calculated(values: list[Any]) -> Any:
        return plain_number(calculate(to_float(to_number(at(values, 0))), to_float(to_number(at(values, 1)))))

    return calculated


def _plus(values: list[Any]) -> Any:
    return plain_number(sum((to_float(leading_number(value)) for value in values), 0.0))


def _times(values: list[Any]) -> Any:
    if len(values) == 1:
        return values[0]
    if not values:
        raise ComparisonError("* needs at least one number")
    return plain_number(math.prod(to_float(leading_number(value)) for value in values))


def _minus(values: list[Any]) -> Any:
    if len(values) == 1:
        return plain_number(-to_float(to_number(values[0])))
    return _arithmetic(lambda left, right: left - right)(values)


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    if math.isnan(left) or math.isnan(right) or not left:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _remainder(left: float, right: float) -> float:
    return math.nan if not right or math.isinf(left) else math.fmod(left, right)


def _extreme(choose: Callable[[list[float]], float], of_none: float) -> Callable[[list[Any]], Any]:
    def chosen(values: list[Any]) -> Any:
        numbers = [value if is_number(value) else to_number(value) for value in values]
        if any(isinstance(number, float) and math.isnan(number) for number in numbers):
            return math.nan
        return choose(numbers) if numbers else of_none

    return chosen


OPERATORS: dict[str, Callable[[list[Any]], Any]] = {
    "==": lambda values: loosely_equal(at(values, 0), at(values, 1)),
    "!=": lambda values: not loosely_equal(at(values, 0), at(values, 1)),
    "===": lambda values: strictly_equal(at(values, 0), at(values, 1)),
    "!==": lambda values: not strictly_equal(at(values, 0), at(values, 1)),
    "<": _chain(or_equal=False),
    "<=": _chain(or_equal=True),
    ">": lambda values: less(at(values, 1), at(values, 0)),
    ">=": lambda values: less(at(values, 1), at(values, 0), or_equal=True),
    "!": lambda values: not truthy(at(values, 0)),
    "!!": lambda values: truthy(at(values, 0)),
    "in": _in,
    "cat": _cat,
    "substr": _substr,
    "merge": _merge,
    "log": lambda values: at(values, 0),
    "+": _plus,
    "*": _times,
    "-": _minus,
    "/": _arithmetic(_divided),
    "%": _arithmetic(_remainder),
    "max": _extreme(max, -math.inf),
    "min": _extreme(min, math.inf),
}
