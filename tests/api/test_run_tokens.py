"""The tokens of running programs: what they reach is theirs, and it ends with the run."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.test import APIClient

from apps.access import tokens
from apps.access.models import ApiToken, AuditEntry, PackAccess
from apps.access.principals import Role
from apps.access.tokens import run_token
from apps.executions import logs
from apps.executions.models import FINAL, Execution, Status
from apps.packs import keys
from apps.packs.models import Action, Installation, Key, Pack, Trigger
from apps.rules.models import Event, Rule
from apps.sensors.models import SensorProcess
from attune import streams
from tests.access.world import limited, token_for
from tests.api.runs import running_execution, running_sensor

pytestmark = pytest.mark.django_db

Api = Callable[..., APIClient]


@pytest.fixture
def world(db: None) -> None:
    """Two packs, each with an action, a trigger, a rule and keys; and keys of the system."""
    for ref in ("mine", "other"):
        pack = Pack.objects.create(ref=ref, label=ref)
        action = Action.objects.create(pack=pack, ref=f"{ref}.act", entry_point="act.sh")
        trigger = Trigger.objects.create(pack=pack, ref=f"{ref}.happened", parameters_schema=KEY_REF_SCHEMA)
        Rule.objects.create(
            pack=pack,
            ref=f"{ref}.rule",
            trigger=trigger,
            trigger_ref=trigger.ref,
            action=action,
            action_ref=action.ref,
            trigger_params={"credentials": f"{ref}_named"},
            active_since=timezone.now(),
        )
        keys.write(value=f"{ref} pack", actor="test", owner_type="pack", owner_ref=ref, ref=f"{ref}.credentials")
        keys.write(value=f"{ref} action", actor="test", owner_type="action", owner_ref=f"{ref}.act", local_ref="own")
        keys.write(
            value=f"{ref} sensor", actor="test", owner_type="sensor", owner_ref=f"{ref}.watch", local_ref="counter"
        )
        keys.write(value=f"{ref} named", actor="test", ref=f"{ref}_named", granted_only=False)
    keys.write(value="top", actor="test", local_ref="root")


KEY_REF_SCHEMA = {"type": "object", "properties": {"credentials": {"type": "string", "key_ref": True}}}


# Executions ----------------------------------------------------------------------------------------------------------
def test_an_execution_sees_itself_and_its_children_and_nobody_else(api: Api, world: None) -> None:
    own, token = running_execution()
    child, _ = running_execution(parent=own)
    grandchild, _ = running_execution(parent=child)
    stranger, _ = running_execution()
    client = api(token=token)
    for seen in (own, child):
        assert client.get(f"/api/v1/executions/{seen.pk}").json()["data"]["id"] == seen.pk
        assert client.get(f"/api/v1/executions/{seen.pk}/logs/stdout").status_code == 200
    for hidden in (grandchild.pk, stranger.pk, 999_999):
        assert client.get(f"/api/v1/executions/{hidden}").status_code == 403
        assert client.get(f"/api/v1/executions/{hidden}/logs/stdout").status_code == 403
    assert [row["id"] for row in client.get("/api/v1/executions").json()["items"]] == [child.pk, own.pk]


def test_what_an_execution_starts_is_its_child_whatever_it_says(api: Api, world: None, people: Any) -> None:
    person = people("operator")
    own, token = running_execution(requested_by=person, trace_tag="journey")
    body = {"action_ref": "other.act", "parent": 1, "executor": 1, "original_execution": own.pk}
    answer = api(token=token).post("/api/v1/executions/execute", body)
    assert answer.status_code == 201, answer.content
    child = Execution.objects.get(pk=answer.json()["id"])
    assert (child.parent, child.original, child.requested_by) == (own, None, person)
    assert child.trace_tag == "journey"


@pytest.mark.parametrize("status", sorted(FINAL))
def test_an_executions_token_ends_with_it(api: Api, status: Status) -> None:
    execution, token = running_execution()
    client = api(token=token)
    assert client.get(f"/api/v1/executions/{execution.pk}").status_code == 200
    Execution.objects.filter(pk=execution.pk).update(status=status)
    assert client.get(f"/api/v1/executions/{execution.pk}").status_code == 401


def test_the_token_of_an_earlier_attempt_is_worth_nothing(api: Api) -> None:
    execution, token = running_execution(attempt=2)
    assert api(token=token).get(f"/api/v1/executions/{execution.pk}").status_code == 200
    late = run_token("execution", execution.pk, 1)
    assert api(token=late).get(f"/api/v1/executions/{execution.pk}").status_code == 401


def test_an_execution_sends_events_of_its_own_pack_only(api: Api, world: None) -> None:
    client = api(token=running_execution()[1])
    assert client.post("/api/v1/events", {"trigger_ref": "mine.happened"}).status_code == 201
    assert client.post("/api/v1/events", {"trigger_ref": "other.happened"}).status_code == 403
    assert client.post("/api/v1/events", {"trigger_ref": "minesweeper.happened"}).status_code == 403
    assert list(Event.objects.values_list("trigger_ref", flat=True)) == ["mine.happened"]


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("mine.credentials", "mine pack"),
        ("pack.mine.credentials", "mine pack"),
        ("credentials", "mine pack"),
        ("action.mine.act.own", "mine action"),
        ("pack.other.credentials", 403),
        ("other.credentials", 403),
        ("action.other.act.own", 403),
        ("sensor.mine.watch.counter", 403),
        ("system.root", 403),
        ("mine_named", 403),
        ("no.such", 404),
    ],
)
def test_an_execution_reads_the_keys_of_its_pack_and_action_however_they_are_spelt(
    api: Api, world: None, ref: str, expected: str | int
) -> None:
    execution, token = running_execution()
    answer = api(token=token).get(f"/api/v1/keys/{ref}?decrypt=true")
    if isinstance(expected, int):
        assert answer.status_code == expected
        assert not AuditEntry.objects.filter(action="key.read").exists()
    else:
        assert answer.json()["data"]["value"] == expected
        assert AuditEntry.objects.get(action="key.read").actor == f"execution {execution.pk}"


def test_an_execution_writes_no_keys(api: Api, world: None) -> None:
    client = api(token=running_execution()[1])
    assert client.put("/api/v1/keys/mine.credentials", {"value": 1}).status_code == 403
    assert client.delete("/api/v1/keys/mine.credentials").status_code == 403
    body = {"ref": "mine.new", "owner_type": "pack", "owner_pack_ref": "mine", "value": 1}
    assert client.post("/api/v1/keys", body).status_code == 403


# Sensors -------------------------------------------------------------------------------------------------------------
def test_a_sensor_sends_events_of_its_triggers_only(api: Api, world: None) -> None:
    client = api(token=running_sensor()[1])
    rule = Rule.objects.get(ref="mine.rule")
    body = {"trigger_ref": "mine.happened", "source": "made up", "trigger_instance_id": f"rule_{rule.pk}"}
    answer = client.post("/api/v1/events", body)
    assert answer.status_code == 201
    event = Event.objects.get(pk=answer.json()["data"]["id"])
    assert (event.source, event.rule) == ("sensor mine.watch", rule)
    process = SensorProcess.objects.get(sensor__ref="mine.watch")
    assert process.events == 1
    assert process.last_event_at is not None
    assert client.post("/api/v1/events", {"trigger_ref": "other.happened"}).status_code == 403


@pytest.mark.parametrize("kind", ["sensor", "execution"])
def test_an_event_is_kept_without_the_token_that_it_was_sent_with(api: Api, world: None, kind: str) -> None:
    token = running_sensor()[1] if kind == "sensor" else running_execution()[1]
    payload = {
        "environment": {"ATTUNE_API_TOKEN": token, "nested": [{"headers": f"Authorization: Bearer {token}"}]},
        token: "a name",
        "basic": base64.b64encode(token.encode()).decode().rstrip("="),
        "n": 1.5,
        "none": None,
        "text": 'größer \\ " ☃',
    }
    body = {"trigger_ref": "mine.happened", "payload": payload, "config": {"t": token}, "dedup_key": f"k {token}"}
    answer = api(token=token).post("/api/v1/events", body | {"trace_tag": token})
    assert answer.status_code == 201
    event = Event.objects.get(pk=answer.json()["data"]["id"])
    assert token not in str(Event.objects.values().get()) + answer.content.decode()
    assert event.payload == {
        "environment": {"ATTUNE_API_TOKEN": "********", "nested": [{"headers": "Authorization: Bearer ********"}]},
        "********": "a name",
        "basic": "********",
        "n": 1.5,
        "none": None,
        "text": 'größer \\ " ☃',
    }
    assert (event.config, event.dedup_key, event.trace_tag) == ({"t": "********"}, "k ********", "********")
    again = api(token=token).post("/api/v1/events", body)
    assert again.json()["data"]["id"] == event.pk


def test_a_sensor_reads_the_rules_of_its_triggers_only(api: Api, world: None) -> None:
    client = api(token=running_sensor()[1])
    listed = client.get("/api/v1/rules?trigger_ref=mine.happened&enabled=true").json()
    assert [row["ref"] for row in listed["data"]] == ["mine.rule"]
    assert [row["ref"] for row in client.get("/api/v1/rules").json()["items"]] == ["mine.rule"]
    assert client.get("/api/v1/triggers/other.happened/rules").json()["items"] == []
    assert client.get("/api/v1/rules/mine.rule").json()["data"]["trigger_params"] == {"credentials": "mine_named"}
    for hidden in ("other.rule", "no.such"):
        assert client.get(f"/api/v1/rules/{hidden}").status_code == 403


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("mine_named", "mine named"),  # a rule of its trigger names it
        ("mine.credentials", "mine pack"),
        ("counter", "mine sensor"),
        ("sensor.mine.watch.counter", "mine sensor"),
        ("other_named", 403),
        ("system.root", 403),
        ("action.mine.act.own", 403),
        ("pack.other.credentials", 403),
        ("sensor.other.watch.counter", 403),
        ("unheard", 404),
    ],
)
def test_a_sensor_reads_its_own_keys_and_those_that_its_rules_name(
    api: Api, world: None, ref: str, expected: str | int
) -> None:
    answer = api(token=running_sensor()[1]).get(f"/api/v1/keys/{ref}")
    assert (answer.status_code if isinstance(expected, int) else answer.json()["data"]["value"]) == expected


def test_a_rule_cannot_lend_a_sensor_the_key_of_another_pack(api: Api, world: None) -> None:
    Rule.objects.filter(ref="mine.rule").update(trigger_params={"credentials": "other.credentials"})
    assert api(token=running_sensor()[1]).get("/api/v1/keys/other.credentials").status_code == 403


def test_a_sensor_keeps_keys_for_itself(api: Api, world: None) -> None:
    client = api(token=running_sensor()[1])
    made = client.post(
        "/api/v1/keys", {"ref": "mine.seen.rule", "name": "Seen", "owner_type": "sensor", "value": {"n": 1}}
    )
    assert made.status_code == 201, made.content
    assert made.json()["data"]["owner_sensor_ref"] == "mine.watch"
    assert client.put("/api/v1/keys/mine.seen.rule", {"value": {"n": 2}}).json()["data"]["value"] == {"n": 2}
    assert client.get("/api/v1/keys/mine.seen.rule").json()["data"]["value"] == {"n": 2}
    again = client.post("/api/v1/keys", {"ref": "mine.seen.rule", "owner_type": "sensor", "value": 1})
    assert again.status_code == 409
    for body in (
        {"owner_type": "system"},
        {"owner_type": "pack", "owner_pack_ref": "mine"},
        {"owner_type": "sensor", "owner_sensor_ref": "other.watch"},
        {"owner_type": "identity"},
    ):
        assert client.post("/api/v1/keys", {"local_ref": "x", "value": 1} | body).status_code == 403, body
    for ref in ("mine.credentials", "system.root", "sensor.other.watch.counter"):
        assert client.put(f"/api/v1/keys/{ref}", {"value": 1}).status_code == 403, ref


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 2},
        {"state": SensorProcess.State.STOPPED},
        {"lease_expires_at": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_a_sensors_token_ends_with_its_process(api: Api, world: None, change: dict[str, Any]) -> None:
    sensor, token = running_sensor()
    client = api(token=token)
    assert client.get("/api/v1/rules").status_code == 200
    SensorProcess.objects.filter(sensor=sensor).update(**change)
    assert client.get("/api/v1/rules").status_code == 401


# Keys of people ------------------------------------------------------------------------------------------------------
def test_only_an_administrator_reads_a_value_and_the_log_says_so(api: Api, world: None) -> None:
    for role in ("viewer", "operator", "editor"):
        shown = api(role).get("/api/v1/keys/system.root").json()["data"]
        assert shown["value"] is None
        assert api(role).get("/api/v1/keys/system.root?decrypt=true").status_code == 403
    assert not AuditEntry.objects.filter(action="key.read").exists()
    assert api("admin").get("/api/v1/keys/system.root?decrypt=false").json()["data"]["value"] is None
    assert api("admin").get("/api/v1/keys/system.root").json()["data"]["value"] == "top"
    entry = AuditEntry.objects.get(action="key.read")
    assert (entry.actor, entry.target) == ("admin", "system.root")


def test_no_list_and_no_log_ever_holds_a_value(api: Api, world: None) -> None:
    client = api("admin")
    body = {"local_ref": "canary", "name": "Canary", "owner_type": "system", "value": {"deep": ["C4N4RY"]}}
    made = client.post("/api/v1/keys", body)
    assert made.status_code == 201
    assert made.json()["data"]["ref"] == "system.canary"
    listed = client.get("/api/v1/keys?owner_type=system")
    assert "system.canary" in [row["ref"] for row in listed.json()["items"]]
    assert "C4N4RY" not in listed.content.decode()
    client.put("/api/v1/keys/system.canary", {"value": "C4N4RY-2", "name": None})
    assert "C4N4RY" not in str(list(AuditEntry.objects.values()))
    assert "C4N4RY" not in str(list(Key.objects.values()))
    assert client.get("/api/v1/keys/system.canary").json()["data"]["value"] == "C4N4RY-2"
    assert client.delete("/api/v1/keys/system.canary").json()["success"] is True
    assert client.get("/api/v1/keys/system.canary").status_code == 404


@pytest.mark.parametrize("value", [None, False, 0, "", [], {"a": {"b": None}}, "ünï", 1.5])
def test_a_value_of_any_kind_comes_back_as_it_was(api: Api, value: Any) -> None:
    client = api("admin")
    client.post("/api/v1/keys", {"ref": "free.form/with:signs", "name": "x", "value": value})
    assert client.get("/api/v1/keys/free.form%2Fwith:signs").json()["data"]["value"] == value


def test_one_may_read_and_change_the_keys_one_owns(api: Api, people: Any) -> None:
    body = {"local_ref": "own", "owner_type": "identity", "owner_identity_login": "viewer", "value": 1}
    people("viewer")
    assert api("admin").post("/api/v1/keys", body).status_code == 201
    assert api("viewer").get("/api/v1/keys/identity.viewer.own").json()["data"]["value"] == 1
    assert api("viewer").put("/api/v1/keys/identity.viewer.own", {"value": 2}).status_code == 200
    assert api("operator").put("/api/v1/keys/identity.viewer.own", {"value": 3}).status_code == 403
    assert api("operator").get("/api/v1/keys/identity.viewer.own?decrypt=true").status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"local_ref": "UPPER", "value": 1}, 422),
        ({"value": 1}, 422),
        ({"local_ref": "x"}, 422),
        ({"local_ref": "x", "owner_type": "planet", "value": 1}, 422),
        ({"local_ref": "x", "owner_type": "pack", "value": 1}, 422),
        ({"local_ref": "x", "owner_type": "identity", "owner_identity_login": "nobody", "value": 1}, 404),
        ({"local_ref": "root", "value": 1}, 409),
    ],
)
def test_a_key_that_cannot_be_is_refused(api: Api, world: None, body: dict[str, Any], status: int) -> None:
    assert api("admin").post("/api/v1/keys", body).status_code == status


# What they are not ---------------------------------------------------------------------------------------------------
def altered(token: str) -> list[str]:
    """Two hundred texts that are nearly this token."""
    kind, pk, fence, signature = token.removeprefix("atr_").split("_")
    found = [
        token.replace(signature, signature[:n] + ("0" if c != "0" else "1") + signature[n + 1 :])
        for n, c in enumerate(signature)
    ]
    found += [f"atr_{kind}_{pk}_{other}_{signature}" for other in range(2, 40)]
    found += [f"atr_{kind}_{int(pk) + n}_{fence}_{signature}" for n in range(1, 60)]
    found += [
        f"atr_{other}_{pk}_{fence}_{signature}"
        for other in ("execution", "sensor", "user", "admin", "")
        if other != kind
    ]
    found += [token[:-n] for n in range(1, 15)] + [token + c for c in ("0", "f", "=", "\u0660", "a" * 64)]
    found += [
        f"atr_{kind}_0{pk}_{fence}_{signature}",
        f"atr_{kind}_{pk}_0{fence}_{signature}",
        f"atr_{kind}_-{pk}_{fence}_{signature}",
    ]
    found += [
        token.upper(),
        f"{token} {token}",
        f"{token},",
        f'"{token}"',
        signature,
        f"atr_{kind}__{fence}_{signature}",
    ]
    found += [
        f"atr_{kind}_{pk}_{fence}_"
        + salted_hmac("attune.run-token", f"{kind}:{pk}:{fence}", secret=wrong, algorithm="sha256").hexdigest()
        for wrong in ("", "secret", "attune")
    ]
    return found


@pytest.mark.parametrize("kind", ["execution", "sensor"])
def test_two_hundred_altered_tokens_open_nothing(api: Api, world: None, kind: str) -> None:
    """Neighbours that run as well are there, so that a signature taken for another would show."""
    for _ in range(3):
        running_execution(attempt=2)
    token = running_execution()[1] if kind == "execution" else running_sensor()[1]
    path = "/api/v1/executions" if kind == "execution" else "/api/v1/rules"
    texts = altered(token)
    assert len(texts) >= 190 and token not in texts
    client = APIClient()
    let_in = [text for text in texts if client.get(path, HTTP_AUTHORIZATION=f"Bearer {text}").status_code != 401]
    assert let_in == []
    assert api(token=token).get(path).status_code == 200


@pytest.mark.parametrize("kind", ["execution", "sensor"])
def test_a_token_counts_nowhere_but_in_its_header(world: None, kind: str) -> None:
    token = running_execution()[1] if kind == "execution" else running_sensor()[1]
    path = "/api/v1/executions" if kind == "execution" else "/api/v1/rules"
    client = APIClient()
    for name in ("token", "access_token", "api_key", "authorization", "key", "bearer"):
        assert client.get(f"{path}?{name}={token}").status_code == 401
        assert client.get(path, {name: f"Bearer {token}"}).status_code == 401
        client.cookies[name] = token
    assert client.get(path).status_code == 401
    for scheme in ("Token", "Basic", ""):
        assert client.get(path, HTTP_AUTHORIZATION=f"{scheme} {token}".strip()).status_code == 401
    assert client.get(path, HTTP_X_API_KEY=token, HTTP_COOKIE=f"sessionid={token}").status_code == 401


@pytest.mark.parametrize("kind", ["execution", "sensor"])
def test_the_pages_of_the_admin_the_docs_and_the_metrics_take_no_run_token(
    world: None, kind: str, settings: Any
) -> None:
    settings.ATTUNE_METRICS_TOKEN = "of-a-scraper"
    token = running_execution()[1] if kind == "execution" else running_sensor()[1]
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    for path in ("/admin/", "/admin/executions/execution/", "/admin/packs/key/", "/admin/access/apitoken/add/"):
        answer = client.get(path)
        assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
    assert client.get("/metrics").status_code == 401
    for path in ("/docs", "/api-spec/openapi.json"):
        assert (client.get(path).status_code, APIClient().get(path).status_code) == (403, 200)
    for path in ("/auth/me", "/auth/tokens", "/auth/logout", "/api/v1/audit-events", "/api/v1/workers"):
        assert client.get(path).status_code == 403
    for path in ("/auth/refresh", "/auth/token-login"):
        body = {"refresh_token": token, "token": token}
        assert client.post(path, body, format="json").status_code == 401  # it is never made a session of


def test_the_token_of_one_execution_does_nothing_to_another_nor_tells_whether_there_is_one(
    api: Api, world: None
) -> None:
    other, _ = running_execution(action_ref="other.act", pack_ref="other")
    keys.write(value="of other", actor="test", owner_type="action", owner_ref="other.act", local_ref="theirs")
    client = api(token=running_execution()[1])
    for path in ("", "/logs/stdout", "/logs/stderr"):
        there, gone = client.get(f"/api/v1/executions/{other.pk}{path}"), client.get(f"/api/v1/executions/999999{path}")
        assert there.status_code == gone.status_code == 403
        assert there.json()["message"].replace(str(other.pk), "n") == gone.json()["message"].replace("999999", "n")
    for deed in ("cancel", "rerun", "reschedule"):
        assert client.post(f"/api/v1/executions/{other.pk}/{deed}", {}).status_code == 403
    assert client.get("/api/v1/keys/action.other.act.theirs?decrypt=true").status_code == 403
    assert Execution.objects.get(pk=other.pk).status == Status.RUNNING


def test_when_a_second_attempt_has_started_the_token_of_the_first_is_dead_at_once(api: Api) -> None:
    execution, first = running_execution()
    client = api(token=first)
    assert client.get(f"/api/v1/executions/{execution.pk}").status_code == 200
    Execution.objects.filter(pk=execution.pk).update(attempt=2)
    assert client.get(f"/api/v1/executions/{execution.pk}").status_code == 401
    assert client.post("/api/v1/events", {"trigger_ref": "mine.happened"}).status_code == 401
    second = run_token("execution", execution.pk, 2)
    assert api(token=second).get(f"/api/v1/executions/{execution.pk}").status_code == 200


# Open streams --------------------------------------------------------------------------------------------------------
Http = Callable[..., httpx.Client]


def lines_of(answer: httpx.Response) -> list[str]:
    """What still comes, but for the signs of life."""
    return [line for line in answer.iter_lines() if line and not line.startswith(":")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("over", ["its end", "another attempt"])
def test_an_open_stream_of_executions_ends_with_the_token_it_was_opened_with(http: Http, over: str) -> None:
    execution, token = running_execution()
    with http(token=token).stream("GET", "/api/v1/executions/stream") as answer:
        told = answer.iter_lines()
        while not next(told).startswith("data:"):
            pass
        if over == "its end":
            Execution.objects.filter(pk=execution.pk).update(status=Status.COMPLETED, updated=timezone.now())
        else:
            Execution.objects.filter(pk=execution.pk).update(attempt=2, updated=timezone.now())
        running_execution(parent=execution)  # a child that it would have seen
        assert [line for line in told if line.startswith("data:")] == []


@pytest.mark.django_db(transaction=True)
def test_an_open_log_stream_tells_no_word_more_once_the_token_is_over(http: Http, settings: Any, tmp_path: Any) -> None:
    settings.ATTUNE_LOG_DIR = tmp_path
    execution, token = running_execution()
    path = logs.path_of(execution.pk, "stdout")
    path.parent.mkdir(parents=True, exist_ok=True)
    with http(token=token).stream("GET", f"/api/v1/executions/{execution.pk}/logs/stdout/stream") as answer:
        told = answer.iter_lines()
        assert next(told) == ": hello"
        Execution.objects.filter(pk=execution.pk).update(status=Status.FAILED)
        path.write_text("written by somebody else\n")
        rest = "\n".join(told)
    assert "event: end" in rest and '"status": "failed"' in rest and "somebody else" not in rest


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("over", ["revoked", "no role", "inactive", "another pack"])
def test_the_stream_of_a_person_ends_with_their_right(http: Http, people: Any, monkeypatch: Any, over: str) -> None:
    monkeypatch.setattr(streams, "LOOK_AT_CALLER", 0.0)
    execution, _ = running_execution()
    person = people("viewer")
    text, row = tokens.issue(person, ApiToken.Kind.PERSONAL)
    with http(token=text).stream("GET", f"/api/v1/executions/{execution.pk}/logs/stdout/stream") as answer:
        assert next(told := answer.iter_lines()) == ": hello"
        if over == "revoked":
            row.delete()
        elif over == "no role":
            person.groups.clear()
        elif over == "inactive":
            type(person).objects.update(is_active=False)
        else:
            PackAccess.objects.create(user=person, pack="elsewhere", role="viewer")
        assert "event: end" in list(told)


@pytest.mark.django_db(transaction=True)
def test_a_stream_tells_somebody_who_is_limited_of_their_packs_alone(http: Http) -> None:
    mine, _ = running_execution(action_ref="alpha.act", pack_ref="alpha")
    other, _ = running_execution(action_ref="beta.act", pack_ref="beta")
    client = http(token=token_for(limited("anna", alpha=Role.VIEWER)))
    with client.stream("GET", "/api/v1/executions/stream") as answer:
        told = (line for line in answer.iter_lines() if line.startswith("data:"))
        assert f'"id": {mine.pk}' in next(told)
        running_execution(action_ref="beta.act", pack_ref="beta")
        last, _ = running_execution(action_ref="alpha.act", pack_ref="alpha")
        assert f'"id": {last.pk}' in next(told)
    assert client.get(f"/api/v1/executions/{other.pk}/logs/stdout/stream").status_code == 404
    assert client.get(f"/api/v1/executions/stream?execution_id={other.pk}").status_code == 404
    installation = Installation.objects.create(pack_ref="beta")
    assert client.get(f"/api/v1/packs/install/{installation.pk}/stream").status_code == 404
