"""The official SDK works against the running server: each group of operations, as its users call them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from apps.executions.models import Execution, Status, Worker
from apps.packs.models import Pack, Sensor
from apps.rules.models import Event, Rule
from tests.api.test_rights import routes

Sdk = Callable[..., dict[str, Any]]


@pytest.fixture
def demo(make_pack: Callable[..., Pack], server: str) -> Pack:
    """A pack with an action, a trigger and a sensor, loaded from files."""
    files = {
        "actions/echo.yaml": {
            "ref": "demo.echo",
            "entry_point": "echo.sh",
            "parameter_delivery": "stdin",
            "parameter_format": "json",
            "output_format": "json",
            "parameters": {"message": {"type": "string", "required": True}},
        },
        "actions/echo.sh": "cat",
        "triggers/happened.yaml": {"ref": "demo.happened", "output": {"n": {"type": "integer"}}},
        "sensors/watch.yaml": {"ref": "demo.watch", "entry_point": "watch.py", "trigger_types": ["demo.happened"]},
        "sensors/watch.py": "print()",
    }
    return make_pack("demo", files, config={"colour": "red"}, tags=["test"])


# What the SDK knows of the rooms that are here, and has no address: definitions come from packs' files, interpreters
# are found, sensors get their tokens from their hosts, people sign in with a password, and there are no workflows.
NOT_HERE = {
    "actions": {"create_action", "delete_action"},
    "audit": set(),
    "auth": {"create_sensor_token_internal", "oidc_callback", "oidc_login", "register"},
    "enforcements": set(),
    "events": set(),
    "executions": {"list_workflow_cache_iterations"},
    "health": set(),
    "packs": {"get_pack_icon", "sync_pack_workflows", "validate_pack_workflows"},
    "policies": set(),
    "rules": set(),
    "runtimes": {"create_runtime", "delete_runtime", "update_runtime"},
    "secrets": set(),
    "sensors": {"create_sensor", "delete_sensor"},
    "triggers": set(),
    "webhooks": set(),
    "workers": set(),
}


def test_each_operation_has_an_address_or_is_written_down_as_missing(sdk: Sdk) -> None:
    asked = sdk(
        """
import pathlib, re
import attune.api_client.api as api
found = {}
for path in pathlib.Path(api.__path__[0]).glob("*/*.py"):
    said = re.search(r'"method": "(\\w+)",\\s+"url": "([^"]+)"', path.read_text())
    if said:
        found.setdefault(path.parent.name, {})[path.stem] = [said[1].upper(), re.sub(r"{\\w+}", "*", said[2])]
show(**found)
"""
    )
    there = {(route.method, "/" + re.sub(r"<\w+:\w+>", "*", route.path)) for route in routes()}
    there.add(("POST", "/api/v1/webhooks/*"))  # it is served before all views
    missing = {
        group: {name for name, (method, path) in asked[group].items() if (method, path) not in there}
        for group in NOT_HERE
    }
    assert missing == NOT_HERE


def test_auth(sdk: Sdk, people: Callable[[str], Any]) -> None:
    people("editor")
    got = sdk(
        """
from attune.api_client.api.auth import auth_settings, change_password, get_current_user, login, refresh_token
from attune.api_client.api.auth import logout, token_login, update_current_user
way = auth_settings.sync(client=nobody).data
one = login.sync(client=nobody, body=models.LoginRequest(login="editor", password="editor-Password-1")).data
two = refresh_token.sync(client=nobody, body=models.RefreshTokenRequest(refresh_token=one.refresh_token)).data
mine = AuthenticatedClient(base_url=os.environ["ATTUNE_API_URL"], token=two.access_token)
me = get_current_user.sync(client=mine).data
renamed = update_current_user.sync(client=mine, body=models.UpdateCurrentUserRequest(display_name="Ed")).data
body = models.ChangePasswordRequest(current_password="editor-Password-1", new_password="Another-one-2")
changed = change_password.sync(client=mine, body=body).data
three = token_login.sync(client=nobody, body=models.TokenLoginRequest(token=os.environ["ATTUNE_API_TOKEN"])).data
wrong = login.sync_detailed(client=nobody, body=models.LoginRequest(login="editor", password="x"))
out = logout.sync_detailed(client=mine)
after = get_current_user.sync_detailed(client=mine)
show(way=way, one=one, me=me, renamed=renamed, changed=changed, three=three, wrong=wrong.status_code,
     out=out.status_code, after=after.status_code)
