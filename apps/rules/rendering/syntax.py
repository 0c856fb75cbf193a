"""What a template may be made of: a short list of syntax, and the meter put in wherever work is done.

Accepted: expressions, `if`, `for`, `set`, `with`; `range(...)`; the filters of `filters`; Jinja's tests; the methods of
`metering.METHODS`. Refused: macro, call, include, import, extends, block, filter blocks, set blocks, recursive loops.
"""

from collections.abc import Iterable
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign, nodes.With)
_EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr,
    nodes.Filter, nodes.Test, nodes.Call, nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat, nodes.BinExpr,
    nodes.UnaryExpr, nodes.Compare, nodes.Operand,
)  # fmt: skip


class Rewriter(NodeTransformer):
    """Refuse the syntax that is not on the list, and put the meter where work is done."""

    def __init__(self, filters: Iterable[str], tests: Iterable[str]) -> None:
        self.filters, self.tests = frozenset(filters), frozenset(tests)

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(node, _STATEMENTS + _EXPRESSIONS):
            raise refusal(node, f"{type(node).__name__.lower()} cannot be used in a template of a rule")
        return super().visit(node, *args, **kwargs)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        if node.recursive:
            raise refusal(node, "recursive loops cannot be used in a template of a rule")
        self.generic_visit(node)
        node.iter = wrapped(node.iter, "_counted")
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        if node.name not in self.filters or node.node is None:
            raise refusal(node, f"there is no filter {node.name!r}; known are: {', '.join(sorted(self.filters))}")
        return self._without_unpacking(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:
        if node.name not in self.tests:
            raise refusal(node, f"there is no test {node.name!r}; known are: {', '.join(sorted(self.tests))}")
        return self._without_unpacking(node)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        self._without_unpacking(node)
        if isinstance(node.node, nodes.Getattr):
            method = nodes.Const(node.node.attr, lineno=node.lineno)
            return wrapped(node.node.node, "_called", [method, *node.args], node.kwargs)
        if isinstance(node.node, nodes.Name) and node.node.name == "range":
            return node
        raise refusal(node, "only range(...) and methods of text, lists and objects can be called")

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        if node.name in ("self", "super", "caller", "varargs", "kwargs"):
            raise refusal(node, f"{node.name} cannot be used in a template of a rule")
        return node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return wrapped(node, "_weighed") if node.ctx == "load" else node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return wrapped(self.generic_visit(node), "_weighed")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        return wrapped(self.generic_visit(node), "_weighed")

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        return wrapped(self.generic_visit(node), "_ticked")

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return wrapped(node, "_ticked") if isinstance(node.arg, nodes.Slice) else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return wrapped(nodes.Tuple(node.nodes, "load", lineno=node.lineno), "_joined")

    def _without_unpacking(self, node: Any) -> Any:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise refusal(node, "* and ** arguments cannot be used in a template of a rule")
        return self.generic_visit(node)


def refusal(node: nodes.Node, message: str) -> TemplateSyntaxError:
    return TemplateSyntaxError(message, getattr(node, "lineno", None) or 1)


def wrapped(node: Any, name: str, args: list[Any] | None = None, kwargs: list[Any] | None = None) -> nodes.Filter:
    """The node passed through one of our own inner filters."""
    return nodes.Filter(node, name, args or [], kwargs or [], None, None, lineno=node.lineno)
