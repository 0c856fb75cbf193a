"""JsonLogic: the whole standard operator set, with JavaScript's coercions, in a bounded number of steps.

Paths start at the top of the data; inside `map`, `filter`, `reduce`, `all`, `none` and `some` they start at the member.
`log` gives back its argument and writes nothing. An object with one key is an operation; any other is itself.
Source: jsonlogic.com and the behaviour of its reference implementation.
"""

from collections.abc import Callable
from typing import Any

from apps.rules.matching.coercion import UNDEFINED, less, to_text, truthy
from apps.rules.matching.jsonlogic_operators import OPERATORS, at
from apps.rules.matching.verdicts import ComparisonError

MAX_STEPS = 100_000

Watch = Callable[[str, list[Any], list[Any], Any], None]


def apply(rule: Any, data: Any, watch: Watch | None = None) -> Any:
    """The value of a JsonLogic rule for some data.

    `watch(operator, arguments, values, result)` is told of each comparison made outside of `map` and its kin. Raises
    ComparisonError for an unknown operator and for a rule that takes too many steps or makes too large a value.
    """
    result = _Run(watch).value(rule, data)
    return None if result is UNDEFINED else result


def looked_up(path: str, data: Any) -> Any:
    """What `{"var": path}` gives, None where the path leads nowhere."""
    return _var(None, [path], data)


class _Run:
    """One evaluation: how many steps it has taken, and who watches."""

    def __init__(self, watch: Watch | None) -> None:
        self.watch = watch
        self.steps = 0

    def value(self, rule: Any, data: Any) -> Any:
        self.spend(1)
        if isinstance(rule, list):
            return [self.value(item, data) for item in rule]
        if not isinstance(rule, dict) or len(rule) != 1:
            return rule
        ((name, arguments),) = rule.items()
        if not isinstance(arguments, list):
            arguments = [arguments]
        if lazy := LAZY.get(name):
            return lazy(self, arguments, data)
        operator = OPERATORS.get(name)
        if operator is None and name not in WITH_DATA:
            raise ComparisonError(f"{name!r} is not a JsonLogic operator; known are: {', '.join(NAMES)}")
        values = [self.value(argument, data) for argument in arguments]
        if name in SCANNING:
            self.spend(_size(values))
        if operator is None:
            return WITH_DATA[name](self, values, data)
        result = operator(values)
        if self.watch and name in COMPARISONS:
            self.watch(name, arguments, values, result)
        return result

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ComparisonError(f"the criteria take more than {MAX_STEPS} steps for this event; make them simpler")

    def members(self, arguments: list[Any], data: Any) -> Any:
        """The list that `map` and its kin go through; the watcher looks away while they do."""
        return self.value(at(arguments, 0), data)

    def unwatched(self, rule: Any, data: Any) -> Any:
        watch, self.watch = self.watch, None
        try:
            return self.value(rule, data)
        finally:
            self.watch = watch


def _size(values: list[Any]) -> int:
    """What it costs to go through values once, in steps: a tenth for each member, at any depth, and for 100 letters."""
    seen, waiting = 0, list(values)
    while waiting and seen <= MAX_STEPS * 10:
        value = waiting.pop()
        seen += 1
        if isinstance(value, str):
            seen += len(value) // 10
        elif isinstance(value, list):
            waiting.extend(value)
    return seen // 10


# Operators that decide themselves which arguments to evaluate.


def _if(run: _Run, arguments: list[Any], data: Any) -> Any:
    for position in range(0, len(arguments) - 1, 2):
        if truthy(run.value(arguments[position], data)):
            return run.value(arguments[position + 1], data)
    return run.value(arguments[-1], data) if len(arguments) % 2 else None


def _and(run: _Run, arguments: list[Any], data: Any) -> Any:
    result = UNDEFINED
    for argument in arguments:
        result = run.value(argument, data)
        if not truthy(result):
            break
    return result


def _or(run: _Run, arguments: list[Any], data: Any) -> Any:
    result = UNDEFINED
    for argument in arguments:
        result = run.value(argument, data)
        if truthy(result):
            break
    return result


def _filter(run: _Run, arguments: list[Any], data: Any) -> list[Any]:
    members, test = run.members(arguments, data), at(arguments, 1)
    return [item for item in members if truthy(run.unwatched(test, item))] if isinstance(members, list) else []


def _map(run: _Run, arguments: list[Any], data: Any) -> list[Any]:
    members, rule = run.members(arguments, data), at(arguments, 1)
    return [run.unwatched(rule, item) for item in members] if isinstance(members, list) else []


def _reduce(run: _Run, arguments: list[Any], data: Any) -> Any:
    members, rule = run.members(arguments, data), at(arguments, 1)
    result = run.value(arguments[2], data) if len(arguments) > 2 else None
    for item in members if isinstance(members, list) else []:
        result = run.unwatched(rule, {"current": item, "accumulator": result})
    return result


def _quantifier(name: str) -> Callable[[_Run, list[Any], Any], bool]:
    def quantified(run: _Run, arguments: list[Any], data: Any) -> bool:
        members, test = run.members(arguments, data), at(arguments, 1)
        items = members if isinstance(members, list) else []
        met = (truthy(run.unwatched(test, item)) for item in items)
        result = {"all": lambda: bool(items) and all(met), "some": lambda: any(met), "none": lambda: not any(met)}[
            name
        ]()
        if run.watch:
            run.watch(name, arguments, [members, test], result)
        return result

    return quantified


# Operators that look at the data.


def _var(run: _Run | None, values: list[Any], data: Any) -> Any:
    path = at(values, 0)
    default = None if len(values) < 2 else values[1]
    if path is None or path is UNDEFINED or path == "":
        return data
    for part in to_text(path).split("."):
        data = _member(data, part)
        if data is UNDEFINED:
            return default
    return data


def _member(data: Any, part: str) -> Any:
    if isinstance(data, dict):
        try:
            return data[part]
        except KeyError:
            return UNDEFINED
    if isinstance(data, list | str):
        if part == "length":
            return len(data)
        if part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(data):
            return data[int(part)]
    return UNDEFINED


def _missing(run: _Run, values: list[Any], data: Any) -> list[Any]:
    names = values[0] if values and isinstance(values[0], list) else values
    run.spend(len(names))
    return [name for name in names if _var(run, [name], data) in (None, "")]


def _missing_some(run: _Run, values: list[Any], data: Any) -> list[Any]:
    names = at(values, 1)
    names = names if isinstance(names, list) else [names]
    absent = _missing(run, [names], data)
    return [] if less(at(values, 0), len(names) - len(absent), or_equal=True) else absent


LAZY: dict[str, Callable[[_Run, list[Any], Any], Any]] = {
    "if": _if, "?:": _if, "and": _and, "or": _or, "filter": _filter, "map": _map, "reduce": _reduce,
    "all": _quantifier("all"), "some": _quantifier("some"), "none": _quantifier("none"),
}  # fmt: skip
WITH_DATA: dict[str, Callable[[_Run, list[Any], Any], Any]] = {
    "var": _var, "missing": _missing, "missing_some": _missing_some,
}  # fmt: skip
NAMES = sorted([*LAZY, *WITH_DATA, *OPERATORS])
COMPARISONS = {"==", "!=", "===", "!==", "<", "<=", ">", ">=", "in"}
SCANNING = {*WITH_DATA, "==", "!=", "<", "<=", ">", ">=", "in", "cat", "substr", "merge", "max", "min", "+", "*"}
