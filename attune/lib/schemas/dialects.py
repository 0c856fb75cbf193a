"""The two shapes in which packs write schemas, made into one: JSON Schema 2020-12. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from attune.lib.schemas.formats import pattern_fault

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
ANY = "any"
_NEAR = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "map": "object",
    "none": "null",
}
_SNAKE = {
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique_items": "uniqueItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "exclusive_minimum": "exclusiveMinimum",
    "exclusive_maximum": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "additional_properties": "additionalProperties",
    "pattern_properties": "patternProperties",
    "any_of": "anyOf",
    "one_of": "oneOf",
    "all_of": "allOf",
}
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_FLAGS = ("secret", "key_ref", "uniqueItems", "readOnly", "writeOnly", "deprecated")
_ONE_SCHEMA = ("items", "contains", "not", "if", "then", "else", "additionalProperties", "propertyNames")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMA_MAPS = ("patternProperties", "dependentSchemas", "$defs", "definitions")
_KEYWORDS = {"type", "properties", "required", "enum", "const", "format", "pattern", "default", "description", "title"}
_KEYWORDS |= {"$schema", "$id", "$ref", "$comment", "examples", *_NUMBERS, *_COUNTS, *_FLAGS}
_KEYWORDS |= {*_ONE_SCHEMA, *_SCHEMA_LISTS, *_SCHEMA_MAPS, *_SNAKE}


class SchemaFault(NamedTuple):
    """What is wrong with a schema, and the path of keys to it in the schema as it was written."""

    path: tuple[str | int, ...]
    message: str


def normalise(schema: Any, *, where: str, any_shape: bool = False) -> tuple[dict[str, Any], list[SchemaFault]]:
    """The schema as JSON Schema 2020-12, and its faults; with faults, the schema is not to be used.

    `where` names the schema in a message (`parameters`). What is described is an object unless `any_shape` is given,
    as for an action's output. Nothing at all (None, {}) is the schema `{}`, which everything meets.
    """
    faults: list[SchemaFault] = []
    if schema is None or schema == {}:
        return {}, faults
    if not isinstance(schema, dict):
        return {}, [SchemaFault((), f"`{where}` must be a mapping of names to `{{type: …}}`")]
    if _is_json_schema(schema, any_shape):
        result = _schema(schema, (), faults)
        if not any_shape:
            if result.setdefault("type", "object") != "object":
                faults.append(SchemaFault(("type",), f"`{where}` must describe an object: `type: object`"))
        elif "type" not in result and "properties" in result:
            result["type"] = "object"
    else:
        result = {"type": "object"} | _properties(schema, (), faults, [])
    return result, faults


def _is_json_schema(schema: dict[str, Any], any_shape: bool) -> bool:
    """Whether the top level holds keywords rather than names of fields, which may be called `type` and the like."""
    kind, properties = schema.get("type"), schema.get("properties")
    if kind == "object" or "$schema" in schema or isinstance(schema.get("required"), list):
        return True
    if isinstance(properties, dict) and not isinstance(properties.get("type"), str):
        return True
    if any(isinstance(schema.get(word), list) for word in ("anyOf", "oneOf", "allOf", "any_of", "one_of", "all_of")):
        return True
    if isinstance(schema.get("$ref"), str) or isinstance(kind, list):
        return True
    return any_shape and isinstance(kind, str) and set(schema) <= _KEYWORDS


def _schema(schema: Any, path: tuple[str | int, ...], faults: list[SchemaFault]) -> dict[str, Any]:
    """One schema below the top level, in normal form. A bare type word is a schema of that type."""
    if isinstance(schema, str):
        schema = {"type": schema}
    if schema is None:
        return {}
    if not isinstance(schema, dict):
        faults.append(SchemaFault(path, f"{_place(path)} must be a type or a mapping such as `{{type: string}}`"))
        return {}
    result: dict[str, Any] = {}
    for key, value in schema.items():
        word = _SNAKE.get(str(key), str(key))
        here = (*path, key)
        if word in ("properties", "required"):
            continue
        if word == "type":
            kind = _type(value, here, faults)
            if kind is not None:
                result["type"] = kind
        elif word in _ONE_SCHEMA:
            result[word] = value if isinstance(value, bool) else _schema(value, here, faults)
        elif word in _SCHEMA_LISTS:
            if isinstance(value, list) and value:
                result[word] = [_schema(item, (*here, number), faults) for number, item in enumerate(value)]
            else:
                faults.append(SchemaFault(here, f"`{key}` of {_place(path)} must be a list of schemas"))
        elif word in _SCHEMA_MAPS:
            if isinstance(value, dict):
                result[word] = {name: _schema(inner, (*here, name), faults) for name, inner in value.items()}
            else:
                faults.append(SchemaFault(here, f"`{key}` of {_place(path)} must be a mapping of schemas"))
        else:
            _check_keyword(word, value, here, faults)
            result[word] = value
    required = schema.get("required")
    names = list(required) if isinstance(required, list) else []
    if any(not isinstance(name, str) for name in names):
        faults.append(
            SchemaFault((*path, "required"), f"`required` of {_place(path)} must be true, false or a list of names")
        )
        names = []
    if "properties" in schema:
        result |= _properties(schema["properties"], (*path, "properties"), faults, names)
    elif names:
        result["required"] = names
    return result


def _properties(
    properties: Any, path: tuple[str | int, ...], faults: list[SchemaFault], names: list[str]
) -> dict[str, Any]:
    """`properties` and `required` from named fields, some of which say `required: true` themselves."""
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        faults.append(SchemaFault(path, f"{_place(path)} must be a mapping of names to `{{type: …}}`"))
        return {}
    required = dict.fromkeys(names)
    result = {}
    for name, inner in properties.items():
        result[name] = _schema(inner, (*path, name), faults)
        asked = inner.get("required") if isinstance(inner, dict) else None
        if asked is True:
            required[name] = None
        elif asked is not None and not isinstance(asked, (bool, list)):
            faults.append(SchemaFault((*path, name, "required"), f"`required` of `{name}` must be true or false"))
    return {"properties": result} | ({"required": list(required)} if required else {})


def _type(value: Any, path: tuple[str | int, ...], faults: list[SchemaFault]) -> str | list[str] | None:
    """The `type` keyword; None for `any`, which JSON Schema says by leaving it out."""
    for kind in value if isinstance(value, list) and value else [value]:
        if not isinstance(kind, str) or kind not in (*TYPES, ANY):
            near = _NEAR.get(str(kind).lower())
            remedy = f"write {near!r}" if near else f"choose one of {', '.join((*TYPES, ANY))}"
            faults.append(SchemaFault(path, f"{_place(path[:-1])} has the unknown type {kind!r}; {remedy}"))
            return None
    return None if value == ANY or (isinstance(value, list) and ANY in value) else value


def _check_keyword(word: str, value: Any, path: tuple[str | int, ...], faults: list[SchemaFault]) -> None:
    wrong = ""
    if word == "pattern":
        wrong = pattern_fault(value) if isinstance(value, str) else "`pattern` must be text"
    elif word == "enum" and not (isinstance(value, list) and value):
        wrong = "`enum` must be a list of at least one value"
    elif word in _COUNTS and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        wrong = f"`{word}` must be a whole number of at least 0"
    elif word in _NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float))):
        wrong = f"`{word}` must be a number"
    elif word == "multipleOf" and value <= 0:
        wrong = "`multipleOf` must be more than 0"
    elif word in _FLAGS and not isinstance(value, bool):
        wrong = f"`{word}` must be true or false"
    elif word in ("$ref", "$dynamicRef") and not (isinstance(value, str) and value.startswith("#")):
        wrong = "`$ref` must point into this schema (`#/$defs/…`); write the other schema out"
    elif word in ("dependentRequired", "dependencies") and not isinstance(value, dict):
        wrong = f"`{word}` must be a mapping"
    elif word == "format" and not isinstance(value, str):
        wrong = "`format` must be text"
    if wrong:
        faults.append(SchemaFault(path, f"{_place(path[:-1])}: {wrong}"))


def _place(path: tuple[str | int, ...]) -> str:
    names = [str(part) for part in path if part != "properties"]
    return f"`{'.'.join(names)}`" if names else "the schema"
