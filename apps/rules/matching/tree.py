"""The one tree behind the four notations: nodes that answer True, False or None (a comparison could not be made).

Order and errors: `AllOf` goes through its members in order and stops at the first that is false or an error. `AnyOf`
stops at the first that is true; an error among the others counts only if none is true. `Not` of an error is an error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from apps.rules.matching import jsonlogic, paths
from apps.rules.matching.coercion import to_text, truthy
from apps.rules.matching.operators import Operator, compared
from apps.rules.matching.verdicts import ComparisonError, kind_of, shortened, shown

MAX_RESULTS = 100
MAX_SEARCHED = 100_000

Answer = tuple[bool | None, str]
Render = Callable[[Any, Mapping[str, Any]], Any]


@dataclass(slots=True)
class Run:
    """One evaluation: the event's data, what the nodes need, and the comparisons made so far."""

    context: Any
    render: Render
    now: datetime | None
    results: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    searched: int = 0

    def record(
        self, path: str, operator: str, expected: Any, actual: Any, result: bool | None, error: str = ""
    ) -> None:
        if len(self.results) >= MAX_RESULTS:
            return
        row = {
            "path": path,
            "operator": operator,
            "expected": shortened(expected),
            "actual": shortened(actual),
            "result": result,
        }
        if error:
            row["error"] = error
        self.results.append(row)


class Node(Protocol):
    """One part of the criteria: the answer, and why, in words."""

    def answer(self, run: Run) -> Answer: ...


def sentence(path: str, name: str, actual: Any, expected: Any, result: bool) -> str:
    """One comparison in plain words: `payload.severity is 1, which is not >= 3`."""
    subject = f"{path} is {shown(actual)}" if path else shown(actual)
    if name[:1].isalpha():
        against = "" if expected is None else f" {shown(expected)}"
        return f"{subject}; {name}{against} {'holds' if result else 'does not hold'}"
    return f"{subject}, which is {'' if result else 'not '}{name} {shown(expected)}"


@dataclass(frozen=True, slots=True)
class AllOf:
    members: tuple[Node, ...]

    def answer(self, run: Run) -> Answer:
        why = "there are no criteria, so every event matches"
        for member in self.members:
            matched, why = member.answer(run)
            if not matched:
                return matched, why
        return True, why if len(self.members) < 2 else f"all {len(self.members)} criteria are met"


@dataclass(frozen=True, slots=True)
class AnyOf:
    members: tuple[Node, ...]

    def answer(self, run: Run) -> Answer:
        reasons, failed = [], ""
        for member in self.members:
            matched, why = member.answer(run)
            if matched:
                return True, why
            if matched is None:
                failed = failed or why
            elif len(reasons) < 3:
                reasons.append(why)
        if failed:
            return None, failed
        if len(self.members) < 2:
            return False, reasons[0] if reasons else "there is no alternative to meet"
        return False, f"none of the {len(self.members)} alternatives is met" + (
            f": {'; '.join(reasons)}" if reasons else ""
        )


@dataclass(frozen=True, slots=True)
class Not:
    member: Node

    def answer(self, run: Run) -> Answer:
        matched, why = self.member.answer(run)
        if matched is None:
            return None, why
        return not matched, f"{why}, and that must not be" if matched else why


