"""Parameters as they are typed: `key=value`, by the schema; `key:=json`; `key=@file`; dots for what lies deeper.

message=hi count=3 dry_run=true 'tags:=["a", "b"]' body=@letter.txt options.color=red
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attune.cli.errors import Misused

_WORD = re.compile(r"(?P<name>[^=:]+(?::(?!=)[^=:]*)*)(?P<sign>:?=)(?P<text>.*)", re.DOTALL)
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
_SHOULD_BE = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "JSON, such as '{\"a\": 1}'",
    "array": "JSON, such as '[1, 2]'",
    "null": "null",
}


def parse(words: Iterable[str], schema: dict[str, Any] | None = None, *, base: Any = None) -> dict[str, Any]:
    """The parameters that the words say, over those in `base`. Raises: Misused."""
    if base is not None and not isinstance(base, dict):
        raise Misused("Parameters are a JSON object of names and values.")
    found: dict[str, Any] = dict(base or {})
    seen: set[str] = set()
    for word in words:
        match = _WORD.fullmatch(word)
        if not match:
            raise Misused(f"{word!r} is no parameter: write name=value, or name:=json.")
        name, text = match["name"], match["text"]
        if name in seen:
            raise Misused(f"{name} is given twice.")
        seen.add(name)
        path, kind = _place(name, schema or {})
        given = _given(name, text)
        value = json_of(given, name) if match["sign"] == ":=" else _typed(name, given, kind)
        _put(found, path, value, name)
    return found


def json_argument(text: str, what: str) -> Any:
    """The JSON in an argument, in the file that `@file` names, or on stdin (`-`)."""
    return json_of(_given(what, f"@{text}" if text == "-" else text), what)


def json_of(text: str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise Misused(f"{what} is not JSON: {error}") from None


def document(path: str, what: str) -> Any:
    """A file of YAML or JSON; `-`: stdin."""
    import yaml

    text = read_file(path, what)
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise Misused(f"{what} {path} can be read neither as YAML nor as JSON: {error}") from None


def read_file(path: str, what: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).expanduser().read_text()
    except OSError as error:
        raise Misused(f"{what}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Misused(f"{what}: {path} is not UTF-8 text.") from None


def _given(name: str, text: str) -> str:
    """The text, or what is in the file that `@file` names; `@@` begins a text with an @."""
    if text.startswith("@@"):
        return text[1:]
    if not text.startswith("@"):
        return text
    try:
        return read_file(text[1:], name)
    except Misused as error:
        raise Misused(error.message, hint=f"For a text that begins with @, write {name}=@{text}") from None


def _place(name: str, schema: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Where the value goes, and what the schema says of it. A name of the schema may hold dots itself."""
    known = schema.get("properties") or {}
    if name in known or "." not in name:
        return [name], _object(known.get(name))
    path = name.split(".")
    for part in path:
        schema = _object((schema.get("properties") or {}).get(part))
    return path, schema


def _typed(name: str, text: str, kind: dict[str, Any]) -> Any:
    types = kind.get("type")
    wanted = [types] if isinstance(types, str) else list(types) if isinstance(types, list) else []
    if not wanted and not any(key in kind for key in ("enum", "const", "anyOf", "oneOf", "properties", "items")):
        return text
    for one in wanted or ["integer", "number", "object", "array", "any"]:
        try:
            return _as(one, text)
        except ValueError:
            continue
    raise Misused(
        f"{name} should be {' or '.join(_SHOULD_BE.get(one, one) for one in wanted)}, not {_short(text)}.",
        hint=f"To give any JSON value, write {name}:=…",
    )


def _as(kind: str, text: str) -> Any:
    """The text as a value of that type. Raises: ValueError."""
    if kind == "boolean":
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError
        return text.lower() in _TRUE
    if kind in ("integer", "number", "object", "array", "null"):
        value = json.loads(text, parse_constant=_no_constant)
        expected: dict[str, tuple[type, ...]] = {
            "integer": (int,),
            "number": (int, float),
            "object": (dict,),
            "array": (list,),
            "null": (type(None),),
        }
        if isinstance(value, bool) or not isinstance(value, expected[kind]):
            raise ValueError
        return value
    return text


def _put(found: dict[str, Any], path: list[str], value: Any, name: str) -> None:
    *above, last = path
    for part in above:
        inner = found.setdefault(part, {})
        if not isinstance(inner, dict):
            raise Misused(f"{name} cannot be set: {part} is no object.")
        found = inner
    found[last] = value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
