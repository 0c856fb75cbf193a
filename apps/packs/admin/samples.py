"""A payload that a trigger's events could have: its own example, else one made from its schema. Pure."""

from __future__ import annotations

from typing import Any

from apps.packs.models import Trigger

_OF_TYPE: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}
_OF_FORMAT = {"date-time": "2030-01-31T12:00:00Z", "date": "2030-01-31", "ipv4": "192.0.2.7"}
DEEPEST = 4


def sample_payload(trigger: Trigger) -> dict[str, Any]:
    for example in trigger.examples or []:
        payload = example.get("payload") if isinstance(example, dict) else None
        if isinstance(payload, dict):
            return payload
    made = sample(trigger.payload_schema or {})
    return made if isinstance(made, dict) else {}


def sample(schema: Any, name: str = "", depth: int = 0) -> Any:
    """A value that (simple) schemas are met by."""
    if not isinstance(schema, dict) or depth > DEEPEST:
        return {} if depth == 0 else "text"
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    for word in ("examples", "enum"):
        if isinstance(schema.get(word), list) and schema[word]:
            return schema[word][0]
    properties = schema.get("properties")
    if isinstance(properties, dict):
        return {key: sample(inner, key, depth + 1) for key, inner in properties.items()}
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind is None and depth == 0:
        return {}
    if kind in ("integer", "number") and "minimum" in schema:
        return schema["minimum"]
    return _OF_TYPE.get(str(kind), _OF_FORMAT.get(str(schema.get("format")), name or "text"))
