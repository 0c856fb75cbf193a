"""The audit log over the API: found by every filter, as a file, and with one line for each change, no more."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.test import APIClient

from apps.access import audit
from apps.access.models import AuditEntry
from attune.lib.loglines import about

pytestmark = pytest.mark.django_db
Api = Callable[..., APIClient]
EVENTS = "/api/v1/audit-events"


def found(client: APIClient, **filters: Any) -> list[dict[str, Any]]:
    answer = client.get(f"{EVENTS}?{urlencode(filters)}")
    assert answer.status_code == 200, answer.json()
    return answer.json()["items"]


@pytest.fixture
def entries(people: Callable[[str], Any]) -> list[AuditEntry]:
    with about(request_id="trace-7"):
        return [
            audit.record(people("editor"), "rule.update", "a.b", before={"n": 1}, after={"n": 2}, origin="10.0.0.1"),
            audit.record("execution 4", "key.read", "system.k"),
            audit.record("anna", "auth.login_failed", "anna", outcome="failure", http_status=401),
            audit.record("anna", "execution.cancel", 12),
        ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"category": "secret"}, [1]),
        ({"event_type": "rule.update"}, [0]),
        ({"outcome": "failure"}, [2]),
        ({"actor_login": "anna"}, [3, 2]),
        ({"resource_type": "rule"}, [0]),
        ({"resource_type": "rul"}, []),
        ({"resource_id": 12}, [3]),
        ({"resource_ref": "a.b"}, [0]),
        ({"http_status": 401}, [2]),
        ({"actor_login": "anna", "category": "execution"}, [3]),
        ({"resource_ref": "ü%_'"}, []),
    ],
)
def test_each_filter_finds_what_it_says(
    api: Api, entries: list[AuditEntry], filters: dict[str, Any], expected: list[int]
) -> None:
    assert [row["id"] for row in found(api(), **filters)] == [entries[number].pk for number in expected]


def test_entries_are_found_by_time_and_by_who_they_were_not_by_name_alone(
    api: Api, entries: list[AuditEntry], people: Callable[[str], Any]
) -> None:
    client, now = api(), timezone.now()
    AuditEntry.objects.filter(pk=entries[0].pk).update(at=now - timedelta(days=2))
    yesterday = (now - timedelta(days=1)).isoformat()
    assert [row["id"] for row in found(client, created_before=yesterday)] == [entries[0].pk]
    assert len(found(client, created_after=yesterday)) == 3
    assert [row["id"] for row in found(client, actor_identity=people("editor").pk)] == [entries[0].pk]


@pytest.mark.parametrize(
    "wrong", ["category=x", "outcome=x", "http_status=a", "created_after=x", "resource_id=-1", "per_page=0"]
)
def test_a_filter_that_cannot_be_is_422(api: Api, wrong: str) -> None:
    assert api().get(f"{EVENTS}?{wrong}").status_code == 422


def test_one_entry_shows_before_and_after_and_where_it_came_from(api: Api, entries: list[AuditEntry]) -> None:
    shown = api().get(f"{EVENTS}/{entries[0].pk}").json()["data"]
    assert shown["details"] == {"before": {"n": 1}, "after": {"n": 2}}
    assert (shown["actor_login"], shown["actor_ip"]) == ("editor", "10.0.0.1")
    assert (shown["resource_type"], shown["resource_ref"], shown["resource_id"]) == ("rule", "a.b", None)
    assert api().get(f"{EVENTS}/999999").status_code == 404


def test_what_one_request_did_is_found_by_the_id_that_its_answer_had(api: Api) -> None:
    client = api()
    answer = client.post("/api/v1/packs", {"ref": "own", "label": "Own", "version": "1.0.0"})
    rows = client.get(f"{EVENTS}/by-request/{answer['X-Request-ID']}").json()["data"]
    assert [(row["event_type"], row["http_method"], row["http_path"]) for row in rows] == [
        ("pack.create", "POST", "/api/v1/packs")
    ]
    client.post("/api/v1/packs", {"ref": "two", "label": "2", "version": "1.0.0"}, HTTP_X_REQUEST_ID="mine-1")
    assert found(client, request_id="mine-1")[0]["resource_ref"] == "two"
    assert client.get(f"{EVENTS}/by-request/unknown").json() == {"data": []}


def body_of(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


def test_the_log_is_exported_as_csv_that_no_spreadsheet_calculates(api: Api, entries: list[AuditEntry]) -> None:
    audit.record("=cmd()", "auth.login_failed", "=cmd()")
    answer = api().get(f"{EVENTS}/export?format=csv&limit=2")
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(body_of(answer))))
    assert [row["actor"] for row in rows] == ["'=cmd()", "anna"]


def test_the_log_is_exported_as_json_lines_by_the_same_filters(api: Api, entries: list[AuditEntry]) -> None:
    answer = api().get(f"{EVENTS}/export?format=jsonl&event_type=rule.update")
    (line,) = body_of(answer).splitlines()
    assert json.loads(line)["after"] == {"n": 2}
    assert api().get(f"{EVENTS}/export?format=pdf").status_code == 422
    assert api().get(f"{EVENTS}/export?limit=100001").status_code == 422


RULE = {"ref": "own.rule", "trigger_ref": "own.came", "action_ref": "demo.act"}
POLICY = {"ref": "own.calm", "name": "C", "scope": {"type": "action", "action_ref": "demo.act"}}
# (method, address, body, the action of its only line; "" for none, as nothing changed)
CHANGES: list[tuple[str, str, dict[str, Any], str]] = [
    ("post", "packs", {"ref": "own", "label": "Own", "version": "1.0.0"}, "pack.create"),
    ("put", "packs/own", {"label": "Ours"}, "pack.update"),
    ("post", "packs/own/disable", {}, "pack.disable"),
    ("post", "packs/own/disable", {}, ""),
    ("post", "packs/own/enable", {}, "pack.enable"),
    ("put", "packs/own/config", {"config": {"a": 1}}, "pack.configure"),
    ("post", "triggers", {"ref": "own.came", "label": "Came", "pack_ref": "own"}, "trigger.create"),
    ("put", "triggers/own.came", {"label": "Come"}, "trigger.update"),
    ("post", "triggers/own.came/disable", {}, "trigger.disable"),
    ("post", "triggers/own.came/enable", {}, "trigger.enable"),
    ("post", "triggers/own.came/webhooks/enable", {}, "trigger.enable_webhook"),
    ("post", "triggers/own.came/webhooks/regenerate", {}, "trigger.rotate_webhook_key"),
    ("put", "triggers/own.came/webhooks", {"scheme": "github"}, "trigger.set_webhook_options"),
    ("post", "triggers/own.came/webhooks/disable", {}, "trigger.disable_webhook"),
    ("post", "rules", RULE, "rule.create"),
    ("put", "rules/own.rule", {"label": "L"}, "rule.update"),
    ("put", "rules/own.rule", {"label": "L"}, ""),
    ("put", "rules/own.rule", {"trace_tag_template": "t"}, "rule.update"),
    ("post", "rules/own.rule/disable", {}, "rule.update"),
    ("post", "rules/own.rule/enable", {}, "rule.update"),
    ("post", "rules/own.rule/restore", {"revision": 1}, "rule.update"),
    ("post", "rules/own.rule/restore", {"revision": 99}, ""),
    ("delete", "rules/own.rule", {}, "rule.delete"),
    ("delete", "rules/own.rule", {}, ""),
    ("post", "policies", POLICY | {"concurrency": {"limit": 1}}, "policy.create"),
    ("put", "policies/own.calm", {"name": "D"}, "policy.update"),
    ("post", "policies/own.calm/disable", {}, "policy.update"),
    ("post", "policies/own.calm/enable", {}, "policy.update"),
    ("delete", "policies/own.calm", {}, "policy.delete"),
    ("post", "keys", {"local_ref": "k", "name": "K", "owner_type": "system", "value": "s3cret"}, "key.create"),
    ("get", "keys/system.k", {}, "key.read"),
    ("put", "keys/system.k", {"value": "s3cret2"}, "key.update"),
    ("delete", "keys/system.k", {}, "key.delete"),
    ("delete", "triggers/own.came", {}, "trigger.delete"),
    ("delete", "packs/own", {}, "pack.delete"),
]


def test_every_change_is_in_the_log_exactly_once_and_no_secret_ever(api: Api, make_action: Callable[..., Any]) -> None:
    make_action()
    client = api()
    for number, (method, address, body, action) in enumerate(CHANGES):
        answer = getattr(client, method)(f"/api/v1/{address}", body, HTTP_X_REQUEST_ID=f"step-{number}")
        lines = list(AuditEntry.objects.filter(request_id=f"step-{number}").values_list("action", "actor"))
        expected = [(action, "admin")] if action else []
        assert lines == expected, f"{method} {address} answered {answer.status_code} {answer.content[:300]!r}"
    assert "s3cret" not in str(list(AuditEntry.objects.values()))


def test_a_webhooks_key_is_never_part_of_an_address_in_the_log() -> None:
    request = RequestFactory().post("/api/v1/webhooks/wh_secret-key")
    with about(request_id="r", request=request):
        entry = audit.record("rule a.b", "key.read", "system.k")
    assert entry.http_path == "/api/v1/webhooks/…"


def test_only_administrators_read_the_log(api: Api) -> None:
    for role in ("viewer", "operator", "editor"):
        for address in (EVENTS, f"{EVENTS}/1", f"{EVENTS}/export", f"{EVENTS}/by-request/x"):
            assert api(role).get(address).status_code == 403
