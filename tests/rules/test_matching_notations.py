"""The four notations, alone and mixed: what matches, what is an error, what is said of it, what is refused."""

import string
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.rules.matching import Verdict, check, compile_criteria, evaluate, jsonlogic
from apps.rules.matching.operators import WORDS

PAYLOAD = {
    "severity": 5,
    "host": "web01",
    "tags": ["a", "b"],
    "none": None,
    "ok": True,
    "zero": 0,
    "items": [{"id": 1}, {"name": "second", "id": 2}],
    "headers": {"X-Hook": "h", "x.y": 1, "a#b": 2},
    "payload": {"inner": 1},
    "var": "v",
    "field": "f",
    "0": "zero key",
}
CONTEXT = {
    "payload": PAYLOAD,
    "trigger": PAYLOAD,
    "event": {"id": 7, "trigger": "core.x", "created": "2014-07-01T11:00:00+00:00"},
    "config": {"limit": 4},
}
MET, UNMET = {"var": "payload.severity", ">=": 3}, {"var": "payload.severity", ">=": 9}
WRONG = {"var": "payload.host", ">=": 3}
ID_2 = {"item.id": {"type": "eq", "pattern": 2}}
ID_OVER_1 = {"item.id": {"type": "gt", "pattern": 1}}

SEEDS = [
    ({}, True),
    ([], True),
    (None, True),
    ({"all": []}, True),
    ({"any": []}, False),
    ({"not": {}}, False),
    (MET, True),
    (UNMET, False),
    (WRONG, None),
    ({"var": "payload.severity", ">=": 3, "<": 6}, True),
    ({"var": "payload.severity", ">=": 3, "<": 5}, False),
    ([MET, MET], True),
    ([MET, UNMET], False),
    ([[MET], [[MET]]], True),
    ({"all": [MET, UNMET]}, False),
    ({"any": [UNMET, MET]}, True),
    ({"any": [UNMET, UNMET]}, False),
    ({"not": MET}, False),
    ({"not": [MET, UNMET]}, True),
    ({"all": [MET], "any": [UNMET, MET], "not": UNMET}, True),
    ({"var": "payload.severity", ">": 1, "not": {"var": "payload.host", "eq": "db"}}, True),
    ({"var": "payload.severity", "==": 5.0}, True),
    ({"var": "payload.severity", "==": "5"}, False),
    ({"var": "payload.ok", "==": 1}, True),
    ({"var": "payload.ok", "===": 1}, False),
    ({"var": "payload.zero", "!==": False}, True),
    ({"var": "payload.nope", "==": None}, True),
    ({"var": "payload.nope", "!=": None}, False),
    ({"var": "payload.nope", "=": 0}, False),
    ({"var": "payload.nope", ">": 3}, None),
    ({"var": "payload.host", "in": ["web01"]}, True),
    ({"var": "payload.host", "not_in": ["web01"]}, False),
    ({"var": "payload.host", "nin": ["db"]}, True),
    ({"var": "payload.tags", "contains": "a"}, True),
    ({"var": "payload.host", "startswith": "web", "endswith": "1"}, True),
    ({"var": "payload.host", "matches": r"\d+$"}, True),
    ({"var": "payload.host", "regex": r"^\d"}, False),
    ({"var": "payload.host", "matchregex": "eb"}, False),
    ({"var": "payload.host", "iequals": "WEB01"}, True),
    ({"var": "payload.host", "exists": True}, True),
    ({"var": "payload.host", "exists": False}, False),
    ({"var": "payload.nope", "exists": False}, True),
    ({"var": "event.created", "timediff_gt": 10}, True),
    (
        {"var": "payload.items", "search": {"condition": "any", "pattern": {"item.id": {"type": "eq", "pattern": 2}}}},
        True,
    ),
    ({"var": 5, "==": 5}, None),
    ({"var": "payload.severity", "wat": 5}, None),
]
FIELDS = [
    ([{"field": "severity", "operator": "equals", "value": 5}], True),
    ({"field": "severity", "operator": "not_equals", "value": 5}, False),
    ({"field": "host", "operator": "contains", "value": "eb"}, True),
    ({"field": "host", "operator": "not_contains", "value": "eb"}, False),
    ({"field": "host", "operator": "starts_with", "value": "web"}, True),
    ({"field": "host", "operator": "startsWith", "value": "web"}, True),
    ({"field": "host", "operator": "Ends With", "value": "01"}, True),
    ({"field": "severity", "operator": "greater_than", "value": 4}, True),
    ({"field": "severity", "operator": "less_than", "value": 4}, False),
    ({"field": "severity", "operator": "greater_than_or_equal", "value": 5}, True),
    ({"field": "severity", "operator": "less_than_or_equals", "value": 5}, True),
    ({"field": "severity", "operator": "gte", "value": "5"}, None),
    ({"field": "severity", "operator": "in", "value": [4, 5]}, True),
    ({"field": "severity", "operator": "not_in", "value": [4, 5]}, False),
    ({"field": "host", "operator": "exists"}, True),
    ({"field": "nope", "operator": "not_exists"}, True),
    ({"field": "nope", "operator": "is_null"}, True),
    ({"field": "none", "operator": "equals", "value": None}, True),
    ({"field": "host", "operator": "regex", "value": "^w"}, True),
    ({"field": "host", "operator": "matches", "value": r"(a)\1"}, None),
    ({"field": "ok", "operator": "is_true"}, True),
    ({"field": "tags", "operator": "is_empty"}, False),
    ({"field": "headers['x.y']", "operator": "==", "value": 1}, True),
    ({"field": "payload.inner", "operator": "eq", "value": 1}, True),
    ({"field": "event.id", "operator": "exists"}, False),
    ([{"field": "severity", "operator": "gt", "value": 1}, {"field": "host", "operator": "eq", "value": "db"}], False),
    ({"field": "severity", "operator": "nonsense", "value": 1}, None),
    ({"field": "severity", "operator": "equals"}, None),
    ({"field": "severity"}, None),
]
STACKSTORM = [
    ({"trigger.severity": {"type": "gt", "pattern": 2}}, True),
    ({"trigger.severity": {"type": "GreaterThan", "pattern": 2}}, True),
    ({"trigger.severity": {"type": "gt", "pattern": 2}, "trigger.severity#2": {"type": "lt", "pattern": 5}}, False),
    ({"trigger.severity #low": {"type": "gt", "pattern": 2}}, True),
    ({"trigger.headers['a#b']": {"type": "eq", "pattern": 2}}, True),
    ({"trigger.nope": {"type": "eq", "pattern": None}}, False),
    ({"trigger.nope": {"type": "neq", "pattern": None}}, False),
    ({"trigger.nope": {"type": "nexists"}}, True),
    ({"trigger.nope": {"type": "lt", "pattern": 5}}, None),
    ({"trigger.host": {"type": "equals"}}, False),
    ({"trigger.host": {"type": "exists", "pattern": False}}, True),
    ({"trigger.severity": {"type": "gt", "pattern": "{{ config.limit }}"}}, True),
    ({"trigger.severity": {"type": "eq", "pattern": "{{ config.limit }}"}}, False),
    ({"trigger.host": {"type": "eq", "pattern": "web0{{ 1 }}"}}, True),
    ({"trigger.host": {"type": "eq", "pattern": "{{ nope }}"}}, None),
    (
        {"trigger.items": {"type": "search", "condition": "any", "pattern": ID_OVER_1}},
        True,
    ),
    (
        {"trigger.items": {"type": "search", "condition": "all", "pattern": ID_OVER_1}},
        False,
    ),
    ({"trigger.items": {"type": "search", "pattern": ID_OVER_1}}, None),
    ({"trigger.host": {"type": "not_equals", "pattern": 1}}, None),
    ({"trigger.host": {"pattern": 1}}, None),
    ({"trigger.host": "web01"}, None),
    ({"field": {"type": "eq", "pattern": "f"}}, False),
]
MIXED = [
    ({"all": [MET, {"field": "host", "operator": "eq", "value": "web01"},
              {"trigger.zero": {"type": "eq", "pattern": 0}}, {"==": [{"var": "payload.ok"}, True]}]}, True),
    ({"any": [UNMET, {"!": [{"var": "payload.ok"}]}, {"trigger.ok": {"type": "eq", "pattern": True}}]}, True),
    ({"and": [MET, {">": [{"var": "payload.severity"}, 1]}]}, True),
    ({"or": [UNMET, {"field": "host", "operator": "eq", "value": "db"}]}, False),
    ({"!": UNMET}, True),
    ({"!!": [MET]}, True),
    ({"not": {"var": "payload.ok"}}, False),
    ({"all": [{"var": "payload.ok"}, MET]}, True),
    ({"all": [{"var": "payload.items"}, {">": [{"var": "id"}, 0]}]}, True),
    ({"all": [{"var": "payload.items"}, {">": [{"var": "id"}, 1]}]}, False),
    ({"all": [[1, 2], {">": [{"var": ""}, 0]}]}, True),
    ({"all": [{"filter": [{"var": "payload.items"}, {"var": "name"}]}, {"==": [{"var": "id"}, 2]}]}, True),
    ({"all": [[MET, MET], MET]}, True),
    ({"some": [{"var": "payload.tags"}, {"==": [{"var": ""}, "b"]}]}, True),
    ({"trigger.severity": {"type": "gt", "pattern": 2}, "not": UNMET}, True),
    (True, True),
    (False, False),
    ("payload.severity > 3", None),
    (17, None),
    (["a", "b"], None),
    ({"==": [1, 1], ">": [1, 2]}, None),
    ({">=": 3}, False),
    ({"severity": 3}, None),
    ({"any": 5}, None),
    ({1: {"type": "eq"}, (): 2}, None),
]  # fmt: skip
PATHS = [
    ("payload.severity", 5),
    ("$.payload.severity", 5),
    ("payload['severity']", 5),
    ('payload["headers"]["x.y"]', 1),
    ("payload.headers['X-Hook']", "h"),
    ("payload.headers.X-Hook", "h"),
    ("payload.headers.'X-Hook'", "h"),
    ('payload.headers."x.y"', 1),
    ("payload.headers.x.y", None),
    ("payload.items.0.id", 1),
    ("payload.items[1].id", 2),
    ("payload.items[*].id", 1),
    ("payload.items.*.name", "second"),
    ("payload.items[*].nope", None),
    ("payload.items.-1.id", None),
    ("payload.items.9.id", None),
    ("payload.items.name", None),
    ("payload.0", "zero key"),
    ("payload.host.0", None),
    ("payload.none.deeper", None),
    ("payload.severity.real", None),
    ("trigger.severity", 5),
    ("event.id", 7),
    ("nope.a.b", None),
]