""",
        role="editor",
    )
    assert got["way"]["local_password_enabled"] is True
    assert got["one"]["user"]["login"] == got["me"]["login"] == "editor"
    assert got["me"]["assigned_permission_set_refs"] == ["editor"]
    assert {"resource": "rules", "actions": ["read", "enable", "create", "update", "delete", "test"]} in got["me"][
        "effective_permissions"
    ]
    assert got["renamed"]["display_name"] == "Ed"
    assert got["changed"]["success"] is True
    assert got["three"]["user"]["login"] == "editor"
    assert (got["wrong"], got["out"], got["after"]) == (401, 200, 401)


def test_health(sdk: Sdk) -> None:
    got = sdk(
        """
from attune.api_client.api.health import health, health_detailed, liveness, readiness
show(health=health.sync(client=nobody), detailed=health_detailed.sync(client=nobody),
     live=liveness.sync_detailed(client=nobody).status_code, ready=readiness.sync_detailed(client=nobody).status_code)
"""
    )
    assert got["health"] == {"status": "ok"}
    assert got["detailed"]["database"] == "connected"
    assert (got["live"], got["ready"]) == (200, 200)


def test_packs(sdk: Sdk, demo: Pack) -> None:
    got = sdk(
        """
from attune.api_client.api.packs import create_pack, delete_pack, get_pack, list_packs, register_pack
from attune.api_client.api.packs import update_pack
body = models.CreatePackRequest.from_dict({"ref": "adhoc", "label": "Ad hoc", "version": "1.0.0",
    "conf_schema": {"limit": {"type": "integer"}}, "config": {"limit": 1}, "tags": ["a"]})
made = create_pack.sync(client=client, body=body).data
patch = models.UpdatePackRequest.from_dict({"conf_schema": None, "config": {"limit": 2}, "meta": {"k": 1},
    "label": "Renamed", "description": {"op": "set", "value": "Described"}})
changed = update_pack.sync("adhoc", client=client, body=patch).data
listed = list_packs.sync(client=client, page_size=1)
shown = get_pack.sync("demo", client=client).data
reloaded = register_pack.sync(client=client, body=models.RegisterPackRequest(path="FOLDER")).data
gone = delete_pack.sync("adhoc", client=client)
show(made=made, changed=changed, listed=listed, shown=shown, reloaded=reloaded, gone=gone,
     missing=get_pack.sync_detailed("adhoc", client=client).status_code)
""".replace("FOLDER", demo.path)
    )
    assert got["made"]["is_standard"] is False
    assert got["changed"]["config"] == {"limit": 2}
    assert (got["changed"]["label"], got["changed"]["description"]) == ("Renamed", "Described")
    assert [row["ref"] for row in got["listed"]["items"]] == ["adhoc"]
    assert got["listed"]["pagination"]["has_next"] is True
    assert (got["shown"]["action_count"], got["shown"]["trigger_count"], got["shown"]["sensor_count"]) == (1, 1, 1)
    assert got["reloaded"]["pack"]["ref"] == "demo"
    assert got["gone"]["success"] is True
    assert got["missing"] == 404


def test_actions(sdk: Sdk, demo: Pack) -> None:
    got = sdk(
        """
from attune.api_client.api.actions import get_action, get_queue_stats, list_actions, list_actions_by_pack
from attune.api_client.api.actions import search_actions, update_action
shown = get_action.sync("demo.echo", client=client).data
off = update_action.sync("demo.echo", client=client, body=models.UpdateActionRequest.from_dict({"enabled": False})).data
show(shown=shown, off=off, listed=list_actions.sync(client=client, q="echo"),
     by_pack=list_actions_by_pack.sync("demo", client=client), found=search_actions.sync(client=client, q="echo"),
     queue=get_queue_stats.sync("demo.echo", client=client).data)
"""
    )
    assert got["shown"]["entrypoint"] == "echo.sh"
    assert (got["queue"]["action_id"], got["queue"]["action_ref"]) == (got["shown"]["id"], "demo.echo")
    assert (got["queue"]["active_count"], got["queue"]["queue_length"], got["queue"]["total_enqueued"]) == (0, 0, 0)
    assert got["shown"]["param_schema"]["required"] == ["message"]
    assert got["off"]["enabled"] is False
    for name in ("listed", "by_pack", "found"):
        assert [row["ref"] for row in got[name]["items"]] == ["demo.echo"]


def test_executions(sdk: Sdk, demo: Pack, workers: Any) -> None:
    got = sdk(
        """
