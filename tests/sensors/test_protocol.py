"""What a sensor may print, line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.sensors.protocol import MAX_LINE, BadLine, Line, read_line

ONE = ["core.intervaltimer"]
TWO = ["jira.created", "jira.updated"]


def printed(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("value", "trigger_refs", "expected"),
    [
        ({"trigger": "core.intervaltimer", "payload": {"n": 1}}, ONE, Line("core.intervaltimer", {"n": 1})),
        ({"trigger_ref": "jira.created", "payload": {}}, TWO, Line("jira.created", {})),
        ({"trigger_type": "jira.updated", "payload": {}}, TWO, Line("jira.updated", {})),
        ({"trigger": "jira.created", "trigger_ref": "jira.created"}, TWO, Line("jira.created", {})),
        ({"payload": {"n": 1}}, ONE, Line("core.intervaltimer", {"n": 1})),
        ({"trigger": None, "payload": None}, ONE, Line("core.intervaltimer", {})),
        ({"temperature": 5}, ONE, Line("core.intervaltimer", {"temperature": 5})),
        ({}, ONE, Line("core.intervaltimer", {})),
        ({"payload": {}, "trigger_instance_id": "rule_12"}, ONE, Line("core.intervaltimer", {}, 12)),
        (
            {"payload": {}, "trigger_instance_id": "rule_ops.nightly"},
            ONE,
            Line("core.intervaltimer", {}, "ops.nightly"),
        ),
        ({"payload": {}, "dedup_key": "12:2026-01-01"}, ONE, Line("core.intervaltimer", {}, None, "12:2026-01-01")),
        ({"payload": {}, "dedup_key": 7}, ONE, Line("core.intervaltimer", {}, None, "7")),
        ({"payload": {"a": 1}, "host": "x"}, ONE, Line("core.intervaltimer", {"a": 1})),
        (
            {"payload": {}, "passed_over": "skipped", "reason": "too late"},
            ONE,
            Line("core.intervaltimer", {}, passed_over="skipped", reason="too late"),
        ),
        ({"payload": {}, "passed_over": "missed"}, ONE, Line("core.intervaltimer", {}, passed_over="missed")),
        ({"payload": {}, "passed_over": None, "reason": 7}, ONE, Line("core.intervaltimer", {})),
        ({"passed_over": 3, "reason": "x"}, ONE, Line("core.intervaltimer", {"passed_over": 3, "reason": "x"})),
        ({"größe": "Ω 🎈"}, ONE, Line("core.intervaltimer", {"größe": "Ω 🎈"})),
    ],
)
def test_a_line_says_what_happened(value: Any, trigger_refs: list[str], expected: Line) -> None:
    assert read_line(printed(value), trigger_refs) == expected


@pytest.mark.parametrize(
    ("raw", "trigger_refs", "hint"),
    [
        (b"hello", ONE, "is not JSON"),
        (b'{"a": 1', ONE, "is not JSON"),
        (b"[1, 2]", ONE, "not an object"),
        (b'"text"', ONE, "not an object"),
        (b"12", ONE, "not an object"),
        (b"\xff\xfe{}", ONE, "not UTF-8"),
        (b'{"a": NaN}', ONE, "NaN"),
        (b'{"a": -Infinity}', ONE, "-Infinity"),
        (b'{"a": 1e400}', ONE, "too large"),
        (b'{"a": "\\u0000"}', ONE, "NUL"),
        (b'{"a\\u0000": 1}', ONE, "NUL"),
        (b'{"a": ["\\ud800"]}', ONE, "surrogate"),
        (b'{"a": ' + b"[" * 50 + b"]" * 50 + b"}", ONE, "nested"),
        (b"[" * 100_000, ONE, "nested"),
        (b'{"a": ' + b"9" * 5000 + b"}", ONE, "too many digits"),
        (b"x" * (MAX_LINE + 1), ONE, "longer than"),
        (printed({"trigger": "other.thing", "payload": {}}), ONE, "none of this sensor's"),
        (printed({"payload": {}}), TWO, "names no trigger"),
        (printed({"n": 1}), TWO, "names no trigger"),
        (printed({"trigger": "jira.created", "trigger_ref": "jira.updated"}), TWO, "several triggers"),
        (printed({"trigger": 5}), ONE, "must be the ref"),
        (printed({"trigger": ["core.intervaltimer"]}), ONE, "must be the ref"),
        (printed({"payload": [1]}), ONE, "payload must be an object"),
        (printed({"payload": "x"}), ONE, "payload must be an object"),
        (printed({"trigger": "core.intervaltimer", "n": 1}), ONE, "put the event's data into payload"),
        (printed({"payload": {}, "trigger_instance_id": "12"}), ONE, "rule_<id>"),
        (printed({"payload": {}, "trigger_instance_id": 12}), ONE, "rule_<id>"),
        (printed({"payload": {}, "trigger_instance_id": "rule_"}), ONE, "rule_<id>"),
        (printed({"payload": {}, "trigger_instance_id": "rule_١٢"}), ONE, "rule_<id>"),
        (printed({"payload": {}, "dedup_key": {"a": 1}}), ONE, "dedup_key"),
        (printed({"payload": {}, "dedup_key": True}), ONE, "dedup_key"),
        (printed({"payload": {}, "dedup_key": "k" * 301}), ONE, "dedup_key"),
        (printed({"payload": {}, "passed_over": "matched"}), ONE, "skipped or missed"),
        (printed({"payload": {}, "passed_over": True}), ONE, "skipped or missed"),
        (printed({"payload": {}, "passed_over": ["missed"]}), ONE, "skipped or missed"),
        (printed({"payload": {}, "passed_over": "x" * 1000}), ONE, "skipped or missed"),
        (printed({"payload": {}, "passed_over": ""}), ONE, "skipped or missed"),
        (printed({"payload": {}, "passed_over": "missed", "reason": 7}), ONE, "reason must be a text"),
        (printed({"trigger": "core.intervaltimer", "passed_over": "missed", "n": 1}), ONE, "data into payload"),
    ],
)
def test_a_bad_line_is_told_in_a_sentence(raw: bytes, trigger_refs: list[str], hint: str) -> None:
    bad = read_line(raw, trigger_refs)
    assert isinstance(bad, BadLine)
    assert hint in bad.reason
    assert bad.reason.endswith(".")
    assert len(bad.reason) < 500


@pytest.mark.parametrize("raw", [b"", b"   ", b"\r", b"\t"])
def test_a_blank_line_says_nothing(raw: bytes) -> None:
    assert read_line(raw, ONE) is None


def test_escapes_that_only_look_dangerous_are_taken() -> None:
    assert read_line(rb'{"a": "\ud83c\udf88 and \\u0000"}', ONE) == Line(ONE[0], {"a": "🎈 and \\u0000"})


def test_a_carriage_return_before_the_newline_does_no_harm() -> None:
    assert read_line(b'{"n": 1}\r', ONE) == Line(ONE[0], {"n": 1})
