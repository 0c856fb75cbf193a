"""Values and their forms: what is drawn can be filled in, and what was saved comes back the same."""

from __future__ import annotations

import pytest

from apps.access.admin_forms import value_in
from apps.access.admin_rows import CriteriaRows, SchemaRows
from apps.access.admin_spaces import UNSET, Parameters, from_text
from attune.lib.errors import InvalidInput

pytestmark = pytest.mark.embedded_only

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer", "default": 3},
        "ratio": {"type": "number"},
        "loud": {"type": "boolean", "default": True},
        "level": {"type": "string", "enum": ["low", "high"]},
        "size": {"type": "integer", "enum": [1, 2]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "options": {"type": "object"},
        "body": {},
        "password": {"type": "string", "secret": True},
    },
    "required": ["name"],
}


@pytest.mark.parametrize("templates", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        {},
        {"name": "Ada"},
        {"name": "two\nlines, \N{SNOWMAN} and <b>"},
        {"count": 0, "ratio": 0.5, "loud": False, "size": 2},
        {"loud": True, "level": "high"},
        {"tags": ["a", "b"]},
        {"options": {"a": [1, {"b": None}]}},
        {"body": "plain text"},
        {"body": "3"},
        {"body": 3},
        {"body": {"a": 1}},
        {"body": None},
        {"password": "hunter2"},
    ],
)
def test_parameters_come_back_as_they_went(value, templates):
    space = Parameters(SCHEMA, templates=templates)
    assert space.from_form(space.to_form(value)) == value


@pytest.mark.parametrize("name", SCHEMA["properties"])
def test_a_template_may_stand_in_every_field(name):
    space, value = Parameters(SCHEMA, templates=True), {name: "{{ event.payload.x }}"}
    assert space.can_draw(value)
    assert space.from_form(space.to_form(value)) == value


@pytest.mark.parametrize(
    "value",
    [{"unknown": 1}, {"name": ""}, {"tags": []}, {"count": None}, {"name": 5}, {"level": "{{ x }}"}, {"count": "3"}],
)
def test_a_value_that_the_form_would_change_is_not_drawn(value):
    assert not Parameters(SCHEMA).can_draw(value)


def test_what_is_left_alone_is_not_given_so_that_defaults_apply():
    space = Parameters(SCHEMA)
    untouched = {name: UNSET if name in ("loud", "level", "size") else "" for name in SCHEMA["properties"]}
    assert space.from_form(untouched) == {}


def test_what_is_no_number_reaches_the_check_as_it_was_typed():
    assert Parameters(SCHEMA).from_form({"count": "many"}) == {"count": "many"}


def test_what_must_be_given_stands_first():
    schema = {"properties": {"a": {}, "b": {}}, "required": ["b"]}
    assert list(Parameters(schema).drawn()["keys"]) == ["b", "a"]


def test_json_that_is_none_is_refused_by_name():
    with pytest.raises(InvalidInput, match="options is not JSON"):
        Parameters(SCHEMA).from_form({"options": "{oops"})


@pytest.mark.parametrize("data", [None, [], "text", 3, {"name": {}}, {"tags": "no list"}, {"level": ["x"]}])
def test_data_of_any_shape_is_read_without_a_crash(data):
    assert isinstance(Parameters(SCHEMA, templates=True).from_form(data), dict)


@pytest.mark.parametrize("schema", [None, [], {"properties": []}, {"properties": {"a": "string"}}, {"required": "a"}])
def test_a_strange_schema_is_drawn_as_nothing(schema):
    assert Parameters(schema).is_blank


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]},
        {
            "type": "object",
            "properties": {"a": {"type": "string", "description": "it", "default": "x", "secret": True}},
        },
        {"type": "object", "properties": {"n": {"type": "integer", "enum": [1, 2], "default": 1}, "any": {}}},
    ],
)
def test_a_plain_schema_comes_back_from_its_rows(schema):
    assert SchemaRows().can_draw(schema)
    assert SchemaRows().from_form(SchemaRows().to_form(schema)) == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}},
        {"type": "object", "properties": {}, "required": ["a"]},
    ],
)
def test_a_schema_that_says_more_than_rows_stays_text(schema):
    assert not SchemaRows().can_draw(schema)


def test_two_fields_of_one_name_are_refused():
    with pytest.raises(InvalidInput, match="two fields named a"):
        SchemaRows().from_form([{"name": "a", "type": "string"}, {"name": "a ", "type": "string"}])


def test_a_default_of_the_wrong_type_is_refused():
    with pytest.raises(InvalidInput, match="n: 'many' is not a value of type integer"):
        SchemaRows().from_form([{"name": "n", "type": "integer", "default": "many"}])


@pytest.mark.parametrize(
    "criteria",
    [
        {},
        [{"field": "severity", "operator": ">=", "value": 3}],
        [{"field": "a", "operator": "equals", "value": "3"}, {"field": "b", "operator": "exists"}],
        [{"field": "a", "operator": "inside", "value": ["x", 1]}, {"field": "c", "operator": "equals", "value": True}],
        [{"field": "a", "operator": "equals", "value": ""}],
        [{"field": "a", "operator": "equals", "value": None}],
    ],
)
def test_simple_criteria_come_back_from_their_rows(criteria):
    assert CriteriaRows().can_draw(criteria)


@pytest.mark.parametrize(
    "criteria",
    [{"var": "payload.a", "==": 1}, [{"any": []}], [{"field": "a", "operator": "unheard of", "value": 1}], "text", [1]],
)
def test_other_notations_stay_text(criteria):
    assert not CriteriaRows().can_draw(criteria)


def test_text_may_be_json_or_yaml():
    assert from_text('{"a": [1]}', what="it") == from_text("a:\n  - 1", what="it") == {"a": [1]}


def test_text_that_is_neither_is_refused():
    with pytest.raises(InvalidInput, match="neither JSON nor YAML"):
        from_text("a: b: c", what="The payload")


def test_an_empty_text_is_an_empty_value():
    assert value_in(Parameters(SCHEMA), {"mode": "raw", "raw": "  "}, what="it") == {}
