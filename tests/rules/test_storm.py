"""Throttle, debounce and dedup: what they let through, what they say of the rest, and that they hold under load."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django import db
from django.utils import timezone

from apps.executions.models import Execution, Status
from apps.rules import enforcing, services, storm
from apps.rules.errors import RuleInvalid
from apps.rules.models import Debounce, Enforcement, Event, Restraint, Rule, Suppression
from apps.rules.services import emit_event
from tests.conftest import until


@pytest.fixture
def act(make_action):
    return make_action("cat", parameters={"n": {"type": "integer"}})


def verdict(event):
    """The only verdict on an event."""
    [found] = services.verdicts_of(Event.objects.get(pk=event.pk))
    return found


def send(rule, **payload):
    return emit_event(rule.trigger, payload=payload).event


def lapse(model, name, seconds=3600):
    """As if that much time had passed for the rows of storm control."""
    for row in getattr(model, "objects", model).all():
        if name == "hits":
            row.hits = [[at - seconds, event] for at, event in row.hits]
        else:
            setattr(row, name, getattr(row, name) - timedelta(seconds=seconds))
        row.save()


def act_when_due():
    """What the housekeeping of every worker does each second."""
    return services.act_on_due() or None


# Throttle ------------------------------------------------------------------------------------------------------------
def test_a_throttled_rule_acts_once_and_says_of_the_next_event_why_it_did_not(flow, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 600}, action_params={"n": "{{ payload.n }}"})
    with flow():
        first, second = send(rule, n=1), send(rule, n=2)
    with flow():
        third = send(rule, n=3)
    ran = Execution.objects.get()
    assert ran.status == Status.COMPLETED and Enforcement.objects.count() == 1
    for event in {first, second, third} - {Event.objects.get(pk=ran.event_id)}:
        told = verdict(event)
        assert told["verdict"] == "suppressed" and told["control"] == "throttle"
        assert told["by_event"] == ran.event_id and told["by_execution"] == ran.pk
        assert told["until"] > timezone.now().isoformat() and "at most once within 600 s" in told["reason"]
    assert storm.suppressed_since(rule, timedelta(hours=1)) == 2


def test_a_throttle_counts_for_each_key_and_up_to_its_limit(flow, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 600, "limit": 2, "key": "{{ payload.host }}"})
    with flow():
        for host in ("a", "a", "a", "b", "a", "b", "b"):
            send(rule, host=host)
    assert Execution.objects.count() == 4
    assert sorted(Restraint.objects.values_list("key", flat=True)) == ["a", "b"]


def test_a_throttle_is_free_again_when_its_time_is_over(flow, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 60})
    with flow():
        send(rule)
    lapse(Restraint, "hits", seconds=61)
    with flow():
        send(rule)
    assert Execution.objects.count() == 2


def test_events_that_do_not_match_take_no_place_under_a_throttle(flow, act, make_rule):
    rule = make_rule(act, criteria={"var": "payload.n", ">": 5}, throttle={"seconds": 600})
    with flow():
        low, high = send(rule, n=1), send(rule, n=9)
    assert verdict(low)["verdict"] == "not_matched" and verdict(high)["verdict"] == "matched"


def test_a_match_that_cannot_be_acted_upon_takes_no_place_under_a_throttle(flow, act, make_rule):
    rule = make_rule(act, action_params={"n": "{{ payload.n }}"}, throttle={"seconds": 600})
    with flow():
        bad = send(rule, n="many")
    with flow():
        good = send(rule, n=1)
    assert verdict(bad)["verdict"] == "error" and verdict(good)["verdict"] == "matched"


def test_a_key_that_leads_nowhere_is_an_error_that_names_it(flow, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 600, "key": "{{ payload.host }}"})
    with flow():
        event = send(rule)
    assert verdict(event)["verdict"] == "error" and "throttle.key" in verdict(event)["reason"]


def test_other_rules_of_the_trigger_are_not_held_back(flow, act, make_rule):
    rule = make_rule(act, name="a-calm", throttle={"seconds": 600})
    free = make_rule(act, name="b-free")
    with flow():
        for n in range(3):
            send(rule, n=n)
    assert Execution.objects.filter(rule_ref=rule.ref).count() == 1
    assert Execution.objects.filter(rule_ref=free.ref).count() == 3


def test_a_rule_without_storm_control_is_decided_on_where_the_event_arrives(act, make_rule, transactional_db):
    free = make_rule(act)
    assert emit_event(free.trigger, payload={}).decided
    assert not Restraint.objects.exists() and not Suppression.objects.exists()


@pytest.mark.parametrize("control", [{"throttle": {"seconds": 600}}, {"dedup": {"seconds": 600, "key": "same"}}])
def test_fifty_events_decided_on_at_once_make_one_execution(transactional_db, act, make_rule, control):
    rule = make_rule(act, **control)
    events = [Event(trigger=rule.trigger, trigger_ref=rule.trigger_ref, payload={}) for _ in range(50)]
    for event in events:
        event.save()
    in_threads(enforcing.enforce, [event.pk for event in events])
    assert Execution.objects.count() == 1 and Enforcement.objects.count() == 1
    assert [verdict(event)["verdict"] for event in events].count("suppressed") == 49
    assert storm.suppressed_since(rule, timedelta(hours=1)) == 49


def test_a_limit_holds_among_many_that_decide_at_once_on_two_rules(transactional_db, act, make_rule):
    one = make_rule(act, name="one", throttle={"seconds": 600, "limit": 7, "key": "{{ payload.n % 2 }}"})
    two = make_rule(act, name="two", throttle={"seconds": 600}, dedup={"seconds": 600, "key": "{{ payload.n }}"})
    events = [Event(trigger=one.trigger, trigger_ref=one.trigger_ref, payload={"n": n}) for n in range(40)]
    for event in events:
        event.save()
    in_threads(enforcing.enforce, [event.pk for event in events])
    assert Execution.objects.filter(rule_ref=one.ref).count() == 14
    assert Execution.objects.filter(rule_ref=two.ref).count() == 1
    assert Event.objects.filter(processed_at=None).count() == 0


def test_many_that_decide_on_one_event_take_one_place(transactional_db, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 600, "limit": 2})
    event = Event.objects.create(trigger=rule.trigger, trigger_ref=rule.trigger_ref, payload={})
    in_threads(enforcing.enforce, [event.pk] * 10)
    assert Execution.objects.count() == 1 and len(Restraint.objects.get().hits) == 1
    assert storm.suppressed_since(rule, timedelta(hours=1)) == 0


def in_threads(work, arguments):
    errors: list[Exception] = []
    ready = threading.Barrier(len(arguments))

    def run(argument):
        try:
            ready.wait(30)
            work(argument)
        except Exception as error:
            errors.append(error)
        finally:
            db.connections.close_all()

    threads = [threading.Thread(target=run, args=[argument]) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# Dedup ---------------------------------------------------------------------------------------------------------------
def test_the_same_key_again_does_nothing_and_another_one_does(flow, act, make_rule):
    rule = make_rule(act, dedup={"seconds": 600, "key": "{{ payload.id }}"})
    with flow():
        first = send(rule, id="x")
    with flow():
        again, other = send(rule, id="x"), send(rule, id="y")
    assert [verdict(event)["verdict"] for event in (first, again, other)] == ["matched", "suppressed", "matched"]
    assert verdict(again)["by_event"] == first.pk and "the same key 'x'" in verdict(again)["reason"]
    lapse(Restraint, "hits")
    with flow():
        later = send(rule, id="x")
    assert verdict(later)["verdict"] == "matched"


def test_a_key_is_not_spent_on_an_event_that_a_throttle_holds_back(flow, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 60}, dedup={"seconds": 7200, "key": "{{ payload.id }}"})
    with flow():
        send(rule, id="x")
    with flow():
        held = send(rule, id="y")
    assert verdict(held)["control"] == "throttle"
    lapse(Restraint, "hits", seconds=61)
    with flow():
        again, other = send(rule, id="x"), send(rule, id="y")
    assert verdict(again)["control"] == "dedup" and verdict(other)["verdict"] == "matched"


@pytest.mark.parametrize("value", [["a", 1], {"b": 1}, "x" * 5000, "nul\0", 7, None])
def test_keys_may_be_any_value(flow, act, make_rule, value):
    rule = make_rule(act, dedup={"seconds": 600, "key": "{{ payload.id }}"})
    with flow():
        send(rule, id=value)
    with flow():
        send(rule, id=value)
    assert Execution.objects.count() == 1


# Debounce ------------------------------------------------------------------------------------------------------------
def test_a_debounced_rule_acts_once_on_the_last_event_when_it_has_been_quiet(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 0.5}, action_params={"n": "{{ payload.n }}"})
    with flow():
        first, second, third = (send(rule, n=n) for n in (1, 2, 3))
        until(lambda: Event.objects.filter(processed_at=None).count() == 0, "the decisions")
        assert not Execution.objects.exists()
        until(act_when_due, "the quiet time to be over")
    ran = Execution.objects.get()
    assert ran.parameters == {"n": 3} and ran.event_id == third.pk and ran.status == Status.COMPLETED
    assert [verdict(event)["verdict"] for event in (first, second, third)] == ["suppressed", "suppressed", "matched"]
    assert "3 events since event" in verdict(third)["reason"]
    assert verdict(second)["by_event"] == third.pk and verdict(second)["by_execution"] == ran.pk
    assert storm.suppressed_since(rule, timedelta(hours=1)) == 2 and not Debounce.objects.exists()


def test_what_waits_for_quiet_says_so_and_each_key_waits_for_itself(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900, "key": "{{ payload.host }}"})
    with flow():
        a, b = send(rule, host="a"), send(rule, host="b")
    assert {verdict(a)["verdict"], verdict(b)["verdict"]} == {"waiting"}
    assert verdict(a)["until"] > timezone.now().isoformat()
    assert services.act_on_due() == 0 and Debounce.objects.count() == 2
    lapse(Debounce, "due_at")
    with flow():
        assert services.act_on_due() == 2
    assert Execution.objects.count() == 2


def test_another_event_puts_the_time_off(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900})
    with flow():
        send(rule)
    lapse(Debounce, "due_at", seconds=800)
    due = Debounce.objects.get().due_at
    with flow():
        send(rule)
    assert Debounce.objects.get().due_at > due + timedelta(seconds=700)


def test_the_last_event_counts_even_if_an_earlier_one_is_decided_on_after_it(transactional_db, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900})
    early, late = (Event.objects.create(trigger=rule.trigger, trigger_ref=rule.trigger_ref) for _ in range(2))
    enforcing.enforce(late.pk)
    enforcing.enforce(early.pk)
    assert Debounce.objects.get().event_id == late.pk
    assert verdict(late)["verdict"] == "waiting"
    assert verdict(early)["verdict"] == "suppressed" and verdict(early)["by_event"] == late.pk


def test_many_workers_that_find_the_time_up_act_once(transactional_db, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900})
    event = Event.objects.create(trigger=rule.trigger, trigger_ref=rule.trigger_ref)
    enforcing.enforce(event.pk)
    lapse(Debounce, "due_at")
    in_threads(lambda _: services.act_on_due(), [1] * 10)
    assert Execution.objects.count() == 1 and Enforcement.objects.count() == 1


def test_fifty_events_at_once_under_a_debounce_leave_the_last_one_waiting(transactional_db, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900})
    events = [Event.objects.create(trigger=rule.trigger, trigger_ref=rule.trigger_ref) for _ in range(50)]
    in_threads(enforcing.enforce, [event.pk for event in events])
    waiting = Debounce.objects.get()
    assert (waiting.event_id, waiting.first_id, waiting.count) == (events[-1].pk, events[0].pk, 50)
    assert storm.suppressed_since(rule, timedelta(hours=1)) == 49


def test_a_throttle_counts_what_a_debounce_lets_through(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900}, throttle={"seconds": 3000})
    for _ in range(2):
        with flow():
            event = send(rule)
        lapse(Debounce, "due_at")
        with flow():
            services.act_on_due()
    assert Execution.objects.count() == 1
    assert verdict(event)["verdict"] == "suppressed" and verdict(event)["control"] == "throttle"


def test_a_rule_that_was_switched_off_meanwhile_does_not_act(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900})
    with flow():
        event = send(rule)
    services.set_enabled(rule, False, actor="test")
    lapse(Debounce, "due_at")
    services.act_on_due()
    assert not Execution.objects.exists() and "switched off" in verdict(event)["reason"]


def test_the_rule_as_it_is_when_the_time_is_up_decides(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900})
    with flow():
        event = send(rule, n=1)
    services.update_rule(rule, actor="test", criteria={"var": "payload.n", ">": 5})
    lapse(Debounce, "due_at")
    services.act_on_due()
    assert verdict(event)["verdict"] == "not_matched" and not Execution.objects.exists()


def test_a_rule_that_was_deleted_takes_what_waits_along(flow, act, make_rule):
    rule = make_rule(act, debounce={"seconds": 900}, dedup={"seconds": 900, "key": "x"})
    with flow():
        event = send(rule)
    services.delete_rule(rule, actor="test")
    assert not Debounce.objects.exists() and not Restraint.objects.exists()
    assert verdict(event)["verdict"] == "suppressed"


def test_a_waiting_event_survives_the_death_of_everything(live):
    live.start_all()
    rule = {"ref": "core.calm", "trigger_ref": "core.alert", "action_ref": "core.echo", "debounce": {"seconds": 4}}
    live.call("POST", "/api/v1/rules", rule | {"action_params": {"message": "{{ payload.message }}"}})
    for text in ("first", "last"):
        payload = {"severity": "info", "message": text}
        event = live.call("POST", "/api/v1/events", {"trigger_ref": "core.alert", "payload": payload})["data"]

    def verdicts():
        return live.call("GET", f"/api/v1/events/{event['id']}/verdicts")["items"]

    until(lambda: [each["verdict"] for each in verdicts()] == ["waiting"], "the event to wait")
    live.kill()
    live.start_all()
    [ran] = until(lambda: live.executions(status="completed"), "the debounced execution")
    assert ran["event"] == event["id"]
    assert live.call("GET", f"/api/v1/executions/{ran['id']}")["data"]["parameters"]["message"] == "last"
    assert len(live.executions()) == 1


# What is kept, and what is forgotten ----------------------------------------------------------------------------------
def test_a_flood_leaves_a_handful_of_rows(transactional_db, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 600})
    events = [Event.objects.create(trigger=rule.trigger, trigger_ref=rule.trigger_ref) for _ in range(200)]
    for event in events:
        enforcing.enforce(event.pk)
    assert Restraint.objects.count() == 1 and Suppression.objects.count() <= 2 and Enforcement.objects.count() == 1
    assert storm.suppressed_since(rule, timedelta(days=1)) == 199


def test_memories_that_hold_nothing_back_are_forgotten(flow, act, make_rule):
    rule = make_rule(act, throttle={"seconds": 600}, dedup={"seconds": 60, "key": "k"})
    with flow():
        send(rule)
        send(rule)
    assert services.forget() == 0 and Restraint.objects.count() == 2
    lapse(Restraint, "until", seconds=61)
    lapse(Suppression, "since", seconds=9 * 24 * 3600)
    assert services.forget() == 1 and Restraint.objects.get().control == "throttle"
    assert not Suppression.objects.exists()


# Saying it -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("control", "path", "said"),
    [
        ({"throttle": {}}, None, None),
        ({"throttle": {"limit": 2}}, "throttle.seconds", "is missing"),
        ({"throttle": {"seconds": 0}}, "throttle.seconds", "from 0.1"),
        ({"throttle": {"seconds": "60"}}, "throttle.seconds", "'60'"),
        ({"throttle": {"seconds": True}}, "throttle.seconds", "True"),
        ({"throttle": {"seconds": 60, "limit": 0}}, "throttle.limit", "from 1"),
        ({"throttle": {"seconds": 60, "limit": 1.5}}, "throttle.limit", "whole"),
        ({"throttle": {"seconds": 60, "per": "host"}}, "throttle.per", "seconds, limit, key"),
        ({"throttle": {"seconds": 60, "key": "{{ payload."}}, "throttle.key", "payload"),
        ({"throttle": [60]}, "throttle", "must be an object"),
        ({"debounce": {"seconds": 60, "limit": 2}}, "debounce.limit", "is not known"),
        ({"debounce": {"seconds": 10**9}}, "debounce.seconds", "30 days"),
        ({"dedup": {"seconds": 60}}, "dedup.key", "is missing"),
        ({"dedup": {"key": "x"}}, "dedup.seconds", "is missing"),
        ({"dedup": {"seconds": 60, "key": 5}}, "dedup.key", "must be a text"),
        ({"dedup": {"seconds": 60, "key": "x" * 501}}, "dedup.key", "500"),
    ],
)
def test_storm_control_is_checked_when_the_rule_is_saved(db, act, make_rule, control, path, said):
    if path is None:
        assert make_rule(act, **control).throttle == {}
        return
    with pytest.raises(RuleInvalid) as error:
        make_rule(act, **control)
    [fault] = error.value.details["faults"]
    assert fault["path"] == path and said in fault["message"]


def test_storm_control_is_part_of_a_rules_revision(db, act, make_rule):
    rule = make_rule(act)
    services.update_rule(rule, actor="test", throttle={"seconds": 60})
    assert rule.revision == 2
    services.update_rule(rule, actor="test", throttle={"seconds": 60})
    assert rule.revision == 2
    services.update_rule(rule, actor="test", throttle={})
    assert rule.revision == 3 and not Rule.objects.get().is_restrained


def test_a_packs_file_may_say_it_and_a_fault_names_its_line(make_pack, tmp_path):
    from apps.packs.loading import load_pack
    from tests.conftest import write_pack

    rule = {"ref": "demo.r", "trigger_ref": "demo.t", "action_ref": "demo.act"}
    files = {
        "actions/act.sh": "cat",
        "actions/act.yaml": {"ref": "demo.act", "entry_point": "act.sh"},
        "triggers/t.yaml": {"ref": "demo.t"},
        "rules/r.yaml": rule | {"throttle": {"seconds": 60, "key": "{{ payload.host }}"}, "debounce": {"seconds": 5}},
    }
    make_pack("demo", files)
    found = Rule.objects.get()
    assert found.throttle == {"seconds": 60, "key": "{{ payload.host }}"} and found.debounce == {"seconds": 5}
    files["rules/r.yaml"] = rule | {"dedup": {"seconds": -1, "key": "x"}}
    report = load_pack(write_pack(tmp_path / "demo", "demo", files))
    [fault] = report.findings.faults
    assert (fault.file, fault.line) == ("rules/r.yaml", 5) and "dedup.seconds" in fault.message


# Found again ---------------------------------------------------------------------------------------------------------
def suppressed():
    return set(Event.objects.filter(suppressed=True).values_list("pk", flat=True))


def test_events_that_were_held_back_are_marked_and_others_are_not(flow, act, make_rule):
    rule = make_rule(act, name="a-calm", criteria={"var": "payload.n", "<": 9}, throttle={"seconds": 600})
    make_rule(act, name="b-free")
    with flow():
        first = send(rule, n=1)
    with flow():
        held, missed = send(rule, n=2), send(rule, n=9)
    assert suppressed() == {held.pk} and not {first.pk, missed.pk} & suppressed()


def test_a_debounced_event_is_marked_until_its_rules_have_acted(flow, act, make_rule):
    one, _ = (make_rule(act, name=name, debounce={"seconds": 600}) for name in ("one", "two"))
    with flow():
        first = send(one)
    with flow():
        last = send(one)
    assert suppressed() == {first.pk, last.pk}
    lapse(Debounce.objects.filter(rule=one), "due_at")
    with flow():
        act_when_due()
    assert Enforcement.objects.get().rule == one and suppressed() == {first.pk, last.pk}
    lapse(Debounce, "due_at")
    with flow():
        act_when_due()
    assert Enforcement.objects.count() == 2 and suppressed() == {first.pk}
    assert {each["by_event"] for each in services.verdicts_of(Event.objects.get(pk=first.pk))} == {last.pk}


def test_a_debounced_event_that_a_throttle_or_a_pause_stops_in_the_end_is_marked_as_its_verdict_says(
    flow, act, make_rule
):
    throttled = make_rule(act, name="one", debounce={"seconds": 600}, throttle={"seconds": 600})
    for _ in range(2):
        with flow():
            event = send(throttled)
        lapse(Debounce, "due_at")
        with flow():
            act_when_due()
    assert verdict(event)["control"] == "throttle" and suppressed() == {event.pk}
    with flow():
        paused = send(throttled)
    services.pause_rules(reason="storm", actor="anna")
    lapse(Debounce, "due_at")
    services.resume_rules(actor="anna")
    assert verdict(paused)["verdict"] == "paused" and suppressed() == {event.pk}
