"""Events that rules did not act on, found among all: suppressed by storm control, or passed over by their sensor."""

from __future__ import annotations

import pytest
from django.db import connection

from apps.rules.models import Event


@pytest.fixture
def events(db):
    more = [{}, {"suppressed": True}, {"passed_over": "missed", "rule_ref": "a.own"}, {"passed_over": "skipped"}, {}]
    return [Event.objects.create(trigger_ref="a.b", payload={"n": n}, **given) for n, given in enumerate(more)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("suppressed=true", [1]),
        ("suppressed=false", [4, 3, 2, 0]),
        ("suppressed=", [4, 3, 2, 1, 0]),
        ("passed_over=true", [3, 2]),
        ("passed_over=false", [4, 1, 0]),
        ("passed_over=true&rule_ref=a.own", [2]),
        ("passed_over=true&trigger_ref=a.b&page_size=1", [3]),
        ("passed_over=true&suppressed=true", []),
    ],
)
def test_events_are_narrowed_to_those_that_rules_did_not_act_on(api, events, query, found):
    items = api("viewer").get(f"/api/v1/events?{query}").json()["items"]
    assert [item["payload"]["n"] for item in items] == found


def test_an_event_says_that_it_was_suppressed_or_passed_over(api, events):
    shown = [api("viewer").get(f"/api/v1/events/{event.pk}").json()["data"] for event in events]
    assert [event["suppressed"] for event in shown] == [False, True, False, False, False]
    assert [event["passed_over"] for event in shown] == [None, None, "missed", "skipped", None]


@pytest.mark.parametrize("query", ["suppressed=perhaps", "passed_over=missed"])
def test_a_filter_that_is_no_yes_or_no_is_refused(api, db, query):
    answer = api("viewer").get(f"/api/v1/events?{query}")
    assert answer.status_code == 422 and query.partition("=")[0] in answer.json()["message"]


def test_the_verdict_is_told_as_any_other(api, db):
    miss = {"rule": None, "rule_ref": "", "verdict": "missed", "reason": "It was noticed too late."}
    event = Event.objects.create(trigger_ref="a.b", passed_over="missed", misses=[miss])
    [told] = api("viewer").get(f"/api/v1/events/{event.pk}/verdicts").json()["items"]
    assert (told["verdict"], told["reason"], told["rule"]) == ("missed", "It was noticed too late.", None)


@pytest.mark.embedded_only
@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (lambda: Event.objects.filter(suppressed=True), "event_suppressed"),
        (lambda: Event.objects.exclude(passed_over=""), "event_passed_over"),
    ],
)
def test_they_are_found_by_an_index_of_their_own_in_the_order_of_the_list(db, rows, index):
    plan = rows().order_by("-id")[:51].explain()
    assert index in plan and "TEMP B-TREE" not in plan, connection.vendor
