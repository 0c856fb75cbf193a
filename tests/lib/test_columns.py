"""Instances and columns as the hot path makes them are those that Django makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model

from apps.executions.models import Execution, Status
from apps.packs.models import Pack
from apps.rules.models import Enforcement, Event, EventKey
from apps.sensors.models import WebhookDelivery
from attune.lib.columns import as_stored, columns_of, made

NOON = datetime(2026, 3, 29, 12, 0, 0, 5, tzinfo=UTC)
ROWS: list[tuple[type[Model], dict[str, Any]]] = [
    (Event, {}),
    (
        Event,
        {"trigger_id": 4, "trigger_ref": "a.b", "payload": {"ü": [None, 1.5]}, "created": NOON, "suppressed": True},
    ),
    (Execution, {"action_ref": "a.b", "status": Status.RUNNING, "attempt": 3, "started_at": NOON, "timeout": 2.5}),
    (Execution, {"env_vars": {"A": "1"}, "result": [1, "two"], "requested_by_id": None, "event_id": 2**40}),
    (Enforcement, {"event_id": 1, "verdict": Enforcement.Verdict.ERROR, "reason": "x" * 2000, "results": [{}]}),
    (EventKey, {"trigger_ref": "a.b", "key": "\u2028", "expires_at": NOON}),
    (WebhookDelivery, {"status": 202, "size": 0, "address": "::1"}),
]


@pytest.mark.parametrize(("model", "row"), ROWS)
def test_an_instance_has_what_the_model_s_own_constructor_gives(model: type[Model], row: dict[str, Any]) -> None:
    ours, theirs = vars(made(model, row)), vars(model(**row))
    assert {name: value for name, value in ours.items() if name != "_state"} == {
        name: value for name, value in theirs.items() if name != "_state"
    }


def test_instances_share_no_list_or_object_that_was_left_to_its_default() -> None:
    one, other = made(Execution, {}), made(Execution, {})
    one.env_vars["A"] = "1"
    assert other.env_vars == {} and Execution().env_vars == {}


def test_another_row_can_be_given_for_a_foreign_key() -> None:
    pack = Pack(pk=7, ref="p")
    action = Execution._meta.get_field("action").related_model(pk=3, ref="p.a", pack=pack)  # type: ignore[union-attr]
    execution = made(Execution, {"action": action})
    assert execution.action is action and execution.action_id == 3


def test_a_name_that_is_no_column_is_an_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        made(Execution, {"colour": "red"})


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "row"), ROWS)
def test_values_are_stored_as_the_fields_themselves_would(model: type[Model], row: dict[str, Any]) -> None:
    fields = columns_of(model)
    values = [getattr(made(model, row), field.attname) for field in fields]
    theirs = [field.get_db_prep_save(value, connection) for field, value in zip(fields, values, strict=True)]
    assert list(map(_plain, as_stored(fields, values))) == list(map(_plain, theirs))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempt", "5"),
        ("attempt", 5.0),
        ("error", 5),
        ("timeout", 5),
        ("action", "5"),
        ("created", "2026-03-29T12:00Z"),
    ],
)
def test_a_value_of_another_type_is_left_to_its_field(name: str, value: Any) -> None:
    field = Execution._meta.get_field(name)
    [ours] = as_stored([field], [value])
    assert _plain(ours) == _plain(field.get_db_prep_save(value, connection))  # type: ignore[union-attr]


def _plain(value: Any) -> Any:
    """Wrapped JSON of PostgreSQL's driver has no equality of its own."""
    return (type(value), value.obj if hasattr(value, "obj") else value)
