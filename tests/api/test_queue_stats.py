"""What of an action runs and waits, over the API: right, and cheap however long its history is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.executions.models import Execution, Policy, Status, Worker
from apps.executions.policies import standing
from apps.packs.models import Action

Api = Callable[..., APIClient]


@pytest.fixture
def action(make_action: Callable[..., Action]) -> Action:
    return make_action()


def put(status: Status, number: int = 1, ref: str = "demo.act") -> None:
    Execution.objects.bulk_create(
        Execution(action_ref=ref, pack_ref=ref.partition(".")[0], status=status) for _ in range(number)
    )


def asked(api: Api) -> dict[str, Any]:
    answer = api("viewer").get("/api/v1/actions/demo.act/queue-stats")
    assert answer.status_code == 200, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_an_action_that_never_ran_has_an_empty_queue(api: Api, action: Action) -> None:
    stats = asked(api)
    assert stats.pop("last_updated").endswith("+00:00")
    assert stats == {
        "action_id": action.pk,
        "action_ref": "demo.act",
        "active_count": 0,
        "queue_length": 0,
        "max_concurrent": 0,  # no worker is alive
        "total_enqueued": 0,
        "total_completed": 0,
        "totals_are_capped": False,
        "oldest_enqueued_at": None,
    }


def test_what_runs_waits_and_is_over_is_counted_each_for_itself_and_nobody_elses(api: Api, action: Action) -> None:
    put(Status.RUNNING, 2)
    put(Status.CANCELING)
    put(Status.REQUESTED, 3)
    put(Status.SCHEDULED, 4)
    for status in (Status.COMPLETED, Status.FAILED, Status.TIMEOUT, Status.CANCELLED, Status.ABANDONED):
        put(status)
    for status in (Status.RUNNING, Status.REQUESTED, Status.SCHEDULED, Status.COMPLETED):
        put(status, 5, ref="demo.other")
    since = timezone.now() - timedelta(hours=1)
    Execution.objects.filter(pk=Execution.objects.filter(status="scheduled", action_ref="demo.act").first().pk).update(
        created=since
    )
    Execution.objects.filter(action_ref="demo.other").update(created=since - timedelta(hours=1))
    stats = asked(api)
    assert (stats["active_count"], stats["queue_length"]) == (3, 7)
    assert (stats["total_enqueued"], stats["total_completed"]) == (15, 5)
    assert stats["oldest_enqueued_at"] == since.isoformat(timespec="microseconds")


def test_how_many_may_run_is_what_the_strictest_policy_says_else_what_the_workers_have_room_for(
    api: Api, action: Action
) -> None:
    Worker.objects.create(name="here:1:a", host="here", pid=1, threads=8, heartbeat_at=timezone.now())
    Worker.objects.create(
        name="gone:1:a", host="gone", pid=1, threads=8, heartbeat_at=timezone.now(), stopped_at=timezone.now()
    )
    assert asked(api)["max_concurrent"] == 8
    for ref, scope, scope_ref, limit in (
        ("demo.all", "global", "", 5),
        ("demo.pack", "pack", "demo", 3),
        ("demo.other", "action", "demo.other", 1),
        ("demo.rate", "action", "demo.act", None),
    ):
        concurrency = limit and {"limit": limit, "group_by": [], "on_limit": "enqueue"}
        Policy.objects.create(ref=ref, pack=action.pack, scope=scope, scope_ref=scope_ref, concurrency=concurrency)
    assert asked(api)["max_concurrent"] == 3
    Policy.objects.filter(ref="demo.pack").update(enabled=False)
    assert asked(api)["max_concurrent"] == 5


def test_an_action_that_is_not_there_is_named(api: Api, action: Action) -> None:
    answer = api("viewer").get("/api/v1/actions/demo.nothing/queue-stats")
    assert answer.status_code == 404 and "demo.nothing" in answer.json()["message"]


def test_beyond_a_bound_nothing_is_counted_and_it_says_so(api: Api, action: Action, monkeypatch: Any) -> None:
    monkeypatch.setattr(standing, "MOST", 10)
    put(Status.COMPLETED, 9)
    put(Status.REQUESTED)
    assert (asked(api)["total_enqueued"], asked(api)["totals_are_capped"]) == (10, False)
    put(Status.REQUESTED, 14)
    stats = asked(api)
    assert (stats["total_enqueued"], stats["totals_are_capped"]) == (10, True)
    assert stats["queue_length"] == 10 and stats["total_completed"] == 0


@pytest.mark.embedded_only  # PostgreSQL plans by how many rows there are
def test_no_statement_reads_the_history_of_the_action_or_of_all(action: Action) -> None:
    put(Status.COMPLETED, 3)
    with CaptureQueriesContext(connection) as captured:
        standing.queue_of(action)
    statements = [query["sql"] for query in captured.captured_queries if "executions_execution" in query["sql"]]
    assert len(statements) == 5
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            plan = " ".join(row[-1] for row in cursor.fetchall())
        by_status = "USING INDEX execution_status (status=?)" in plan
        whole_history = "USING COVERING INDEX execution_action (action_ref=?)" in plan and "LIMIT" in statement
        assert by_status or whole_history, plan
