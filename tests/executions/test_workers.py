"""The registry of workers: what each is, what it runs, and draining one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.executions import services, workers
from apps.executions.errors import WorkerGone
from apps.executions.models import Execution, Status, Worker
from apps.executions.waiting import why_waiting
from attune import broker
from attune.housekeeping import worker_chores
from tests.api.conftest import *  # noqa: F403
from tests.conftest import until
from tests.live import Live, wait


@pytest.fixture
def signed_on(db: None) -> Worker:
    return Worker.objects.get(name=workers.sign_on(threads=6))


@pytest.fixture
def heed(workers: Any) -> Any:
    """What a worker process does each second; in the end it takes work again."""
    chore = next(iter(worker_chores(broker.current())))
    yield chore
    Worker.objects.update(draining_since=None)
    chore()


def test_a_worker_says_where_it_is_and_what_it_has(signed_on: Worker, settings: Any) -> None:
    assert workers.state_of(signed_on) == "active"
    assert signed_on.name.startswith(f"{signed_on.host}:{signed_on.pid}:")
    assert {"name": "native", "versions": []} in signed_on.runtimes
    [shell] = [runtime for runtime in signed_on.runtimes if runtime["name"] == "shell"]
    assert shell["versions"]
    settings.ATTUNE_WORKER_LABELS = {"zone": "dmz"}
    workers.sign_on(threads=6)
    signed_on.refresh_from_db()
    assert signed_on.labels == {"zone": "dmz"}


def test_a_worker_is_lost_after_its_lease_and_stopped_when_it_signed_off(signed_on: Worker) -> None:
    signed_on.heartbeat_at = timezone.now() - timedelta(minutes=5)
    assert workers.state_of(signed_on) == "lost"
    signed_on.stopped_at = timezone.now()
    assert workers.state_of(signed_on) == "stopped"


def test_a_worker_that_drains_takes_no_new_work_and_finishes_what_it_runs(
    signed_on: Worker, make_action: Callable[..., Any], people: Callable[..., Any], heed: Any, tmp_path: Any
) -> None:
    gate = tmp_path / "gate"
    slow = make_action(f"while [ ! -e {gate} ]; do sleep 0.05; done; echo done", name="slow")
    running = services.request_execution(slow, parameters={})
    until(lambda: _status(running) == Status.RUNNING)
    services.drain_worker(signed_on, actor=people("operator"), user=people("operator"), reason="new disk")
    heed()
    by_rule = services.request_execution(slow, parameters={}, rule_ref="demo.rule")
    by_person = services.request_execution(slow, parameters={}, requested_by=people("operator"))
    gate.touch()
    until(lambda: _status(running) == Status.COMPLETED)
    assert services.wake_due() == 0
    threading.Event().wait(1.5)  # longer than a consumer sleeps: nothing may come of it
    assert {_status(by_rule), _status(by_person)} == {Status.REQUESTED}
    by_rule.refresh_from_db()
    assert why_waiting(by_rule) == "Waits for a worker; each that is alive is draining."
    services.undrain_worker(signed_on, actor="test")
    heed()
    until(lambda: _status(by_rule) == _status(by_person) == Status.COMPLETED)


def test_draining_is_in_the_audit_log_once_with_who_asked_and_why(
    signed_on: Worker, people: Callable[..., Any]
) -> None:
    operator = people("operator")
    for _ in range(2):
        services.drain_worker(signed_on, actor=operator, user=operator, reason="new disk")
    for _ in range(2):
        services.undrain_worker(signed_on, actor=operator)
    entries = list(AuditEntry.objects.filter(target=signed_on.name).order_by("id"))
    assert [entry.action for entry in entries] == ["worker.drain", "worker.undrain"]
    assert entries[0].after == {"draining": True, "reason": "new disk"}
    assert entries[0].actor == "operator"


def test_a_worker_that_is_gone_cannot_be_drained(signed_on: Worker) -> None:
    signed_on.stopped_at = timezone.now()
    with pytest.raises(WorkerGone, match="stopped"):
        services.drain_worker(signed_on, actor="test")


def test_a_worker_that_starts_again_drains_no_longer(signed_on: Worker) -> None:
    services.drain_worker(signed_on, actor="test")
    assert workers.heed()[0] is True
    services.undrain_worker(signed_on, actor="test")
    assert workers.heed()[0] is False


# The API and the admin -----------------------------------------------------------------------------------------------
def test_the_api_drains_and_undrains_a_worker_under_both_names(signed_on: Worker, api: Callable[..., Any]) -> None:
    client = api("operator")
    for drain, undrain in (("drain", "undrain"), ("cordon", "uncordon")):
        said = client.post(f"/api/v1/workers/{signed_on.pk}/{drain}", {"reason": "new disk"}, format="json")
        assert said.status_code == 200
        row = said.json()
        assert row["state"] == "draining" and row["health_state"] == "cordoned" and row["cordoned"] is True
        assert row["cordon_reason"] == "new disk" and row["cordoned_by"] and row["data"]["cordoned_at"]
        listed = client.get("/api/v1/workers?cordoned=true").json()["items"]
        assert [one["name"] for one in listed] == [signed_on.name]
        row = client.post(f"/api/v1/workers/{signed_on.pk}/{undrain}").json()
        assert row["state"] == "active" and row["cordoned"] is False and row["cordoned_at"] is None


def test_a_viewer_may_look_at_workers_but_not_drain_them(signed_on: Worker, api: Callable[..., Any]) -> None:
    client = api("viewer")
    Execution.objects.create(action_ref="a.b", pack_ref="a", worker=signed_on.name, status=Status.RUNNING)
    row = client.get(f"/api/v1/workers/{signed_on.pk}").json()
    assert (row["running"], row["threads"], row["labels"]) == (1, 6, {})
    assert client.post(f"/api/v1/workers/{signed_on.pk}/drain").status_code == 403
    assert client.get("/api/v1/workers/999999").status_code == 404


def test_draining_a_worker_that_is_gone_is_a_conflict(api: Callable[..., Any]) -> None:
    gone = Worker.objects.create(name="gone:1:a", host="gone", pid=1, heartbeat_at=timezone.now() - timedelta(days=1))
    said = api("operator").post(f"/api/v1/workers/{gone.pk}/drain")
    assert said.status_code == 409 and said.json()["error"] == "worker_gone"


def test_the_admin_page_shows_what_a_worker_runs_and_has_the_button(
    signed_on: Worker, client: Any, people: Callable[..., Any]
) -> None:
    client.force_login(people("operator"))
    running = Execution.objects.create(
        action_ref="demo.act", pack_ref="demo", worker=signed_on.name, status=Status.RUNNING, started_at=timezone.now()
    )
    url = reverse("admin:executions_worker_change", args=[signed_on.pk])
    page = client.get(url).content.decode()
    assert reverse("admin:executions_execution_change", args=[running.pk]) in page and "Drain" in page
    do = reverse("admin:executions_worker_do", args=[signed_on.pk, "drain"])
    assert client.get(do).status_code == 405
    assert client.post(do).status_code == 302
    page = client.get(url).content.decode()
    assert "It takes no new executions" in page and "Take work again" in page
    assert "draining" in client.get(reverse("admin:executions_worker_changelist")).content.decode()
    client.force_login(people("viewer"))
    assert client.post(do).status_code == 403


# Real processes ------------------------------------------------------------------------------------------------------
@pytest.mark.server_only
def test_of_two_worker_processes_the_one_that_drains_gets_nothing_more(live: Live) -> None:
    live.manage("prepare")
    for command in ("web", "worker", "worker"):
        live.start(command)
    first, second = live.call("GET", "/api/v1/workers")["items"]
    live.call("POST", f"/api/v1/workers/{first['id']}/drain", {"reason": "test"})
    wait(lambda: _runs_on(live, 12) == {second["name"]}, "the drained one to hear of it", 20)
    assert _runs_on(live, 40) == {second["name"]}
    live.call("POST", f"/api/v1/workers/{first['id']}/undrain")
    live.call("POST", f"/api/v1/workers/{second['id']}/drain")
    wait(lambda: _runs_on(live, 12) == {first["name"]}, "the other one to take over", 20)
    assert set(live.kill(signal.SIGTERM)) == {0}


@pytest.mark.embedded_only
def test_the_one_process_drains_and_goes_on_afterwards(live: Live) -> None:
    live.start("up")
    [worker] = live.call("GET", "/api/v1/workers")["items"]
    assert worker["state"] == "active" and worker["threads"] == 8
    live.call("POST", f"/api/v1/workers/{worker['id']}/drain")

    def asked_is_still_waiting() -> bool:
        asked = _ask(live)
        threading.Event().wait(0.5)
        return _get(live, asked)["status"] == "requested"

    wait(asked_is_still_waiting, "it to drain", 20)
    waiting = _get(live, _ask(live))
    assert waiting["waits_for"] == "Waits for a worker; each that is alive is draining."
    live.call("POST", f"/api/v1/workers/{worker['id']}/undrain")
    wait(lambda: _get(live, waiting["id"])["status"] == "completed", "what waited to run")


def _ask(live: Live) -> int:
    return live.call("POST", "/api/v1/executions/execute", {"action_ref": "core.noop", "parameters": {}})["id"]


def _get(live: Live, pk: int) -> dict[str, Any]:
    return live.call("GET", f"/api/v1/executions/{pk}")["data"]


def _runs_on(live: Live, count: int) -> set[str]:
    """The workers that ran that many executions asked for now."""
    asked = [_ask(live) for _ in range(count)]
    wait(lambda: all(_get(live, pk)["status"] == "completed" for pk in asked), "them to run", 60)
    return {_get(live, pk)["worker_name"] for pk in asked}


def _status(execution: Execution) -> str:
    return Execution.objects.values_list("status", flat=True).get(pk=execution.pk)
