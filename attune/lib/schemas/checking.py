"""Check values against a schema in normal form, with defaults filled in and faults in words."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator
from copy import deepcopy
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing.exceptions import Unresolvable

from attune.lib.errors import InvalidInput
from attune.lib.schemas.dialects import SchemaFault
from attune.lib.schemas.formats import FORMATS, IN_WORDS, found_in
from attune.lib.schemas.masking import touches_secret

_COMPOSITE = {"anyOf", "oneOf", "allOf", "not", "enum", "const", "contains", "uniqueItems", "if"}


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not found_in(pattern, instance):
        yield ValidationError(f"does not match the pattern {pattern}")


def _required(validator: Any, names: list[str], instance: Any, schema: Any) -> Iterator[ValidationError]:
    """One error for each missing name, its path that of what is missing."""
    if isinstance(instance, dict):
        yield from (ValidationError("is required", path=[name]) for name in names if name not in instance)


_Validator = extend(Draft202012Validator, {"pattern": _pattern, "required": _required})


class SchemaMismatch(InvalidInput):
    """A value does not meet its schema; `details["faults"]` is a list of {"path", "message"}."""


def check(
    schema: dict[str, Any],
    value: Any,
    *,
    closed: bool = False,
    skip: Callable[[Any], bool] | None = None,
    noun: str = "parameter",
) -> Any:
    """The value with defaults filled in, at any depth, once it meets the schema. The value given is not changed.

    An explicit null where the schema does not ask for null counts as absent. `closed` refuses names that the schema
    does not know (unless it has no properties, or says `additionalProperties`). A value for which `skip` is true, e.g.
    a template that is still to be rendered, is taken as it is. `noun` is what a message calls a field.
    Raises SchemaMismatch naming each field; values of secret fields are not repeated in it.
    """
    if not schema:
        return value
    packed = marshal.dumps(schema, 2)  # version 2 writes equal schemas alike, in a microsecond
    filled = _fill(schema, value)
    faults = list(_unknown(schema, filled, noun)) if closed else []
    faults += [_fault(error, schema, noun) for error in _errors(packed, filled) if not _skips(error, skip)]
    if faults:
        raise SchemaMismatch("; ".join(fault["message"] for fault in faults[:20]), details={"faults": faults})
    return filled


def misfit_defaults(schema: dict[str, Any]) -> list[SchemaFault]:
    """The defaults, at any depth, that do not meet their own property's schema."""
    faults: list[SchemaFault] = []
    for name, inner in _properties(schema).items():
        if inner.get("default") is not None:
            for error in list(_errors(marshal.dumps(inner, 2), inner["default"]))[:1]:
                faults.append(
                    SchemaFault(("properties", name, "default"), f"the default of `{name}` {_sentence(error)}")
                )
        faults += [SchemaFault(("properties", name, *f.path), f.message) for f in misfit_defaults(inner)]
    return faults


# Checking ------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=4096)
def _validator(packed: bytes) -> Any:
    return _Validator(marshal.loads(packed), format_checker=FORMATS)  # noqa: S302  (we packed it)


def _errors(packed: bytes, value: Any) -> Iterator[ValidationError]:
    try:
        yield from _validator(packed).iter_errors(value)
    except (Unresolvable, RecursionError) as error:
        yield ValidationError(f"its schema cannot be used, mend its `$ref`: {error}", validator="$ref")


def _properties(schema: Any) -> dict[str, dict[str, Any]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return {k: v for k, v in properties.items() if isinstance(v, dict)} if isinstance(properties, dict) else {}


def _fill(schema: Any, value: Any) -> Any:
    """A copy of the value with defaults in and superfluous nulls out."""
    if isinstance(value, list) and isinstance(schema, dict) and isinstance(schema.get("items"), dict):
        return [_fill(schema["items"], item) for item in value]
    properties = _properties(schema)
    if not isinstance(value, dict) or not properties:
        return value
    filled = dict(value)
    for name, inner in properties.items():
        given = filled.get(name)
        if given is None and name in filled and ("default" in inner or not _admits_null(inner)):
            if "default" in inner and _admits_null(inner) and "type" in inner:
                continue  # null is a value of its own here
            del filled[name]
        if name not in filled and "default" in inner:
            filled[name] = deepcopy(inner["default"])
        if isinstance(filled.get(name), (dict, list)):
            filled[name] = _fill(inner, filled[name])
    return filled


def _admits_null(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    if kind is not None and kind != "null" and not (isinstance(kind, list) and "null" in kind):
        return False
    return None in schema["enum"] if "enum" in schema else schema.get("const") is None


def _unknown(schema: dict[str, Any], value: Any, noun: str) -> Iterator[dict[str, str]]:
    properties = _properties(schema)
    if (
        not properties
        or not isinstance(value, dict)
        or "additionalProperties" in schema
        or "patternProperties" in schema
    ):
        return
    for name in value:
        if name not in properties:
            near = get_close_matches(str(name), properties, 1)
            hint = f"; did you mean {near[0]!r}? Known" if near else "; known"
            yield {"path": str(name), "message": f"unknown {noun} {str(name)!r}{hint}: {', '.join(sorted(properties))}"}


def _fault(error: ValidationError, schema: dict[str, Any], noun: str) -> dict[str, str]:
    path = list(error.absolute_path)
    hidden = touches_secret(path, schema)
    place = f"{noun} {_dotted(path)!r}" if path else f"the {noun}s"
    return {"path": _dotted(path), "message": f"{place} {_sentence(error, hidden=hidden)}"}


def _sentence(error: ValidationError, *, hidden: bool = False) -> str:
    rule, limit = str(error.validator), cast(Any, error.validator_value)
    if rule == "required":
        return "is required"
    found = "" if hidden else f", not {_short(error.instance)}"
    if rule == "type":
        kinds = limit if isinstance(limit, list) else [limit]
        return f"must be of type {' or '.join(map(str, kinds))}{found}"
    if rule == "enum":
        return f"must be one of {', '.join(_short(choice) for choice in limit)}{found}"
    if rule == "const":
        return f"must be {_short(limit)}{found}"
    if rule in ("minimum", "maximum"):
        return f"must be at {'least' if rule == 'minimum' else 'most'} {limit}{found}"
    if rule == "format":
        return f"must be {IN_WORDS.get(limit, f'a {limit}')}{found}"
    if rule == "pattern":
        return f"must match the pattern {limit}{found}"
    if rule in ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"):
        unit = {"L": "characters", "I": "items", "P": "properties"}[rule[3]]
        return f"must have at {'least' if rule.startswith('min') else 'most'} {limit} {unit}"
    return f"does not meet `{rule}`" if hidden else f"does not meet `{rule}`: {error.message[:300]}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _dotted(path: list[Any]) -> str:
    return ".".join(map(str, path))


def _skips(error: ValidationError, skip: Callable[[Any], bool] | None) -> bool:
    if skip is None:
        return False
    return skip(error.instance) or (error.validator in _COMPOSITE and _holds(error.instance, skip))


def _holds(value: Any, skip: Callable[[Any], bool]) -> bool:
    if isinstance(value, (dict, list)):
        return any(_holds(item, skip) for item in (value.values() if isinstance(value, dict) else value))
    return skip(value)
