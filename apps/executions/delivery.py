"""How an action gets its parameters: three deliveries, three formats, and the secrets it asked for. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import yaml

SECRETS_MARKER = "---ATTUNE_PARAMS_END---"


@dataclass(frozen=True)
class Delivery:
    """What to hand over: variables, the bytes of stdin (None: nothing to read), the bytes of a parameter file."""

    env: dict[str, str] = field(default_factory=dict)
    stdin: bytes | None = None
    file: bytes | None = None


def deliver(parameters: dict[str, Any], *, delivery: str, format: str, secrets: dict[str, Any] | None) -> Delivery:
    """Parameters and secrets in the way the action asked for (contract: Delivery).

    `secrets` is None when the action names none: then no marker is written, so that `INPUT=$(cat)` is pure.
    """
    after = "" if secrets is None else f"{SECRETS_MARKER}\n{_json(secrets)}\n"
    if delivery == "stdin":
        return Delivery(stdin=_bytes(write(parameters, format) + "\n" + after))
    stdin = _bytes(after) if after else None
    if delivery == "file":
        return Delivery(stdin=stdin, file=_bytes(write(parameters, format) + "\n"))
    return Delivery(env={variable_for(name): as_text(value) for name, value in parameters.items()}, stdin=stdin)


def write(parameters: dict[str, Any], format: str) -> str:
    """One document of all parameters, without its last newline."""
    if format == "yaml":
        return yaml.safe_dump(parameters, allow_unicode=True, sort_keys=False).rstrip("\n")
    if format == "dotenv":
        lines = sorted(_dotted(parameters))
        return "\n".join("{}='{}'".format(key, text.replace("'", "'\\''")) for key, text in lines)
    return _json(parameters)


def variable_for(name: str) -> str:
    """The variable that carries a parameter with `env` delivery."""
    return f"ATTUNE_ACTION_{name.upper()}"


def as_text(value: Any) -> str:
    """A value as the text of a variable: texts as they are, null empty, objects and arrays as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("\0", "")  # no variable can hold one
    return _json(value)


def _dotted(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines += _dotted(item, f"{prefix}{key}.")
        else:
            lines.append((f"{prefix}{key}", as_text(item)))
    return lines


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