@pytest.mark.parametrize(("criteria", "expected"), SEEDS + FIELDS + STACKSTORM + MIXED)
def test_criteria_match_do_not_match_or_are_an_error(criteria, expected):
    verdict = evaluate(criteria, CONTEXT, now=datetime(2014, 7, 1, 12, tzinfo=UTC))
    assert verdict.matched is expected, verdict
    assert verdict.reason
    assert (verdict.error is not None) == (expected is None)


@pytest.mark.parametrize(("path", "expected"), PATHS)
def test_a_path_leads_to_its_value_or_to_null(path, expected):
    assert evaluate({"var": path, "===": expected}, CONTEXT).matched is True
    assert evaluate({path: {"type": "exists"}}, CONTEXT).matched is (expected is not None)


@pytest.mark.parametrize(
    "path", ["", "a..b", ".a", "a.", "a[", "a[-1]", "a]b", "a[x]", "a['b]", "a" * 2000, "a." * 70 + "a"]
)
def test_a_path_that_cannot_be_read_is_refused_with_the_right_form(path):
    (fault,) = check({"var": path, "==": 1})
    assert "payload.items.0" in fault.message
    assert evaluate({"var": path, "==": 1}, CONTEXT).matched is None


def test_in_a_conjunction_the_first_false_or_error_decides():
    assert evaluate([UNMET, WRONG], CONTEXT).matched is False
    assert evaluate([WRONG, UNMET], CONTEXT).matched is None
    assert len(evaluate([UNMET, WRONG], CONTEXT).results) == 1


