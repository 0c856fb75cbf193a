"""The index finds just what weighing every rule would find; and it leaves most rules unweighed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.rules import matching
from apps.rules.enforcing import context_of
from apps.rules.indexing import Index, demands_of
from apps.rules.models import Event

pytestmark = pytest.mark.embedded_only

# Few and treacherous values, so that rules and events often meet: what equals what depends on the notation.
SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 1.0, 0.5, 10**20, 1e20, -0.0]),
    st.sampled_from(
        ["", "0", "1", " 1 ", "1.0", "0x1", "true", "null", "a", "A", "é", "e\u0301", "日本", "😀", "1" * 40]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abn0"), inner, max_size=3)),
    max_leaves=5,
)
PAYLOADS = st.dictionaries(st.sampled_from(["a", "b", "n", "payload", "length"]), VALUES, max_size=4)
FIELDS = st.sampled_from(
    ["a", "b", "n", "a.b", "a.0", "b[0]", "a[*]", "n.length", 'payload["a"]', "payload", "missing"]
)
PATHS = st.one_of(
    FIELDS.map("payload.{}".format),
    FIELDS.map("trigger.{}".format),
    st.sampled_from(["event.payload.a", "event.headers.x", "event.trigger", "event.id", "config.a", "rule.ref", "a"]),
)
PATTERNS = st.one_of(SCALARS, VALUES, st.lists(SCALARS, max_size=3), st.just("{{ payload.a }}"))
EQUALS = ["==", "=", "eq", "equals", "is", "===", "in", "inside", "isin"]
OTHERS = ["!=", "nequals", "!==", ">", "<", ">=", "exists", "nexists", "isempty", "istrue", "contains", "startswith"]
WORDS = st.sampled_from(EQUALS * 3 + OTHERS)
SEEDS = st.builds(lambda path, name, value: {"var": path, name: value}, PATHS, WORDS, PATTERNS)
THIRD = st.builds(lambda path, name, value: {"field": path, "operator": name, "value": value}, FIELDS, WORDS, PATTERNS)
STACKSTORM = st.builds(
    lambda path, name, value: {path: {"type": name, "pattern": value}},
    PATHS,
    st.sampled_from(["equals", "eq", "inside", "in", "iequals", "nequals", "exists", "gt", "regex"]),
    PATTERNS,
)
VAR = PATHS.map(lambda path: {"var": path})
LOGIC = st.one_of(
    st.builds(
        lambda name, arguments: {name: list(arguments)},
        st.sampled_from(["==", "==", "===", "in", "!=", ">"]),
        st.one_of(st.tuples(VAR, PATTERNS), st.tuples(PATTERNS, VAR), st.tuples(VAR, VAR), st.tuples(VAR)),
    ),
    VAR,
    st.booleans(),
)
ONE = st.one_of(SEEDS, THIRD, STACKSTORM, LOGIC)
MANY = st.recursive(
    ONE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, min_size=1, max_size=3).map(lambda all_of: {"all": all_of}),
        st.lists(inner, min_size=1, max_size=3).map(lambda all_of: {"and": all_of}),
        st.lists(inner, min_size=1, max_size=2).map(lambda any_of: {"any": any_of}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=4,
)


def event_of(payload: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return context_of(None, Event(payload=payload, trigger_ref="adhoc.happened", config={"headers": headers or {}}))


@settings(max_examples=600, deadline=None)
@given(criteria=st.lists(MANY, min_size=1, max_size=6), payload=PAYLOADS, header=SCALARS)
def test_a_rule_that_the_index_leaves_out_would_have_answered_false(criteria, payload, header):
    context = event_of(payload, {"x": header})
    found = Index([(number, demands_of(one)) for number, one in enumerate(criteria)]).candidates(context)
    assert found == sorted(set(found))
    for number, one in enumerate(criteria):
        if number not in found:
            assert (
                matching.evaluate(one, context | {"rule": {"ref": "x", "id": 1}, "config": {"a": 1}}).matched is False
            )


@pytest.mark.parametrize(
    "criteria",
    [
        {"var": "payload.n", "==": 7},
        {"var": "trigger.n", "equals": 7},
        {"==": [{"var": "payload.n"}, 7]},
        {"==": [7, {"var": "payload.n"}]},
        {"===": [{"var": "payload.n"}, 7]},
        {"in": [{"var": "payload.n"}, [6, 7]]},
        [{"field": "n", "operator": "equals", "value": 7}],
        [{"field": "n", "operator": "in", "value": [7, 8]}],
        {"trigger.n": {"type": "eq", "pattern": 7}},
        {"all": [{"field": "other", "operator": "exists"}, {"field": "n", "operator": "is", "value": 7}]},
        {"and": [{"==": [{"var": "payload.kind"}, "x"]}, {"==": [{"var": "payload.n"}, 7]}]},
        [{"field": "kind", "operator": "is", "value": "x"}, {"all": [{"var": "payload.n", "==": 7, ">": 1}]}],
    ],
)
def test_each_notation_is_found_by_what_it_demands(criteria):
    index = Index([(1, demands_of(criteria)), (2, demands_of({}))])
    assert index.candidates(event_of({"n": 7, "kind": "x"})) == [1, 2]
    assert index.candidates(event_of({"n": 5, "kind": "y"})) == [2]


@pytest.mark.parametrize(
    "criteria",
    [
        {},
        {"var": "payload.n", ">": 7},
        {"any": [{"var": "payload.n", "==": 7}, {"var": "payload.n", "==": 8}]},
        {"not": {"var": "payload.n", "==": 7}},
        {"trigger.n": {"type": "eq", "pattern": "{{ config.n }}"}},
        {"var": "config.n", "==": 7},
        {"==": [{"var": ["payload.n", 7]}, 7]},
        [{"field": "other", "operator": ">", "value": 1}, {"field": "n", "operator": "is", "value": 7}],
    ],
)
def test_what_demands_no_constant_or_might_fail_before_it_is_always_weighed(criteria):
    assert demands_of(criteria) == ()
    assert Index([(1, demands_of(criteria))]).candidates(event_of({"n": 0})) == [1]


@pytest.mark.parametrize(("constant", "actual"), [(3, "3"), ("3", 3), (1, True), (0, ""), (16, "0x10"), (3, " 3.0 ")])
def test_jsonlogic_finds_numbers_in_text_as_its_equality_does(constant, actual):
    index = Index([(1, demands_of({"==": [{"var": "payload.n"}, constant]}))])
    assert index.candidates(event_of({"n": actual})) == [1]


def test_values_that_jsonlogic_might_stumble_over_have_every_rule_weighed():
    rules = [{"==": [{"var": "payload.n"}, 1]}, {"var": "payload.m", "==": 2}]
    index = Index([(number, demands_of(rule)) for number, rule in enumerate(rules)])
    assert index.candidates(event_of({"n": 5, "m": 5})) == []
    assert index.candidates(event_of({"n": [1] * 1000, "m": 5})) == [0, 1]


def test_the_demand_that_fewest_rules_share_is_looked_up():
    rules = [
        [{"field": "action", "operator": "is", "value": "opened"}, {"field": "repo", "operator": "is", "value": number}]
        for number in range(1000)
    ]
    index = Index([(number, demands_of(rule)) for number, rule in enumerate(rules)])
    assert index.candidates(event_of({"action": "opened", "repo": 42})) == [42]
    assert index.candidates(event_of({"action": "opened"})) == []