import time
from attune.api_client.api.executions import cancel_execution, create_execution, get_execution
from attune.api_client.api.executions import get_execution_stats
from attune.api_client.api.executions import list_executions, list_executions_by_status, stream_execution_log
from attune.api_client.api.executions import stream_execution_updates
body = models.CreateExecutionRequest.from_dict({"action_ref": "demo.echo", "parameters": {"message": "hello"},
    "env_vars": {}, "timeout_seconds": 30})
made = create_execution.sync(client=client, body=body)
deadline = time.monotonic() + 40
while (ended := get_execution.sync(made.id, client=client).data).status not in ("completed", "failed"):
    assert time.monotonic() < deadline
    time.sleep(0.05)
refused = create_execution.sync_detailed(client=client, body=models.CreateExecutionRequest.from_dict(
    {"action_ref": "demo.echo", "parameters": {}, "env_vars": {}}))
show(made=made, ended=ended, stats=get_execution_stats.sync(client=client), refused=json.loads(refused.content),
     listed=list_executions.sync(client=client, action_ref="demo.echo", include_total=True),
     by_status=list_executions_by_status.sync("completed", client=client),
     late=cancel_execution.sync_detailed(made.id, client=client).status_code,
     log=stream_execution_log.sync_detailed(made.id, "stdout", client=client).content.decode(),
     updates=stream_execution_updates.sync_detailed(client=client, execution_id=made.id).content.decode())
"""
    )
    assert got["made"]["result"] == {}
    assert got["made"]["config"] == {"message": "hello"}
    assert got["ended"]["status"] == "completed"
    assert got["ended"]["result"]["data"] == {"message": "hello"}
    assert got["ended"]["result"]["succeeded"] is True
    assert got["stats"]["data"]["by_status"]["completed"] == 1
    assert "message" in got["refused"]["message"]
    assert got["listed"]["pagination"]["total_items"] == 1
    assert len(got["by_status"]["items"]) == 1
    assert got["late"] == 409
    assert "hello" in got["log"]
    assert "event: end" in got["log"]
    assert '"status": "completed"' in got["updates"]


def test_rescheduling_and_cancelling(sdk: Sdk, demo: Pack) -> None:
    waiting = Execution.objects.create(action_ref="demo.echo", pack_ref="demo", status=Status.SCHEDULED)
    got = sdk(
        f"""
from attune.api_client.api.executions import cancel_execution, reschedule_execution
first = reschedule_execution.sync({waiting.pk}, client=client).data
second = reschedule_execution.sync({waiting.pk}, client=client).data
cancelled = cancel_execution.sync({waiting.pk}, client=client).data
late = reschedule_execution.sync_detailed({waiting.pk}, client=client)
show(first=first, second=second, cancelled=cancelled, late=late.status_code)
"""
    )
    assert (got["first"]["attempt_count"], got["second"]["attempt_count"]) == (1, 2)
    assert got["first"]["execution"]["status"] == "scheduled" and "Waits for a worker" in got["first"]["message"]
    assert got["cancelled"]["status"] == "cancelled"
    assert got["late"] == 409


def test_triggers_and_webhooks(sdk: Sdk, demo: Pack) -> None:
    got = sdk(
        """
from attune.api_client.api.packs import create_pack
from attune.api_client.api.triggers import create_trigger, delete_trigger, disable_trigger, enable_trigger
from attune.api_client.api.triggers import get_trigger
from attune.api_client.api.triggers import list_enabled_triggers, list_triggers, list_triggers_by_pack
from attune.api_client.api.triggers import update_trigger
from attune.api_client.api.webhooks import disable_webhook, enable_webhook, receive_webhook
from attune.api_client.api.webhooks import regenerate_webhook_key
create_pack.sync(client=client, body=models.CreatePackRequest(ref="adhoc", label="A", version="1.0.0"))
made = create_trigger.sync(client=client, body=models.CreateTriggerRequest.from_dict({"ref": "adhoc.order.paid",
    "label": "Paid", "pack_ref": "adhoc", "out_schema": {"total": {"type": "number"}}})).data
