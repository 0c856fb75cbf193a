"""Lists of any length: cursors lead through all of them, totals are bounded, filters find what they say."""

from __future__ import annotations

import pytest

from apps.executions.models import Execution, Status
from apps.rules.models import Enforcement, Event
from attune.lib import api as lib

ROWS = 25


@pytest.fixture
def executions(db):
    return Execution.objects.bulk_create(
        Execution(
            action_ref="seldom.act" if number == 3 else f"pack.act{number % 2}",
            pack_ref="seldom" if number == 3 else "pack",
            status=Status.FAILED if number % 5 == 0 else Status.COMPLETED,
            rule_ref="a.rule" if number % 4 == 0 else "",
            trace_tag="tag" if number == 7 else "",
        )
        for number in range(ROWS)
    )


def test_cursors_lead_down_a_list_and_up_again(api, executions):
    client, numbers = api("viewer"), [execution.pk for execution in reversed(executions)]
    seen, query = [], ""
    while True:
        answer = client.get(f"/api/v1/executions?page_size=10{query}").json()
        assert answer["pagination"]["has_previous"] is bool(query)
        seen += [item["id"] for item in answer["items"]]
        if not answer["pagination"]["has_next"]:
            break
        query = f"&before={answer['pagination']['before']}"
    assert seen == numbers
    last = answer["pagination"]["after"]
    up = client.get(f"/api/v1/executions?page_size=10&after={last}").json()
    assert [item["id"] for item in up["items"]] == numbers[10:20]
    assert up["pagination"]["has_previous"] and up["pagination"]["has_next"]
    top = client.get(f"/api/v1/executions?page_size=10&after={up['pagination']['after']}").json()
    assert [item["id"] for item in top["items"]] == numbers[:10] and not top["pagination"]["has_previous"]


def test_cursors_go_together_with_filters_and_with_each_other(api, executions):
    client, wanted = api("viewer"), [execution.pk for execution in executions if execution.status == "failed"]
    answer = client.get(f"/api/v1/executions?status=failed&before={wanted[3]}&after={wanted[0]}").json()
    assert [item["id"] for item in answer["items"]] == [wanted[2], wanted[1]]


@pytest.mark.parametrize("list_of", ["executions", "events", "enforcements"])
def test_a_cursor_that_is_no_number_is_refused_and_one_beyond_the_end_is_empty(api, db, list_of):
    client = api("viewer")
    refused = client.get(f"/api/v1/{list_of}?before=x")
    assert refused.status_code == 422 and "before" in refused.json()["message"]
    answer = client.get(f"/api/v1/{list_of}?after={2**62}").json()
    assert answer["items"] == [] and answer["pagination"]["after"] is None


def test_events_and_enforcements_have_cursors_too(api, db):
    events = [Event.objects.create(trigger_ref="a.b", payload={}) for _ in range(3)]
    kept = [Enforcement.objects.create(rule_ref="a.b", trigger_ref="a.b", event=e, verdict="matched") for e in events]
    client = api("viewer")
    for list_of, rows in (("events", events), ("enforcements", kept)):
        answer = client.get(f"/api/v1/{list_of}?before={rows[2].pk}&page_size=1").json()
        assert [item["id"] for item in answer["items"]] == [rows[1].pk] and answer["pagination"]["has_next"]


def test_a_total_is_exact_up_to_a_bound_and_says_when_it_is_not(api, executions, monkeypatch):
    client = api("viewer")
    about = client.get("/api/v1/executions?include_total=true&page_size=10").json()["pagination"]
    assert (about["total_items"], about["total_pages"]) == (ROWS, 3) and "total_is_capped" not in about
    monkeypatch.setattr(lib, "MOST_COUNTED", 20)
    about = client.get("/api/v1/executions?include_total=true&page_size=10").json()["pagination"]
    assert (about["total_items"], about["total_pages"], about["total_is_capped"]) == (20, 2, True)


def test_deep_pages_hold_what_shallow_ones_would(api, executions, monkeypatch):
    client = api("viewer")
    shallow = client.get("/api/v1/executions?page=3&page_size=7").json()
    monkeypatch.setattr(lib, "DEEP", 0)
    assert client.get("/api/v1/executions?page=3&page_size=7").json() == shallow


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("pack_name=seldom", 1),
        ("pack_name=pack", ROWS - 1),
        ("pack_name=pac", 0),
        ("pack_name=pack&status=failed", 5),
        ("rule_ref=a.rule", 7),
        ("trace_tag=tag", 1),
        ("action_ref=seldom.act", 1),
        ("status=failed", 5),
    ],
)
def test_filters_find_what_they_say(api, executions, query, count):
    assert len(api("viewer").get(f"/api/v1/executions?{query}").json()["items"]) == count