@dataclass(frozen=True, slots=True)
class Broken:
    """A part that could not be understood; the rule was saved before its fault was known."""

    path: str
    message: str

    def answer(self, run: Run) -> Answer:
        return None, f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One value of the event compared with one pattern."""

    path: str
    segments: tuple[paths.Segment, ...]
    name: str
    operator: Operator
    timed: bool
    pattern: Any
    is_template: bool

    def answer(self, run: Run) -> Answer:
        actual, expected = paths.found(run.context, self.segments), self.pattern
        try:
            if self.is_template:
                expected = _rendered(expected, run)
            result = compared(self.operator, self.timed, self.name, actual, expected, run.now)
        except ComparisonError as error:
            run.record(self.path, self.name, expected, actual, None, str(error))
            return None, f"{self.path}: {error}"
        run.record(self.path, self.name, expected, actual, result)
        return result, sentence(self.path, self.name, actual, expected, result)


def _rendered(template: str, run: Run) -> Any:
    try:
        return run.render(template, run.context)
    except Exception as error:  # a caller's own renderer may raise anything; it spoils this comparison only
        raise ComparisonError(f"the pattern {shown(template)} could not be rendered: {error}") from error


@dataclass(frozen=True, slots=True)
class Search:
    """StackStorm's `search`: child criteria, on `item.*`, over the members of a list.

    `any`: some item meets all children; `all`: every item meets all; `any2any`: some item meets some child; `all2any`:
    every item meets some child. Nothing is true of some item, and everything of every item, of an empty list.
    An item of which a child cannot be told (null against a number) does not meet it, as in StackStorm: lists are mixed.
    """

    path: str
    segments: tuple[paths.Segment, ...]
    condition: str
    pattern: Any
    child: Node

    def answer(self, run: Run) -> Answer:
        actual = paths.found(run.context, self.segments)
        try:
            result = self.holds(actual, run)
        except ComparisonError as error:
            run.record(self.path, "search", self.pattern, actual, None, str(error))
            return None, f"{self.path}: {error}"
        run.record(self.path, "search", self.pattern, actual, result)
        some = "every item meets" if self.condition.startswith("all") else "some item meets"
        return result, f"in {self.path}, {'' if result else 'it is not so that '}{some} the criteria of the search"

    def holds(self, value: Any, run: Run) -> bool:
        """Whether the list meets the search. Raises ComparisonError where that cannot be said."""
        items = [value] if isinstance(value, dict) else value
        if not isinstance(items, list | tuple):
            raise ComparisonError(f"search goes through a list or an object, not {kind_of(value)}")
        every = self.condition.startswith("all")
        for item in items:
            run.searched += 1
            if run.searched > MAX_SEARCHED:
                raise ComparisonError(f"search goes through more than {MAX_SEARCHED} items; make the criteria narrower")
            inner = Run({"item": item}, run.render, run.now, searched=run.searched)
            matched, _ = self.child.answer(inner)
            run.searched = inner.searched
            if bool(matched) is not every:
                return not every
        return every


@dataclass(frozen=True, slots=True)
class Logic:
    """A JsonLogic rule; its comparisons are the results, or the rule as a whole if it makes none."""

    rule: Any

    def answer(self, run: Run) -> Answer:
        told: list[str] = []

        def watch(name: str, arguments: list[Any], values: list[Any], result: Any) -> None:
            position = next((at for at, argument in enumerate(arguments) if _var_path(argument) is not None), 0)
            path = (_var_path(arguments[position]) or "") if arguments else ""
            others = [value for at, value in enumerate(values) if at != position]
            expected = others[0] if len(others) == 1 else others
            actual = values[position] if values else None
            run.record(path, name, expected, actual, bool(result))
            if len(told) < 3:
                told.append(sentence(path, name, actual, expected, bool(result)))

        try:
            value = jsonlogic.apply(self.rule, run.context, watch)
        except ComparisonError as error:
            message = str(error)
        except Exception as error:  # deep nesting or strange values must stay this rule's own error
            message = f"the JsonLogic rule could not be evaluated: {type(error).__name__}"
        else:
            return self._told(run, value, told)
        run.record(_var_path(self.rule) or "", _operator_of(self.rule), None, None, None, message)
        return None, message

    def _told(self, run: Run, value: Any, told: list[str]) -> Answer:
        result = truthy(value)
        if told:
            return result, told[0] if type(value) is bool and len(
                told
            ) == 1 else f"the rule gives {shown(value)}: {'; '.join(told)}"
        path = _var_path(self.rule) or ""
        run.record(path, _operator_of(self.rule), True, value, result)
        return result, f"{path or 'the rule'} is {shown(value)}, which counts as {'true' if result else 'false'}"


def _operator_of(rule: Any) -> str:
    return str(next(iter(rule))) if isinstance(rule, dict) and rule else "value"


def _var_path(rule: Any) -> str | None:
    if not isinstance(rule, dict) or len(rule) != 1 or "var" not in rule:
        return None
    path = rule["var"]
    if isinstance(path, list):
        path = path[0] if path else ""
    return to_text(path) if isinstance(path, str | int | float) else None
