"""Schemas in both dialects: one normal form, values checked against it, defaults in, secrets out of sight."""

from __future__ import annotations

import time
from typing import Any

import pytest

from attune.lib import schemas
from attune.lib.schemas import SchemaMismatch, check, mask, normalise


def normal(schema: Any, **more: Any) -> dict[str, Any]:
    result, faults = normalise(schema, where="parameters", **more)
    assert not faults
    return result


STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (None, {}),
        ({}, {}),
        ({"amount": "number"}, {"type": "object", "properties": {"amount": {"type": "number"}}}),
        ({"a": None}, {"type": "object", "properties": {"a": {}}}),
        (
            {"a": {"type": "string", "required": True, "secret": True, "default": "x"}},
            {
                "type": "object",
                "properties": {"a": {"type": "string", "secret": True, "default": "x"}},
                "required": ["a"],
            },
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string", "required": True}, "b": "any"},
                "required": ["b"],
            },
            {"type": "object", "properties": {"a": STRING, "b": {}}, "required": ["b", "a"]},
        ),
        ({"properties": {"a": STRING}, "required": []}, {"type": "object", "properties": {"a": STRING}}),
        (
            {"o": {"type": "object", "required": True, "properties": {"x": {"type": "integer", "required": True}}}},
            {
                "type": "object",
                "properties": {"o": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}},
                "required": ["o"],
            },
        ),
        (
            {"o": {"type": "object", "required": ["x"], "properties": {"x": STRING}}},
            {
                "type": "object",
                "properties": {"o": {"type": "object", "properties": {"x": STRING}, "required": ["x"]}},
            },
        ),
        (
            {
                "l": {
                    "type": "array",
                    "min_items": 1,
                    "max_length": 5,
                    "items": {"type": "object", "properties": {"q": "number"}},
                }
            },
            {
                "type": "object",
                "properties": {
                    "l": {
                        "type": "array",
                        "minItems": 1,
                        "maxLength": 5,
                        "items": {"type": "object", "properties": {"q": {"type": "number"}}},
                    }
                },
            },
        ),
        # Fields that are called like keywords
        (
            {"type": {"type": "string", "required": True}},
            {"type": "object", "properties": {"type": STRING}, "required": ["type"]},
        ),
        ({"properties": {"type": "object"}}, {"type": "object", "properties": {"properties": {"type": "object"}}}),
        ({"type": "string"}, {"type": "object", "properties": {"type": STRING}}),
        (
            {"k": {"type": "string", "key_ref": True}},
            {"type": "object", "properties": {"k": {"type": "string", "key_ref": True}}},
        ),
        (
            {"c": {"type": "boolean", "const": True}},
            {"type": "object", "properties": {"c": {"type": "boolean", "const": True}}},
        ),
    ],
)
def test_both_dialects_have_one_normal_form_which_is_its_own(written: Any, wanted: dict[str, Any]) -> None:
    assert normal(written) == wanted
    assert normal(wanted) == wanted


def test_an_output_may_be_a_list_or_a_text() -> None:
    assert normal({"type": "array", "items": "string"}, any_shape=True) == {"type": "array", "items": STRING}
    assert normal({"ok": "boolean"}, any_shape=True) == {"type": "object", "properties": {"ok": {"type": "boolean"}}}


@pytest.mark.parametrize(
    ("written", "path", "words"),
    [
        ([], (), "mapping"),
        ("string", (), "mapping"),
        ({"a": {"type": "int"}}, ("a", "type"), "write 'integer'"),
        ({"a": {"type": "colour"}}, ("a", "type"), "choose one of"),
        ({"a": 5}, ("a",), "must be a type"),
        ({"a": {"type": "string", "pattern": "("}}, ("a", "pattern"), "not a regular expression"),
        ({"a": {"type": "string", "pattern": "(?!x)(a+)+"}}, ("a", "pattern"), "for ever"),
        ({"a": {"type": "string", "pattern": "(?=(a|a)*$)b"}}, ("a", "pattern"), "for ever"),
        ({"a": {"type": "string", "pattern": "(?=a)a*a*a*a*a*a*b"}}, ("a", "pattern"), "for ever"),
        ({"a": {"type": "string", "pattern": "(?=a)(a{0,16}){0,16}b"}}, ("a", "pattern"), "for ever"),
        ({"a": {"type": "string", "pattern": "^(?=a)" + "a?" * 60 + "b"}}, ("a", "pattern"), "for ever"),
        ({"a": {"type": "string", "pattern": "(a+)+\\1b"}}, ("a", "pattern"), "for ever"),
        ({"a": {"enum": []}}, ("a", "enum"), "at least one"),
        ({"a": {"minimum": "3"}}, ("a", "minimum"), "number"),
        ({"a": {"min_items": True}}, ("a", "min_items"), "whole number"),
        ({"a": {"secret": "yes"}}, ("a", "secret"), "true or false"),
        ({"a": {"required": "yes"}}, ("a", "required"), "true or false"),
        ({"a": {"$ref": "http://example.com/s"}}, ("a", "$ref"), "into this schema"),
        ({"type": "object", "properties": []}, ("properties",), "mapping"),
        (
            {"type": "object", "properties": {"a": {"properties": {"b": "x"}}}},
            ("properties", "a", "properties", "b", "type"),
            "x",
        ),
        ({"$schema": "x", "type": "array"}, ("type",), "must describe an object"),
    ],
)
def test_a_fault_of_a_schema_is_named_with_its_path(written: Any, path: tuple[Any, ...], words: str) -> None:
    _, faults = normalise(written, where="parameters")
    assert [fault.path[: len(path)] for fault in faults] == [path]
    assert words in faults[0].message


