"""The shapes that clients of every generation read: envelopes, pages, moments, and what is never null."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.access.models import AuditEntry
from apps.executions.models import Execution, Status, Worker
from apps.packs import configs
from apps.packs.models import Action, Pack, Runtime, Trigger
from apps.rules.models import Enforcement, Event, Rule
from tests.conftest import write_pack

pytestmark = pytest.mark.django_db

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00\Z")


@pytest.fixture
def action(db: None) -> Action:
    pack = Pack.objects.create(ref="demo", label="Demo", version="1.0.0")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "word": {"type": "string", "secret": True}}}
    return Action.objects.create(pack=pack, ref="demo.act", entry_point="act.sh", parameters_schema=schema)


def test_a_list_carries_its_rows_twice_and_says_where_one_is(api: Callable[..., APIClient]) -> None:
    for number in range(5):
        Pack.objects.create(ref=f"p{number}", label="P")
    client = api("viewer")
    first = client.get("/api/v1/packs?page_size=2").json()
    assert [row["ref"] for row in first["items"]] == ["p0", "p1"]
    assert first["data"] == first["items"]
    assert first["pagination"] == {"page": 1, "page_size": 2, "has_next": True, "has_previous": False}
    last = client.get("/api/v1/packs?per_page=2&page=3&include_total=true").json()
    assert [row["ref"] for row in last["items"]] == ["p4"]
    assert last["pagination"] == {
        "page": 3,
        "page_size": 2,
        "has_next": False,
        "has_previous": True,
        "total_items": 5,
        "total_pages": 3,
    }
    assert client.get("/api/v1/packs?page=4&page_size=2").json()["items"] == []


def test_a_list_counts_only_when_it_is_asked_to(api: Callable[..., APIClient], django_assert_num_queries: Any) -> None:
    client = api("viewer")
    client.get("/api/v1/executions")
    with django_assert_num_queries(3):  # the token, the role, the rows
        client.get("/api/v1/executions")


def test_long_lists_take_as_many_queries_as_short_ones(
    api: Callable[..., APIClient], action: Action, django_assert_max_num_queries: Any
) -> None:
    trigger = Trigger.objects.create(pack=action.pack, ref="demo.happened")
    for number in range(12):
        event = Event.objects.create(trigger=trigger, trigger_ref=trigger.ref, payload={"n": number})
        rule = Rule.objects.create(
            pack=action.pack, ref=f"demo.r{number}", trigger_ref=trigger.ref, active_since=timezone.now()
        )
        execution = Execution.objects.create(action=action, action_ref=action.ref, pack_ref="demo")
        Enforcement.objects.create(event=event, rule=rule, rule_ref=rule.ref, verdict="matched", execution=execution)
    client = api("viewer")
    client.get("/api/v1/packs")  # a token's first use is noted
    for path in ("executions", "events", "enforcements", "rules", "actions", "triggers", "sensors", "packs", "keys"):
        with django_assert_max_num_queries(5):
            assert client.get(f"/api/v1/{path}").status_code == 200
    assert client.get("/api/v1/executions").json()["items"][0]["enforcement"] is not None


def test_every_moment_is_in_utc_to_the_microsecond_and_never_ends_in_z(
    api: Callable[..., APIClient], action: Action
) -> None:
    Pack.objects.update(created=datetime.fromisoformat("2026-01-02T03:04:05+02:00"))
    shown = api("viewer").get("/api/v1/packs/demo").json()["data"]
    assert shown["created"] == "2026-01-02T01:04:05.000000+00:00"
    assert MOMENT.match(shown["updated"])


def test_an_execution_answers_its_fields_at_the_top_and_under_data(
    api: Callable[..., APIClient], action: Action
) -> None:
    answer = api("operator").post(
        "/api/v1/executions/execute", {"action_ref": "demo.act", "parameters": {"n": 3, "word": "s3cret"}}
    )
    assert answer.status_code == 201, answer.content
    body = answer.json()
    data = body.pop("data")
    assert body == data
    assert data["status"] in ("requested", "scheduled")
    assert data["result"] == {}
    assert data["config"] == {"n": 3, "word": "********"}
    assert data["executor"]
    assert "s3cret" not in answer.content.decode()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"action_ref": "demo.none"}, 404, "demo.none"),
        ({"action_ref": "demo.act", "parameters": {"n": "three"}}, 422, "n"),
        ({"action_ref": "demo.act", "parameters": [1]}, 422, "object"),
        ({"action_ref": "demo.act", "parameters": {"other": 1}}, 422, "other"),
        ({"action_ref": "demo.act", "env_vars": {"LD_PRELOAD": "/x.so"}}, 422, "LD_PRELOAD"),
        ({"action_ref": "demo.act", "timeout_seconds": 0}, 422, "timeout_seconds"),
        ({"action_ref": "demo.act", "trace_tag": "x" * 500}, 422, "trace_tag"),
        ({}, 422, "action_ref"),
    ],
)
def test_a_request_that_cannot_run_is_refused_before_anything_is_kept(
    api: Callable[..., APIClient], action: Action, body: dict[str, Any], status: int, said: str
) -> None:
    answer = api("operator").post("/api/v1/executions/execute", body)
    assert answer.status_code == status
    assert said in answer.json()["message"]
    assert not Execution.objects.exists()


def test_a_disabled_action_or_pack_is_409(api: Callable[..., APIClient], action: Action) -> None:
    client = api("operator")
    assert client.put("/api/v1/actions/demo.act", {"enabled": False}).json()["data"]["enabled"] is False
    assert client.post("/api/v1/executions/execute", {"action_ref": "demo.act"}).status_code == 409
    client.put("/api/v1/actions/demo.act", {"enabled": True})
    client.post("/api/v1/packs/demo/disable")
    refused = client.post("/api/v1/executions/execute", {"action_ref": "demo.act"})
    assert (refused.status_code, refused.json()["error"]) == (409, "action_disabled")


def test_other_spellings_and_nulls_are_taken(api: Callable[..., APIClient], action: Action) -> None:
    body = {"action": "demo.act", "parameters": None, "env_vars": None, "timeout": 7, "permission_set_refs": None}
    answer = api("operator").post("/api/v1/executions/execute", body)
    assert answer.status_code == 201
    assert answer.json()["timeout_seconds"] == 7


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": Status.RUNNING, "stdout": "half"}, {}),
        (
            {"status": Status.COMPLETED, "exit_code": 0, "result": {"a": 1}, "stdout": "{}", "duration_ms": 5},
            {"exit_code": 0, "succeeded": True, "duration_ms": 5, "data": {"a": 1}, "stdout": "{}", "stderr": ""},
        ),
        (
            {"status": Status.FAILED, "exit_code": 2, "error": "no", "stderr": "no\n", "duration_ms": 1},
            {
                "exit_code": 2,
                "succeeded": False,
                "duration_ms": 1,
                "data": None,
                "stdout": "",
                "stderr": "no\n",
                "error": "no",
            },
        ),
        (
            {"status": Status.TIMEOUT, "error": "late"},
            {
                "exit_code": None,
                "succeeded": False,
                "duration_ms": None,
                "data": None,
                "stdout": "",
                "stderr": "",
                "error": "late",
                "timed_out": True,
            },
        ),
    ],
)
def test_a_result_is_an_empty_object_until_the_end_and_then_tells_all(
    api: Callable[..., APIClient], fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    execution = Execution.objects.create(action_ref="a.b", pack_ref="a", **fields)
    assert api("viewer").get(f"/api/v1/executions/{execution.pk}").json()["data"]["result"] == expected


def test_executions_are_found_by_every_filter_and_no_other(api: Callable[..., APIClient], people: Any) -> None:
    user = people("operator")
    parent = Execution.objects.create(action_ref="a.parent", pack_ref="a", status=Status.COMPLETED, stdout="needle")
    child = Execution.objects.create(
        action_ref="b.child",
        pack_ref="b",
        parent=parent,
        original=parent,
        rule_ref="b.rule",
        trigger_ref="b.trigger",
        trace_tag="t1",
        requested_by=user,
        status=Status.FAILED,
        result={"found": "Needle"},
    )
    event = Event.objects.create(trigger_ref="b.trigger")
    enforcement = Enforcement.objects.create(event=event, rule_ref="b.rule", verdict="matched", execution=child)
    client = api("viewer")

    def found(query: str) -> list[int]:
        return [row["id"] for row in client.get(f"/api/v1/executions?{query}").json()["items"]]

    for query in (
        "status=failed",
        "action_ref=b.child",
        "pack_name=b",
        f"parent={parent.pk}",
        f"original_execution={parent.pk}",
        "rule_ref=b.rule",
        "trigger_ref=b.trigger",
        "trace_tag=t1",
        f"executor={user.pk}",
        f"enforcement={enforcement.pk}",
        "result_contains=Needle&pack_name=b",
    ):
        assert found(query) == [child.pk], query
    assert found("top_level_only=true") == [parent.pk]
    assert found("result_contains=needle") == [child.pk, parent.pk]
    assert found("status=scheduling") == []
    for ignored in ("", "status=", "sealed__startswith=x", "ordering=sealed", "unknown=1"):
        assert found(ignored) == [child.pk, parent.pk], ignored
    assert client.get("/api/v1/executions?status=finished").status_code == 422
    assert client.get(f"/api/v1/executions?parent={2**70}").status_code == 422
    by_status = client.get("/api/v1/executions/status/failed").json()
    assert [row["id"] for row in by_status["items"]] == [child.pk]
    assert client.get("/api/v1/executions/status/unheard").status_code == 404
    stats = client.get("/api/v1/executions/stats").json()["data"]
    assert (stats["total"], stats["by_status"]["failed"], stats["by_status"]["running"]) == (2, 1, 0)
    of_enforcement = client.get(f"/api/v1/enforcements/{enforcement.pk}/executions").json()["items"]
    assert [row["id"] for row in of_enforcement] == [child.pk]


def test_cancel_and_rerun_answer_the_execution_and_are_audited(api: Callable[..., APIClient], action: Action) -> None:
    client = api("operator")
    made = client.post("/api/v1/executions/execute", {"action_ref": "demo.act", "parameters": {"word": "x"}}).json()
    cancelled = client.post(f"/api/v1/executions/{made['id']}/cancel").json()["data"]
    assert cancelled["status"] == "cancelled"
    again = client.post(f"/api/v1/executions/{made['id']}/cancel")
    assert (again.status_code, again.json()["error"]) == (409, "execution_over")
    rerun = client.post(f"/api/v1/executions/{made['id']}/rerun", {"parameters": {"n": 2}})
    assert rerun.status_code == 201
    assert rerun.json()["data"]["original_execution"] == made["id"]
    assert rerun.json()["data"]["parameters"] == {"n": 2}
    assert client.post("/api/v1/executions/999/cancel").status_code == 404
    entry = AuditEntry.objects.get(action="execution.cancel")
    assert (entry.actor, entry.target, entry.origin) == ("operator", str(made["id"]), "127.0.0.1")


def test_logs_are_text_read_by_bytes(api: Callable[..., APIClient]) -> None:
    from apps.executions import logs

    execution = Execution.objects.create(action_ref="a.b", pack_ref="a")
    client = api("viewer")
    address = f"/api/v1/executions/{execution.pk}/logs"
    assert client.get(f"{address}/stdout").content == b""
    path = logs.path_of(execution.pk, "stdout")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("0123456789é".encode())
    try:
        answer = client.get(f"{address}/stdout?offset=8", headers={"accept": "text/plain"})
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.content.decode() == "89é"
        assert client.get(f"{address}/stdout?offset=2&limit=3").content == b"234"
        assert client.get(f"{address}/stdout?offset=-2").content.decode() == "é"
        assert client.get(f"{address}/stdout?offset=x").status_code == 422
        assert client.get(f"{address}/passwords").status_code == 404
    finally:
        path.unlink()


# Rules, events, enforcements -----------------------------------------------------------------------------------------
def rule_body(**fields: Any) -> dict[str, Any]:
    given = {"ref": "demo.rule", "label": "Rule", "pack_ref": "demo", "trigger_ref": "demo.happened"}
    return given | {"action_ref": "demo.act", "action_params": {"n": "{{ event.payload.n }}"}} | fields


@pytest.fixture
def trigger(action: Action) -> Trigger:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    return Trigger.objects.create(pack=action.pack, ref="demo.happened", payload_schema=schema)


@pytest.mark.parametrize(
    ("name", "criteria", "conditions"),
    [
        ("criteria", {"var": "payload.n", ">=": 3}, {"var": "payload.n", ">=": 3}),
        ("conditions", {">=": [{"var": "payload.n"}, 3]}, {">=": [{"var": "payload.n"}, 3]}),
        ("criteria", [{"var": "payload.n", ">": 1}], {"all": [{"var": "payload.n", ">": 1}]}),
        ("conditions", {}, {}),
    ],
)
def test_a_rule_answers_its_criteria_as_saved_and_as_an_object(
    api: Callable[..., APIClient], trigger: Trigger, name: str, criteria: Any, conditions: Any
) -> None:
    client = api("editor")
    made = client.post("/api/v1/rules", rule_body(**{name: criteria}))
    assert made.status_code == 201, made.content
    shown = client.get("/api/v1/rules/demo.rule").json()["data"]
    assert shown["criteria"] == criteria
    assert shown["conditions"] == conditions
    for field, empty in (("trigger_params", {}), ("sensor_worker_affinity", {}), ("sensor_worker_tolerations", [])):
        assert shown[field] == empty
    assert shown["is_adhoc"] is True
    assert shown["owner_identity"]


def test_a_change_with_nulls_changes_only_what_is_given(api: Callable[..., APIClient], trigger: Trigger) -> None:
    client = api("editor")
    client.post("/api/v1/rules", rule_body(criteria={"var": "payload.n", "==": 1}))
    body = {"action_params": None, "conditions": None, "trigger_params": None, "label": "Other", "enabled": False}
    changed = client.put("/api/v1/rules/demo.rule", body).json()["data"]
    assert (changed["label"], changed["enabled"]) == ("Other", False)
    assert changed["criteria"] == {"var": "payload.n", "==": 1}
    assert changed["action_params"] == {"n": "{{ event.payload.n }}"}


def test_a_rule_that_could_not_work_is_422_naming_every_fault(api: Callable[..., APIClient], trigger: Trigger) -> None:
    body = rule_body(action_ref="demo.none", criteria={"var": "payload.n", "=~": 3}, action_params={"n": "{{ oops"})
    answer = api("editor").post("/api/v1/rules", body)
    assert answer.status_code == 422
    paths = " ".join(fault["path"] for fault in answer.json()["details"]["faults"])
    assert "action_ref" in paths
    assert "criteria" in paths
    assert "action_params" in paths
    assert api("editor").post("/api/v1/rules", rule_body(criteria="text")).status_code == 422


def test_rules_are_listed_by_pack_trigger_action_and_state(api: Callable[..., APIClient], trigger: Trigger) -> None:
    client = api("editor")
    client.post("/api/v1/rules", rule_body(ref="demo.on"))
    client.post("/api/v1/rules", rule_body(ref="demo.off", enabled=False))

    def found(path: str) -> list[str]:
        return [row["ref"] for row in client.get(f"/api/v1/{path}").json()["items"]]

    both = ["demo.off", "demo.on"]
    for path in ("rules", "packs/demo/rules", "triggers/demo.happened/rules", "actions/demo.act/rules"):
        assert found(path) == both
        assert found(f"{path}?enabled=true") == ["demo.on"]
    assert found("rules?enabled=false") == ["demo.off"]
    assert found("rules/enabled") == ["demo.on"]
    assert found("rules?q=OFF") == ["demo.off"]
    assert found("packs/other/rules") == []


def test_deleting_a_rule_keeps_its_history(api: Callable[..., APIClient], trigger: Trigger) -> None:
    client = api("editor")
    made = client.post("/api/v1/rules", rule_body()).json()["data"]
    event = Event.objects.create(trigger=trigger, trigger_ref=trigger.ref)
    Enforcement.objects.create(event=event, rule_id=made["id"], rule_ref="demo.rule", verdict="matched")
    assert client.delete("/api/v1/rules/demo.rule").json() == {
        "message": "Rule demo.rule is deleted.",
        "success": True,
    }
    assert client.get("/api/v1/rules/demo.rule").status_code == 404
    row = client.get("/api/v1/enforcements?rule_ref=demo.rule").json()["items"][0]
    assert (row["rule"], row["rule_ref"]) == (None, "demo.rule")


def test_a_dry_run_says_what_would_happen_and_does_nothing(api: Callable[..., APIClient], trigger: Trigger) -> None:
    client = api("editor")
    draft = {"trigger_ref": "demo.happened", "criteria": {"var": "payload.n", ">=": 3}}
    told = client.post("/api/v1/rules/test", draft | {"payload": {"n": 2}}).json()["data"]
    assert told["matched"] is False
    assert told["criteria"][0]["actual"] == 2
    assert told["criteria"][0]["expected"] == 3
    more = {"action_ref": "demo.act", "action_params": {"n": "{{ event.payload.n }}"}}
    told = client.post("/api/v1/rules/test", draft | more | {"payload": {"n": 4}}).json()["data"]
    assert (told["matched"], told["action_params"]) == (True, {"n": 4})
    event = Event.objects.create(
        trigger=trigger, trigger_ref=trigger.ref, payload={"n": 9}, processed_at=timezone.now()
    )
    client.post("/api/v1/rules", rule_body(criteria=draft["criteria"]))
    told = client.post("/api/v1/rules/demo.rule/test", {"event_id": event.pk}).json()["data"]
    assert (told["matched"], told["action_params"], told["error"]) == (True, {"n": 9}, None)
    assert not Execution.objects.exists()
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"payload": {}, "event_id": 1}, 422),
        ({"event_id": 999}, 404),
        ({"payload": {"n": "x"}}, 422),
        ({"payload": {}, "trigger_ref": "demo.none"}, 404),
    ],
)
def test_a_dry_run_without_a_usable_event_is_refused(
    api: Callable[..., APIClient], trigger: Trigger, body: dict[str, Any], status: int
) -> None:
    answer = api("editor").post("/api/v1/rules/test", {"trigger_ref": "demo.happened"} | body)
    assert answer.status_code == status, answer.content


def test_a_dry_run_refuses_an_event_of_another_trigger(api: Callable[..., APIClient], trigger: Trigger) -> None:
    other = Event.objects.create(trigger_ref="demo.other")
    answer = api("editor").post("/api/v1/rules/test", {"trigger_ref": "demo.happened", "event_id": other.pk})
    assert answer.status_code == 422


@pytest.mark.parametrize("word", ["trigger_ref", "trigger_type"])
def test_an_event_is_kept_and_shown(api: Callable[..., APIClient], trigger: Trigger, word: str) -> None:
    client = api("operator")
    sent = client.post("/api/v1/events", {word: "demo.happened", "payload": {"n": 1}, "trace_tag": "t"})
    assert sent.status_code == 201, sent.content
    event = sent.json()["data"]
    assert event["payload"] == {"n": 1}
    assert event["config"] == {}
    assert event["source_ref"] == "user operator"
    listed = client.get("/api/v1/events?trace_tag=t&trigger_ref=demo.happened").json()["items"]
    assert [(row["id"], row["payload"], row["has_payload"]) for row in listed] == [(event["id"], {"n": 1}, True)]
    assert client.get(f"/api/v1/events/{event['id']}").json()["data"] == event


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"trigger_ref": "demo.none"}, 404, "unknown_trigger"),
        ({"trigger_ref": "demo.happened", "payload": {"n": "x"}}, 422, "invalid_payload"),
        ({"trigger_ref": "demo.happened", "payload": [1]}, 422, "invalid_payload"),
        ({"trigger_ref": "demo.happened", "trigger_instance_id": "rule_999"}, 422, "invalid_rule"),
        ({"trigger_ref": "demo.happened", "rule_ref": "demo.none"}, 422, "invalid_rule"),
        ({"payload": {}}, 422, "validation_error"),
    ],
)
def test_an_event_that_cannot_be_is_refused(
    api: Callable[..., APIClient], trigger: Trigger, body: dict[str, Any], status: int, code: str
) -> None:
    answer = api("operator").post("/api/v1/events", body)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert not Event.objects.exists()


def test_an_event_of_five_megabytes_is_413_with_the_limit_and_the_remedy(
    api: Callable[..., APIClient], trigger: Trigger
) -> None:
    body = {"trigger_ref": "demo.happened", "payload": {"blob": "x" * 5 * 1024 * 1024}}
    answer = api("operator").post("/api/v1/events", body)
    assert (answer.status_code, answer.json()["error"]) == (413, "event_too_large")
    assert "1048576" in answer.json()["message"] and "reference" in answer.json()["message"]
    assert not Event.objects.exists()


def test_an_event_of_a_disabled_trigger_is_409(api: Callable[..., APIClient], trigger: Trigger) -> None:
    client = api("operator")
    client.post("/api/v1/triggers/demo.happened/disable")
    assert client.post("/api/v1/events", {"trigger_ref": "demo.happened"}).status_code == 409


@pytest.mark.parametrize("named", ["rule_{id}", "rule_demo.rule"])
def test_an_event_may_be_for_one_rule_alone(api: Callable[..., APIClient], trigger: Trigger, named: str) -> None:
    rule = api("editor").post("/api/v1/rules", rule_body()).json()["data"]
    body = {"trigger_ref": "demo.happened", "trigger_instance_id": named.format(id=rule["id"])}
    event = api("operator").post("/api/v1/events", body).json()["data"]
    assert (event["rule"], event["rule_ref"]) == (rule["id"], "demo.rule")


def test_a_key_sent_twice_is_one_event(api: Callable[..., APIClient], trigger: Trigger) -> None:
    client = api("operator")
    sent = [client.post("/api/v1/events", {"trigger_ref": "demo.happened", "dedup_key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [201, 201]
    assert sent[0].json()["data"]["id"] == sent[1].json()["data"]["id"]
    assert "before" in sent[1].json()["message"]


def test_a_replay_is_a_new_event_that_points_back(api: Callable[..., APIClient], trigger: Trigger) -> None:
    client = api("operator")
    event = client.post("/api/v1/events", {"trigger_ref": "demo.happened", "payload": {"n": 5}}).json()["data"]
    again = client.post(f"/api/v1/events/{event['id']}/replay")
    assert again.status_code == 201
    assert again.json()["data"]["replay_of"] == event["id"]
    assert again.json()["data"]["payload"] == {"n": 5}


def test_verdicts_and_enforcements_say_who_decided_what_and_why(
    api: Callable[..., APIClient], trigger: Trigger
) -> None:
    rule = api("editor").post("/api/v1/rules", rule_body(criteria=[{"var": "payload.n", "==": 1}])).json()["data"]
    misses = [{"rule": 77, "rule_ref": "demo.other", "revision": 1, "reason": "n is 1, not 2"}]
    event = Event.objects.create(
        trigger=trigger, trigger_ref=trigger.ref, payload={"n": 1}, misses=misses, trace_tag="t"
    )
    enforcement = Enforcement.objects.create(
        event=event,
        rule_id=rule["id"],
        rule_ref="demo.rule",
        rule_revision=1,
        trigger_ref=trigger.ref,
        verdict="error",
        reason="broken",
        action_ref="demo.act",
        action_params={"n": 1},
        results=[{"path": "payload.n", "result": True}],
    )
    client = api("viewer")
    verdicts = client.get(f"/api/v1/events/{event.pk}/verdicts").json()["data"]
    assert [(each["rule_ref"], each["verdict"], each["reason"]) for each in verdicts] == [
        ("demo.rule", "error", "broken"),
        ("demo.other", "not_matched", "n is 1, not 2"),
    ]
    shown = client.get(f"/api/v1/enforcements/{enforcement.pk}").json()["data"]
    assert (shown["status"], shown["verdict"], shown["condition"]) == ("processed", "error", "all")
    assert shown["conditions"] == {"all": [{"var": "payload.n", "==": 1}]}
    assert shown["payload"] == {"n": 1}
    assert shown["config"] == {"n": 1}
    assert shown["trace_tag"] == "t"
    for query, count in (
        ("status=processed", 1),
        ("status=created", 0),
        (f"event={event.pk}", 1),
        ("rule=1&verdict=matched", 0),
    ):
        assert len(client.get(f"/api/v1/enforcements?{query}").json()["items"]) == count, query


# Packs, triggers, keys, runtimes, workers ----------------------------------------------------------------------------
def test_an_ad_hoc_pack_is_made_changed_and_deleted(api: Callable[..., APIClient]) -> None:
    client = api("editor")
    schema = {"url": {"type": "string"}, "password": {"type": "string", "secret": True}}
    body = {"ref": "mine", "label": "Mine", "version": "1.0.0", "conf_schema": schema, "config": {"password": "s3cret"}}
    made = client.post("/api/v1/packs", body)
    assert made.status_code == 201, made.content
    assert made.json()["data"]["config"] == {"password": "********"}
    sent_back = client.put("/api/v1/packs/mine", {"config": {"password": "********", "url": "http://x"}, "meta": None})
    assert sent_back.json()["data"]["config"] == {"password": "********", "url": "http://x"}
    assert configs.open_config(Pack.objects.get(ref="mine")) == {"password": "s3cret", "url": "http://x"}
    assert client.put("/api/v1/packs/mine", {"config": {"url": 3}}).status_code == 422
    assert client.put("/api/v1/packs/mine", {"label": "Ours"}).json()["data"]["label"] == "Ours"
    assert client.post("/api/v1/packs", body).status_code == 409
    assert client.delete("/api/v1/packs/mine").json()["success"] is True
    assert "s3cret" not in str(list(AuditEntry.objects.values()))


def test_a_pack_of_files_is_configured_but_not_rewritten(api: Callable[..., APIClient], action: Action) -> None:
    client = api("editor")
    assert client.put("/api/v1/packs/demo", {"label": "Mine now"}).status_code == 409
    assert client.delete("/api/v1/packs/demo").status_code == 403  # uninstalling is an administrator's
    assert client.put("/api/v1/packs/demo", {"enabled": False}).json()["data"]["enabled"] is False


def test_a_pack_is_registered_from_a_folder_by_an_administrator(
    api: Callable[..., APIClient], tmp_path: Path, known_runtimes: None
) -> None:
    files = {"actions/hi.yaml": {"ref": "fresh.hi", "entry_point": "hi.sh"}, "actions/hi.sh": "echo hi"}
    folder = write_pack(tmp_path / "fresh", "fresh", files)
    assert api("editor").post("/api/v1/packs/register", {"path": str(folder)}).status_code == 403
    answer = api("admin").post("/api/v1/packs/register", {"path": str(folder)})
    assert answer.status_code == 201, answer.content
    assert answer.json()["data"]["pack"]["action_count"] == 1
    assert answer.json()["data"]["added"] == ["fresh.hi"]
    (folder / "actions/hi.yaml").write_text("ref: [")
    broken = api("admin").post("/api/v1/packs/register", {"path": str(folder)})
    assert broken.status_code == 422
    assert broken.json()["details"]["faults"][0]["file"] == "actions/hi.yaml"
    assert api("admin").post("/api/v1/packs/register", {"path": "/nowhere"}).status_code == 404


def test_an_ad_hoc_trigger_is_made_changed_opened_and_deleted(api: Callable[..., APIClient]) -> None:
    client = api("editor")
    client.post("/api/v1/packs", {"ref": "stripe", "label": "Stripe", "version": "1.0.0"})
    body = {"ref": "stripe.payment.succeeded", "label": "Paid", "out_schema": {"amount": "number"}}
    made = client.post("/api/v1/triggers", body)
    assert made.status_code == 201, made.content
    assert made.json()["data"]["pack_ref"] == "stripe"
    assert made.json()["data"]["out_schema"]["properties"] == {"amount": {"type": "number"}}
    address = "/api/v1/triggers/stripe.payment.succeeded"
    changed = client.put(
        address, {"label": "Received", "description": {"op": "set", "value": "Money"}, "out_schema": None}
    )
    assert (changed.json()["data"]["label"], changed.json()["data"]["description"]) == ("Received", "Money")
    opened = client.post(f"{address}/webhooks/enable").json()
    assert opened["webhook_enabled"] is True
    assert opened["data"]["webhook_key"] == opened["webhook_key"]
    assert re.fullmatch(r"wh_[0-9a-f]{32}", opened["webhook_key"])
    assert api("viewer").get(address).json()["data"]["webhook_key"] is None
    assert client.post(f"{address}/webhooks/regenerate").json()["webhook_key"] != opened["webhook_key"]
    options = client.put(f"{address}/webhooks", {"scheme": "github", "secret": "s3cret", "networks": ["10.0.0.0/8"]})
    assert options.json()["data"]["webhook_config"] == {"scheme": "github", "networks": ["10.0.0.0/8"]}
    assert "s3cret" not in options.content.decode()
    assert client.put(f"{address}/webhooks", {"networks": ["nowhere"]}).status_code == 422
    assert client.post(f"{address}/webhooks/disable").json()["webhook_enabled"] is False
    assert client.delete(address).json()["success"] is True


def test_a_trigger_of_a_packs_files_is_read_only_but_for_being_enabled(
    api: Callable[..., APIClient], trigger: Trigger
) -> None:
    client = api("editor")
    assert client.put("/api/v1/triggers/demo.happened", {"label": "x"}).status_code == 409
    assert client.delete("/api/v1/triggers/demo.happened").status_code == 409
    assert client.put("/api/v1/triggers/demo.happened", {"enabled": False}).json()["data"]["enabled"] is False
    assert client.get("/api/v1/triggers/enabled").json()["items"] == []


def test_a_webhook_lets_an_event_in(api: Callable[..., APIClient], trigger: Trigger) -> None:
    key = api("editor").post("/api/v1/triggers/demo.happened/webhooks/enable").json()["webhook_key"]
    answer = APIClient().post(f"/api/v1/webhooks/{key}", {"n": 4}, format="json")
    assert answer.status_code == 202, answer.content
    assert Event.objects.get(pk=answer.json()["data"]["event_id"]).payload == {"n": 4}


def test_actions_are_found_by_words_and_packs(api: Callable[..., APIClient], action: Action) -> None:
    other = Pack.objects.create(ref="other", label="Other")
    Action.objects.create(pack=other, ref="other.send_mail", entry_point="x", description="Writes a letter")
    client = api("viewer")

    def found(path: str) -> list[str]:
        return [row["ref"] for row in client.get(f"/api/v1/{path}").json()["items"]]

    assert found("actions") == ["demo.act", "other.send_mail"]
    assert found("actions/search?q=letter mail") == ["other.send_mail"]
    assert found("actions/search?packs=demo, none") == ["demo.act"]
    assert found("packs/other/actions") == ["other.send_mail"]
    shown = client.get("/api/v1/actions/demo.act").json()["data"]
    assert shown["param_schema"]["properties"]["n"] == {"type": "integer"}
    assert shown["out_schema"] == {}
    assert shown["label"] == "Act"


def test_runtimes_and_workers_are_shown(api: Callable[..., APIClient], settings: Any) -> None:
    Runtime.objects.create(ref="core.shell", name="Shell", available=True, version="5.2")
    now = timezone.now()
    alive = Worker.objects.create(name="here:1:a", host="here", pid=1, threads=2, heartbeat_at=now)
    alive.runtimes = [{"name": "shell", "versions": ["5.2"]}]
    alive.save()
    Worker.objects.create(name="gone:1:b", host="gone", pid=1, heartbeat_at=now - timezone.timedelta(hours=1))
    Worker.objects.create(name="over:1:c", host="over", pid=1, heartbeat_at=now, stopped_at=now)
    Execution.objects.create(action_ref="a.b", pack_ref="a", worker=alive.name, status=Status.RUNNING)
    client = api("viewer")
    rows = {row["name"]: row for row in client.get("/api/v1/workers").json()["items"]}
    assert {name: row["health_state"] for name, row in rows.items()} == {
        "here:1:a": "active",
        "gone:1:b": "offline",
        "over:1:c": "inactive",
    }
    assert rows["here:1:a"]["load"]["running"] == 1
    assert rows["here:1:a"]["supported_runtimes"] == [{"name": "shell", "versions": ["5.2"]}]
    assert [row["name"] for row in client.get("/api/v1/workers?health_state=offline").json()["items"]] == ["gone:1:b"]
    one = client.get(f"/api/v1/workers/{alive.pk}").json()
    assert one["name"] == one["data"]["name"] == "here:1:a"
    assert client.get("/api/v1/runtimes/core.shell").json()["data"]["version"] == "5.2"
    assert [row["ref"] for row in client.get("/api/v1/packs/core/runtimes").json()["items"]] == ["core.shell"]
