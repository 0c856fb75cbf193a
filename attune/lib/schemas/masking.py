"""Where a schema says `secret: true`, and how such values are kept out of sight."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

MASK = "********"
ITEM = "*"  # stands for every item of an array in the path of a secret


def secret_paths(schema: dict[str, Any]) -> list[tuple[str, ...]]:
    """Where the secrets of a value are: `("login", "password")`, with `*` for every item of an array."""
    return list(_secret_paths(marshal.dumps(schema, 2))) if schema else []


def mask(value: Any, schema: dict[str, Any]) -> Any:
    """The value with everything that the schema calls secret replaced by `********`; an absent secret stays absent."""
    for path in secret_paths(schema):
        value = _mask_at(value, path)
    return value


def secret_values(value: Any, schema: dict[str, Any]) -> list[Any]:
    """The values that stand at the secret places, as they are; nulls left out."""
    found = [item for path in secret_paths(schema) for item in _values_at(value, path)]
    return [item for item in found if item is not None]


def secret_places(value: Any, schema: dict[str, Any]) -> list[tuple[str | int, ...]]:
    """Where secrets stand in this very value: `("logins", 0, "password")`; nulls left out."""
    return [place for path in secret_paths(schema) for place in _places_at(value, path)]


@lru_cache(maxsize=4096)
def _secret_paths(packed: bytes) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(_walk_secrets(marshal.loads(packed), ())))  # noqa: S302  (we packed it)


def _walk_secrets(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not isinstance(schema, dict):
        return
    if schema.get("secret") is True:
        yield path
        return
    for name, inner in (schema.get("properties") or {}).items():
        yield from _walk_secrets(inner, (*path, name))
    for word in ("items", "additionalProperties", "contains"):
        yield from _walk_secrets(schema.get(word), (*path, ITEM))
    for inner in schema.get("prefixItems") or []:
        yield from _walk_secrets(inner, (*path, ITEM))
    for inner in (schema.get("patternProperties") or {}).values():
        yield from _walk_secrets(inner, (*path, ITEM))
    for word in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(word) or []:
            yield from _walk_secrets(inner, path)
    for word in ("if", "then", "else"):
        yield from _walk_secrets(schema.get(word), path)


def touches_secret(path: list[Any], schema: dict[str, Any]) -> bool:
    """Whether a secret stands at that path, above it or below it."""
    return any(
        all(wanted in (ITEM, str(given)) for wanted, given in zip(secret, path, strict=False))
        for secret in secret_paths(schema)
    )


def _mask_at(value: Any, path: tuple[str, ...]) -> Any:
    if not path:
        return value if value is None else MASK
    first, rest = path[0], path[1:]
    if isinstance(value, list) and first == ITEM:
        return [_mask_at(item, rest) for item in value]
    if isinstance(value, dict):
        names = list(value) if first == ITEM else [first] if first in value else []
        return value | {name: _mask_at(value[name], rest) for name in names}
    return value


def _values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if not path:
        yield value
    elif isinstance(value, list) and path[0] == ITEM:
        for item in value:
            yield from _values_at(item, path[1:])
    elif isinstance(value, dict):
        for name in list(value) if path[0] == ITEM else [path[0]]:
            if name in value:
                yield from _values_at(value[name], path[1:])


def _places_at(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str | int, ...]]:
    if not path:
        if value is not None:
            yield ()
        return
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, list) and path[0] == ITEM:
        inner = enumerate(value)
    elif isinstance(value, dict):
        inner = [(name, value[name]) for name in (list(value) if path[0] == ITEM else [path[0]]) if name in value]
    for step, item in inner:
        for rest in _places_at(item, path[1:]):
            yield (step, *rest)
