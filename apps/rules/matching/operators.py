"""The operators of criteria: StackStorm's with their exact meaning, and the symbols and names that others use for them.

StackStorm's names (`OPERATORS`): no coercion, a null pattern gives false unless the operator says otherwise, bytes are
read as UTF-8. The wider vocabulary (`WORDS`, for `{"var": ..., ">=": 3}` and `{"field", "operator", "value"}`) adds
symbols and spellings; there null is a value like any other for equality, and an order with null is an error.
Source of the first: the rule criteria of StackStorm's documentation and their `operators` module.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from apps.rules.matching import dates, regexes
from apps.rules.matching.verdicts import ComparisonError, kind_of, shown

Operator = Callable[[Any, Any], bool]

MAX_WILDCARD_WORK = 20_000_000


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ComparisonError(f"it needs text, not {kind_of(value)}")
    return value


def _lower(value: Any) -> str:
    return _text(value).lower()


def _unless_null(compare: Operator) -> Operator:
    """The same operator, but false for a null pattern."""

    def guarded(value: Any, pattern: Any) -> bool:
        return pattern is not None and bool(compare(value, pattern))

    return guarded


def _contains(value: Any, pattern: Any) -> bool:
    return pattern in value


def _ends(value: Any, pattern: Any) -> bool:
    return _text(value).endswith(_text(pattern))


def _starts(value: Any, pattern: Any) -> bool:
    return _text(value).startswith(_text(pattern))


def _wildcard(value: Any, pattern: Any) -> bool:
    if len(_text(value)) * len(_text(pattern)) > MAX_WILDCARD_WORK:
        raise ComparisonError("the text and the pattern together are too long to compare")
    return fnmatchcase(value, pattern)


def _regex(pattern: Any, **how: bool) -> Any:
    try:
        return regexes.compiled(_text(pattern), **how)
    except regexes.RegexError as error:
        raise ComparisonError(f"{shown(pattern)} is not a usable regular expression: {error}") from error


def _match_regex(value: Any, pattern: Any) -> bool:
    return _regex(pattern, dot_all=True).match(_text(value)) is not None


def _search_regex(value: Any, pattern: Any) -> bool:
    return _regex(pattern).search(_text(value)) is not None


def _search_iregex(value: Any, pattern: Any) -> bool:
    return _regex(pattern, ignore_case=True).search(_text(value)) is not None


_DISTINCT: dict[str, Operator] = {
    "equals": _unless_null(lambda value, pattern: value == pattern),
    "nequals": lambda value, pattern: value != pattern,
    "iequals": _unless_null(lambda value, pattern: _lower(value) == _lower(pattern)),
    "contains": _unless_null(_contains),
    "icontains": _unless_null(lambda value, pattern: _lower(pattern) in _lower(value)),
    "ncontains": _unless_null(lambda value, pattern: not _contains(value, pattern)),
    "incontains": _unless_null(lambda value, pattern: _lower(pattern) not in _lower(value)),
    "startswith": _unless_null(_starts),
    "istartswith": _unless_null(lambda value, pattern: _lower(value).startswith(_lower(pattern))),
    "endswith": _unless_null(_ends),
    "iendswith": _unless_null(lambda value, pattern: _lower(value).endswith(_lower(pattern))),
    "lessthan": _unless_null(lambda value, pattern: value < pattern),
    "greaterthan": _unless_null(lambda value, pattern: value > pattern),
    "matchwildcard": _unless_null(_wildcard),
    "matchregex": _unless_null(_match_regex),
    "regex": _unless_null(_search_regex),
    "iregex": _unless_null(_search_iregex),
    "exists": lambda value, pattern: value is not None,
    "nexists": lambda value, pattern: value is None,
    "inside": _unless_null(lambda value, pattern: value in pattern),
    "ninside": _unless_null(lambda value, pattern: value not in pattern),
}
_SHORT = {"eq": "equals", "neq": "nequals", "ieq": "iequals", "lt": "lessthan", "gt": "greaterthan"}
_SHORT |= {"in": "inside", "nin": "ninside"}
OPERATORS: dict[str, Operator] = _DISTINCT | {short: _DISTINCT[name] for short, name in _SHORT.items()}

# The operators that ask the clock: seconds since the date, compared with the pattern.
TIMED: dict[str, Operator] = {
    name: compare
    for names, compare in (
        (("timediff_lt", "td_lt"), lambda seconds, limit: seconds < limit),
        (("timediff_gt", "td_gt"), lambda seconds, limit: seconds > limit),
    )
    for name in names
}
SEARCH = "search"
IGNORE_PATTERN = {"exists", "nexists"}
NAMES = sorted([*OPERATORS, *TIMED, SEARCH])


def _strictly_equal(value: Any, pattern: Any) -> bool:
    """Equal and of one JSON type, all the way down: true is not 1, while 1 is 1.0."""
    if isinstance(value, bool) or isinstance(pattern, bool):
        return value is pattern
    if isinstance(value, dict) and isinstance(pattern, dict):
        return value.keys() == pattern.keys() and all(_strictly_equal(value[key], pattern[key]) for key in value)
    if isinstance(value, list) and isinstance(pattern, list):
        return len(value) == len(pattern) and all(map(_strictly_equal, value, pattern))
    return bool(value == pattern)


def _between(value: Any, pattern: Any) -> bool:
    if not isinstance(pattern, list) or len(pattern) != 2:
        raise ComparisonError("it needs a list of two limits, like [1, 5]")
    return bool(pattern[0] <= value <= pattern[1])


def _exists(value: Any, pattern: Any) -> bool:
    return (value is None) == (pattern is False)


def _empty(value: Any, pattern: Any) -> bool:
    return (value is None or value in ("", [], {})) != (pattern is False)


_EQUAL: Operator = lambda value, pattern: value == pattern  # noqa: E731
_UNEQUAL: Operator = lambda value, pattern: value != pattern  # noqa: E731
_AT_LEAST: Operator = lambda value, pattern: value >= pattern  # noqa: E731
_AT_MOST: Operator = lambda value, pattern: value <= pattern  # noqa: E731
_MORE: Operator = lambda value, pattern: value > pattern  # noqa: E731
_LESS: Operator = lambda value, pattern: value < pattern  # noqa: E731
_NO_MATCH = _unless_null(lambda value, pattern: not _search_regex(value, pattern))
_NOT_STARTING = _unless_null(lambda value, pattern: not _starts(value, pattern))
_NOT_ENDING = _unless_null(lambda value, pattern: not _ends(value, pattern))

# Spellings without case, space, hyphen and underscore; each line: what they mean, and the names for it.
_SPELLINGS: list[tuple[Operator, str]] = [
    (_EQUAL, "== = eq equals equal equalto is"),
    (_UNEQUAL, "!= <> ne neq nequals notequals notequal notequalto isnot doesnotequal"),
    (_strictly_equal, "==="),
    (lambda value, pattern: not _strictly_equal(value, pattern), "!=="),
    (_MORE, "> greaterthan gt greater after"),
    (_LESS, "< lessthan lt less before"),
    (_AT_LEAST, ">= gte ge greaterthanorequal greaterthanorequals greaterthanorequalto greaterorequal atleast"),
    (_AT_MOST, "<= lte le lessthanorequal lessthanorequals lessthanorequalto lessorequal atmost"),
    (_between, "between"),
    (_DISTINCT["ncontains"], "notcontains notcontain doesnotcontain"),
    (_DISTINCT["startswith"], "beginswith"),
    (_NOT_STARTING, "notstartswith doesnotstartwith"),
    (_NOT_ENDING, "notendswith doesnotendwith"),
    (_DISTINCT["inside"], "oneof inlist isin isoneof"),
    (_DISTINCT["ninside"], "notin notinside notinlist noneof isnotin notoneof"),
    (_DISTINCT["regex"], "matches match matchesregex regexp"),
    (_NO_MATCH, "notmatches notmatch notregex doesnotmatch"),
    (_DISTINCT["matchwildcard"], "wildcard like glob"),
]
# The same for those that look at the value alone; a pattern of false turns the first four round.
_ALONE: list[tuple[Operator, str]] = [
    (_exists, "exists isnotnull notnull present ispresent isset"),
    (lambda value, pattern: not _exists(value, pattern), "notexists nexists doesnotexist isnull null missing notset"),
    (_empty, "isempty empty"),
    (lambda value, pattern: not _empty(value, pattern), "isnotempty notempty"),
    (lambda value, pattern: value is True, "istrue"),
    (lambda value, pattern: value is False, "isfalse"),
]
WORDS: dict[str, Operator] = {
    **OPERATORS,
    **{name: meaning for meaning, names in [*_SPELLINGS, *_ALONE] for name in names.split()},
}
WORDS_WITHOUT_PATTERN = {name for _, names in _ALONE for name in names.split()}
_TIMED_WORDS = {name.replace("_", ""): compare for name, compare in TIMED.items()}
_TEXT_ONLY = {name for name in _DISTINCT if name.endswith(("startswith", "endswith", "regex", "wildcard"))}
_TEXT_ONLY |= {"iequals", "ieq", "icontains", "incontains", "beginswith", "matches", "regexp", "notmatches"}
_REGEXES = {"regex", "iregex", "matchregex", "matches", "match", "matchesregex", "regexp", "notmatches", "notmatch"}
_FILL = re.compile(r"[\s_-]+")


def named(name: str) -> tuple[Operator | None, bool]:
    """The operator of StackStorm's that has this name in any case, and whether it asks the clock."""
    lowered = name.lower()
    if lowered in TIMED:
        return TIMED[lowered], True
    return OPERATORS.get(lowered), False