changed = update_trigger.sync("adhoc.order.paid", client=client, body=models.UpdateTriggerRequest.from_dict(
    {"label": "Order paid", "out_schema": None, "param_schema": None, "description": {"op": "set", "value": "D"}})).data
opened = enable_webhook.sync("adhoc.order.paid", client=client)
other = regenerate_webhook_key.sync("adhoc.order.paid", client=client)
body = models.WebhookReceiverRequest.from_dict({"payload": {"total": 12.5}})
knocked = receive_webhook.sync_detailed(other.webhook_key, client=nobody, body=body)
old = receive_webhook.sync_detailed(opened.webhook_key, client=nobody, body=body)
closed = disable_webhook.sync("adhoc.order.paid", client=client)
off = disable_trigger.sync("demo.happened", client=client).data
enabled = list_enabled_triggers.sync(client=client)
on = enable_trigger.sync("demo.happened", client=client).data
show(made=made, changed=changed, opened=opened, knocked=json.loads(knocked.content), old=old.status_code,
     closed=closed, off=off, on=on, enabled=enabled, listed=list_triggers.sync(client=client, q="paid"),
     by_pack=list_triggers_by_pack.sync("demo", client=client),
     shown=get_trigger.sync("demo.happened", client=client).data,
     gone=delete_trigger.sync("adhoc.order.paid", client=client))
"""
    )
    assert got["made"]["is_adhoc"] is True
    assert (got["changed"]["label"], got["changed"]["description"]) == ("Order paid", "D")
    assert got["opened"]["webhook_enabled"] is True
    assert got["knocked"]["trigger_ref"] == "adhoc.order.paid"
    assert Event.objects.get(pk=got["knocked"]["event_id"]).payload == {"total": 12.5}
    assert got["old"] == 404
    assert got["closed"]["webhook_enabled"] is False
    assert (got["off"]["enabled"], got["on"]["enabled"]) == (False, True)
    assert [row["ref"] for row in got["enabled"]["items"]] == ["adhoc.order.paid"]
    assert [row["ref"] for row in got["listed"]["items"]] == ["adhoc.order.paid"]
    assert [row["ref"] for row in got["by_pack"]["items"]] == ["demo.happened"]
    assert got["shown"]["out_schema"]["properties"] == {"n": {"type": "integer"}}
    assert got["gone"]["success"] is True


def test_sensors(sdk: Sdk, demo: Pack) -> None:
    got = sdk(
        """
from attune.api_client.api.sensors import disable_sensor, enable_sensor, get_sensor, get_sensor_log
from attune.api_client.api.sensors import list_enabled_sensors, list_sensors, list_sensors_by_pack
from attune.api_client.api.sensors import list_sensor_logs, list_sensors_by_trigger, update_sensor
off = disable_sensor.sync("demo.watch", client=client).data
none = list_enabled_sensors.sync(client=client)
on = enable_sensor.sync("demo.watch", client=client).data
body = models.UpdateSensorRequest.from_dict({"enabled": False})
put = update_sensor.sync("demo.watch", client=client, body=body).data
show(off=off, on=on, put=put, none=none, shown=get_sensor.sync("demo.watch", client=client).data,
     listed=list_sensors.sync(client=client, q="watch"), by_pack=list_sensors_by_pack.sync("demo", client=client),
     by_trigger=list_sensors_by_trigger.sync("demo.happened", client=client),
     logs=json.loads(list_sensor_logs.sync_detailed("demo.watch", client=client).content),
     log=get_sensor_log.sync_detailed("demo.watch", "stderr", client=client).status_code)
"""
    )
    assert (got["off"]["enabled"], got["on"]["enabled"], got["put"]["enabled"]) == (False, True, False)
    assert got["none"]["items"] == []
    assert got["shown"]["runtime_ref"] == "core.python"
    assert got["shown"]["process"]["state"] == "stopped"
    for name in ("listed", "by_pack", "by_trigger"):
        assert [row["ref"] for row in got[name]["items"]] == ["demo.watch"]
    assert got["logs"]["items"] == [{"stream": "stderr", "size_bytes": 0, "updated": None}]
    assert got["log"] == 200


def test_rules(sdk: Sdk, demo: Pack) -> None:
    got = sdk(
        """