def test_in_an_alternative_one_that_holds_outweighs_errors():
    assert evaluate({"any": [WRONG, MET]}, CONTEXT).matched is True
    assert evaluate({"any": [WRONG, UNMET]}, CONTEXT).matched is None
    assert evaluate({"not": WRONG}, CONTEXT).matched is None


def test_a_verdict_says_why_and_lists_what_was_compared():
    assert evaluate(UNMET, CONTEXT) == Verdict(
        matched=False,
        reason="payload.severity is 5, which is not >= 9",
        results=[{"path": "payload.severity", "operator": ">=", "expected": 9, "actual": 5, "result": False}],
    )


def test_a_failed_comparison_is_recorded_with_operator_and_values():
    verdict = evaluate({"trigger.host": {"type": "lt", "pattern": 5}}, CONTEXT)
    assert verdict.error == 'trigger.host: lt cannot compare "web01" with 5: text and a number do not compare this way'
    (row,) = verdict.results
    assert (row["path"], row["operator"], row["expected"], row["actual"], row["result"]) == (
        "trigger.host",
        "lt",
        5,
        "web01",
        None,
    )
    assert "error" in row


def test_long_values_are_cut_short_in_a_verdict():
    big = {
        "payload": {
            "text": "x" * 100_000,
            "list": [[["y" * 1000] * 1000] * 1000] * 1000,
            "n": 10**5000,
            "b": b"\xff" * 999,
        }
    }
    for name in big["payload"]:
        verdict = evaluate({"var": f"payload.{name}", "==": big["payload"]["text"]}, big)
        assert len(repr(verdict.results)) < 20_000
        assert len(verdict.reason) < 500


