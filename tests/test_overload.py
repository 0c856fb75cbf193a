"""Overload answers, it does not eat: what cannot be taken is refused before anything is kept, and comes in later."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.executions.models import Execution, Status
from apps.packs import services as packs
from apps.packs.models import Action, Trigger
from apps.rules import pressure
from apps.rules.errors import Overloaded
from apps.rules.models import Event, Rule
from apps.rules.services import emit_event
from apps.sensors import deliveries
from apps.sensors.models import SensorProcess, WebhookDelivery
from attune.lib import tallies
from tests.conftest import until
from tests.live import Live, wait
from tests.sensors.conftest import make_host, said, stage, want

__all__ = ["make_host", "stage", "want"]  # fixtures

pytestmark = pytest.mark.django_db

ENDLESS = 2**60  # bytes that no disk has left


@pytest.fixture(autouse=True)
def _forget_refusals() -> None:
    deliveries._flood.clear()


@pytest.fixture
def webhook(make_trigger: Callable[..., Trigger]) -> Trigger:
    trigger = make_trigger("adhoc.knocked")
    packs.enable_webhook(trigger, actor="test")
    return trigger


def knock(trigger: Trigger) -> Any:
    return Client().post(f"/api/v1/webhooks/{trigger.webhook_key}", b"{}", content_type="application/json")


def undecided(count: int) -> list[Event]:
    return Event.objects.bulk_create([Event(trigger_ref="adhoc.old") for _ in range(count)])


def test_while_too_many_events_wait_a_webhook_answers_503_and_keeps_nothing(settings: Any, webhook: Trigger) -> None:
    settings.ATTUNE_MAX_UNDECIDED = 10
    undecided(10)
    pressure.look()
    assert knock(webhook).status_code == 202
    undecided(1)
    pressure.look()
    refused = knock(webhook)
    assert (refused.status_code, refused["Retry-After"]) == (503, "10")
    body = refused.json()
    assert (body["error"], body["details"]["reason"]) == ("overloaded", "events")
    assert "ATTUNE_MAX_UNDECIDED" in body["message"]
    assert Event.objects.filter(trigger_ref=webhook.ref).count() == 1
    assert list(WebhookDelivery.objects.order_by("id").values_list("status", flat=True)) == [202, 503]


def test_events_are_taken_again_once_a_tenth_of_the_limit_is_free(settings: Any, webhook: Trigger) -> None:
    settings.ATTUNE_MAX_UNDECIDED = 10
    waiting = undecided(11)
    pressure.look()
    waiting.pop().delete()
    pressure.look()
    assert knock(webhook).status_code == 503  # or it would let one in and refuse the next
    waiting.pop().delete()
    pressure.look()
    assert knock(webhook).status_code == 202


def test_while_too_many_executions_wait_the_api_answers_503(
    settings: Any, webhook: Trigger, client: Client, people: Callable[[str], Any]
) -> None:
    settings.ATTUNE_MAX_WAITING = 3
    for status in (Status.REQUESTED, Status.SCHEDULED, Status.REQUESTED, Status.SCHEDULED):
        Execution.objects.create(action_ref="a.b", pack_ref="a", status=status)
    Execution.objects.create(action_ref="a.b", pack_ref="a", status=Status.COMPLETED)
    pressure.look()
    client.force_login(people("operator"))
    body = {"trigger_ref": webhook.ref, "payload": {}}
    refused = client.post("/api/v1/events", json.dumps(body), content_type="application/json")
    assert (refused.status_code, refused["Retry-After"]) == (503, "10")
    assert refused.json()["details"]["reason"] == "executions"
    assert not Event.objects.exists()


def test_a_disk_that_is_nearly_full_refuses_and_not_even_logs(settings: Any, webhook: Trigger) -> None:
    settings.ATTUNE_DISK_RESERVE = ENDLESS
    pressure.look()
    refused = knock(webhook)
    assert (refused.status_code, refused["Retry-After"]) == (503, "60")
    assert refused.json()["details"]["reason"] == "disk"
    assert not Event.objects.exists()
    assert not WebhookDelivery.objects.exists()


def test_a_limit_of_0_is_none(settings: Any, webhook: Trigger) -> None:
    settings.ATTUNE_MAX_UNDECIDED = settings.ATTUNE_MAX_WAITING = settings.ATTUNE_DISK_RESERVE = 0
    undecided(3)
    pressure.look()
    assert knock(webhook).status_code == 202


def test_asking_before_an_event_costs_no_query(
    settings: Any, webhook: Trigger, django_assert_num_queries: Callable[[int], Any]
) -> None:
    settings.ATTUNE_DISK_RESERVE = ENDLESS
    assert knock(webhook).status_code == 202  # now the webhook is remembered
    pressure.look()
    with django_assert_num_queries(0):
        assert knock(webhook).status_code == 503
        with pytest.raises(Overloaded):
            emit_event(webhook.ref, payload={})


def test_refusals_are_counted(settings: Any, webhook: Trigger) -> None:
    settings.ATTUNE_DISK_RESERVE = ENDLESS
    pressure.look()
    tallies.take()
    knock(webhook)
    knock(webhook)
    assert tallies.take() == {("events_refused", "disk"): 2, ("webhook_deliveries", "503"): 2}


@pytest.mark.django_db(transaction=True)
def test_lines_of_a_sensor_wait_and_none_is_lost_or_called_bad(
    settings: Any, want: Callable[..., Rule], make_host: Callable[..., Any]
) -> None:
    settings.ATTUNE_DISK_RESERVE = ENDLESS
    pressure.look()
    want("flooder")
    host = make_host()

    def is_held_up() -> bool:
        posts = list(host.supervisor.posts.values())
        return any(post._intake._pause > 0 for post in posts)

    until(is_held_up, "the first line to wait")
    assert said("flooder") == []
    settings.ATTUNE_DISK_RESERVE = 0
    pressure.look()
    until(lambda: len(said("flooder")) > 30, "lines to be taken")
    host.end()
    numbers = [payload["n"] for payload in said("flooder")]
    assert numbers == list(range(len(numbers)))
    process = SensorProcess.objects.get(sensor__ref="sensing_stage.flooder")
    assert process.bad_lines == 0
    assert "reason" not in process.last_error


@pytest.mark.server_only
@pytest.mark.django_db(transaction=True)
def test_an_installation_refuses_by_itself_and_takes_events_again_when_a_worker_has_cleared_the_backlog(
    live: Live,
) -> None:
    live.env["ATTUNE_MAX_WAITING"] = "5"
    live.manage("prepare")
    live.start("web")
    live.call("POST", "/api/v1/packs", {"ref": "adhoc", "label": "Ad hoc", "version": "1.0.0"})
    live.call("POST", "/api/v1/triggers", {"ref": "adhoc.happened", "label": "It happened"})
    rule = {"ref": "adhoc.rule", "label": "x", "trigger_ref": "adhoc.happened", "action_ref": "core.noop"}
    live.call("POST", "/api/v1/rules", rule)
    event = json.dumps({"trigger_ref": "adhoc.happened", "payload": {}}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {live.token}"}
    taken = 0

    def is_refused() -> bool:
        nonlocal taken
        status, _ = live.post("/api/v1/events", event, headers)
        taken += status == 201
        return status == 503

    wait(is_refused, "the web server to refuse")
    assert taken > 5
    details = live.call("GET", "/health/detailed")
    assert (details["status"], details["accepting"], details["overload"]) == ("degraded", False, "executions")
    live.start("worker")
    wait(lambda: live.post("/api/v1/events", event, headers)[0] == 201, "events to be taken again")
    wait(lambda: len(live.executions(status="completed")) == taken + 1, "every event that was taken to be acted upon")
    assert live.call("GET", "/health/detailed")["status"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_the_alarm_about_a_failing_sensor_waits_too(
    settings: Any, want: Callable[..., Rule], make_host: Callable[..., Any], make_trigger: Callable[..., Trigger]
) -> None:
    make_trigger("core.alert")
    settings.ATTUNE_DISK_RESERVE = ENDLESS
    pressure.look()
    want("crasher")
    make_host()
    until(lambda: SensorProcess.objects.filter(failures__gte=3).exists(), "three failures")
    assert not Event.objects.filter(trigger_ref="core.alert").exists()
    settings.ATTUNE_DISK_RESERVE = 0
    pressure.look()
    until(lambda: Event.objects.filter(trigger_ref="core.alert").count() == 1, "the alarm")


def test_what_a_person_asks_to_run_is_not_refused(
    settings: Any, make_action: Callable[..., Action], run: Callable[..., Execution]
) -> None:
    settings.ATTUNE_DISK_RESERVE = ENDLESS
    pressure.look()
    assert run(make_action("echo hi")).status == Status.COMPLETED
