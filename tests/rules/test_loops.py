"""Chains of events and executions: how deep one is, and that a circle comes to an end that everybody can see."""

from __future__ import annotations

import pytest
from django.conf import settings as attune_settings
from rest_framework.test import APIClient

from apps.access.principals import Principal
from apps.access.tokens import run_token
from apps.executions.models import Execution, Status
from apps.executions.services import request_execution, rerun_execution
from apps.packs.models import Action
from apps.rules import services
from apps.rules.enforcing import enforce
from apps.rules.models import Enforcement, Event
from apps.rules.services import emit_event
from attune import needs
from tests.conftest import until, write_pack

EVERYBODY = Principal("command", "command")  # whom nothing limits


def pack_files(script="cat"):
    """A rule whose action may send the event that the rule waits for."""
    return {
        "actions/act.sh": script,
        "actions/act.yaml": {"ref": "demo.act", "entry_point": "act.sh"},
        "triggers/t.yaml": {"ref": "demo.t"},
        "rules/r.yaml": {"ref": "demo.r", "trigger_ref": "demo.t", "action_ref": "demo.act"},
    }


@pytest.fixture
def circle(make_pack, settings):
    settings.ATTUNE_MAX_CHAIN = 3
    return make_pack("demo", pack_files())


def as_run(execution):
    """An API client with the token of that execution, which runs as long as we say so."""
    Execution.objects.filter(pk=execution.pk).update(status=Status.RUNNING, attempt=1)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {run_token('execution', execution.pk, 1)}")
    client.default_format = "json"
    return client


def sent_by(execution):
    answer = as_run(execution).post("/api/v1/events", {"trigger_ref": "demo.t", "payload": {}})
    assert answer.status_code == 201, answer.content
    return Event.objects.get(pk=answer.json()["data"]["id"])


def ran_for(event):
    return Execution.objects.get(event_id=event.pk)


def stopped(event):
    """The chain that begins with the event, to its end; the last event."""
    while Execution.objects.filter(event_id=event.pk).exists():
        event = sent_by(ran_for(event))
    return event


def test_an_event_that_a_run_sends_is_one_deeper_than_the_run(circle):
    first = emit_event("demo.t", payload={}).event
    second = sent_by(ran_for(first))
    third = sent_by(ran_for(second))
    chain = [(0, None), (1, ran_for(first).pk), (2, ran_for(second).pk)]
    assert [(event.depth, event.caused_by) for event in (first, second, third)] == chain
    assert [(run.depth, run.caused_by) for run in map(ran_for, (first, second, third))] == chain


def test_a_circle_is_stopped_with_a_reason_that_names_its_beginning(circle):
    first = emit_event("demo.t", payload={}).event
    last = stopped(first)
    assert last.depth == 4 and last.processed_at
    [verdict] = services.verdicts_of(last)
    assert verdict["verdict"] == "stopped" and verdict["rule_ref"] == "demo.r"
    assert verdict["reason"] == f"stopped: chain deeper than 3 (began with event {first.pk})"
    assert Enforcement.objects.count() == 4


def test_a_worker_stops_a_chain_just_as_well(circle):
    cause = Execution.objects.create(action_ref="demo.act", pack_ref="demo", depth=3)
    event = Event.objects.create(trigger_ref="demo.t", depth=4, caused_by=cause.pk)
    enforce(event.pk)
    event.refresh_from_db()
    [verdict] = services.verdicts_of(event)
    assert verdict["reason"] == f"stopped: chain deeper than 3 (began with execution {cause.pk})"
    assert event.held_by is None and not Enforcement.objects.exists()


def test_a_chain_whose_first_rows_are_gone_is_stopped_all_the_same(circle):
    event = Event.objects.create(trigger_ref="demo.t", depth=4, caused_by=987)
    enforce(event.pk)
    event.refresh_from_db()
    assert "began with execution 987" in services.verdicts_of(event)[0]["reason"]


