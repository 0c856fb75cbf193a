"""Events come in, rules decide, verdicts are kept, executions are asked for: each exactly once."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django import db
from django.utils import timezone

from apps.executions.models import Execution, Status
from apps.executions.secrets import open_parameters, shown_parameters
from apps.executions.services import rerun_execution
from apps.packs import grants, keys
from apps.packs.models import Action, Pack, Trigger
from apps.rules import enforcing, services
from apps.rules.errors import PayloadInvalid, RefTaken, RuleInvalid, RuleReadOnly, TriggerDisabled, UnknownTrigger
from apps.rules.models import Enforcement, Event, EventKey, Rule
from apps.rules.services import emit_event


@pytest.fixture
def echo(make_action):
    return make_action("cat", parameters={"message": {"type": "string", "required": True}})


def test_an_event_that_meets_the_criteria_runs_the_action_with_rendered_parameters(flow, echo, make_rule):
    rule = make_rule(
        echo, criteria={"var": "payload.severity", ">=": 3}, action_params={"message": "{{ event.payload.text }}!"}
    )
    with flow():
        event = emit_event(rule.trigger, payload={"severity": 4, "text": "fire"}, source="test").event
    enforcement = Enforcement.objects.get()
    assert enforcement.event == event and enforcement.verdict == "matched" and enforcement.rule == rule
    assert enforcement.action_params == {"message": "fire!"}
    execution = enforcement.execution
    assert execution.status == Status.COMPLETED and execution.stdout == '{"message":"fire!"}\n'
    assert execution.rule_ref == rule.ref and execution.trigger_ref == event.trigger_ref
    assert execution.enforcement_id == enforcement.pk and execution.event_id == event.pk


def test_an_event_that_meets_no_criteria_leaves_a_reason_and_no_execution(flow, echo, make_rule):
    rule = make_rule(echo, criteria={"var": "payload.severity", ">=": 3}, action_params={"message": "x"})
    with flow():
        event = emit_event(rule.trigger, payload={"severity": 1}).event
    assert not Execution.objects.exists() and not Enforcement.objects.exists()
    [verdict] = services.verdicts_of(Event.objects.get(pk=event.pk))
    assert verdict["verdict"] == "not_matched" and verdict["rule_ref"] == rule.ref and "severity" in verdict["reason"]


def test_one_bad_rule_does_not_hurt_its_neighbours(flow, echo, make_rule):
    bad = make_rule(echo, name="a-bad", action_params={"message": "{{ payload.missing.thing }}"})
    wrong = make_rule(
        echo, name="b-wrong", criteria={"trigger.text": {"type": "gt", "pattern": 3}}, action_params={"message": "x"}
    )
    good = make_rule(echo, name="c-good", action_params={"message": "fine"})
    with flow():
        emit_event(bad.trigger, payload={"text": "x"})
    verdicts = {e.rule_ref: e for e in Enforcement.objects.all()}
    assert verdicts[good.ref].verdict == "matched" and verdicts[good.ref].execution.status == Status.COMPLETED
    assert verdicts[bad.ref].verdict == "error" and "missing" in verdicts[bad.ref].reason
    assert verdicts[wrong.ref].verdict == "error" and verdicts[wrong.ref].execution is None


def test_a_redelivered_event_is_decided_on_once(flow, echo, make_rule):
    rule = make_rule(echo, action_params={"message": "x"})
    with flow():
        event = emit_event(rule.trigger, payload={}).event
        services.nudge([event.pk] * 10)
    enforcing.enforce(event.pk)
    assert Enforcement.objects.count() == 1 and Execution.objects.count() == 1


def test_many_threads_deciding_on_one_event_make_one_verdict(transactional_db, echo, make_rule):
    rule = make_rule(echo, action_params={"message": "x"})
    event = Event.objects.create(trigger=rule.trigger, trigger_ref=rule.trigger_ref, payload={})
    errors: list[Exception] = []

    def enforce() -> None:
        try:
            enforcing.enforce(event.pk)
        except Exception as error:
            errors.append(error)
        finally:
            db.connections.close_all()

    threads = [threading.Thread(target=enforce) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and Enforcement.objects.count() == 1 and Execution.objects.count() == 1


def test_parameters_that_the_action_refuses_fail_the_enforcement_only(flow, echo, make_rule):
    rule = make_rule(echo, action_params={"message": "{{ payload.number }}"})
    with flow():
        emit_event(rule.trigger, payload={"number": 5})
    enforcement = Enforcement.objects.get()
    assert enforcement.verdict == "error" and "message" in enforcement.reason and not Execution.objects.exists()


def test_a_disabled_action_fails_the_enforcement_with_advice(flow, echo, make_rule):
    rule = make_rule(echo, action_params={"message": "x"})
    Action.objects.update(enabled=False)
    with flow():
        emit_event(rule.trigger, payload={})
    assert "is disabled" in Enforcement.objects.get().reason


@pytest.mark.parametrize("payload", [{"a": 1}, [1], "text", None, 5])
def test_payloads_are_checked_against_the_schema_and_refused_with_the_path(make_trigger, payload):
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "object", "properties": {}}}}
    trigger = make_trigger(payload_schema=schema)
    with pytest.raises(PayloadInvalid) as error:
        emit_event(trigger, payload=payload)
    if isinstance(payload, dict):
        assert error.value.details["faults"][0]["path"] == "a"
    assert not Event.objects.exists()


def test_payloads_no_database_can_hold_are_made_storable(make_trigger):
    event = emit_event(make_trigger(), payload={"nul": "a\0b", "half": "\ud800", "🐢": float("inf")}).event
    event.refresh_from_db()
    assert event.payload == {"nul": "a\ufffdb", "half": "\ufffd", "🐢": "inf"}


def test_a_payload_nested_without_end_is_refused(make_trigger):
    payload: dict = {}
    for _ in range(5000):
        payload = {"deeper": payload}
    with pytest.raises(PayloadInvalid, match="levels deep"):
        emit_event(make_trigger(), payload=payload)


def test_unknown_and_disabled_triggers_are_told_apart(make_trigger):
    with pytest.raises(UnknownTrigger, match="no_such"):
        emit_event("adhoc.no_such", payload={})
    trigger = make_trigger()
    Trigger.objects.update(enabled=False)
    with pytest.raises(TriggerDisabled, match=r"Trigger adhoc\.happened is disabled"):
        emit_event(trigger.ref, payload={})
    Trigger.objects.update(enabled=True)
    Pack.objects.update(enabled=False)
    with pytest.raises(TriggerDisabled, match="Pack adhoc"):
        emit_event(trigger.ref, payload={})


def test_the_same_key_within_a_day_is_the_same_event(make_trigger):
    trigger, other = make_trigger(), make_trigger("adhoc.other")
    first = emit_event(trigger, payload={"n": 1}, dedup_key="k")
    again = emit_event(trigger, payload={"n": 2}, dedup_key="k")
    assert first.created and not again.created and again.event == first.event
    assert emit_event(other, payload={}, dedup_key="k").created
    EventKey.objects.filter(event=first.event).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert emit_event(trigger, payload={}, dedup_key="k").created


def test_the_same_key_sent_by_many_at_once_makes_one_event(transactional_db, make_trigger):
    trigger, found = make_trigger(), []

    def send() -> None:
        try:
            found.append(emit_event(trigger.ref, payload={}, dedup_key="one").event.pk)
        finally:
            db.connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10 and len(set(found)) == 1 and Event.objects.count() == 1


def test_an_event_meant_for_one_rule_is_looked_at_by_that_rule_only(flow, echo, make_rule):
    rule = make_rule(echo, name="mine", action_params={"message": "mine"})
    make_rule(echo, name="other", action_params={"message": "other"})
    with flow():
        emit_event(rule.trigger, payload={}, rule=rule)
    assert [e.rule_ref for e in Enforcement.objects.all()] == [rule.ref]


def test_an_event_whose_own_rule_was_deleted_is_looked_at_by_nobody(flow, echo, make_rule):
    rule, other = (
        make_rule(echo, name="mine", action_params={"message": "x"}),
        make_rule(echo, name="other", action_params={"message": "x"}),
    )
    event = Event.objects.create(
        trigger=rule.trigger, trigger_ref=rule.trigger_ref, rule=rule, rule_ref=rule.ref, payload={}
    )
    services.delete_rule(rule, actor="test")
    enforcing.enforce(event.pk)
    assert not Enforcement.objects.exists() and other.enabled


def test_a_lost_nudge_is_made_good_by_the_sweep(flow, echo, make_rule):
    rule = make_rule(echo, action_params={"message": "x"})
    event = Event.objects.create(trigger=rule.trigger, trigger_ref=rule.trigger_ref, payload={})
    Event.objects.filter(pk=event.pk).update(created=timezone.now() - timedelta(minutes=1))
    with flow():
        assert services.sweep() == 1
    assert Enforcement.objects.get().execution.status == Status.COMPLETED


def test_keys_in_templates_are_filled_in_by_the_worker_and_stored_nowhere(flow, make_action, make_rule):
    action = make_action(
        "cat", parameters={"token": {"type": "string"}, "n": {"type": "integer"}, "whole": {"type": "object"}}
    )
    keys.write(
        ref="demo.credentials", owner_type="pack", owner_ref="demo", value={"token": "tok-98765", "n": 4}, actor="t"
    )
    rule = make_rule(
        action,
        action_params={
            "token": "Bearer {{ key.demo.credentials.token }}",
            "n": "{{ key.demo.credentials.n }}",
            "whole": "{{ key.demo.credentials }}",
        },
    )
    with flow():
        emit_event(rule.trigger, payload={"x": "{{ key.demo.credentials.token }}"})
    execution = Execution.objects.get()
    assert execution.status == Status.COMPLETED, execution.error
    whole = {"token": "********", "n": 4}
    assert json.loads(execution.stdout) == {"token": "Bearer ********", "n": 4, "whole": whole}
    assert "tok-98765" not in str(Execution.objects.values().get()) + str(Enforcement.objects.values().get())


def test_a_key_in_a_parameter_is_shown_by_its_name_and_stays_one_when_other_parameters_are_changed(
    flow, make_action, make_rule, people
):
    action = make_action("cat", parameters={"token": {"type": "string", "secret": True}, "n": "string", "to": "string"})
    keys.write(
        ref="demo.credentials", owner_type="pack", owner_ref="demo", value={"t": "tok-98765", "n": "four"}, actor="t"
    )
    asked = {"token": "{{ key.demo.credentials.t }}", "n": "no {{ key.demo.credentials.n }}", "to": "{{ payload.to }}"}
    rule = make_rule(action, action_params=asked)
    shown = {"token": "********", "n": "no {{ key.demo.credentials.n }}", "to": "{{ key.demo.credentials.n }}"}
    payload = {"to": "{{ key.demo.credentials.n }}"}  # a stranger's text, which must never become the key
    dry = services.dry_run(trigger=rule.trigger, criteria={}, payload=payload, action=action, action_params=asked)
    assert dry["action_params"] == shown
    with flow():
        emit_event(rule.trigger, payload=payload)
    first = Execution.objects.get()
    assert shown_parameters(first) == Enforcement.objects.get().action_params == shown
    with flow():
        again = rerun_execution(first, parameters=shown, actor=people("admin"))
        other = rerun_execution(first, parameters=shown | {"n": "{{ key.demo.credentials.t }}"}, actor=people("admin"))
    again.refresh_from_db(), other.refresh_from_db()
    assert json.loads(again.stdout) == {"token": "********", "n": "no ********", "to": "{{ key.demo.credentials.n }}"}
    assert json.loads(other.stdout)["n"] == "{{ key.demo.credentials.t }}"
    assert open_parameters(again, action).parameters["token"] == "tok-98765"


def test_the_actions_pack_decides_on_keys_in_a_rule_and_one_of_the_system_takes_a_grant(flow, echo, make_rule):
    keys.write(local_ref="token", owner_type="pack", owner_ref="adhoc", value="of the rule's pack", actor="t")
    rule = make_rule(echo, action_params={"message": "{{ key.adhoc.token }}"})
    assert rule.pack.ref == "adhoc"
    with flow():
        emit_event(rule.trigger, payload={})
    refused = Execution.objects.get()
    assert refused.status == Status.FAILED and "may not have the key pack.adhoc.token" in refused.error
    key = keys.write(local_ref="token", value="of the system", actor="t")
    services.update_rule(rule, action_params={"message": "{{ key.system.token }}"}, actor="t")
    with flow():
        emit_event(rule.trigger, payload={})
    assert "may not have the key system.token" in Execution.objects.first().error
    grants.grant(key, echo.pack.ref, actor="t")
    with flow():
        emit_event(rule.trigger, payload={})
    assert Execution.objects.first().status == Status.COMPLETED


def test_a_payload_that_looks_like_a_template_is_never_rendered(flow, echo, make_rule):
    rule = make_rule(echo, action_params={"message": "{{ payload.text }}"})
    with flow():
        emit_event(rule.trigger, payload={"text": "{{ key.demo.credentials }} {{ 7 * 7 }}"})
    assert Execution.objects.get().parameters == {"message": "{{ key.demo.credentials }} {{ 7 * 7 }}"}


def test_saving_a_rule_names_every_fault_at_once(echo, make_trigger):
    trigger = make_trigger(
        parameters_schema={"type": "object", "properties": {"every": {"type": "integer"}}, "required": ["every"]}
    )
    with pytest.raises(RuleInvalid) as error:
        services.create_rule(
            ref="adhoc.rule",
            pack="adhoc",
            trigger_ref=trigger.ref,
            action_ref=echo.ref,
            criteria={"payload.x": {"type": "nonsense", "pattern": 1}},
            action_params={"message": "{{ unclosed", "colour": "red"},
            actor="test",
        )
    paths = {fault["path"] for fault in error.value.details["faults"]}
    assert paths == {"criteria.payload.x", "action_params.message", "trigger_params.every"}
    assert not Rule.objects.exists()


def test_a_rule_needs_a_trigger_and_an_action_that_are_there(make_trigger):
    make_trigger()
    with pytest.raises(RuleInvalid, match=r"no trigger 'nope\.t'.*no action 'nope\.a'"):
        services.create_rule(ref="adhoc.r", pack="adhoc", trigger_ref="nope.t", action_ref="nope.a", actor="test")


@pytest.mark.parametrize("ref", ["other.rule", "adhoc", "adhoc.", "adhoc.With-Capital", "adhoc.a.b", "adhoc.é"])
def test_a_rule_is_named_after_its_pack(echo, make_trigger, ref):
    trigger = make_trigger()
    with pytest.raises(RuleInvalid, match="ref"):
        services.create_rule(
            ref=ref,
            pack="adhoc",
            trigger_ref=trigger.ref,
            action_ref=echo.ref,
            action_params={"message": "x"},
            actor="t",
        )


def test_two_rules_cannot_have_one_ref(echo, make_rule):
    make_rule(echo, action_params={"message": "x"})
    with pytest.raises(RefTaken):
        make_rule(echo, action_params={"message": "x"})


def test_changes_count_as_revisions_and_restart_the_clock_of_timers(echo, make_rule):
    rule = make_rule(echo, action_params={"message": "x"})
    since = rule.active_since
    services.update_rule(rule, actor="test", label="New label")
    assert rule.revision == 2 and rule.active_since == since
    services.set_enabled(rule, False, actor="test")
    services.set_enabled(rule, True, actor="test")
    assert rule.active_since > since and rule.revision == 4
    services.update_rule(rule, actor="test", label="New label")
    assert rule.revision == 4


def test_a_packs_own_rule_is_read_only_but_can_be_switched_off(make_pack):
    files = {
        "actions/act.sh": "cat",
        "actions/act.yaml": {"ref": "demo.act", "entry_point": "act.sh"},
        "triggers/t.yaml": {"ref": "demo.t"},
        "rules/r.yaml": {"ref": "demo.r", "trigger_ref": "demo.t", "action_ref": "demo.act"},
    }
    make_pack("demo", files)
    rule = Rule.objects.get(ref="demo.r")
    with pytest.raises(RuleReadOnly):
        services.update_rule(rule, actor="test", criteria={"var": "payload.x", "==": 1})
    with pytest.raises(RuleReadOnly):
        services.delete_rule(rule, actor="test")
    services.set_enabled(Rule.objects.get(ref="demo.r"), False, actor="test")
    make_pack("demo", files)
    assert Rule.objects.get(ref="demo.r").enabled is False


def test_a_dry_run_answers_as_the_real_run_would_and_runs_nothing(echo, make_rule):
    rule = make_rule(
        echo,
        criteria=[{"field": "n", "operator": "greater_than", "value": 2}],
        action_params={"message": "{{ payload.n | string }}"},
    )
    kwargs = {
        "trigger": rule.trigger,
        "criteria": rule.criteria,
        "action": echo,
        "action_params": rule.action_params,
        "rule": rule,
    }
    found = services.dry_run(payload={"n": 3}, **kwargs)
    assert found["matched"] is True and found["action_params"] == {"message": "3"} and found["error"] is None
    assert found["criteria"][0]["actual"] == 3 and found["criteria"][0]["result"] is True
    found = services.dry_run(payload={"n": 1}, **kwargs)
    assert found["matched"] is False and found["action_params"] is None
    found = services.dry_run(payload={"n": "x"}, **kwargs)
    assert found["matched"] is None and found["error"]
    assert not Event.objects.exists() and not Execution.objects.exists()


def test_a_replay_is_a_new_event_that_points_back(flow, echo, make_rule):
    rule = make_rule(echo, action_params={"message": "{{ payload.n | string }}"})
    with flow():
        event = emit_event(rule.trigger, payload={"n": 1}, dedup_key="k").event
    with flow():
        again = services.replay_event(event, actor="anna")
    assert again.pk != event.pk and again.replay_of == event and again.payload == event.payload
    assert Execution.objects.count() == 2


def test_history_outlives_the_rule_the_trigger_and_the_action(flow, echo, make_rule):
    rule = make_rule(echo, action_params={"message": "x"})
    with flow():
        emit_event(rule.trigger, payload={})
    services.delete_rule(rule, actor="test")
    Pack.objects.all().delete()
    enforcement, execution = Enforcement.objects.get(), Execution.objects.get()
    assert enforcement.rule is None and enforcement.rule_ref == "adhoc.rule"
    assert execution.action is None and execution.action_ref == "demo.act"
    assert Event.objects.get().trigger_ref == "adhoc.happened"
