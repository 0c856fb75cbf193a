"""Jinja for strangers' templates: JSON data in, JSON data out; no attribute of a Python object is reachable."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from jinja2 import TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from apps.rules.rendering.metering import (
    MAX_VALUE,
    MAX_WHOLE_BITS,
    LimitError,
    Missing,
    Opaque,
    bounded_range,
    called,
    charge,
    counted,
    guarded,
    joined,
    ticked,
    weighed,
)
from apps.rules.rendering.syntax import Rewriter

MAX_SOURCE = 64 * 1024
_LOOP = frozenset({"index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem"})


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment that rule templates are compiled and run in."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, filters: dict[str, Callable[..., Any]], put_out: Callable[[Any], str]) -> None:
        super().__init__(undefined=Missing, autoescape=False, optimized=False, keep_trailing_newline=True, cache_size=0)
        self.globals = {"range": bounded_range}
        tests: dict[str, Any] = {name: TESTS[name] for name in TESTS if name not in ("callable", "filter", "test")}
        self.tests = {name: guarded(test) for name, test in tests.items()}
        self.rewriter = Rewriter(filters, self.tests)
        self.filters = {name: guarded(function) for name, function in filters.items()}
        self.filters |= {"_counted": counted, "_weighed": weighed, "_ticked": ticked, "_called": called}
        self.filters |= {"_joined": joined}
        # With the context as its first argument, so that Jinja does not work out constants while it compiles.
        self.finalize = pass_context(lambda context, value: put_out(value))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_SOURCE:
            raise TemplateSyntaxError(f"a template has at most {MAX_SOURCE} characters", 1)
        rewritten: nodes.Template = self.rewriter.visit(super()._parse(source, name, filename))
        return rewritten

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return member(obj, argument)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        if __obj is not bounded_range:
            raise LimitError("only range(...) and methods of text, lists and objects can be called")
        return __obj(*args)  # keyword arguments are Jinja's own loop variables; range takes none

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The arithmetic operators, refused where the result could be out of all proportion."""
        if operator == "%" and isinstance(left, str):
            raise LimitError("text formatting with % cannot be used in a template; write the text with {{ }} in it")
        whole = isinstance(left, int) and isinstance(right, int)
        if operator == "**" and whole and left.bit_length() * right > MAX_WHOLE_BITS:
            raise LimitError("a number in the template grows too large")
        if operator == "*":
            for some, other in ((left, right), (right, left)):
                if (
                    isinstance(some, str | list | tuple)
                    and isinstance(other, int)
                    and len(some) * other > MAX_VALUE // 8
                ):
                    raise LimitError("a repetition in the template grows too large")
        charge(left)
        charge(right)
        return weighed(super().call_binop(context, operator, left, right))


def member(obj: Any, argument: Any) -> Any:
    """A member of JSON data, or `Missing`."""
    if isinstance(obj, Opaque):
        return obj.child(argument)
    if isinstance(obj, dict | list | tuple | str):
        try:
            return obj[argument]
        except (TypeError, LookupError):
            pass
    elif isinstance(obj, Missing):
        return obj
    elif isinstance(obj, LoopContext) and argument in _LOOP:
        return getattr(obj, argument)
    return Missing(hint=missing_hint(obj, argument), obj=obj, name=str(argument)[:80])


def missing_hint(obj: Any, argument: Any) -> str:
    """What to tell somebody whose name leads nowhere."""
    name = str(argument)[:80]
    if isinstance(obj, dict):
        there = ", ".join(str(key)[:40] for key in islice(obj, 10)) or "nothing"
        return f"there is no {name!r} here (there is: {there})"
    of = "null" if obj is None else "a list" if isinstance(obj, list | tuple) else "a plain value"
    return f"there is no {name!r} in {of}"
