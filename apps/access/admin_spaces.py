"""Between a JSON value and the form it is edited in: what is drawn, what the form holds, and the value back. Pure.

jsonform (react-json-form) fills every key in, cannot tell "not given" from empty, and breaks on a template in a typed
field. So a form holds values of its own shape, made here: a choice that says "not given" aloud, numbers and lists that
take a template as text. A value that would not survive the way there and back is edited as JSON instead.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import Any

from attune.lib import strictjson, yamlfiles
from attune.lib.api import DEEPEST
from attune.lib.errors import InvalidInput

Json = Any
UNSET = "__unset__"
_TEMPLATE = re.compile(r"\{\{|\{%")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?\Z")


class Space(ABC):
    """One kind of value, and its form."""

    @abstractmethod
    def drawn(self) -> dict[str, Any]:
        """What jsonform draws."""

    @abstractmethod
    def to_form(self, value: Json) -> Json:
        """The value as jsonform holds it."""

    @abstractmethod
    def from_form(self, data: Json) -> Json:
        """Raises InvalidInput where a part that is written as JSON is not JSON."""

    def empty(self) -> Json:
        """What an empty text stands for."""
        return {}

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to ask for."""
        return False

    def can_draw(self, value: Json) -> bool:
        """Whether the form shows this value whole, so that nothing is lost when it is saved."""
        try:
            return _same(self.from_form(self.to_form(value)), value)
        except (InvalidInput, KeyError, TypeError, ValueError, AttributeError):
            return False


def from_json(text: str) -> Json:
    """A value written as JSON that can be kept. Raises BadJson."""
    return strictjson.read(text.encode("utf-8", "surrogatepass"), max_depth=DEEPEST)


def from_text(text: str, *, what: str) -> Json:
    """A value written as JSON, or as YAML. Raises InvalidInput."""
    try:
        return from_json(text)
    except strictjson.BadJson as error:
        problem = error
    try:
        return yamlfiles.parse(text).data
    except InvalidInput as error:
        if text.lstrip()[:1] in "{[":
            raise InvalidInput(f"{what} {problem}.") from None
        raise InvalidInput(f"{what} is neither JSON nor YAML: {error.message}") from None


def is_template(value: Json) -> bool:
    return isinstance(value, str) and bool(_TEMPLATE.search(value))


