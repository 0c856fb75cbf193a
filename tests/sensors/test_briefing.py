"""What a sensor is told of its rules, in its environment and on its stdin."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.sensors.briefing import (
    MOST_BYTES,
    LastEvent,
    RuleBrief,
    as_text,
    changes,
    settings_variables,
    snapshots,
    with_defaults,
)
from apps.sensors.errors import TooManyRules

SINCE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def brief(id: int = 1, *, config: dict[str, Any] | None = None, **more: Any) -> RuleBrief:
    return RuleBrief(id, f"ops.rule{id}", "core.intervaltimer", config or {}, SINCE, **more)


def test_the_snapshot_is_what_the_sdk_and_the_timers_read() -> None:
    last = LastEvent({"scheduled_at": "2026-03-01T11:59:50Z"}, datetime(2026, 3, 1, 11, 59, 51, tzinfo=UTC), "1:x")
    told, left = snapshots({1: brief(config={"unit": "seconds"})}, {1: last}, takes_control_lines=False)
    assert json.loads(told) == [
        {
            "id": 1,
            "ref": "ops.rule1",
            "trigger_ref": "core.intervaltimer",
            "config": {"unit": "seconds"},
            "active": True,
            "enabled": True,
            "since": "2026-03-01T12:00:00.000000+00:00",
            "last_event": {
                "payload": {"scheduled_at": "2026-03-01T11:59:50Z"},
                "created": "2026-03-01T11:59:51.000000+00:00",
                "dedup_key": "1:x",
            },
        }
    ]
    assert left == []


def test_a_large_last_payload_is_not_told() -> None:
    last = LastEvent({"body": "x" * 5000}, SINCE, "")
    told, _ = snapshots({1: brief()}, {1: last}, takes_control_lines=False)
    assert json.loads(told)[0]["last_event"]["payload"] is None


def test_rules_that_find_no_room_follow_as_control_lines() -> None:
    rules = {number: brief(number, config={"text": "ü" * 5000}) for number in range(1, 31)}
    told, left = snapshots(rules, {}, takes_control_lines=True)
    assert len(told.encode()) <= MOST_BYTES
    said = [rule["id"] for rule in json.loads(told)] + [json.loads(line)["rule_id"] for line in left]
    assert said == list(range(1, 31))
    assert json.loads(left[0])["event_type"] == "rule.created"


def test_a_sensor_that_hears_nothing_later_cannot_have_more_rules_than_fit() -> None:
    rules = {number: brief(number, config={"text": "x" * 5000}) for number in range(1, 31)}
    with pytest.raises(TooManyRules, match="control: stdin"):
        snapshots(rules, {}, takes_control_lines=False)


def test_a_control_line_is_one_line_of_json() -> None:
    line = brief(7, config={"text": "a\nb"}).control("rule.disabled")
    assert line.count(b"\n") == 1
    said = json.loads(line)
    assert said["event_type"] == "rule.disabled"
    assert (said["rule_id"], said["rule_ref"], said["trigger_ref"]) == (7, "ops.rule7", "core.intervaltimer")
    assert said["trigger_params"] == {"text": "a\nb"}
    assert said["active"] is False


@pytest.mark.parametrize(
    ("known", "wanted", "still_there", "ever_known", "expected"),
    [
        ([1], [1], [], [], []),
        ([], [brief(2, is_new=True)], [], [], ["rule.created 2"]),
        ([], [brief(2, is_new=True)], [], [2], ["rule.enabled 2"]),
        ([], [brief(2)], [], [], ["rule.enabled 2"]),
        ([1], [], [1], [1], ["rule.disabled 1"]),
        ([1], [], [], [1], ["rule.deleted 1"]),
        ([1], [brief(1, config={"a": 1})], [], [1], ["rule.updated 1"]),
        (
            [1, 2],
            [brief(2, config={"a": 1}), brief(3)],
            [],
            [1, 2],
            ["rule.deleted 1", "rule.updated 2", "rule.enabled 3"],
        ),
    ],
)
def test_what_changed_is_told_in_the_right_word(
    known: list[int], wanted: list[Any], still_there: list[int], ever_known: list[int], expected: list[str]
) -> None:
    briefs = [rule if isinstance(rule, RuleBrief) else brief(rule) for rule in wanted]
    found = changes(
        {id: brief(id) for id in known},
        {rule.id: rule for rule in briefs},
        still_there=still_there,
        ever_known=ever_known,
    )
    assert [f"{change.event_type} {change.rule.id}" for change in found] == expected


@pytest.mark.parametrize(
    ("params", "schema", "expected"),
    [
        (
            {"unit": "hours"},
            {"properties": {"unit": {"default": "seconds"}, "n": {"default": 5}}},
            {"unit": "hours", "n": 5},
        ),
        ({"unit": None}, {"properties": {"unit": {"default": "seconds"}}}, {"unit": "seconds"}),
        ({"other": None}, {"properties": {}}, {"other": None}),
        (None, None, {}),
        ({}, {"properties": {"flag": {"default": False}}}, {"flag": False}),
    ],
)
def test_a_rules_parameters_carry_the_triggers_defaults(params: Any, schema: Any, expected: dict[str, Any]) -> None:
    assert with_defaults(params, schema) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [("plain", "plain"), (5, "5"), (0.5, "0.5"), (True, "true"), (None, ""), ({"a": [1]}, '{"a":[1]}'), ("a\0b", "ab")],
)
def test_a_value_becomes_the_text_of_a_variable(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_configuration_becomes_variables_but_never_replaces_our_own() -> None:
    assert settings_variables({"api-host": "a", "ref": "evil", "triggers": "[]"}, {"api-host": "b", "poll": 5}) == {
        "ATTUNE_SENSOR_API_HOST": "b",
        "ATTUNE_SENSOR_POLL": "5",
    }
