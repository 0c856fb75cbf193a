"""Many rules on one trigger: few are weighed, and of each is known what it made of the event, and why."""

from __future__ import annotations

import json

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.access.principals import Principal
from apps.executions.models import Execution
from apps.packs.models import Action, Pack
from apps.rules import enforcing, matching, rulesets, services
from apps.rules.admin import verdicts
from apps.rules.models import Enforcement, Event, Rule, RuleSet
from apps.rules.services import emit_event

MANY = 40


@pytest.fixture
def action(make_action):
    return make_action("cat", parameters={"message": {"type": "string"}})


@pytest.fixture
def many(action, make_rule):
    """Rules on one trigger, in all notations: number n wants `payload.n` to be n."""
    notations = (
        lambda n: {"var": "payload.n", "==": n},
        lambda n: {"==": [{"var": "payload.n"}, n]},
        lambda n: [{"field": "n", "operator": "equals", "value": n}],
        lambda n: {"trigger.n": {"type": "eq", "pattern": n}},
    )
    return [
        make_rule(action, name=f"rule_{n:03}", criteria=notations[n % 4](n), action_params={"message": str(n)})
        for n in range(MANY)
    ]


def emitted(many, **payload):
    """An event of their trigger, as it is kept."""
    return Event.objects.get(pk=emit_event(many[0].trigger_ref, payload=payload).event.pk)


def told(event):
    return {verdict["rule_ref"]: verdict for verdict in services.verdicts_of(event)}


def test_one_of_many_rules_matches_and_is_decided_on_at_once(transactional_db, many):
    event = emitted(many, n=7)
    assert event.processed_at and event.misses == []
    [enforcement] = Enforcement.objects.all()
    assert enforcement.rule == many[7] and enforcement.verdict == "matched"
    assert Execution.objects.get().parameters == {"message": "7"}


def test_every_rule_has_a_verdict_with_the_reason_that_weighing_it_gives(transactional_db, many):
    event = emitted(many, n=7)
    found = told(event)
    assert list(found) == [many[7].ref, *(rule.ref for rule in many if rule != many[7])]
    for rule in many:
        if rule != many[7]:
            plain = matching.evaluate(rule.criteria, enforcing.context_of(rule, event))
            verdict = found[rule.ref]
            assert verdict["verdict"] == "not_matched" and verdict["rule"] == rule.pk and verdict["revision"] == 1
            assert (verdict["reason"], verdict["results"]) == (plain.reason, plain.results)
    assert found[many[3].ref]["results"] == [
        {"path": "trigger.n", "operator": "eq", "expected": 3, "actual": 7, "result": False}
    ]


def test_a_verdict_stays_what_it_was_when_its_rule_changes_or_goes(transactional_db, many):
    event = emitted(many, n=7)
    before = told(event)
    services.update_rule(many[3], criteria={"var": "payload.n", "==": 7}, actor="test")
    services.delete_rule(many[4], actor="test")
    Pack.objects.filter(ref="adhoc").update(config={"x": 1})
    assert told(Event.objects.get(pk=event.pk)) == before


def test_events_under_the_same_rules_share_one_record_of_them(transactional_db, many):
    first, second = emitted(many, n=7), emitted(many, n=8)
    assert first.rule_set_id == second.rule_set_id and RuleSet.objects.get().size == MANY
    assert len(json.dumps(second.misses)) < 10


def test_rules_that_demand_no_constant_are_weighed_and_told_of_like_the_others(
    transactional_db, many, action, make_rule
):
    loud = make_rule(action, name="a_loud", criteria={"var": "payload.n", ">": 6}, action_params={"message": "x"})
    quiet = make_rule(action, name="z_quiet", criteria={"var": "payload.n", ">": 9}, action_params={"message": "x"})
    broken = make_rule(action, name="b_broken", criteria={"var": "payload.gone", ">": 9})
    event = emitted(many, n=7)
    found = told(event)
    assert found[loud.ref]["verdict"] == "matched" and found[broken.ref]["verdict"] == "error"
    assert found[quiet.ref]["verdict"] == "not_matched" and "9" in found[quiet.ref]["reason"]
    assert len(found) == MANY + 3 and [miss["rule_ref"] for miss in event.misses] == [quiet.ref]


def _disabled(rule):
    services.set_enabled(rule, False, actor="test")


def _deleted(rule):
    services.delete_rule(rule, actor="test")


def _changed(rule):
    services.update_rule(rule, criteria={"var": "payload.n", "==": -1}, actor="test")


def _touched_in_the_database(rule):
    Rule.objects.filter(pk=rule.pk).update(criteria={"var": "payload.n", "==": -1}, updated=timezone.now())


def _moved_to_another_trigger(rule):
    Rule.objects.filter(pk=rule.pk).update(trigger_ref="adhoc.elsewhere", updated=timezone.now())


def _pack_disabled(rule):
    Pack.objects.filter(pk=rule.pack_id).update(enabled=False, updated=timezone.now())


