"""JsonLogic: the public suite, JavaScript's coercions, and bounds on what a rule may cost."""

import json
import math
from pathlib import Path

import pytest

from apps.rules.matching import ComparisonError, check, evaluate
from apps.rules.matching.coercion import to_text
from apps.rules.matching.jsonlogic import apply

SUITE = Path(__file__).parent.parent / "data" / "jsonlogic" / "compatible.json"
CASES = [case for case in json.loads(SUITE.read_text()) if isinstance(case, dict)]


@pytest.mark.parametrize("case", CASES, ids=[case["description"] for case in CASES])
def test_the_public_suite_holds(case):
    result = apply(case["rule"], case.get("data"))
    assert result == case["result"]
    assert isinstance(result, bool) == isinstance(case["result"], bool)


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case["rule"], dict)])
def test_criteria_written_in_jsonlogic_match_when_the_suite_says_true(case):
    truth = bool(case["result"]) or case["result"] == {}
    verdict = evaluate(case["rule"], case.get("data"))
    assert verdict.matched is truth, verdict
    assert verdict.results
    assert check(case["rule"]) == []


@pytest.mark.parametrize(
    ("rule", "data", "expected"),
    [
        ({"==": [None, 0]}, None, False),
        ({"==": [None, None]}, None, True),
        ({"==": [0, ""]}, None, True),
        ({"==": [0, "0"]}, None, True),
        ({"==": [0, False]}, None, True),
        ({"==": ["true", True]}, None, False),
        ({"==": [[1], 1]}, None, True),
        ({"==": [[1, 2], "1,2"]}, None, True),
        ({"==": [[1], [1]]}, None, False),
        ({"==": [{"var": "a"}, {"var": "a"}]}, {"a": [1]}, True),
        ({"===": [1, 1.0]}, None, True),
        ({"===": [1, True]}, None, False),
        ({"!==": [None, 0]}, None, True),
        ({"<": [None, 1]}, None, True),
        ({">=": [{"var": "nope"}, 3]}, {}, False),
        ({"<": ["a", 1]}, None, False),
        ({">": ["b", "a"]}, None, True),
        ({"<": ["10", "9"]}, None, True),
        ({"<": [1, 2, None]}, None, False),
        ({"<": [1]}, None, False),
        ({"!": {}}, None, False),
        ({"!": []}, None, True),
        ({"!!": "0"}, None, True),
        ({"and": []}, None, None),
        ({"in": [1, ["1"]]}, None, False),
        ({"in": [1, "213"]}, None, True),
        ({"in": ["a", None]}, None, False),
        ({"cat": [1.0, None, True, [1, [2]], {"a": 1, "b": 2}]}, None, "1true1,2[object Object]"),
        ({"+": ["3.5abc", 1]}, None, 4.5),
        ({"*": ["2"]}, None, "2"),
        ({"-": ["5", True]}, None, 4),
        ({"/": [1, 0]}, None, math.inf),
        ({"/": [-1, 0]}, None, -math.inf),
        ({"%": [-5, 3]}, None, -2),
        ({"max": []}, None, -math.inf),
        ({"max": ["3", 1]}, None, 3),
        ({"var": "items.length"}, {"items": [1, 2]}, 2),
        ({"var": ["a", "d"]}, {"a": None}, None),
        ({"var": {"cat": ["a", ".b"]}}, {"a": {"b": 1}}, 1),
        ({"log": "x"}, None, "x"),
        ({"reduce": [[1, 2], {"var": "accumulator"}]}, None, None),
        ({"missing_some": [1, "a"]}, {"a": 1}, []),
        ({"substr": ["añb", -2, 1]}, None, "ñ"),
        ({"a": 1, "b": 2}, None, {"a": 1, "b": 2}),
    ],
)
def test_values_are_coerced_as_javascript_does(rule, data, expected):
    result = apply(rule, data)
    assert result == expected
    assert type(result) is type(expected) or not isinstance(result, bool)


@pytest.mark.parametrize(
    "rule", [{"+": ["x"]}, {"/": [0, 0]}, {"%": [1, 0]}, {"max": ["x", 1]}, {"-": [{"a": 1, "b": 2}]}]
)
def test_nonsense_arithmetic_is_not_a_number(rule):
    assert math.isnan(apply(rule, None))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (1.5e-7, "1.5e-7"),
        (0.00001, "0.00001"),
        (-2.5, "-2.5"),
        (10**30, "1e+30"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number, text):
    assert to_text(number) == text


@pytest.mark.parametrize(
    "rule",
    [
        {"reduce": [{"var": "n"}, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "a"]},
        {"reduce": [{"var": "n"}, {"merge": [{"var": "accumulator"}, {"var": "accumulator"}]}, [1]]},
        {"cat": {"reduce": [{"var": "n"}, [{"var": "accumulator"}, {"var": "accumulator"}], 1]}},
        {"map": [{"var": "n"}, {"map": [{"var": ""}, {"map": [{"var": ""}, 1]}]}]},
        {"no_such": [1]},
    ],
)
def test_a_rule_that_grows_without_bound_or_is_unknown_is_stopped(rule):
    data = {"n": [[list(range(100))] * 100] * 100}
    with pytest.raises(ComparisonError):
        apply(rule, data)
    assert evaluate({">": [rule, 1]}, data).matched is None


def test_the_comparisons_of_a_rule_are_told_with_their_values():
    verdict = evaluate({"and": [{">=": [{"var": "payload.severity"}, 3]}, {"==": ["eu", {"var": "payload.zone"}]}]},
                       {"payload": {"severity": 5, "zone": "us"}})  # fmt: skip
    assert verdict.matched is False
    assert verdict.results == [
        {"path": "payload.severity", "operator": ">=", "expected": 3, "actual": 5, "result": True},
        {"path": "payload.zone", "operator": "==", "expected": "eu", "actual": "us", "result": False},
    ]
    assert verdict.reason == 'payload.zone is "us", which is not == "eu"'