def test_defaults_are_filled_in_at_every_depth_and_shared_with_nobody() -> None:
    schema = normal(
        {
            "a": {"type": "array", "default": [1]},
            "o": {"type": "object", "properties": {"x": {"type": "integer", "default": 7}}},
        }
    )
    given = {"o": {}}
    first = check(schema, given)
    assert first == {"a": [1], "o": {"x": 7}}
    assert given == {"o": {}}
    first["a"].append(2)
    assert check(schema, {}) == {"a": [1]}


@pytest.mark.parametrize(
    ("written", "given", "wanted"),
    [
        ({"a": {"type": "string", "required": True, "default": "x"}}, {}, {"a": "x"}),
        ({"a": {"type": "string", "required": True, "default": "x"}}, {"a": None}, {"a": "x"}),
        ({"a": "string"}, {"a": None}, {}),
        ({"a": {"type": "any", "required": True}}, {"a": None}, {"a": None}),
        ({"a": {"type": ["string", "null"], "default": "x"}}, {"a": None}, {"a": None}),
        ({"a": {"enum": ["x", None]}}, {"a": None}, {"a": None}),
        ({"a": {"type": "number"}}, {"a": 1}, {"a": 1}),
        ({"a": {"type": "integer"}}, {"a": 10**30}, {"a": 10**30}),
        ({"d": {"type": "string", "format": "date-time"}}, {"d": "2024-01-20T10:00:00.123456789Z"}, None),
        ({"d": {"type": "string", "format": "date-time"}}, {"d": "2024-01-20T10:00:00+02:00"}, None),
        ({"a": {"type": "string", "pattern": "^(?!-)[a-z]+$"}}, {"a": "abc"}, None),
        ({"a": {"type": "string", "pattern": "^(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9]).{8,}$"}}, {"a": "Abcdefg1"}, None),
        ({"a": {"type": "string", "pattern": "^(?!x).*foo.*bar.*baz$"}}, {"a": "foo bar baz"}, None),
        ({"a": {"type": "string", "pattern": "^(?:(?!ab).)*$"}}, {"a": "acb"}, None),
    ],
)
def test_a_value_that_meets_its_schema(written: Any, given: Any, wanted: Any) -> None:
    assert check(normal(written), given) == (given if wanted is None else wanted)


@pytest.mark.parametrize(
    ("written", "given", "path", "words"),
    [
        ({"a": {"type": "string", "required": True}}, {}, "a", "'a' is required"),
        ({"a": {"type": "string", "required": True}}, {"a": None}, "a", "'a' is required"),
        ({"a": "integer"}, {"a": "5"}, "a", "must be of type integer, not '5'"),
        ({"a": "integer"}, {"a": True}, "a", "integer"),
        ({"a": {"minimum": 1}}, {"a": 0}, "a", "at least 1"),
        ({"a": {"enum": ["x", "y"]}}, {"a": "z"}, "a", "one of 'x', 'y', not 'z'"),
        ({"a": {"const": True}}, {"a": False}, "a", "must be True"),
        ({"a": {"pattern": "^x"}}, {"a": "yx"}, "a", "pattern ^x"),
        ({"a": {"type": "string", "pattern": "^(?!-)[a-z]+$"}}, {"a": "-abc"}, "a", "pattern"),
        ({"a": {"minLength": 2}}, {"a": "x"}, "a", "at least 2 characters"),
        ({"a": {"type": "array", "minItems": 1}}, {"a": []}, "a", "at least 1 items"),
        ({"a": {"format": "date-time"}}, {"a": "yesterday"}, "a", "date-time"),
        ({"a": {"format": "date-time"}}, {"a": "2024-02-30T10:00:00Z"}, "a", "date-time"),
        ({"a": {"format": "ipv4"}}, {"a": "1.2.3.400"}, "a", "ipv4"),
        (
            {"a": {"type": "array", "items": {"type": "object", "properties": {"b": "integer"}}}},
            {"a": [{"b": "x"}]},
            "a.0.b",
            "integer",
        ),
        ({"a": "string"}, [], "", "of type object"),
        ({"a": "string"}, None, "", "of type object"),
        ({"a": {"pattern": "x"}}, {"a": "\ud800"}, "a", "pattern"),
    ],
)
def test_a_value_that_does_not_is_refused_by_name(written: Any, given: Any, path: str, words: str) -> None:
    with pytest.raises(SchemaMismatch) as refused:
        check(normal(written), given)
    assert [fault["path"] for fault in refused.value.details["faults"]] == [path]
    assert words in refused.value.message