@pytest.mark.parametrize(
    "change", [_disabled, _deleted, _changed, _touched_in_the_database, _moved_to_another_trigger, _pack_disabled]
)
@pytest.mark.parametrize("place", [0, 7, MANY - 1])
def test_a_rule_that_changes_is_seen_with_the_next_event(transactional_db, many, change, place):
    emitted(many, n=place)
    change(many[place])
    if change is _pack_disabled:
        event = Event.objects.create(trigger=many[0].trigger, trigger_ref=many[0].trigger_ref, payload={"n": place})
        enforcing.enforce(event.pk)
        event.refresh_from_db()
        assert told(event) == {}
    else:
        event = emitted(many, n=place)
        found = told(event)
        gone = change in (_disabled, _deleted, _moved_to_another_trigger)
        assert (many[place].ref in found) is not gone
        assert len(found) == MANY - gone
    assert not Enforcement.objects.filter(event=event).exists()
    if change is not _pack_disabled:
        assert len(told(emitted(many, n=3 if place != 3 else 4))) == len(found)


def test_new_rules_and_those_switched_on_again_look_at_the_next_event(transactional_db, many, action, make_rule):
    emitted(many, n=7)
    make_rule(action, name="one_more", criteria={"var": "payload.n", "==": 7})
    services.set_enabled(many[7], False, actor="test")
    assert [e.rule_ref for e in Enforcement.objects.filter(event=emitted(many, n=7))] == ["adhoc.one_more"]
    services.set_enabled(many[7], True, actor="test")
    assert Enforcement.objects.filter(event=emitted(many, n=7)).count() == 2


def test_a_change_of_the_action_is_seen_with_the_next_event(transactional_db, many):
    emitted(many, n=7)
    Action.objects.update(enabled=False)
    assert "is disabled" in Enforcement.objects.get(event=emitted(many, n=7)).reason


def test_many_that_may_match_are_left_to_a_worker(flow, many, action, make_rule):
    for n in range(rulesets.FEW + 2):
        make_rule(action, name=f"also_{n}", criteria={"var": "payload.n", "==": 7})
    with flow():
        emitted_event = emit_event(many[0].trigger_ref, payload={"n": 7})
        assert not emitted_event.decided
    event = Event.objects.get(pk=emitted_event.event.pk)
    found = [verdict["verdict"] for verdict in services.verdicts_of(event)]
    assert found.count("matched") == rulesets.FEW + 3 and len(found) == MANY + rulesets.FEW + 2


def test_many_rules_that_become_few_are_weighed_as_few_again(transactional_db, many):
    emitted(many, n=7)
    Rule.objects.filter(pk__in=[rule.pk for rule in many[3:]]).delete()
    for _ in range(2):
        event = emitted(many, n=2)
        assert event.rule_set is None and len(event.misses) == 2 and Enforcement.objects.filter(event=event).exists()
        assert len(told(event)) == 3 and not rulesets.are_many(many[0].trigger_ref)


def test_an_event_for_one_of_many_rules_is_looked_at_by_that_one_alone(transactional_db, many):
    event = emit_event(many[0].trigger_ref, payload={"n": 7}, rule=many[7]).event
    assert list(told(Event.objects.get(pk=event.pk))) == [many[7].ref]


def test_a_rolled_back_event_leaves_no_trace_in_what_is_remembered(transactional_db, many):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        emitted(many, n=7)
        raise ZeroDivisionError
    assert not RuleSet.objects.exists()
    assert len(told(emitted(many, n=7))) == MANY


def test_a_record_of_the_rules_that_is_gone_keeps_no_event_out(transactional_db, many):
    emitted(many, n=7)
    RuleSet.objects.all().delete()
    event = emitted(many, n=8)
    assert list(told(event)) == [many[8].ref]


def test_few_rules_make_no_record_and_no_further_statement(transactional_db, action, make_rule):
    rules = [make_rule(action, name=f"r{n}", criteria={"var": "payload.n", "==": n}) for n in range(rulesets.FEW)]
    emitted(rules, n=1)
    with CaptureQueriesContext(connection) as few:
        event = emit_event(rules[0].trigger, payload={"n": 1}).event
    assert not RuleSet.objects.exists() and len(event.misses) == rulesets.FEW - 1
    assert sum("rules_rule" in query["sql"] for query in few) == 1


def test_many_rules_are_looked_at_in_one_statement_once_they_are_known(transactional_db, many):
    emitted(many, n=7)
    with CaptureQueriesContext(connection) as queries:
        emit_event(many[0].trigger, payload={"n": 7})
    assert sum("rules_rule" in query["sql"] for query in queries) == 1  # the event's number is fetched by another


def test_what_stayed_the_same_is_not_read_again(transactional_db, many):
    emitted(many, n=7)
    before = rulesets._known[many[0].trigger_ref].parts
    services.update_rule(many[3], criteria={"var": "payload.n", "==": 100}, actor="test")
    emitted(many, n=7)
    after = rulesets._known[many[0].trigger_ref].parts
    assert [number for number in after if after[number] is not before[number]] == [many[3].pk]


def test_the_pages_tell_of_rules_that_were_ruled_out(transactional_db, many):
    event = emitted(many, n=7)
    [verdict] = [v for v in verdicts.of_rule(many[3]) if v["event"] == event.pk]
    assert verdict["verdict"] == "not_matched" and "7" in verdict["words"]
    assert [v["verdict"] for v in verdicts.of_rule(many[7])] == ["matched"]
    page = verdicts.of_event(event, Principal("command", "command"))
    assert len(page["verdicts"]) == MANY and page["unshown"] == 0
