"""The admin's lists of millions: searched and narrowed by index, and still finding what they should."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.access import admin_search
from apps.executions.models import Execution, Status
from apps.rules.models import Enforcement, Event, RuleSet
from apps.rules.rulesets import packed
from apps.sensors.models import WebhookDelivery

pytestmark = pytest.mark.embedded_only


@pytest.fixture
def rows(db):
    made = [
        Execution.objects.create(action_ref="shop.Order", pack_ref="shop", rule_ref="shop.on_order", trace_tag="blue"),
        Execution.objects.create(action_ref="mail.send", pack_ref="mail", status=Status.FAILED),
        Execution.objects.create(action_ref="mail.fetch", pack_ref="mail", rule_ref="mail.hourly"),
    ]
    event = Event.objects.create(
        trigger_ref="shop.ordered", payload={}, dedup_key="key-1", processed_at="2026-01-01T00:00Z"
    )
    Enforcement.objects.create(
        rule_ref="shop.on_order", trigger_ref="shop.ordered", event=event, verdict="error", action_ref="shop.Order"
    )
    Event.objects.create(trigger_ref="mail.came", payload={})
    WebhookDelivery.objects.create(trigger_ref="shop.ordered", status=202, address="10.0.0.1", delivery_id="d-1")
    WebhookDelivery.objects.create(trigger_ref="mail.came", status=401, address="10.0.0.2", delivery_id="d-2")
    return made


def listed(client, path):
    """The numbers in the list's first column."""
    answer = client.get(path)
    assert answer.status_code == 200
    model = path.split("/")[3]
    found = re.findall(rf"/{model}/(\d+)/change/[^>]*>\s*\d+\s*<", answer.content.decode())
    return {int(number) for number in found}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=order", {0}),
        ("q=ORDER", {0}),
        ("q=mail", {1, 2}),
        ("q=mail+hourly", {2}),
        ("q=blue", {0}),
        ("q=nowhere", set()),
        ("q=mail&status=bad", {1}),
        ("action_ref=mail.send", {1}),
        ("action_ref=mail.*", {1, 2}),
        ("action_ref=nowhere.*", set()),
        ("rule_ref=shop.*", {0}),
        ("since=1h", {0, 1, 2}),
    ],
)
def test_executions_are_found(sign_in, rows, query, found):
    assert listed(sign_in("viewer"), f"/admin/executions/execution/?{query}") == {rows[at].pk for at in found}


def test_an_execution_is_found_by_its_number(sign_in, rows):
    assert listed(sign_in("viewer"), f"/admin/executions/execution/?q={rows[1].pk}") == {rows[1].pk}


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("rules/event/?q=key-1", 1),
        ("rules/event/?q=shop", 1),
        ("rules/event/?outcome=error", 1),
        ("rules/event/?outcome=matched", 0),
        ("rules/event/?outcome=waiting", 1),
        ("rules/enforcement/?q=on_order", 1),
        ("rules/enforcement/?q=shop.Order", 1),
        ("rules/enforcement/?verdict__exact=error", 1),
        ("rules/enforcement/?action_ref=shop.Order", 1),
        ("rules/enforcement/?action_ref=shop.*", 1),
        ("rules/enforcement/?action_ref=nowhere", 0),
        ("rules/enforcement/?trigger_ref=shop.ordered", 1),
        ("sensors/webhookdelivery/?q=10.0.0.2", 1),
        ("sensors/webhookdelivery/?q=d-1", 1),
        ("sensors/webhookdelivery/?answer=out", 1),
        ("sensors/webhookdelivery/?since=24h", 2),
    ],
)
def test_the_other_long_lists_are_searched_and_narrowed(sign_in, rows, path, count):
    assert len(listed(sign_in("viewer"), f"/admin/{path}")) == count


def test_what_has_no_index_is_searched_among_the_latest_only(sign_in, rows, monkeypatch):
    monkeypatch.setattr(admin_search, "LATEST", 1)
    client = sign_in("viewer")
    assert not listed(client, "/admin/sensors/webhookdelivery/?q=d-1")
    assert len(listed(client, "/admin/sensors/webhookdelivery/?q=d-2")) == 1


@pytest.mark.parametrize("trigger", ["shop.ordered", "no.where"])
def test_rows_that_no_index_finds_are_looked_for_once(sign_in, rows, trigger):
    client = sign_in("viewer")
    with CaptureQueriesContext(connection) as asked:
        client.get(f"/admin/rules/enforcement/?trigger_ref={trigger}")
    walks = [query["sql"] for query in asked if f"= '{trigger}'" in query["sql"] and "IN (" not in query["sql"]]
    assert len(walks) == 1, walks


def test_enforcements_of_an_action_are_found_by_an_index(db):
    rows = Enforcement.objects.exclude(action_ref="").filter(action_ref="shop.Order")
    assert "enforcement_action" in rows.explain()


def test_an_event_that_many_rules_looked_at_says_how_many_and_shows_some(sign_in, db):
    kept = [[number, f"a.rule_{number:03}", 1, {"var": "payload.n", "==": number}] for number in range(150)]
    made = RuleSet.objects.create(trigger_ref="a.b", stamp="x", size=len(kept), rules=packed(kept))
    event = Event.objects.create(trigger_ref="a.b", payload={"n": -1}, rule_set=made, processed_at="2026-01-01T00:00Z")
    client = sign_in("viewer")
    assert "150 no match" in client.get("/admin/rules/event/").content.decode()
    page = client.get(f"/admin/rules/event/{event.pk}/change/").content.decode()
    assert "payload.n is -1, which is not == 42" in page and "50 more rules did not match" in page
    assert "a.rule_099" in page and "a.rule_100" not in page