from attune.api_client.api.rules import create_rule, delete_rule, disable_rule, enable_rule, get_rule
from attune.api_client.api.rules import list_enabled_rules, list_rules, list_rules_by_action
from attune.api_client.api.rules import list_rules_by_pack, list_rules_by_trigger
from attune.api_client.api.rules import update_rule
made = create_rule.sync(client=client, body=models.CreateRuleRequest.from_dict({"ref": "demo.rule", "label": "R",
    "pack_ref": "demo", "trigger_ref": "demo.happened", "action_ref": "demo.echo",
    "conditions": {"var": "payload.n", ">=": 3}, "action_params": {"message": "{{ event.payload.n }}"}})).data
nulls = dict.fromkeys(("action_params", "conditions", "sensor_worker_affinity", "sensor_worker_selector",
    "sensor_worker_tolerations", "trigger_params"))
body = models.UpdateRuleRequest.from_dict(nulls | {"label": "S"})
changed = update_rule.sync("demo.rule", client=client, body=body).data
off = disable_rule.sync("demo.rule", client=client).data
none = list_enabled_rules.sync(client=client)
on = enable_rule.sync("demo.rule", client=client).data
lists = [list_rules.sync(client=client, trigger_ref="demo.happened", enabled=True),
    list_rules_by_pack.sync("demo", client=client), list_rules_by_trigger.sync("demo.happened", client=client),
    list_rules_by_action.sync("demo.echo", client=client)]
shown = get_rule.sync("demo.rule", client=client).data
show(made=made, changed=changed, off=off, on=on, none=none, lists=lists, shown=shown,
     gone=delete_rule.sync("demo.rule", client=client))
"""
    )
    assert got["made"]["conditions"] == {"var": "payload.n", ">=": 3}
    assert got["changed"]["label"] == "S"
    assert got["changed"]["conditions"] == got["made"]["conditions"]
    assert (got["off"]["enabled"], got["on"]["enabled"]) == (False, True)
    assert got["none"]["items"] == []
    assert [[row["ref"] for row in each["items"]] for each in got["lists"]] == [["demo.rule"]] * 4
    assert got["shown"]["trigger_params"] == {}
    assert got["gone"]["success"] is True


def test_a_rule_of_a_list_of_criteria_can_be_read(sdk: Sdk, demo: Pack) -> None:
    Rule.objects.create(
        ref="demo.listed",
        pack=demo,
        trigger_ref="demo.happened",
        action_ref="demo.echo",
        criteria=[{"field": "n", "operator": "equals", "value": 1}],
        active_since=timezone.now(),
    )
    got = sdk(
        """
from attune.api_client.api.rules import get_rule
show(shown=get_rule.sync("demo.listed", client=client).data)
"""
    )
    assert got["shown"]["conditions"] == {"all": [{"field": "n", "operator": "equals", "value": 1}]}


def test_events_and_enforcements_from_a_fact_to_its_result(sdk: Sdk, demo: Pack, workers: Any) -> None:
    got = sdk(
        """
import time
from attune.api_client.api.enforcements import get_enforcement, list_enforcements
from attune.api_client.api.events import create_event, get_event, list_events
from attune.api_client.api.executions import get_execution, list_executions_by_enforcement
from attune.api_client.api.rules import create_rule
create_rule.sync(client=client, body=models.CreateRuleRequest.from_dict({"ref": "demo.rule", "label": "R",
    "pack_ref": "demo", "trigger_ref": "demo.happened", "action_ref": "demo.echo",
    "conditions": {"var": "payload.n", ">=": 3}, "action_params": {"message": "n is {{ event.payload.n }}"}}))
sent = create_event.sync(client=client, body=models.CreateEventRequest.from_dict(
    {"trigger_ref": "demo.happened", "payload": {"n": 5}, "trace_tag": "journey"})).data
deadline = time.monotonic() + 40
while not (found := list_enforcements.sync(client=client, event=sent.id)).items:
    assert time.monotonic() < deadline
    time.sleep(0.05)
enforcement = get_enforcement.sync(found.items[0].id, client=client).data
runs = list_executions_by_enforcement.sync(enforcement.id, client=client)
while (ended := get_execution.sync(runs.items[0].id, client=client).data).status not in ("completed", "failed"):
    assert time.monotonic() < deadline
    time.sleep(0.05)
refused = create_event.sync_detailed(client=client, body=models.CreateEventRequest.from_dict(
    {"trigger_ref": "demo.happened", "payload": {"n": "five"}}))