def _same(one: Json, other: Json) -> bool:
    """Equal as JSON: true is not 1, but 1 is 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [each for each in kind if each != "null"]
        kind = kinds[0] if len(kinds) == 1 else None
    return kind or "any"


class Parameters(Space):
    """The parameters that a schema asks for; with `templates`, each may be a template instead of a value."""

    def __init__(self, schema: dict[str, Any] | None, *, templates: bool = False) -> None:
        self.schema = schema if isinstance(schema, dict) else {}
        self.templates = templates
        found = self.schema.get("properties")
        self.properties: dict[str, dict[str, Any]] = (
            {str(k): v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}
        )
        required = self.schema.get("required")
        self.required = set(required) if isinstance(required, list) else set()

    @property
    def is_blank(self) -> bool:
        return not self.properties

    def drawn(self) -> dict[str, Any]:
        keys = {name: self._drawn(name, schema) for name, schema in self._ordered()}
        return {"type": "object", "keys": keys}

    def to_form(self, value: Json) -> Json:
        if set(value) - set(self.properties):
            raise ValueError("there are names that the schema does not know")
        return {name: self._encode(schema, value.get(name, UNSET)) for name, schema in self._ordered()}

    def from_form(self, data: Json) -> Json:
        if not isinstance(data, dict):
            return {}
        read = {name: self._decode(name, schema, data.get(name)) for name, schema in self._ordered()}
        return {name: value for name, value in read.items() if value is not UNSET}

    def _ordered(self) -> list[tuple[str, dict[str, Any]]]:
        """What must be given stands first."""
        return sorted(self.properties.items(), key=lambda pair: pair[0] not in self.required)

    def _kind(self, schema: dict[str, Any]) -> str:
        kind = type_of(schema)
        if "const" in schema or isinstance(schema.get("enum"), list):
            return "choice"
        if kind == "string":
            return "secret" if schema.get("secret") and not self.templates else "text"
        if kind in ("integer", "number"):
            return "numeral"
        if kind == "boolean":
            return "choice"
        items = schema.get("items")
        if kind == "array" and not self.templates and isinstance(items, dict) and type_of(items) == "string":
            return "list" if not items.get("secret") else "json"
        return "json"

    def _drawn(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        kind, required = self._kind(schema), name in self.required
        base: dict[str, Any] = {"title": name, "helpText": _help(schema, self.templates)}
        if required:
            base["required"] = True
        if kind == "choice":
            choices = [{"title": text, "value": code} for code, text in self._choices(schema).items()]
            if not required or "default" in schema:
                choices.insert(0, {"title": _unset_title(schema), "value": UNSET})
            select = {"type": "string", "choices": choices, "default": choices[0]["value"] if choices else ""}
            if not self.templates:
                return base | select
            template = {"type": "string", "title": "Template", "placeholder": "{{ event.payload.… }}"}
            options = [
                {**select, "title": "Value", "helpText": base["helpText"]},
                {"type": "object", "title": "Template", "keys": {"template": template}},
            ]
            return {"title": name, "anyOf": options} | ({"required": True} if required else {})
        if kind == "secret":
            return base | {"type": "string", "format": "password"}
        if kind == "list":
            return base | {"type": "array", "items": {"type": "string"}}
        placeholder = _placeholder(schema, kind, self.templates)
        widget = {} if kind == "numeral" else {"widget": "textarea"}
        return base | {"type": "string", "placeholder": placeholder} | widget

    def _choices(self, schema: dict[str, Any]) -> dict[str, str]:
        """Code in the form, and text, of each choice."""
        if "const" in schema:
            return {_code(schema["const"]): _code(schema["const"])}
        if isinstance(schema.get("enum"), list):
            return {_code(each): _code(each) for each in schema["enum"]}
        return {"true": "Yes", "false": "No"}

    def _values(self, schema: dict[str, Any]) -> dict[str, Json]:
        if "const" in schema:
            return {_code(schema["const"]): schema["const"]}
        if isinstance(schema.get("enum"), list):
            return {_code(each): each for each in schema["enum"]}
        return {"true": True, "false": False}

    def _encode(self, schema: dict[str, Any], value: Json) -> Json:
        kind = self._kind(schema)
        if kind == "choice":
            if value is UNSET:
                return UNSET
            if self.templates and is_template(value):
                return {"template": value}
            if _code(value) not in self._values(schema):
                raise ValueError(f"{value!r} is none of the choices")
            return _code(value)
        if kind == "list":
            return [] if value is UNSET else list(value)
        if value is UNSET:
            return ""
        if kind in ("text", "secret") or (self.templates and is_template(value)):
            return value if isinstance(value, str) else json.dumps(value)
        if kind == "numeral":
            return value if isinstance(value, str) else json.dumps(value)
        if isinstance(value, str) and type_of(schema) == "any" and is_plain(value):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False) if value not in ({}, []) else json.dumps(value)

    def _decode(self, name: str, schema: dict[str, Any], data: Json) -> Json:
        kind = self._kind(schema)
        if kind == "choice":
            if isinstance(data, dict):
                return data.get("template") or UNSET
            return UNSET if data in (None, "", UNSET) else self._values(schema).get(str(data), data)
        if kind == "list":
            given = [item for item in data if item not in (None, "")] if isinstance(data, list) else []
            return given or UNSET
        if data is None or data == "":
            return UNSET
        if kind in ("text", "secret") or not isinstance(data, str) or (self.templates and is_template(data)):
            return data
        if kind == "numeral":
            return from_text(data, what=name) if _NUMBER.match(data.strip()) else data
        if not data.strip():
            return UNSET
        if type_of(schema) == "any" and is_plain(data):
            return data
        return from_text(data, what=name)


def _code(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def is_plain(text: str) -> bool:
    """Whether this text, where any value may stand, means itself rather than JSON."""
    try:
        from_json(text)
    except strictjson.BadJson:
        return text.lstrip()[:1] not in ("{", "[", '"')
    return False


def _unset_title(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "not given"
    default = "********" if schema.get("secret") else schema["default"]
    return f"default: {'yes' if default is True else 'no' if default is False else _code(default)}"


def _help(schema: dict[str, Any], templates: bool) -> str:
    said = [str(schema.get("description") or "").strip()]
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        said.append(
            f"From {low} to {high}."
            if None not in (low, high)
            else f"At {'least' if high is None else 'most'} " + str(low if high is None else high) + "."
        )
    if schema.get("secret"):
        said.append("Secret: name a key here, not the value." if templates else "Secret: never shown again.")
    inner = schema.get("properties")
    if isinstance(inner, dict) and inner:
        said.append("Fields: " + ", ".join(map(str, inner)) + ".")
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in said if part)


def _placeholder(schema: dict[str, Any], kind: str, templates: bool) -> str:
    if schema.get("secret"):
        return "{{ key.… }}" if templates else ""
    if schema.get("default") not in (None, "", [], {}):
        return f"default: {_code(schema['default'])}"
    or_template = " or {{ template }}" if templates else ""
    if kind == "numeral":
        return ("a whole number" if type_of(schema) == "integer" else "a number") + or_template
    if kind == "json":
        shape = {"object": '{"name": "value"}', "array": "[1, 2]"}.get(type_of(schema), "any value, or JSON")
        return shape + or_template
    return "text" + or_template
