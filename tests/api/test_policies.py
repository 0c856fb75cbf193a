"""Policies over the API: kept by those who may, shown under the SDK's names and ours, and what waits says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.executions import services, workers
from apps.executions.models import Policy
from apps.executions.policies import turns
from apps.packs.models import Action

Api = Callable[..., APIClient]
POLICY = {
    "ref": "demo.calm",
    "name": "Calm",
    "scope": {"type": "action", "action_ref": "demo.act"},
    "concurrency": {"limit": 1, "method": "enqueue", "parameters": ["host"]},
    "rate_limit": {"max_executions": 5, "window_seconds": 60},
}


@pytest.fixture
def action(make_action: Callable[..., Action]) -> Action:
    return make_action(parameters={"host": {"type": "string"}})


def test_a_policy_is_made_shown_changed_and_deleted(api: Api, action: Action) -> None:
    client = api("editor")
    made = client.post("/api/v1/policies", POLICY)
    assert made.status_code == 201, made.content
    shown = client.get("/api/v1/policies/demo.calm").json()["data"]
    assert shown == made.json()["data"]
    assert shown["scope"] == {
        "type": "action", "action_ref": "demo.act", "pack_ref": None, "action": action.pk, "pack": None,
    }  # fmt: skip
    assert shown["concurrency"] == {
        "limit": 1, "group_by": ["parameters.host"], "on_limit": "enqueue", "method": "enqueue", "parameters": ["host"],
    }  # fmt: skip
    assert (shown["rate_limit"]["max_executions"], shown["rate_limit"]["window_seconds"]) == (5, 60)
    assert (shown["name"], shown["quotas"], shown["retry"], shown["pack_ref"]) == ("Calm", [], None, "demo")
    changes = {"concurrency": None, "rate_limit": {}, "retry": {"max_retries": 2}, "enabled": False, "priority": 3}
    changed = client.put("/api/v1/policies/demo.calm", changes).json()["data"]
    assert changed["concurrency"] == shown["concurrency"] and changed["rate_limit"] is None
    assert (changed["retry"]["max_retries"], changed["enabled"], changed["priority"]) == (2, False, 3)
    moved = client.put("/api/v1/policies/demo.calm", {"scope": {"type": "pack", "pack_ref": "demo"}}).json()["data"]
    assert moved["scope"]["pack"] == action.pack_id and moved["scope"]["action_ref"] is None
    assert client.delete("/api/v1/policies/demo.calm").json()["data"]["success"] is True
    assert client.get("/api/v1/policies/demo.calm").status_code == 404


def test_what_cannot_work_is_refused_with_each_fault(api: Api, action: Action) -> None:
    client = api("editor")
    wrong = POLICY | {"concurrency": {"limit": 0, "group_by": ["colour"]}}
    answer = client.post("/api/v1/policies", wrong)
    assert answer.status_code == 422 and answer.json()["error"] == "invalid_policy"
    assert [fault["path"] for fault in answer.json()["details"]["faults"]] == [
        "concurrency.limit",
        "concurrency.group_by",
    ]
    for body in ({"scope": "all"}, {"quotas": [{"quota_type": "x", "limit": 1}]}, {"priority": 10**9}):
        assert client.post("/api/v1/policies", POLICY | body).status_code == 422, body
    assert client.post("/api/v1/policies", POLICY).status_code == 201
    again = client.post("/api/v1/policies", POLICY)
    assert again.status_code == 409 and again.json()["error"] == "ref_taken"


def test_each_role_may_what_it_may_with_rules(api: Api, action: Action) -> None:
    assert api("operator").post("/api/v1/policies", POLICY).status_code == 403
    assert api("editor").post("/api/v1/policies", POLICY).status_code == 201
    assert api("viewer").get("/api/v1/policies").json()["items"][0]["ref"] == "demo.calm"
    assert api("viewer").post("/api/v1/policies/demo.calm/disable").status_code == 403
    assert api("operator").post("/api/v1/policies/demo.calm/disable").json()["data"]["enabled"] is False
    assert api("operator").post("/api/v1/policies/demo.calm/enable").json()["data"]["enabled"] is True
    assert api("operator").put("/api/v1/policies/demo.calm", {"label": "x"}).status_code == 403
    assert api("operator").delete("/api/v1/policies/demo.calm").status_code == 403
    Policy.objects.update(is_adhoc=False)
    answer = api("editor").put("/api/v1/policies/demo.calm", {"label": "x"})
    assert answer.status_code == 409 and answer.json()["error"] == "policy_read_only"


def test_lists_are_narrowed(api: Api, action: Action) -> None:
    client = api("editor")
    client.post("/api/v1/policies", POLICY | {"tags": ["slow"]})
    client.post("/api/v1/policies", POLICY | {"ref": "demo.wide", "scope": {"type": "global"}, "concurrency": None})

    def refs(address: str) -> list[str]:
        return [row["ref"] for row in client.get(f"/api/v1/{address}").json()["items"]]

    assert refs("policies") == ["demo.calm", "demo.wide"]
    assert refs("policies?scope=global") == ["demo.wide"]
    assert refs("policies?tag=slow") == refs("policies?action_ref=demo.act") == ["demo.calm"]
    assert refs("policies?q=wid") == ["demo.wide"] and refs("policies?enabled=false") == []
    assert refs("actions/demo.act/policies") == ["demo.calm"] and refs("packs/demo/policies") == []


def test_an_execution_says_what_it_waits_for(api: Api, action: Action) -> None:
    api("editor").post("/api/v1/policies", POLICY)
    name = workers.sign_on(threads=1)
    first, second = (services.request_execution(action, parameters={"host": "a"}) for _ in range(2))
    assert turns.take(first.pk, worker=name).execution and not turns.take(second.pk, worker=name).execution
    told = f"Waits for policy demo.calm: 1 of 1 running (execution {first.pk})."
    shown: Any = api("viewer").get(f"/api/v1/executions/{second.pk}").json()["data"]
    assert (shown["status"], shown["waits_for"]) == ("scheduled", told)
    listed = api("viewer").get("/api/v1/executions").json()["items"]
    assert [row["waits_for"] for row in listed] == [told, None]
    services.set_policy_enabled(Policy.objects.get(), False, actor="test")
    assert "looked at again" in api("viewer").get(f"/api/v1/executions/{second.pk}").json()["data"]["waits_for"]