show(sent=sent, enforcement=enforcement, ended=ended, refused=refused.status_code,
     listed=list_events.sync(client=client, trigger_ref="demo.happened", trace_tag="journey"),
     shown=get_event.sync(sent.id, client=client).data)
"""
    )
    assert got["sent"]["payload"] == {"n": 5}
    assert got["enforcement"]["status"] == "processed"
    assert got["enforcement"]["config"] == {"message": "n is 5"}
    assert got["enforcement"]["conditions"] == {"var": "payload.n", ">=": 3}
    assert got["ended"]["result"]["data"] == {"message": "n is 5"}
    assert got["ended"]["enforcement"] == got["enforcement"]["id"]
    assert got["refused"] == 422
    assert [row["has_payload"] for row in got["listed"]["items"]] == [True]
    assert got["shown"]["trace_tag"] == "journey"


def test_keys(sdk: Sdk, demo: Pack) -> None:
    got = sdk(
        """
from attune.api_client.api.secrets import create_key, delete_key, get_key, list_keys, update_key
made = create_key.sync(client=client, body=models.CreateKeyRequest.from_dict({"local_ref": "login", "name": "Login",
    "owner_type": "pack", "owner_pack_ref": "demo", "value": {"user": "u", "password": "p"}})).data
read = get_key.sync("demo.login", client=client).data
body = models.UpdateKeyRequest.from_dict({"value": "new"})
changed = update_key.sync("pack.demo.login", client=client, body=body).data
show(made=made, read=read, changed=changed, listed=list_keys.sync(client=client, owner_type="pack"),
     gone=delete_key.sync("demo.login", client=client))
"""
    )
    assert got["made"]["ref"] == "pack.demo.login"
    assert got["made"]["owner_pack_ref"] == "demo"
    assert got["read"]["value"] == {"user": "u", "password": "p"}
    assert got["changed"]["value"] == "new"
    assert [row["ref"] for row in got["listed"]["items"]] == ["pack.demo.login"]
    assert got["gone"]["success"] is True


def test_runtimes_and_workers(sdk: Sdk, demo: Pack) -> None:
    worker = Worker.objects.create(name="here:1:a", host="here", pid=1, threads=4, heartbeat_at=timezone.now())
    got = sdk(
        f"""
from attune.api_client.api.runtimes import get_runtime, list_runtimes, list_runtimes_by_pack
from attune.api_client.api.workers import cordon_worker, get_worker, list_workers, uncordon_worker
from attune.api_client.models.cordon_worker_request import CordonWorkerRequest
show(shown=get_runtime.sync("core.shell", client=client).data, listed=list_runtimes.sync(client=client, q="shell"),
     by_pack=list_runtimes_by_pack.sync("core", client=client), worker=get_worker.sync({worker.pk}, client=client),
     workers=list_workers.sync(client=client),
     drained=cordon_worker.sync({worker.pk}, client=client, body=CordonWorkerRequest(reason="new disk")),
     back=uncordon_worker.sync({worker.pk}, client=client))
"""
    )
    assert got["drained"]["cordoned"] is True and got["drained"]["health_state"] == "cordoned"
    assert got["drained"]["cordon_reason"] == "new disk" and got["back"]["cordoned"] is False
    assert got["shown"]["ref"] == "core.shell"
    assert [row["ref"] for row in got["listed"]["items"]] == ["core.shell"]
    assert "core.python" in [row["ref"] for row in got["by_pack"]["items"]]
    assert got["worker"]["health_state"] == "active"
    assert got["worker"]["load"]["max_concurrent_executions"] == 4
    assert "here:1:a" in [row["name"] for row in got["workers"]["items"]]


def test_a_sensor_program_of_the_sdk_sends_its_event(sdk: Sdk, demo: Pack) -> None:
    from apps.sensors.models import SensorProcess
    from apps.sensors.tokens import token_for

    sensor = Sensor.objects.get(ref="demo.watch")
    later = timezone.now() + timezone.timedelta(hours=1)
    SensorProcess.objects.create(sensor=sensor, state="running", generation=1, host="x", lease_expires_at=later)
    got = sdk(
        """
