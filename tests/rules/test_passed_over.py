"""What a sensor says was passed over: kept with its verdict and its key, never weighed, never run."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django import db
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.executions.models import Execution
from apps.rules import enforcing, pausing, rulesets, services
from apps.rules.errors import PayloadInvalid
from apps.rules.models import Enforcement, Event, EventKey, Pause, Suppression
from apps.rules.retention import kinds
from apps.rules.services import emit_event
from attune.lib import retention, tallies


@pytest.fixture
def rule(make_action, make_rule):
    return make_rule(make_action("cat"))


def pass_over(rule, word="missed", *, alone=True, **more):
    """An event that was passed over, as it is in the database."""
    given = {"payload": {"n": 1}, "source": "sensor demo.clock", "reason": "It was noticed too late."} | more
    emitted = emit_event(rule.trigger, rule=rule if alone else None, passed_over=word, **given)
    assert emitted.decided
    return Event.objects.get(pk=emitted.event.pk)


@pytest.mark.parametrize("word", ["skipped", "missed"])
def test_an_event_that_was_passed_over_has_its_verdict_at_once_and_runs_nothing(transactional_db, rule, word):
    event = pass_over(rule, word)
    enforcing.enforce(event.pk)
    [verdict] = services.verdicts_of(event)
    assert verdict | {"results": []} == verdict
    assert (verdict["rule_ref"], verdict["verdict"]) == (rule.ref, word) and verdict["revision"] == rule.revision
    assert verdict["reason"] == "It was noticed too late." and event.processed_at and event.passed_over == word
    assert not Execution.objects.exists() and not Enforcement.objects.exists()


def test_the_same_time_is_kept_once_be_it_fired_or_passed_over(transactional_db, rule):
    fired = emit_event(rule.trigger, payload={"n": 1}, rule=rule, dedup_key="10:00").event
    again = pass_over(rule, dedup_key="10:00")
    assert again.pk == fired.pk and again.passed_over == ""
    missed = pass_over(rule, dedup_key="10:01")
    late = emit_event(rule.trigger, payload={"n": 1}, rule=rule, dedup_key="10:01")
    assert late.event.pk == missed.pk and not late.created
    assert Event.objects.count() == 2 and Execution.objects.count() == 1


def test_many_who_pass_over_the_same_time_at_once_keep_it_once(transactional_db, rule):
    errors, ready = [], threading.Barrier(8)

    def tell():
        ready.wait()
        try:
            pass_over(rule, dedup_key="10:00")
        except Exception as error:
            errors.append(error)
        finally:
            db.connections.close_all()

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and Event.objects.count() == EventKey.objects.count() == 1


def test_no_rule_looks_however_many_there_are_and_none_is_read(transactional_db, rule, make_rule):
    for number in range(rulesets.FEW + 2):
        make_rule(rule.action, name=f"other_{number}", throttle={"seconds": 60} if number else {})
    with CaptureQueriesContext(
        connection,
    ) as asked:
        event = pass_over(rule, alone=False, reason="")
    assert not any("rules_rule" in query["sql"] for query in asked)
    [verdict] = services.verdicts_of(event)
    assert (verdict["rule"], verdict["rule_ref"], verdict["verdict"]) == (None, "", "missed")
    assert "did not say why" in verdict["reason"] and event.rule_set_id is None
    assert not Execution.objects.exists() and not Suppression.objects.exists()


def test_a_pause_does_not_hold_what_was_passed_over_and_lets_none_of_it_go(transactional_db, rule):
    services.pause_rules(reason="storm", actor="anna")
    event = pass_over(rule)
    services.resume_rules(held=Pause.Held.PROCESS, actor="anna")
    assert event.held_by is None and pausing.let_go() == []
    assert services.verdicts_of(event)[0]["verdict"] == "missed"


def test_a_payload_that_does_not_meet_the_schema_is_refused_here_too(
    transactional_db, make_action, make_rule, make_trigger
):
    strict = make_trigger(payload_schema={"type": "object", "properties": {"n": {"type": "integer"}}})
    with pytest.raises(PayloadInvalid):
        pass_over(make_rule(make_action("cat"), trigger=strict), payload={"n": "one"})
    assert not Event.objects.exists()


def test_a_reason_of_any_length_and_script_is_kept_to_a_bound(transactional_db, rule):
    event = pass_over(rule, reason="größer 🎈" * 1000)
    assert len(event.misses[0]["reason"]) == 500 and event.misses[0]["reason"].startswith("größer 🎈")


def test_a_replay_makes_up_for_what_was_passed_over(flow, rule):
    missed = pass_over(rule)
    with flow():
        again = services.replay_event(missed, actor="anna")
    assert Event.objects.get(pk=again.pk).passed_over == "" and Execution.objects.get().event_id == again.pk


def test_it_counts_as_a_verdict_and_not_as_an_event_of_the_flow(transactional_db, rule):
    tallies.take()
    pass_over(rule, "skipped", dedup_key="a")
    pass_over(rule, "skipped", dedup_key="a")
    assert tallies.take() == {("verdicts", "skipped"): 1}


# How long it is kept -------------------------------------------------------------------------------------------------
def test_the_last_event_that_a_sensor_goes_on_from_stays_while_its_rule_does(transactional_db, rule):
    first, last = pass_over(rule), pass_over(rule)
    by_hand = emit_event(rule.trigger, payload={}, rule=rule, source="user anna").event
    replay = services.replay_event(first, actor="anna")
    Execution.objects.all().delete()
    Event.objects.update(created=timezone.now() - timedelta(days=400))
    prune()
    assert list(Event.objects.values_list("pk", flat=True)) == [last.pk]
    assert {by_hand.pk, replay.pk}.isdisjoint(Event.objects.values_list("pk", flat=True))
    services.delete_rule(rule, actor="anna")
    prune()
    assert not Event.objects.exists()


def test_what_was_passed_over_goes_with_the_events_that_no_rule_matched(transactional_db, rule, settings):
    old, last = pass_over(rule), pass_over(rule)
    Event.objects.update(created=timezone.now() - timedelta(days=settings.ATTUNE_KEEP_MISSES + 1))
    prune()
    assert Event.objects.get().pk == last.pk != old.pk


def prune():
    for kind in kinds():
        retention.prune(kind)
