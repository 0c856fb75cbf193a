"""Turn a rule's parameter templates into values. Pure: nothing is looked up but in the context that is handed in.

A text that is exactly one `{{ expression }}` gives the expression's own JSON value; any other template gives text, with
values written as Jinja writes them. A text without template signs comes back as it is, and nothing is rendered twice:
`{{ }}` inside a payload stays text. Keys of objects are never templates. Keys of objects win over methods, so
`payload.items` is the payload's own. A name that leads nowhere is an error unless `default(...)` or `is defined` asks.

Names: `event.{id,trigger,created,payload}`, `payload.*`, `trigger.*` and `trigger.payload.*` (a payload's own key
"payload" wins there), `pack.config.*` = `config.*`, `rule.{ref,id}`, `system.timestamp`, `key.*`.
Secrets: `key.*` becomes a placeholder, which only the worker exchanges for the value. It stands alone or inside a text,
as it is; filters, comparisons and the like on it are refused.
Filters: those of `FILTERS`; `regex_match` is anchored at the start, `regex_search` is not, both give true or false.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, nodes

from apps.rules.matching.verdicts import Fault
from apps.rules.rendering.filters import FILTERS
from apps.rules.rendering.metering import METER, LimitError, metered, weighed
from apps.rules.rendering.sandbox import Sandbox
from apps.rules.rendering.values import SLOTS, KeyReference, Slots, moment_text, plain, put_out

MAX_SHOWN = 120
MAX_DEPTH = 100
ENVIRONMENT = Sandbox(FILTERS, put_out)


class RenderingError(ValueError):
    """Raised when a template cannot be rendered; says where it stands, what it is and what is wrong."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rendered parameters, and for each placeholder in them the path of the key that belongs there."""

    value: Any
    key_slots: dict[str, dict[str, Any]]


class TriggerPayload(dict[str, Any]):
    """An event's payload under the name `trigger`: also reachable as `trigger.payload`, unless it has that key."""

    def __missing__(self, name: str) -> Any:
        if name == "payload":
            return dict(self)
        raise KeyError(name)


def build_context(
    *,
    payload: Any,
    event_id: int | None = None,
    trigger_ref: str = "",
    created: datetime | str | None = None,
    rule_ref: str = "",
    rule_id: int | None = None,
    pack_config: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """The names that criteria and templates see for one event and one rule. Times become ISO texts with their zone."""
    config = dict(pack_config or {})
    return {
        "payload": payload,
        "trigger": TriggerPayload(payload) if isinstance(payload, dict) else payload,
        "event": {"id": event_id, "trigger": trigger_ref, "created": moment_text(created), "payload": payload},
        "pack": {"config": config},
        "config": config,
        "rule": {"ref": rule_ref, "id": rule_id},
        "system": {"timestamp": moment_text(now or datetime.now(UTC))},
    }


def render(value: Any, context: Mapping[str, Any], *, place: str = "") -> Any:
    """The value with every template in its texts rendered, in lists and objects too.

    `place` names where it stands, for errors. Raises RenderingError. Keys cannot be used here: see `render_parameters`.
    """
    names = {"key": KeyReference(), **context} if isinstance(context, Mapping) else {}
    with metered():
        return _rendered(value, names, place, 0)


def render_parameters(params: Any, context: Mapping[str, Any], *, place: str = "action_params") -> Rendered:
    """Render a rule's action parameters, with placeholders for the keys that they name. Raises RenderingError."""
    token = SLOTS.set(slots := Slots())
    try:
        value = render(params, context, place=place)
    finally:
        SLOTS.reset(token)
    return Rendered(value, slots.slots)


def check_templates(value: Any, place: str = "action_params") -> list[Fault]:
    """Every template in the value that could never be rendered, by its place; for when a rule is saved."""
    faults: list[Fault] = []
    waiting: list[tuple[Any, str, int]] = [(value, place, 0)]
    while waiting:
        part, path, depth = waiting.pop()
        if depth > MAX_DEPTH:
            faults.append(Fault(path, f"it is nested more than {MAX_DEPTH} deep; make it flatter"))
        elif isinstance(part, str) and _has_template(part):
            try:
                _compiled(part)
            except RenderingError as error:
                faults.append(Fault(path, f"{_quoted(part)}: {error}"))
        elif isinstance(part, dict):
            waiting.extend((item, f"{path}.{key}", depth + 1) for key, item in reversed(part.items()))
        elif isinstance(part, list | tuple):
            waiting.extend((part[at], f"{path}[{at}]", depth + 1) for at in reversed(range(len(part))))
    return faults


def _has_template(text: str) -> bool:
    return "{{" in text or "{%" in text or "{#" in text


def _rendered(value: Any, context: Mapping[str, Any], place: str, depth: int) -> Any:
    if isinstance(value, str):
        return _rendered_text(value, context, place) if _has_template(value) else value
    if not isinstance(value, dict | list | tuple):
        return value
    if depth > MAX_DEPTH:
        raise RenderingError(f"In {place[:MAX_SHOWN] or 'the template'}: it is nested more than {MAX_DEPTH} deep.")
    if isinstance(value, dict):
        return {
            key: _rendered(item, context, f"{place}.{key}" if place else str(key), depth + 1)
            for key, item in value.items()
        }
    return [_rendered(item, context, f"{place}[{at}]", depth + 1) for at, item in enumerate(value)]


def _rendered_text(source: str, context: Mapping[str, Any], place: str) -> Any:
    where = f"In {place}: " if place else ""
    try:
        return _compiled(source)(context)
    except (TemplateError, LimitError, RenderingError) as error:
        raise RenderingError(f"{where}{_quoted(source)}: {error}") from error
    except Exception as error:  # whatever a template does to strange values is that template's failure alone
        raise RenderingError(f"{where}{_quoted(source)}: {type(error).__name__}: {str(error)[:300]}") from error


def _quoted(source: str) -> str:
    return f'"{source}"' if len(source) <= MAX_SHOWN else f'"{source[:MAX_SHOWN]}…"'


@lru_cache(maxsize=512)
def _compiled(source: str) -> Callable[[Mapping[str, Any]], Any]:
    """The template as a function of the context. Raises RenderingError with what is wrong in it."""
    try:
        tree = ENVIRONMENT._parse(source, None, None)
        lone = _lone_expression(tree)
        if lone is not None:
            tree = nodes.Template([nodes.Assign(nodes.Name("result", "store", lineno=1), lone, lineno=1)], lineno=1)
        tree.set_environment(ENVIRONMENT)
        template = ENVIRONMENT.from_string(tree)
    except TemplateSyntaxError as error:
        raise RenderingError(f"{error.message} (line {error.lineno})") from error
    except (SyntaxError, RecursionError, MemoryError, OverflowError, ValueError) as error:
        raise RenderingError("the template is too complex; make it simpler, or do this in the action") from error
    return partial(_text if lone is None else _native, template)


def _lone_expression(tree: nodes.Template) -> nodes.Expr | None:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output) or len(tree.body[0].nodes) != 1:
        return None
    only = tree.body[0].nodes[0]
    return None if isinstance(only, nodes.TemplateData) else only


def _native(template: Any, context: Mapping[str, Any]) -> Any:
    frame = template.new_context(dict(context))
    for _ in template.root_render_func(frame):
        pass
    return plain(weighed(frame.vars["result"]), with_keys=True)


def _text(template: Any, context: Mapping[str, Any]) -> str:
    meter, parts = METER.get(), []
    for part in template.root_render_func(template.new_context(dict(context))):
        meter.put_out(len(part))
        parts.append(part)
    return "".join(parts)
