"""All rules paused: events are kept, nothing runs, and at the end one says what becomes of them."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django import db
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.access import tokens
from apps.access.models import ApiToken, AuditEntry
from apps.executions.models import Execution
from apps.rules import enforcing, pausing, rulesets, services
from apps.rules.errors import NotPaused, PausedAlready, RuleInvalid
from apps.rules.models import Debounce, Enforcement, Event, Pause
from apps.rules.services import emit_event, pause_rules, resume_rules
from tests.conftest import until


@pytest.fixture
def act(make_action):
    return make_action("cat", parameters={"n": {"type": "integer"}})


def verdict(event):
    [found] = services.verdicts_of(Event.objects.get(pk=event.pk))
    return found


def test_while_rules_are_paused_events_are_kept_and_nothing_runs(flow, act, make_rule):
    rule = make_rule(act)
    pause_rules(reason="the disk is full", actor="anna")
    with flow():
        event = emit_event(rule.trigger, payload={}).event
    assert not Execution.objects.exists() and not Enforcement.objects.exists()
    told = verdict(event)
    assert told["verdict"] == "paused" and told["reason"] == "rules were paused by anna: the disk is full"
    resume_rules(actor="bert")
    with flow():
        later = emit_event(rule.trigger, payload={}).event
        services.act_on_due()
    assert verdict(later)["verdict"] == "matched" and verdict(event)["verdict"] == "paused"
    assert Execution.objects.count() == 1


def test_what_came_meanwhile_is_decided_on_if_that_is_wanted(flow, act, make_rule):
    rule = make_rule(act, action_params={"n": "{{ payload.n }}"})
    with flow():
        before = emit_event(rule.trigger, payload={"n": 0}).event
    pause_rules(reason="look first", actor="anna")
    events = [emit_event(rule.trigger, payload={"n": n}).event for n in (1, 2, 3)]
    resume_rules(held="process", actor="anna")
    with flow():
        assert services.act_on_due() == 3
    assert services.act_on_due() == 0
    assert [verdict(event)["verdict"] for event in (before, *events)] == ["matched"] * 4
    assert sorted(row.parameters["n"] for row in Execution.objects.all()) == [0, 1, 2, 3]


def test_a_worker_keeps_to_a_pause_as_well(transactional_db, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 600})
    event = Event.objects.create(trigger=rule.trigger, trigger_ref=rule.trigger_ref)
    pause_rules(reason="x", actor="anna")
    enforcing.enforce(event.pk)
    event.refresh_from_db()
    assert verdict(event)["verdict"] == "paused" and event.held_by == Pause.objects.get().pk
    assert not rule.restraints.exists()


def test_an_event_that_many_rules_look_at_is_held_as_well(flow, act, make_rule):
    rules = [make_rule(act, name=f"r{n}") for n in range(rulesets.FEW + 1)]
    pause_rules(reason="x", actor="anna")
    with flow():
        event = emit_event(rules[0].trigger, payload={}).event
    told = services.verdicts_of(Event.objects.get(pk=event.pk))
    assert {each["verdict"] for each in told} == {"paused"} and len(told) == len(rules)


def test_an_event_that_nobody_looks_at_is_not_held(db, make_trigger):
    pause = pause_rules(reason="x", actor="anna")
    emit_event(make_trigger(), payload={})
    assert Event.objects.get().held_by is None and pausing.held_by(pause, most=10) == 0


def test_a_decision_that_was_written_late_is_let_go_with_the_next_look(flow, act, make_rule):
    rule = make_rule(act)
    pause_rules(reason="x", actor="anna")
    late = Event.objects.get(pk=emit_event(rule.trigger, payload={}).event.pk)
    resume_rules(held="process", actor="anna")
    Event.objects.filter(pk=late.pk).update(held_by=None, processed_at=None, misses=[])
    assert services.act_on_due() == 0
    late.save()  # somebody who had seen the pause writes what they decided only now
    with flow():
        assert services.act_on_due() == 1
    assert verdict(late)["verdict"] == "matched"


def test_a_debounce_waits_for_the_end_of_a_pause(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900})
    with flow():
        event = emit_event(rule.trigger, payload={}).event
    pause_rules(reason="x", actor="anna")
    make_due(Debounce.objects.get())
    assert services.act_on_due() == 0 and not Execution.objects.exists()
    resume_rules(held="process", actor="anna")
    with flow():
        services.act_on_due()
    assert verdict(event)["verdict"] == "matched"


def test_a_debounce_that_came_due_during_a_skipped_pause_is_skipped_too(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900, "key": "{{ payload.k }}"})
    with flow():
        event, later = (emit_event(rule.trigger, payload={"k": k}).event for k in "ab")
    pause_rules(reason="enough", actor="anna")
    make_due(Debounce.objects.get(key="a"))
    resume_rules(actor="anna")
    assert services.act_on_due() == 0
    assert verdict(event)["verdict"] == "paused" and "enough" in verdict(event)["reason"]
    assert verdict(later)["verdict"] == "waiting"


def make_due(waiting):
    waiting.due_at -= timedelta(hours=1)
    waiting.save()


def test_only_one_pause_is_on_and_both_ends_are_in_the_audit_log(db):
    pause_rules(reason=" first ", actor="anna")
    with pytest.raises(PausedAlready, match="by anna: first"):
        pause_rules(reason="second", actor="bert")
    resume_rules(held="process", actor="bert")
    with pytest.raises(NotPaused):
        resume_rules(actor="bert")
    pause_rules(reason="third", actor="anna")
    with pytest.raises(RuleInvalid, match="why"):
        pause_rules(reason="  ", actor="anna")
    told = [(entry.actor, entry.action) for entry in AuditEntry.objects.order_by("id")]
    assert told == [("anna", "rules.pause"), ("bert", "rules.resume"), ("anna", "rules.pause")]
    assert Pause.objects.filter(active=True).count() == 1 and Pause.objects.count() == 2


def test_of_many_who_pause_at_once_one_does(transactional_db):
    won, lost = [], []

    def pause(name):
        try:
            won.append(pause_rules(reason="x", actor=name))
        except PausedAlready as error:
            lost.append(error)
        finally:
            db.connections.close_all()

    threads = [threading.Thread(target=pause, args=[f"person {n}"]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)


def test_looking_for_a_pause_costs_an_event_no_statement(db, act, make_rule):
    trigger = make_rule(act).trigger
    emit_event(trigger, payload={})
    with CaptureQueriesContext(connection) as seen:
        emit_event(trigger, payload={})
    asked = [query["sql"] for query in seen if "rules_pause" in query["sql"]]
    assert len(asked) == 1 and "FROM rules_rule r" in asked[0]


def test_a_real_installation_pauses_and_goes_on(live):
    live.start_all()
    rule = {"ref": "core.told", "trigger_ref": "core.alert", "action_ref": "core.echo"}
    live.call("POST", "/api/v1/rules", rule | {"action_params": {"message": "{{ payload.message }}"}})
    alert = {"trigger_ref": "core.alert", "payload": {"severity": "info", "message": "hello"}}
    live.call("POST", "/api/v1/rules/pause", {"reason": "maintenance"}, expect=201)
    live.call("POST", "/api/v1/rules/pause", {"reason": "again"}, expect=409)
    events = [live.call("POST", "/api/v1/events", alert)["data"] for _ in range(3)]
    [told] = live.call("GET", f"/api/v1/events/{events[-1]['id']}/verdicts")["items"]
    assert told["verdict"] == "paused" and told["reason"] == "rules were paused by admin: maintenance"
    state = live.call("GET", "/api/v1/rules/pause")["data"]
    assert (state["paused"], state["reason"], state["held_events"]) == (True, "maintenance", 3)
    assert live.executions() == []
    live.call("DELETE", "/api/v1/rules/pause?held=process")
    until(lambda: len(live.executions(status="completed")) == 3, "the held events' executions")
    assert live.call("GET", "/api/v1/rules/pause")["data"]["paused"] is False
    live.call("DELETE", "/api/v1/rules/pause", expect=409)


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("operator", 403), ("editor", 201), ("admin", 201)])
def test_editors_and_above_may_pause_and_all_may_ask(db, people, role, status):
    client = APIClient()
    client.default_format = "json"
    assert client.get("/api/v1/rules/pause").status_code == 401
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(people(role), ApiToken.Kind.PERSONAL)[0]}")
    assert client.post("/api/v1/rules/pause", {"reason": "x"}).status_code == status
    assert client.get("/api/v1/rules/pause").json()["data"]["paused"] is (status == 201)
    if status == 201:
        assert client.delete("/api/v1/rules/pause?held=perhaps").status_code == 422
        assert client.delete("/api/v1/rules/pause?held=skip").json()["data"]["paused"] is False
    assert client.delete("/api/v1/rules/pause").status_code == (409 if status == 201 else 403)
