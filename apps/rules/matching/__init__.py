"""Decide whether an event meets a rule's criteria. Pure: no database; the clock only where `timediff` asks for it.

`evaluate` answers once, `compile_criteria` gives an object for many events, `check` tells what is wrong before a rule
is saved, `apply_operator` makes one comparison by name. Empty criteria match. A missing path is null, never an error;
a comparison that cannot be made is one, null against a number included. How the notations are told apart is said in
`notations`, what the operators mean in `operators`, the order of evaluation in `tree`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from apps.rules.matching import notations
from apps.rules.matching.operators import SEARCH, compared, named, worded
from apps.rules.matching.tree import Node, Render, Run, Search
from apps.rules.matching.verdicts import ComparisonError, Fault, Verdict, shown

__all__ = [
    "ComparisonError",
    "Criteria",
    "Fault",
    "Verdict",
    "apply_operator",
    "check",
    "compile_criteria",
    "evaluate",
]

MAX_CACHED_LENGTH = 20_000


class Criteria:
    """Criteria read once, ready for any number of events."""

    __slots__ = ("faults", "node")

    def __init__(self, node: Node, faults: list[Fault]) -> None:
        self.node = node
        self.faults = faults

    def evaluate(self, context: Any, *, render: Render | None = None, now: datetime | None = None) -> Verdict:
        """The verdict for one event. Never raises: what cannot be compared becomes a verdict of None with its error.

        `context` holds `payload`, `trigger`, `event` and whatever else paths may begin with; `render(text, context)`
        renders a pattern that is a template; `now` is the moment that `timediff` counts from.
        """
        run = Run(context, render or _render, now)
        try:
            matched, reason = self.node.answer(run)
        except Exception as error:  # the last net: one rule's strange criteria must not stop its neighbours
            matched, reason = None, f"the criteria could not be evaluated: {type(error).__name__}: {error}"
        return Verdict(matched, reason, run.results, reason if matched is None else None)


def compile_criteria(criteria: Any) -> Criteria:
    """Criteria in any of the four notations, read and checked; equal criteria are read once and kept."""
    text = notations.canonical(criteria)
    if text is None or len(text) > MAX_CACHED_LENGTH:
        return Criteria(*notations.read(criteria))
    return _compiled(text)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Criteria:
    return Criteria(*notations.read(json.loads(text)))


def evaluate(criteria: Any, context: Any, *, render: Render | None = None, now: datetime | None = None) -> Verdict:
    """Whether the event in `context` meets the criteria, and why; see `Criteria.evaluate`."""
    return compile_criteria(criteria).evaluate(context, render=render, now=now)


def check(criteria: Any) -> list[Fault]:
    """Everything that is wrong with criteria that somebody wants to save; empty if nothing is."""
    return list(compile_criteria(criteria).faults)


def apply_operator(
    name: str, value: Any, pattern: Any = None, *, condition: str | None = None, now: datetime | None = None
) -> bool:
    """Make one comparison: StackStorm's operators by their exact names in any case, then the wider vocabulary.

    `search` takes its child criteria as `pattern` and its `condition` beside them, or both as
    `{"condition": ..., "pattern": {...}}`. Raises ComparisonError for an unknown operator and where the comparison
    cannot be made.
    """
    if not isinstance(name, str):
        raise ComparisonError(f"{shown(name)} is not the name of an operator")
    if name.lower() == SEARCH:
        return _search(value, pattern, condition, now)
    operator, timed = named(name)
    if operator is None:
        operator, timed = worded(name)
    if operator is None:
        raise ComparisonError(f"{name!r} is not an operator; known are: {', '.join(notations.NAMES)}")
    return compared(operator, timed, name, value, pattern, now)


def _search(value: Any, pattern: Any, condition: str | None, now: datetime | None) -> bool:
    criterion = {"type": SEARCH, "pattern": pattern, "condition": condition}
    node, faults = notations.read({"value": criterion})
    if not isinstance(node, Search):
        raise ComparisonError("; ".join(fault.message for fault in faults))
    try:
        return node.holds(value, Run(None, _render, now))
    except RecursionError as error:
        raise ComparisonError("search goes too deep") from error


def _render(text: str, context: Mapping[str, Any]) -> Any:
    from apps.rules import rendering  # it uses this package's regular expressions

    return rendering.render(text, context)
