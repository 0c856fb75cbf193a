"""Read criteria in any of the four notations into one tree, and say what is wrong with them.

Each object is recognised by its keys, so notations may be mixed inside `all`, `any`, `not`, `and`, `or` and `!`:

- `field` (text) and `operator`: the third notation, path relative to the payload;
- `var` alone: JsonLogic; `var` with other keys: the seeds' notation, each other key an operator, all must hold;
- `all`, `any`, `not`: the seeds' notation. `{"all": [<list>, <rule>]}` is JsonLogic's instead if the first member is a
  bare `{"var": ...}`, another JsonLogic operation that makes a list, or a list of plain values, and the second is
  JsonLogic;
- one key that is a JsonLogic operator: JsonLogic;
- otherwise every key is a path and every value `{"type": ..., "pattern": ...}`: StackStorm's notation.

In the seeds' and the third notation null is a value like any other for equality; `exists: false` is "does not exist".
"""

import json
from typing import Any

from apps.rules.matching import jsonlogic, paths
from apps.rules.matching.operators import (
    IGNORE_PATTERN,
    NAMES,
    SEARCH,
    WORDS_WITHOUT_PATTERN,
    Operator,
    named,
    spelling,
    unusable,
    worded,
)
from apps.rules.matching.tree import AllOf, AnyOf, Broken, Comparison, Logic, Node, Not, Search
from apps.rules.matching.verdicts import Fault, shown

MAX_NESTING = 32
MAX_PARTS = 10_000
CONDITIONS = ("any", "all", "any2any", "all2any")

_GROUPS = {"all", "any", "not"}
_JOINING = {"and", "or", "!", "!!"}
_MAKING_LISTS = {"map", "filter", "merge", "missing", "missing_some", "if", "?:", "reduce"}
_FORMS = (
    'use {"var": "payload.severity", ">=": 3}, JsonLogic, {"field": "severity", "operator": "equals", "value": 3} '
    'or {"trigger.severity": {"type": "gt", "pattern": 2}}'
)
_NOTHING = AllOf(())


def read(criteria: Any) -> tuple[Node, list[Fault]]:
    """The tree of the criteria and every fault in them. A faulty part becomes a node that answers with an error."""
    reader = _Reader()
    try:
        node = reader.node(criteria, "criteria", 0)
    except RecursionError:
        node = reader.broken("criteria", f"they are nested more than {MAX_NESTING} deep; make them flatter")
    if reader.too_large:
        node = Broken("criteria", f"they have more than {MAX_PARTS} parts; split the rule")
        reader.faults.append(Fault(node.path, node.message))
    return node, reader.faults


def is_template(pattern: Any) -> bool:
    return isinstance(pattern, str) and ("{{" in pattern or "{%" in pattern)


