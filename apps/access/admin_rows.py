"""JSON values that are lists of rows in a form: the fields of a schema, and simple criteria. Pure."""

from __future__ import annotations

import json
from typing import Any

from apps.access.admin_spaces import UNSET, Json, Space, from_json, is_plain, type_of
from attune.lib.errors import InvalidInput
from attune.lib.strictjson import BadJson

OPERATORS = (
    *("equals", "nequals", ">", ">=", "<", "<=", "contains", "ncontains", "startswith", "endswith"),
    *("inside", "ninside", "regex", "matchwildcard", "exists", "nexists"),
)
_TYPES = ("string", "integer", "number", "boolean", "array", "object", "any")


class Rows(Space):
    """A list of rows; each kind of rows says how one is drawn."""

    columns: dict[str, Any]

    def drawn(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "object", "keys": self.columns}}


class SchemaRows(Rows):
    """A JSON Schema of an object with plain fields, as rows of name, type, required, description, default, choices."""

    columns = {
        "name": {"type": "string", "title": "Name", "placeholder": "amount"},
        "type": {"type": "string", "title": "Type", "choices": list(_TYPES), "default": "string"},
        "required": {"type": "boolean", "title": "Required"},
        "secret": {"type": "boolean", "title": "Secret"},
        "description": {"type": "string", "title": "Description", "placeholder": "what it is for"},
        "default": {"type": "string", "title": "Default", "placeholder": "none"},
        "choices": {"type": "string", "title": "Only these", "placeholder": "low, high"},
    }

    def can_draw(self, value: Json) -> bool:
        """A schema of an object without fields is the same as none."""
        if isinstance(value, dict) and not value.get("properties") and set(value) <= {"type", "properties", "required"}:
            return not value.get("required") and value.get("type", "object") == "object"
        return super().can_draw(value)

    def to_form(self, value: Json) -> Json:
        required = value.get("required", [])
        return [self._row(name, schema, name in required) for name, schema in value.get("properties", {}).items()]

    def _row(self, name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
        kind = type_of(schema)
        return {
            "name": name,
            "type": kind,
            "required": required,
            "secret": schema.get("secret") is True,
            "description": schema.get("description", ""),
            "default": _cell(schema["default"], kind) if "default" in schema else "",
            "choices": ", ".join(_cell(each, kind) for each in schema.get("enum", [])),
        }

    def from_form(self, data: Json) -> Json:
        given = data if isinstance(data, list) else []
        rows = [row for row in given if isinstance(row, dict) and str(row.get("name") or "").strip()]
        if not rows:
            return {}
        names = [str(row["name"]).strip() for row in rows]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise InvalidInput(f"There are two fields named {', '.join(sorted(doubled))}; give each its own name.")
        schema: dict[str, Any] = {"type": "object", "properties": dict(zip(names, map(_schema_of, rows), strict=True))}
        required = [name for name, row in zip(names, rows, strict=True) if row.get("required")]
        return schema | ({"required": required} if required else {})


def _schema_of(row: dict[str, Any]) -> dict[str, Any]:
    kind = row.get("type") or "string"
    schema: dict[str, Any] = {} if kind == "any" else {"type": kind}
    if row.get("description"):
        schema["description"] = row["description"]
    if row.get("secret"):
        schema["secret"] = True
    if row.get("default") not in (None, ""):
        schema["default"] = _value(str(row["default"]), kind, str(row["name"]))
    choices = [part.strip() for part in str(row.get("choices") or "").split(",") if part.strip()]
    if choices:
        schema["enum"] = [_value(part, kind, str(row["name"])) for part in choices]
    return schema


def _cell(value: Json, kind: str) -> str:
    return value if isinstance(value, str) and kind == "string" else json.dumps(value, ensure_ascii=False)


def _value(text: str, kind: str, name: str) -> Json:
    if kind == "string":
        return text
    try:
        return from_json(text)
    except BadJson:
        if kind == "any":
            return text
        raise InvalidInput(f"{name}: {text!r} is not a value of type {kind}; write it as JSON.") from None


class CriteriaRows(Rows):
    """Criteria that are all comparisons of one field each: `[{"field", "operator", "value"}]`, all must hold."""

    columns = {
        "field": {"type": "string", "title": "Field of the payload", "placeholder": "severity"},
        "operator": {"type": "string", "title": "is", "choices": list(OPERATORS), "default": OPERATORS[0]},
        "value": {"type": "string", "title": "Value", "placeholder": "3, true, text …"},
    }

    def to_form(self, value: Json) -> Json:
        if value in ({}, None):
            return []
        rows = []
        for each in value:
            if set(each) - {"field", "operator", "value"} or each["operator"] not in OPERATORS:
                raise ValueError("these criteria say more than rows can")
            told = each.get("value", UNSET)
            shown = (
                "" if told is UNSET else told if isinstance(told, str) and is_plain(told) and told else json.dumps(told)
            )
            rows.append({"field": each["field"], "operator": each["operator"], "value": shown})
        return rows

    def from_form(self, data: Json) -> Json:
        read: list[dict[str, Any]] = []
        for row in data if isinstance(data, list) else []:
            if not isinstance(row, dict) or not str(row.get("field") or "").strip():
                continue
            one = {"field": str(row["field"]).strip(), "operator": row.get("operator") or OPERATORS[0]}
            text = str(row.get("value") or "")
            if text:
                one["value"] = text if is_plain(text) else _json_or(text)
            read.append(one)
        return read or {}


def _json_or(text: str) -> Json:
    """The value that the text is the JSON of; else the text itself."""
    try:
        return from_json(text)
    except BadJson:
        return text