def test_children_count_as_levels_and_too_deep_a_child_is_refused(circle):
    first = run = ran_for(emit_event("demo.t", payload={}).event)
    for depth in (1, 2, 3):
        answer = as_run(run).post("/api/v1/executions/execute", {"action_ref": "demo.act"})
        assert answer.status_code == 201 and answer.json()["depth"] == depth
        assert answer.json()["caused_by"] == run.pk == answer.json()["parent"]
        run = Execution.objects.get(pk=answer.json()["id"])
    answer = as_run(run).post("/api/v1/executions/execute", {"action_ref": "demo.act"})
    assert answer.status_code == 409 and answer.json()["error"] == "chain_too_deep"
    assert f"began with event {first.event_id}" in answer.json()["message"]
    event = sent_by(run)
    assert event.depth == 4 and services.verdicts_of(event)[0]["verdict"] == "stopped"


def test_a_chain_that_a_person_began_is_named_by_its_execution(circle):
    first = run = request_execution(Action.objects.get(), parameters={})
    for _ in range(3):
        answer = as_run(run).post("/api/v1/executions/execute", {"action_ref": "demo.act"})
        run = Execution.objects.get(pk=answer.json()["id"])
    [verdict] = services.verdicts_of(sent_by(run))
    assert f"began with execution {first.pk}" in verdict["reason"]


def test_a_replay_by_a_person_begins_a_new_chain(circle):
    again = services.replay_event(stopped(emit_event("demo.t", payload={}).event), actor="anna")
    assert again.depth == 0 and again.caused_by is None
    assert ran_for(again).depth == 0


def test_a_rerun_stays_at_its_place_in_the_chain(circle):
    run = ran_for(sent_by(ran_for(emit_event("demo.t", payload={}).event)))
    again = rerun_execution(run, actor="anna")
    assert (again.depth, again.caused_by) == (1, run.caused_by)


def test_a_retry_stays_at_its_place_in_the_chain(run, make_action):
    first = run(make_action("exit 1", max_retries=1), depth=2, caused_by=7)
    retry = Execution.objects.get(original=first)
    assert (retry.depth, retry.caused_by) == (2, 7)


def test_a_stopped_chain_needs_somebody(circle):
    first = emit_event("demo.t", payload={}).event
    assert not [need for need in needs.needs_you(EVERYBODY) if "chain" in need["what"]]
    last = stopped(first)
    [need] = [need for need in needs.needs_you(EVERYBODY) if "chain" in need["what"]]
    assert "demo.t" in need["what"] and str(last.pk) in need["url"] and f"event {first.pk}" in need["why"]


def test_ten_levels_are_allowed_unless_a_setting_says_otherwise(db):
    assert attune_settings.ATTUNE_MAX_CHAIN == 10


def test_a_real_circle_comes_to_its_end(live, tmp_path):
    """A real run sends, with its real token, the event that starts it again."""
    live.env["ATTUNE_MAX_CHAIN"] = "3"
    live.start_all()
    script = (
        'curl -sf "$ATTUNE_API_URL/api/v1/events" -H "Authorization: Bearer $ATTUNE_API_TOKEN" '
        """-H "Content-Type: application/json" -d '{"trigger_ref": "demo.t"}'"""
    )
    live.manage("load_pack", str(write_pack(tmp_path / "packs" / "demo", "demo", pack_files(script))))
    first = live.call("POST", "/api/v1/events", {"trigger_ref": "demo.t"})["data"]

    def verdicts():
        last = live.events(trigger_ref="demo.t")[0]
        told = live.call("GET", f"/api/v1/events/{last['id']}/verdicts")["items"]
        return [each for each in told if each["verdict"] == "stopped"]

    [verdict] = until(verdicts, "the end of the circle")
    assert f"began with event {first['id']}" in verdict["reason"]
    assert [event["depth"] for event in live.events(trigger_ref="demo.t")] == [4, 3, 2, 1, 0]
