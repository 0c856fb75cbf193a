"""The filters of rule templates: those of our own, and of Jinja's the ones that do no harm."""

import json
import math
from collections.abc import Callable
from typing import Any

from jinja2.filters import FILTERS as JINJA_FILTERS

from apps.rules.matching import regexes
from apps.rules.rendering.metering import MAX_VALUE, METER, LimitError, check_joining, check_replacement, weighed
from apps.rules.rendering.sandbox import member
from apps.rules.rendering.values import plain


def _to_json(value: Any, indent: int | None = None) -> str:
    if isinstance(indent, int) and not 0 <= indent <= 8:
        raise LimitError("to_json indents by at most 8")
    return json.dumps(plain(weighed(value)), ensure_ascii=False, indent=indent)


def _from_json(text: str) -> Any:
    return json.loads(text)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else str(plain(weighed(value)))


def _join(items: Any, separator: str = "", attribute: str | int | None = None) -> str:
    items = list(items)
    if attribute is not None:
        items = [member(item, attribute) for item in items]
    weighed(items)
    check_joining(items, str(separator))
    return str(separator).join(_string(item) for item in items)


def _replace(text: Any, old: str, new: str, count: int = -1) -> str:
    text = _string(text)
    check_replacement(text, old, new)
    return text.replace(old, new, count)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if not -20 <= precision <= 20:
        raise LimitError("round goes to at most 20 places")
    if method == "common":
        return round(value, precision)
    if method not in ("ceil", "floor"):
        raise LimitError("round knows common, ceil and floor")
    return getattr(math, method)(value * 10**precision) / 10**precision


def _sum(items: Any, attribute: str | int | None = None, start: float = 0) -> float:
    if attribute is not None:
        items = [member(item, attribute) for item in items]
    items = list(items)
    if not all(isinstance(item, int | float) for item in [start, *items]):
        raise LimitError("sum adds numbers only")
    return sum(items, start)


def _truncate(text: str, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 0) -> str:
    text = _string(text)
    if len(text) <= length + leeway:
        return text
    kept = text[: max(length - len(end), 0)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + end


def _regex_match(value: Any, pattern: str, ignorecase: bool = False) -> bool:
    return regexes.compiled(pattern, ignore_case=ignorecase).match(_string(value)) is not None


def _regex_search(value: Any, pattern: str, ignorecase: bool = False) -> bool:
    return regexes.compiled(pattern, ignore_case=ignorecase).search(_string(value)) is not None


def _regex_replace(value: Any, pattern: str, replacement: str = "", ignorecase: bool = False) -> str:
    text, parts, size, position, meter = _string(value), [], 0, 0, METER.get()
    for match in regexes.compiled(pattern, ignore_case=ignorecase, groups=True).finditer(text):
        meter.spend(1)
        part = text[position : match.start()] + match.expand(replacement)
        size, position = size + len(part), match.end()
        parts.append(part)
        if size > MAX_VALUE:
            raise LimitError("a replacement in the template grows too large")
    return "".join([*parts, text[position:]])


_OF_JINJA = """abs capitalize default d dictsort first float int items last length count list lower map max min reject
rejectattr reverse select selectattr sort title trim unique upper urlencode wordcount"""
FILTERS: dict[str, Callable[..., Any]] = {
    **{name: JINJA_FILTERS[name] for name in _OF_JINJA.split()},
    "to_json": _to_json,
    "tojson": _to_json,
    "from_json": _from_json,
    "string": _string,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "sum": _sum,
    "truncate": _truncate,
    "regex_match": _regex_match,
    "regex_search": _regex_search,
    "regex_replace": _regex_replace,
}