def test_the_number_of_results_is_bounded():
    verdict = evaluate([MET] * 500, CONTEXT)
    assert verdict.matched is True
    assert len(verdict.results) == 100


@pytest.mark.parametrize(
    ("criteria", "path", "remedy"),
    [
        ("x", "criteria", "is not a criterion; use"),
        ({"all": [MET, {"var": "payload.a", "foo": 1}]}, "criteria.all[1].foo", "known are"),
        ({"any": [{"field": "a", "operator": "foo", "value": 1}]}, "criteria.any[0]", "known are"),
        ({"field": "a", "operator": "equals"}, "criteria", "needs a value"),
        ({"field": "a", "value": 1}, "criteria", "needs an operator"),
        ({"trigger.a": {"type": "foo", "pattern": 1}}, "criteria.trigger.a", "known are"),
        ({"trigger.a": {"pattern": 1}}, "criteria.trigger.a", "needs a type"),
        ({"trigger.a": {"type": "eq"}}, "criteria.trigger.a", "needs a pattern"),
        ({"trigger.a": {"type": "regex", "pattern": "(?=a)"}}, "criteria.trigger.a", "look-ahead"),
        ({"trigger.a": {"type": "matchregex", "pattern": r"(a)\1"}}, "criteria.trigger.a", "back-references"),
        ({"var": "payload.a", "matches": "("}, "criteria.matches", "missing )"),
        ({"trigger.a": {"type": "startswith", "pattern": 5}}, "criteria.trigger.a", "needs text"),
        ({"trigger.a": {"type": "td_lt", "pattern": "soon"}}, "criteria.trigger.a", "number of seconds"),
        ({"trigger.a": {"type": "search", "pattern": {}}}, "criteria.trigger.a", "any2any"),
        ({"trigger.a": {"type": "search", "condition": "any"}}, "criteria.trigger.a", "pattern of criteria"),
        ({"trigger.a": {"type": "search", "condition": "any", "pattern": {"item.b": {"type": "foo", "pattern": 1}}}},
         "criteria.trigger.a.pattern.item.b", "known are"),
        ({"and": [{"startswith": ["a", "b"]}]}, "criteria.and[0].startswith", "neither an operator nor a path"),
        ({"if": [{"foo": 1}, 1, 2]}, "criteria.if[0]", "not a JsonLogic operator"),
        ({"if": [MET, True, False]}, "criteria.if[0]", "the other notations go in"),
        ({"==": [1, 1], ">": [1, 2]}, "criteria.==", "one operator for each object"),
        ({"any": "x"}, "criteria.any", "takes a list"),
        ({"severity": 3}, "criteria.severity", "neither an operator nor a path"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_and_the_remedy(criteria, path, remedy):
    fault = check(criteria)[0]
    assert fault.path == path
    assert remedy in fault.message
    assert str(fault) == f"{fault.path}: {fault.message}"


@pytest.mark.parametrize(
    "criteria", [case for case, expected in SEEDS + FIELDS + STACKSTORM[:3] + MIXED[:14] if expected is not None]
)
def test_criteria_that_can_be_weighed_have_no_fault(criteria):
    assert check(criteria) == []


def nested(depth, name):
    criteria = MET
    for _ in range(depth):
        criteria = {name: [criteria]} if name else [criteria]
    return criteria


@pytest.mark.parametrize("name", ["all", "any", "not", "and", "!", "cat", ""])
@pytest.mark.parametrize("depth", [40, 900, 100_000])
def test_criteria_nested_too_deep_are_refused_and_never_crash(name, depth):
    criteria = nested(depth, name)
    assert "nested" in check(criteria)[0].message or name == "cat"
    assert evaluate(criteria, CONTEXT).matched is None


def test_criteria_with_too_many_parts_are_refused():
    assert any("parts" in fault.message for fault in check([MET] * 20_000))
    assert evaluate([MET] * 20_000, CONTEXT).matched is None


def test_a_deep_payload_is_an_error_at_worst():
    deep = {}
    for _ in range(50_000):
        deep = {"a": deep}
    for criteria in (
        {"var": "payload", "==": {"a": 1}},
        {"==": [{"var": "payload"}, "x"]},
        {"payload": {"type": "contains", "pattern": "a"}},
    ):
        assert evaluate(criteria, {"payload": deep}).matched in (True, False, None)


def test_compiled_criteria_do_not_change_with_what_they_were_read_from():
    source = {"var": "payload.tags", "in": [["a", "b"]]}
    compiled = compile_criteria(source)
    source["in"].clear()
    assert compiled.evaluate(CONTEXT).matched is True
    assert compile_criteria({"var": "payload.ok", "===": 1}).evaluate(CONTEXT).matched is False
    assert compile_criteria({"var": "payload.ok", "===": True}).evaluate(CONTEXT).matched is True


def test_a_renderer_that_fails_spoils_only_its_own_criterion():
    def fail(text, context):
        raise RuntimeError("no")

    criteria = {"any": [{"trigger.host": {"type": "eq", "pattern": "{{ x }}"}}, MET]}
    assert evaluate(criteria, CONTEXT, render=fail).matched is True
    assert evaluate(criteria["any"][0], CONTEXT, render=fail).matched is None
    assert evaluate(criteria["any"][0], CONTEXT, render=lambda text, context: "web01").matched is True


@pytest.mark.parametrize("context", [None, [], "x", 5, {}, {"payload": None}])
def test_any_context_will_do(context):
    assert evaluate({"var": "payload.a", "==": None}, context).matched is True
    assert evaluate({"trigger.a": {"type": "exists"}}, context).matched is False
    assert evaluate({"==": [{"var": "payload.a"}, None]}, context).matched is True


TEXTS = st.text(max_size=8) | st.sampled_from(["payload.a", "{{ payload.a }}", "(a", "2014-07-01"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
SHORT = st.text(string.ascii_lowercase, max_size=3)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SHORT, inner, max_size=4), max_leaves=12
)
MARKS = [
    "var",
    "all",
    "any",
    "not",
    "field",
    "operator",
    "value",
    "type",
    "pattern",
    "condition",
    "trigger.a",
    "item.a",
]
KEYS = st.sampled_from([*MARKS, "payload.a[*]", *jsonlogic.NAMES, *WORDS])
NAMED = SCALARS | st.sampled_from([*WORDS, "search", "td_lt", "any", "all2any"])
CRITERIA = st.recursive(
    NAMED, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=15
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(criteria=CRITERIA, payload=st.dictionaries(st.sampled_from("abc"), JSON, max_size=3))
def test_no_criteria_and_no_payload_make_it_raise(criteria, payload):
    verdict = evaluate(criteria, {"payload": payload, "trigger": payload})
    assert verdict.matched in (True, False, None)
    assert all(isinstance(str(fault), str) for fault in check(criteria))