from attune.api_client.api.events import create_event
from attune.api_client.api.rules import list_rules
sent = create_event.sync(client=client, body=models.CreateEventRequest.from_dict(
    {"trigger_ref": "demo.happened", "payload": {"n": 1}, "source": "demo.watch"})).data
body = models.CreateEventRequest.from_dict({"trigger_ref": "core.alert"})
other = create_event.sync_detailed(client=client, body=body)
show(sent=sent, other=other.status_code, rules=list_rules.sync(client=client, trigger_ref="demo.happened"))
""",
        token=token_for(sensor.pk, 1),
    )
    assert got["sent"]["source_ref"] == "demo.watch"
    assert got["other"] == 403
    assert got["rules"]["items"] == []


def test_policies(sdk: Sdk, demo: Pack) -> None:
    got = sdk(
        """
from attune.api_client.api.policies import create_policy, delete_policy, get_policy, list_policies
from attune.api_client.api.policies import list_policies_by_action, list_policies_by_pack, update_policy
made = create_policy.sync(client=client, body=models.CreatePolicyRequest.from_dict({"ref": "demo.calm", "name": "Calm",
    "scope": {"type": "action", "action_ref": "demo.echo"}, "quotas": [],
    "concurrency": {"limit": 1, "method": "cancel", "parameters": ["message"]},
    "rate_limit": {"max_executions": 5, "window_seconds": 60}})).data
changed = update_policy.sync("demo.calm", client=client, body=models.UpdatePolicyRequest.from_dict(
    {"name": "Calmer", "enabled": False, "concurrency": None, "priority": 2})).data
show(made=made, changed=changed, shown=get_policy.sync("demo.calm", client=client).data,
     listed=list_policies.sync(client=client), by_action=list_policies_by_action.sync("demo.echo", client=client),
     by_pack=list_policies_by_pack.sync("demo", client=client), gone=delete_policy.sync("demo.calm", client=client))
"""
    )
    assert got["made"]["concurrency"] == {"limit": 1, "method": "cancel", "parameters": ["message"]} | {
        name: got["made"]["concurrency"][name] for name in ("group_by", "on_limit")
    }
    assert (got["changed"]["name"], got["changed"]["enabled"], got["changed"]["priority"]) == ("Calmer", False, 2)
    assert got["changed"]["concurrency"] == got["shown"]["concurrency"] == got["made"]["concurrency"]
    assert got["shown"]["scope"]["action_ref"] == "demo.echo"
    for name, count in (("listed", 1), ("by_action", 1), ("by_pack", 0)):
        assert len(got[name]["items"]) == count
    assert got["gone"]["data"]["success"] is True


def test_audit(sdk: Sdk, demo: Pack) -> None:
    got = sdk(
        """
import uuid
from attune.api_client.api.audit import get_audit_event, get_audit_events_by_request, list_audit_events
from attune.api_client.api.packs import create_pack
body = models.CreatePackRequest.from_dict({"ref": "adhoc", "label": "Ad hoc", "version": "1.0.0", "tags": []})
number = create_pack.sync_detailed(client=client, body=body).headers["X-Request-ID"]
listed = list_audit_events.sync(client=client, category=models.AuditCategory.PACK, event_type="pack.create",
    outcome=models.AuditOutcome.SUCCESS, actor_login="admin", resource_type="pack", resource_ref="adhoc",
    http_method="POST", http_path="/api/v1/packs", include_total=True, per_page=5,
    created_after=datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1))
item = listed.items[0]
item = item if isinstance(item, dict) else item.to_dict()
same = list_audit_events.sync(client=client, request_id=uuid.UUID(number))
show(number=number, listed=listed, same=same, one=get_audit_event.sync(item["id"], client=client).data,
     by_request=get_audit_events_by_request.sync(number, client=client).data,
     missing=get_audit_event.sync_detailed(999999, client=client).status_code)
"""
    )
    assert [row["resource_ref"] for row in got["listed"]["items"]] == ["adhoc"]
    assert got["listed"]["pagination"]["total_items"] == 1
    assert [row["id"] for row in got["same"]["items"]] == [got["one"]["id"]]
    assert got["one"]["request_id"] == got["number"]
    assert got["one"]["details"]["after"]["label"] == "Ad hoc"
    assert (got["one"]["actor_login"], got["one"]["actor_token_type"]) == ("admin", "token")
    assert [row["id"] for row in got["by_request"]] == [got["one"]["id"]]
    assert got["missing"] == 404
