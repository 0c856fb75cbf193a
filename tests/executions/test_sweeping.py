"""The sweep finds what waits and was forgotten, and nothing else, however much waits for its time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.executions import backlog, lanes, recovery
from apps.executions.models import Execution, Status

LONG_AGO = timedelta(hours=1)


@pytest.fixture
def make(db):
    def made(*, status=Status.REQUESTED, told=None, after=None, **more):
        now = timezone.now()
        times = {"nudged_at": None if told is None else now - told, "run_after": after and now + after}
        return Execution.objects.create(action_ref="a.b", pack_ref="a", status=status, **times, **more).pk

    return made


def found(lane: str = lanes.QUEUE) -> list[int]:
    return [execution.pk for execution in recovery.due(lane)]


def test_what_is_due_and_was_told_to_nobody_for_long_is_found_once(make):
    wanted = {
        make(),
        make(told=LONG_AGO),
        make(status=Status.SCHEDULED, told=LONG_AGO),
        make(status=Status.SCHEDULED, after=-LONG_AGO),
        make(status=Status.SCHEDULED, after=-LONG_AGO, told=LONG_AGO),
    }
    make(told=timedelta(0))
    make(after=LONG_AGO)
    make(after=LONG_AGO, told=LONG_AGO)
    make(after=-LONG_AGO, told=timedelta(0))
    make(status=Status.RUNNING, told=LONG_AGO)
    make(status=Status.COMPLETED, told=LONG_AGO)
    make(told=LONG_AGO, waits_key="1.1.concurrency.x")
    assert set(found()) == wanted
    assert found() == []
    told = Execution.objects.filter(pk__in=wanted)
    assert set(told.values_list("status", flat=True)) == {Status.SCHEDULED} and not told.filter(nudged_at=None).exists()


def test_each_lane_has_its_own(make, people):
    plain, asked = make(), make(requested_by=people("operator"))
    chosen = [make(worker_selector=selector, after=-LONG_AGO) for selector in ("zone=dmz", "gpu=yes")]
    make(worker_selector="zone=dmz", waits_key="1.1.concurrency.x")
    make(worker_selector="zone=dmz", after=LONG_AGO)
    told = {lane: found(lane) for lane in (*lanes.USUAL, lanes.lane_for("zone=dmz"), lanes.lane_for("gpu=yes"))}
    assert list(told.values()) == [[asked], [plain], [chosen[0]], [chosen[1]]]


def test_those_that_wait_longest_are_told_first_a_batch_at_a_time(make, monkeypatch):
    monkeypatch.setattr(backlog, "BATCH", 2)
    monkeypatch.setattr(backlog, "OLDEST", 2)
    numbers = [make(told=LONG_AGO * (5 - number)) for number in range(5)]
    assert [found() for _ in range(4)] == [numbers[:2], numbers[2:4], numbers[4:], []]


@pytest.mark.parametrize(
    ("lane", "index"),
    [
        (lanes.QUEUE, "execution_due"),
        (lanes.PEOPLE, "execution_asked"),
        (lanes.lane_for("zone=dmz"), "execution_selected"),
    ],
)
def test_the_sweep_goes_by_indexes_that_hold_only_what_waits(make, people, lane, index):
    person, long_ago = people("operator"), timezone.now() - LONG_AGO
    Execution.objects.bulk_create(
        Execution(action_ref="a.b", pack_ref="a", status=status, run_after=after, nudged_at=long_ago, **more)
        for status, count in ((Status.COMPLETED, 3000), (Status.SCHEDULED, 100))
        for after in (None, timezone.now() + LONG_AGO)
        for more in ({}, {"requested_by": person}, {"worker_selector": "zone=dmz"})
        for _ in range(count)
    )
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    moment = timezone.now().isoformat(sep=" ")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE executions_execution")
        values = {"selector": lanes.selector_of(lane), "told": moment, "now": moment}
        cursor.execute(f"{explain} {backlog.statement(lane)}", values)
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert plan.count(index) == 3 and "Seq Scan" not in plan, plan
