"""The ways through long tables find what a plain look at every row would find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.executions.models import Execution
from attune.lib import long_tables

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def executions(db):
    """A minute apart; with gaps in their numbers."""
    Execution.objects.bulk_create(
        Execution(
            pk=100 + 7 * number,
            action_ref=f"pack{number % 3}.act{number % 5}",
            pack_ref=f"pack{number % 3}",
            rule_ref="a.rule" if number % 10 == 0 else "",
        )
        for number in range(200)
    )
    for number in range(200):
        Execution.objects.filter(pk=100 + 7 * number).update(created=BEGIN + timedelta(minutes=number))
    return Execution.objects.order_by("-id")


@pytest.mark.parametrize("margin", [0, long_tables.MARGIN])
def test_a_moment_is_found_by_halving(executions, monkeypatch, margin):
    monkeypatch.setattr(long_tables, "MARGIN", margin)
    for minute in (-5, 0, 1, 77, 198, 199, 250):
        moment = BEGIN + timedelta(minutes=minute)
        found = long_tables.since(executions, "created", moment)
        assert list(found) == list(executions.filter(created__gte=moment))


def test_an_empty_table_has_no_beginning(db):
    assert not long_tables.since(Execution.objects.all(), "created", BEGIN).exists()
    assert long_tables.different(Execution, "action_ref") == []


def test_the_different_values_of_a_column_are_found_without_reading_every_row(executions):
    expected = sorted({f"pack{number % 3}.act{number % 5}" for number in range(200)})
    assert long_tables.different(Execution, "action_ref") == expected
    assert long_tables.different(Execution, "action_ref", most=2) == expected[:2]
    assert long_tables.different(Execution, "rule_ref") == ["a.rule"]


@pytest.mark.parametrize("seldom", [5, 5000])
def test_rows_are_found_by_how_a_column_begins_whether_they_are_seldom_or_not(executions, monkeypatch, seldom):
    monkeypatch.setattr(long_tables, "SELDOM", seldom)
    for text in ("pack1.", "pack1.act2", "nowhere.", "pa"):
        found = long_tables.beginning_with(executions, "action_ref", text)
        assert list(found) == list(executions.filter(action_ref__startswith=text))