def test_every_fault_of_a_value_is_named() -> None:
    schema = normal(
        {"a": {"type": "string", "required": True}, "b": {"type": "string", "required": True}, "c": "integer"}
    )
    with pytest.raises(SchemaMismatch) as refused:
        check(schema, {"c": "x"})
    assert sorted(fault["path"] for fault in refused.value.details["faults"]) == ["a", "b", "c"]


def test_unknown_names_are_refused_only_where_the_schema_is_closed() -> None:
    schema = normal({"message": "string"})
    assert check(schema, {"mesage": "hi"}) == {"mesage": "hi"}
    with pytest.raises(SchemaMismatch, match="unknown parameter 'mesage'; did you mean 'message'"):
        check(schema, {"mesage": "hi"}, closed=True)
    assert check(schema | {"additionalProperties": True}, {"x": 1}, closed=True) == {"x": 1}
    assert check({}, {"x": 1}, closed=True) == {"x": 1}


def test_a_template_is_taken_as_it_is_wherever_it_stands() -> None:
    schema = normal(
        {"n": "integer", "choice": {"enum": [1, 2]}, "o": {"type": "object", "properties": {"x": "integer"}}}
    )

    def is_template(value: Any) -> bool:
        return isinstance(value, str) and "{{" in value

    given = {"n": "{{ a }}", "choice": "{{ b }}", "o": {"x": "{{ c }}"}}
    assert check(schema, given, skip=is_template) == given
    with pytest.raises(SchemaMismatch):
        check(schema, given | {"n": "five"}, skip=is_template)


def test_a_secret_is_neither_shown_nor_repeated_in_an_error() -> None:
    schema = normal(
        {"login": {"type": "object", "properties": {"user": "string", "password": {"type": "integer", "secret": True}}}}
    )
    with pytest.raises(SchemaMismatch) as refused:
        check(schema, {"login": {"password": "hunter2"}})
    assert "hunter2" not in str(refused.value.details) + refused.value.message
    with pytest.raises(SchemaMismatch) as refused:
        check(schema, {"login": "hunter2"})
    assert "hunter2" not in refused.value.message


def test_secrets_are_found_and_masked_at_every_depth() -> None:
    schema = normal(
        {
            "all": {"type": "object", "secret": True},
            "list": {
                "type": "array",
                "items": {"type": "object", "properties": {"pin": {"type": "any", "secret": True}}},
            },
            "open": {"type": "object", "additionalProperties": {"type": "string", "secret": True}},
            "plain": "string",
        }
    )
    value = {"all": {"a": 1}, "list": [{"pin": 1, "x": 2}, {}], "open": {"k": "v"}, "plain": "seen"}
    assert mask(value, schema) == {
        "all": "********",
        "list": [{"pin": "********", "x": 2}, {}],
        "open": {"k": "********"},
        "plain": "seen",
    }
    assert value["list"][0]["pin"] == 1
    assert schemas.secret_values(value, schema) == [{"a": 1}, 1, "v"]
    assert mask({"all": None, "plain": 1}, schema) == {"all": None, "plain": 1}
    assert mask("not even a mapping", schema) == "not even a mapping"


@pytest.mark.parametrize("reference", ["#/$defs/self", "#/$defs/none"])
def test_a_schema_that_refers_to_nothing_or_itself_is_an_error_for_people(reference: str) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": reference}}, "$defs": {"self": {"$ref": "#/$defs/self"}}}
    with pytest.raises(SchemaMismatch, match="ref"):
        check(schema, {"a": 1})


def test_a_hostile_value_for_a_hostile_pattern_takes_no_time() -> None:
    schema = normal({"a": {"type": "string", "pattern": "^(a+)+$"}})
    before = time.process_time()
    with pytest.raises(SchemaMismatch):
        check(schema, {"a": "a" * 50_000 + "!"})
    assert time.process_time() - before < 5


def test_a_default_that_does_not_fit_is_pointed_out() -> None:
    schema = normal(
        {
            "a": {"type": "integer", "default": "five"},
            "b": {"type": "object", "properties": {"c": {"enum": [1], "default": 2}}},
        }
    )
    assert [doubt.path for doubt in schemas.misfit_defaults(schema)] == [
        ("properties", "a", "default"),
        ("properties", "b", "properties", "c", "default"),
    ]


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("timezone", ["UTC", "Europe/Paris"], ["Europe/Atlantis", "", "../../etc/passwd", "x" * 5000]),
        ("cron", ["* * * * *", "*/5 * * * * *", "30 8 * * MON-FRI"], ["61 * * * *", "every day", "", "0 0 31 2 *"]),
    ],
)
def test_what_timers_are_told_is_checked_before_it_is_saved(format: str, good: list[str], bad: list[str]) -> None:
    schema = {"type": "object", "properties": {"when": {"type": "string", "format": format}}}
    for value in good:
        assert schemas.check(schema, {"when": value}) == {"when": value}
    for value in bad:
        with pytest.raises(schemas.SchemaMismatch, match="when"):
            schemas.check(schema, {"when": value})