class _Reader:
    """One reading: the faults found and the parts seen so far."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.parts = 0

    @property
    def too_large(self) -> bool:
        return self.parts > MAX_PARTS

    def fault(self, path: str, message: str) -> None:
        if len(self.faults) < 100:
            self.faults.append(Fault(path, message))

    def broken(self, path: str, message: str) -> Broken:
        self.fault(path, message)
        return Broken(path, message)

    def node(self, criteria: Any, path: str, depth: int) -> Node:
        self.parts += 1
        if depth > MAX_NESTING or self.too_large:
            return self.broken(path, f"criteria are nested more than {MAX_NESTING} deep; make them flatter")
        if criteria is None:
            return _NOTHING
        if isinstance(criteria, list | tuple):
            return self.all_of(criteria, path, depth)
        if isinstance(criteria, dict):
            return self.object(criteria, path, depth) if criteria else _NOTHING
        if isinstance(criteria, bool):
            return Logic(criteria)
        return self.broken(path, f"{shown(criteria)} is not a criterion; {_FORMS}")

    def all_of(self, members: Any, path: str, depth: int) -> Node:
        nodes = [self.node(member, f"{path}[{at}]", depth + 1) for at, member in enumerate(members)]
        return nodes[0] if len(nodes) == 1 else AllOf(tuple(nodes))

    def object(self, criteria: dict[Any, Any], path: str, depth: int) -> Node:
        if not all(isinstance(key, str) for key in criteria):
            return self.broken(path, f"the keys of an object must be text; {_FORMS}")
        if isinstance(criteria.get("field"), str):
            return self.field(criteria, path)
        if "var" in criteria and len(criteria) > 1:
            return self.var(criteria, path, depth)
        if is_jsonlogic(criteria):
            return self.logic(criteria, path, depth)
        nodes = [self.entry(key, value, f"{path}.{key}", depth) for key, value in criteria.items()]
        return nodes[0] if len(nodes) == 1 else AllOf(tuple(nodes))

    def entry(self, key: str, value: Any, path: str, depth: int) -> Node:
        """One key of an object that is neither the third notation nor JsonLogic nor about one `var`."""
        if key in _GROUPS:
            return self.group(key, value, path, depth)
        if isinstance(value, dict) and ("type" in value or "pattern" in value):
            return self.stackstorm(key, value, path, depth)
        if key in jsonlogic.NAMES:
            return self.broken(
                path, 'JsonLogic has one operator for each object; put each in its own, in {"and": [...]}'
            )
        if worded(key)[0] is not None and not key[:1].isalpha():
            return self.broken(
                path, f'the operator {key} needs to know its value; write {{"var": "payload.x", "{key}": …}}'
            )
        return self.broken(path, f"{key!r} is neither an operator nor a path with its type and pattern; {_FORMS}")

    # The seeds' notation.

    def group(self, key: str, value: Any, path: str, depth: int) -> Node:
        if key == "not":
            return Not(self.node(value, path, depth + 1))
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list | tuple):
            return self.broken(path, f"{key} takes a list of criteria, not {shown(value)}")
        if key == "all":
            return self.all_of(value, path, depth)
        return AnyOf(tuple(self.node(member, f"{path}[{at}]", depth + 1) for at, member in enumerate(value)))

    def var(self, criteria: dict[str, Any], path: str, depth: int) -> Node:
        nodes: list[Node] = []
        for key, value in criteria.items():
            if key in _GROUPS:
                nodes.append(self.group(key, value, f"{path}.{key}", depth))
            elif key != "var":
                nodes.append(self.worded_comparison(criteria["var"], key, value, f"{path}.{key}", depth))
        return nodes[0] if len(nodes) == 1 else AllOf(tuple(nodes))

    def worded_comparison(self, where: Any, name: str, pattern: Any, path: str, depth: int) -> Node:
        if spelling(name) == SEARCH:
            return self.search(where, pattern, None, path, depth)
        operator, timed = worded(name)
        return self.comparison(where, name, operator, timed, pattern, path)

    # The third notation.

    def field(self, criteria: dict[str, Any], path: str) -> Node:
        name = criteria.get("operator")
        if not isinstance(name, str) or not name:
            return self.broken(path, f"the field {criteria['field']!r} needs an operator, like equals or contains")
        if "value" not in criteria and spelling(name) not in WORDS_WITHOUT_PATTERN:
            return self.broken(path, f"the operator {name} needs a value to compare with; write null if it is null")
        if spelling(name) == SEARCH:
            return self.search(
                criteria["field"], criteria["value"], criteria.get("condition"), path, 0, within="payload."
            )
        operator, timed = worded(name)
        return self.comparison(criteria["field"], name, operator, timed, criteria.get("value"), path, within="payload.")

    # StackStorm's notation.

    def stackstorm(self, key: str, criterion: dict[str, Any], path: str, depth: int) -> Node:
        where, name = _without_suffix(key), criterion.get("type")
        if not isinstance(name, str) or not name:
            return self.broken(path, "a criterion needs a type, like equals or gt")
        pattern = criterion.get("pattern")
        if name.lower() == SEARCH:
            return self.search(where, pattern, criterion.get("condition"), path, depth)
        if "pattern" not in criterion and name.lower() not in IGNORE_PATTERN and named(name)[0]:
            self.fault(path, f"the type {name} needs a pattern; without one it is never true")
        operator, timed = named(name)
        return self.comparison(where, name, operator, timed, pattern, path, templates=True)

    def search(self, where: Any, pattern: Any, condition: Any, path: str, depth: int, within: str = "") -> Node:
        if condition is None and isinstance(pattern, dict) and "condition" in pattern:
            condition, pattern = pattern["condition"], pattern.get("pattern", pattern.get("criteria"))
        if condition not in CONDITIONS:
            return self.broken(
                path, f"search needs a condition, one of {', '.join(CONDITIONS)}, not {shown(condition)}"
            )
        if not isinstance(pattern, dict):
            return self.broken(
                path, 'search needs a pattern of criteria on its items, like {"item.name": {"type": "eq", …}}'
            )
        children = [self.node({key: child}, f"{path}.pattern", depth + 1) for key, child in pattern.items()]
        for child in children:
            if isinstance(child, Broken):
                return child
        child = AnyOf(tuple(children)) if condition.endswith("2any") else AllOf(tuple(children))
        segments = self.segments(where, path, within)
        if isinstance(segments, Broken):
            return segments
        return Search(f"{within}{where}", segments, condition, pattern, child)

    def comparison(
        self,
        where: Any,
        name: str,
        operator: Operator | None,
        timed: bool,
        pattern: Any,
        path: str,
        *,
        within: str = "",
        templates: bool = False,
    ) -> Node:
        self.parts += 1
        segments = self.segments(where, path, within)
        if isinstance(segments, Broken):
            return segments
        if operator is None:
            return self.broken(
                path, f"{name!r} is not an operator; known are: {', '.join(NAMES)} and ==, !=, >, >=, <, <="
            )
        template = templates and is_template(pattern)
        if not template and (why := unusable(name, pattern)):
            self.fault(path, why)
        return Comparison(f"{within}{where}", segments, name, operator, timed, pattern, template)

    def segments(self, where: Any, path: str, within: str) -> tuple[paths.Segment, ...] | Broken:
        if not isinstance(where, str):
            return self.broken(path, f"a path is text like payload.severity, not {shown(where)}")
        try:
            return (*paths.parsed("payload"), *paths.parsed(where)) if within else paths.parsed(where)
        except paths.PathError as error:
            return self.broken(path, str(error))

    # JsonLogic.

    def logic(self, rule: dict[str, Any], path: str, depth: int) -> Node:
        ((name, arguments),) = rule.items()
        members = arguments if isinstance(arguments, list) else [arguments]
        if name not in _JOINING or not members:
            return self.checked_logic(rule, path, depth)
        nodes = [self.operand(member, f"{path}.{name}[{at}]", depth + 1) for at, member in enumerate(members)]
        if name == "and":
            return AllOf(tuple(nodes))
        if name == "or":
            return AnyOf(tuple(nodes))
        return Not(nodes[0]) if name == "!" else nodes[0]

    def operand(self, member: Any, path: str, depth: int) -> Node:
        """A member of `and`, `or`, `!`: any notation if it is an object, else a plain JsonLogic value."""
        return self.node(member, path, depth) if isinstance(member, dict) else self.checked_logic(member, path, depth)

    def checked_logic(self, rule: Any, path: str, depth: int) -> Node:
        before = len(self.faults)
        self.check_logic(rule, path, depth)
        return Logic(rule) if len(self.faults) == before else Broken(path, self.faults[before].message)

    def check_logic(self, rule: Any, path: str, depth: int) -> None:
        self.parts += 1
        if depth > MAX_NESTING or self.too_large:
            self.fault(path, f"criteria are nested more than {MAX_NESTING} deep; make them flatter")
        elif isinstance(rule, list):
            for at, member in enumerate(rule):
                self.check_logic(member, f"{path}[{at}]", depth + 1)
        elif isinstance(rule, dict) and len(rule) == 1:
            ((name, arguments),) = rule.items()
            if name not in jsonlogic.NAMES:
                known = ", ".join(jsonlogic.NAMES)
                self.fault(path, f"{name!r} is not a JsonLogic operator; known are: {known}")
            self.check_logic(arguments, f"{path}.{name}", depth + 1)
        elif isinstance(rule, dict) and any(key in jsonlogic.NAMES for key in rule):
            self.fault(
                path, "inside JsonLogic an object has one operator; the other notations go in all, any, not, and, or"
            )


def is_jsonlogic(criteria: Any) -> bool:
    """Whether an object is a JsonLogic operation rather than one of the other notations."""
    if not isinstance(criteria, dict) or len(criteria) != 1:
        return False
    ((name, arguments),) = criteria.items()
    if name != "all":
        return name in jsonlogic.NAMES
    if not isinstance(arguments, list) or len(arguments) != 2:
        return False
    over, test = arguments
    if isinstance(over, list):
        lists = bool(over) and not all(isinstance(item, dict) and not is_jsonlogic(item) for item in over)
        lists = lists and not any(isinstance(item, dict) and not _is_bare_var(item) for item in over)
    else:
        lists = _is_bare_var(over) or (is_jsonlogic(over) and next(iter(over)) in _MAKING_LISTS)
    return lists and (is_jsonlogic(test) or isinstance(test, bool | int | float | str))


def _is_bare_var(rule: Any) -> bool:
    return isinstance(rule, dict) and len(rule) == 1 and "var" in rule


def _without_suffix(key: str) -> str:
    """The key without `#anything`, which lets one path be tested twice; a # inside quotes belongs to the path."""
    quote = ""
    for at, character in enumerate(key):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "#":
            return key[:at].rstrip()
    return key


def canonical(criteria: Any) -> str | None:
    """The criteria as text, for a cache; None if they are not plain JSON."""
    try:
        return json.dumps(criteria)
    except (TypeError, ValueError, RecursionError):
        return None