def spelling(name: str) -> str:
    """The name as it stands in `WORDS`: without case, spaces, hyphens and underscores."""
    return _FILL.sub("", name).lower()


def worded(name: str) -> tuple[Operator | None, bool]:
    """The operator of the wider vocabulary that goes by this name, and whether it asks the clock."""
    spelled = spelling(name)
    if spelled in _TIMED_WORDS:
        return _TIMED_WORDS[spelled], True
    return WORDS.get(spelled), False


def compared(operator: Operator, timed: bool, name: str, value: Any, pattern: Any, now: datetime | None) -> bool:
    """Apply one operator.

    Raises ComparisonError naming the operator and both values where the comparison cannot be made.
    """
    try:
        if isinstance(value, bytes | bytearray):
            value = value.decode("utf-8")
        if isinstance(pattern, bytes | bytearray):
            pattern = pattern.decode("utf-8")
        if timed:
            return pattern is not None and operator(_age(value, now), float(pattern))
        return bool(operator(value, pattern))
    except ComparisonError as error:
        raise ComparisonError(f"{name} cannot compare {shown(value)} with {shown(pattern)}: {error}") from error
    except Exception as error:  # whatever two strange values do to each other is this comparison's failure alone
        reason = f"{kind_of(value)} and {kind_of(pattern)} do not compare this way"
        raise ComparisonError(f"{name} cannot compare {shown(value)} with {shown(pattern)}: {reason}") from error


def _age(value: Any, now: datetime | None) -> float:
    """Seconds from the date to now; negative if it is still to come."""
    now = now or datetime.now(UTC)
    now = now if now.tzinfo else now.replace(tzinfo=UTC)
    if isinstance(value, datetime):
        then = value if value.tzinfo else value.replace(tzinfo=UTC)
    else:
        try:
            then = dates.instant(str(value), now=now)
        except ValueError as error:
            raise ComparisonError(str(error)) from error
    return (now - then).total_seconds()


def unusable(name: str, pattern: Any) -> str | None:
    """Why no value at all can be compared with this pattern, or None if some can; what a rule is told when saved."""
    spelled = spelling(name)
    if pattern is None:
        return None
    if spelled in _TEXT_ONLY and not isinstance(pattern, str | bytes):
        return f"{name} needs text, not {shown(pattern)}"
    if spelled in _REGEXES and isinstance(pattern, str):
        try:
            regexes.compiled(pattern)
        except regexes.RegexError as error:
            return f"{shown(pattern)} is not a usable regular expression: {error}"
    if spelled in _TIMED_WORDS:
        try:
            float(pattern)
        except (TypeError, ValueError, OverflowError):
            return f"{name} needs a number of seconds, not {shown(pattern)}"
    return None
