"""Which values an event must have for criteria to be met, read from the criteria: so that rules can be found by them.

Only what is necessary whatever else stands in the criteria: tests for equality (or for being one of some values) of a
constant, at the top level, before which nothing stands that could end in an error. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from apps.rules.matching import jsonlogic, operators, paths
from apps.rules.matching.coercion import to_number
from apps.rules.matching.tree import AllOf, Comparison, Logic, Node

ODD = object()  # the key of a value that JsonLogic might stumble over, or that JSON does not know
MAX_CONSTANTS = 100  # of one test
MAX_LENGTH = 1000  # characters of a constant
MAX_COMPARED = 100_000  # characters of a value that JsonLogic surely compares within its steps

_PLAIN = (str, int, float)
_EQUALITIES = (operators.WORDS["=="], operators.WORDS["==="], operators.OPERATORS["equals"])
_INSIDE = operators.OPERATORS["inside"]
# What no value at all can make fail, so that what stands behind it counts too.
_HARMLESS = (
    *_EQUALITIES,
    *(operators.WORDS[name] for name in ("!=", "!==", "exists", "nexists", "isnull", "isnotnull")),
    *(operators.WORDS[name] for name in ("isempty", "isnotempty", "istrue", "isfalse")),
    *(operators.OPERATORS[name] for name in ("nequals", "exists", "nexists")),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in an event: the segments of a path, or the path of a JsonLogic `var`.

    `loose`: compared by JsonLogic's `==`, for which "3" is 3.
    """

    path: tuple[paths.Segment, ...] | str
    loose: bool = False

    def key(self, context: Any) -> Any:
        """What stands there, as a key: no constant with another key equals it. ODD where that cannot be told."""
        if isinstance(self.path, str):
            return _key(jsonlogic.looked_up(self.path, context), loose=self.loose, wary=True)
        return _key(paths.found(context, self.path), loose=False, wary=False)

    @property
    def wary(self) -> bool:
        """Whether there are values that its test could fail on."""
        return isinstance(self.path, str)


@dataclass(frozen=True, slots=True)
class Demand:
    """What must be so: the value at that place has one of these keys."""

    place: Place
    keys: tuple[Any, ...]


def demands(node: Node) -> tuple[Demand, ...]:
    """What must all be so for criteria to be met, in the order in which it is tested.

    Where one of them is not so, and neither its place nor one before it has an ODD value, the criteria answer False,
    not None.
    """
    found: list[Demand] = []
    _gather(node, found)
    return tuple(found)


def _gather(node: Node, found: list[Demand]) -> bool:
    """Collect the demands of one part; whether the part cannot fail, so that those behind it are necessary too."""
    if isinstance(node, AllOf):
        return all(_gather(member, found) for member in node.members)
    if isinstance(node, Comparison):
        return _comparison(node, found)
    return isinstance(node, Logic) and _logic(node.rule, found)


def _comparison(node: Comparison, found: list[Demand]) -> bool:
    if node.is_template or node.timed or not _is_of_event([key for key, _ in node.segments[:2]]):
        return False
    place, pattern = Place(node.segments), node.pattern
    if node.operator in _EQUALITIES and _is_constant(pattern):
        found.append(Demand(place, (pattern,)))
    elif node.operator is _INSIDE:
        if not _are_constants(pattern):
            return False
        found.append(Demand(place, tuple(pattern)))
        return True
    return node.operator in _HARMLESS


def _logic(rule: Any, found: list[Demand]) -> bool:
    """`{"==": [{"var": path}, constant]}` and the like, the two either way round; anything else ends the search."""
    name, arguments = next(iter(rule.items())) if isinstance(rule, dict) and len(rule) == 1 else ("", None)
    if not isinstance(arguments, list) or len(arguments) != 2:
        return False
    left, right = arguments
    if name == "in":
        path, constants = _var(left), right if _are_constants(right) else None
    elif name in ("==", "==="):
        path, other = (_var(left), right) if _var(left) else (_var(right), left)
        constants = [other] if _is_constant(other) else None
    else:
        return False
    if path is None or constants is None:
        return False
    loose = name == "=="
    found.append(Demand(Place(path, loose), tuple(_key(each, loose=loose, wary=True) for each in constants)))
    return True


def _key(value: Any, *, loose: bool, wary: bool) -> Any:
    """Equal for values that are equal. The keys of lists and objects equal no constant's, unless one must be `wary`."""
    if value is None or isinstance(value, bool):
        return int(value) if loose and value is not None else value
    if isinstance(value, _PLAIN):
        if not wary:
            return value
        if isinstance(value, str) and len(value) > MAX_COMPARED:
            return ODD
        return _number_or_text(value) if loose else value
    return _OTHER if isinstance(value, dict | list) and not wary else ODD


_OTHER = object()


def _number_or_text(value: Any) -> Any:
    """What `==` compares: as numbers where both are one, else as they are."""
    number = to_number(value)
    return value if isinstance(number, float) and math.isnan(number) else number


def _is_constant(value: Any) -> bool:
    return value is None or (isinstance(value, _PLAIN) and not (isinstance(value, str) and len(value) > MAX_LENGTH))


def _are_constants(values: Any) -> bool:
    return isinstance(values, list) and 0 < len(values) <= MAX_CONSTANTS and all(map(_is_constant, values))


def _var(rule: Any) -> str | None:
    """The path of a `var` without default that leads into the event."""
    path = rule.get("var") if isinstance(rule, dict) and len(rule) == 1 else None
    if isinstance(path, list) and len(path) == 1:
        path = path[0]
    if not isinstance(path, str) or len(path) > MAX_LENGTH:
        return None
    return path if _is_of_event(path.split(".")[:2]) else None


def _is_of_event(names: list[Any]) -> bool:
    """Whether a path leads to what is the same for every rule and known as soon as the event is there."""
    return names[:1] in (["payload"], ["trigger"]) or names in (
        ["event", "payload"],
        ["event", "headers"],
        ["event", "trigger"],
    )
