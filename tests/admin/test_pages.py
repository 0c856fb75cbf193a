"""Every page of the admin opens, empty and full; and what strangers sent is shown as text."""

from __future__ import annotations

import html
import json
from datetime import timedelta

import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from apps.access import audit
from apps.access.models import ApiToken, AuditEntry
from apps.executions import logs
from apps.executions.models import Execution, Policy, Status, Worker
from apps.executions.services import create_policy
from apps.packs import configs, keys, services
from apps.packs.models import Action, Key, Pack, Runtime, Sensor, Trigger
from apps.rules.enforcing import enforce
from apps.rules.models import Enforcement, Event, Rule
from apps.rules.services import create_rule, emit_event
from apps.sensors.models import SensorProcess, WebhookDelivery

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db]

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
ESCAPED = "&lt;script&gt;"
LISTS = [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]
ADDED = ("executions_execution", "rules_rule", "rules_event", "packs_pack", "packs_key", "access_apitoken", "auth_user")


@pytest.fixture
def evil(core, people):
    """One of everything, each with a name, a label or a content that would like to be a script."""
    boss = people("admin")
    pack = services.save_adhoc_pack(
        ref="evil",
        actor=boss,
        label=EVIL,
        description=EVIL,
        conf_schema={EVIL: {"type": "string", "description": EVIL, "default": EVIL}},
    )
    trigger = services.save_adhoc_trigger(
        pack=pack, name="came", actor=boss, label=EVIL, description=EVIL, payload_schema={EVIL: "string"}
    )
    services.enable_webhook(trigger, actor=boss)
    services.set_webhook_options(trigger, {"scheme": "github"}, secret="deep-secret-1", actor=boss)
    rule = create_rule(
        ref="evil.rule",
        pack=pack,
        label=EVIL,
        description=EVIL,
        trigger_ref=trigger.ref,
        action_ref="core.echo",
        action_params={"message": EVIL + "{{ event.payload.x }}"},
        actor=boss,
        user=boss,
    )
    create_rule(
        ref="evil.other",
        pack=pack,
        trigger_ref=trigger.ref,
        action_ref="core.echo",
        criteria={"var": "payload.x", "==": EVIL + "not"},
        actor=boss,
    )
    event = emit_event(trigger, payload={"x": EVIL, EVIL: EVIL, "list": [EVIL]}, source=EVIL).event
    enforce(event.pk)
    parts = {"concurrency": {"limit": 1}, "rate_limit": {"limit": 1, "window": 9}, "retry": {"max_retries": 2}}
    create_policy(
        ref="evil.policy",
        pack=pack,
        label=EVIL,
        description=EVIL,
        tags=[EVIL],
        scope="global",
        actor=boss,
        **parts,
    )
    execution = Execution.objects.get(rule_ref="evil.rule")
    Execution.objects.filter(pk=execution.pk).update(
        status=Status.FAILED,
        error=EVIL,
        stdout=EVIL,
        result={EVIL: EVIL},
        exit_code=137,
        started_at=timezone.now(),
        finished_at=timezone.now(),
        duration_ms=12,
        worker=EVIL,
        trace_tag=EVIL,
    )
    log = logs.path_of(execution.pk, "stderr")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(EVIL)
    sensor = Sensor.objects.get(ref="core.timer_sensor")
    SensorProcess.objects.create(
        sensor=sensor, state="backoff", failures=3, last_error=EVIL, last_error_at=timezone.now(), host=EVIL
    )
    WebhookDelivery.objects.create(trigger_ref=trigger.ref, status=401, reason=EVIL, delivery_id=EVIL, address="::1")
    Worker.objects.create(name=EVIL, host=EVIL, pid=1, heartbeat_at=timezone.now())
    keys.write(value="deep-secret-2", actor=boss, local_ref="token", name=EVIL)
    audit.record(EVIL, "rule.update", EVIL, before={EVIL: EVIL}, after={EVIL: 1})
    ApiToken.objects.create(user=boss, kind="personal", name=EVIL, prefix="att_abcdef", digest="0" * 64)
    Runtime.objects.filter(ref="core.nodejs").update(available=False, problem=EVIL)
    return {"rule": rule, "event": event, "execution": execution, "trigger": trigger, "pack": pack}


def pages_of_everything():
    """The address of one page of each kind of thing."""
    firsts = {
        "executions.execution": Execution,
        "executions.policy": Policy,
        "executions.worker": Worker,
        "rules.rule": Rule,
        "rules.event": Event,
        "rules.enforcement": Enforcement,
        "packs.action": Action,
        "packs.sensor": Sensor,
        "packs.runtime": Runtime,
        "packs.key": Key,
        "sensors.sensorprocess": SensorProcess,
        "sensors.webhookdelivery": WebhookDelivery,
        "access.apitoken": ApiToken,
        "access.auditentry": AuditEntry,
    }
    found = [(name, model.objects.order_by("-pk").first().pk) for name, model in firsts.items()]
    found += [
        ("packs.pack", "evil"),
        ("packs.pack", "core"),
        ("packs.trigger", "evil.came"),
        ("packs.action", "core.echo"),
    ]
    return [reverse(f"admin:{name.replace('.', '_')}_change", args=[key]) for name, key in found]


@pytest.mark.parametrize("name", LISTS)
def test_every_list_opens_when_there_is_nothing(name, sign_in):
    assert sign_in().get(reverse(f"admin:{name}_changelist")).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_every_list_opens_full_and_shows_what_strangers_sent_as_text(name, sign_in, evil):
    answer = sign_in().get(reverse(f"admin:{name}_changelist"))
    assert answer.status_code == 200
    assert EVIL not in answer.content.decode()


def test_every_page_opens_and_shows_what_strangers_sent_as_text(sign_in, evil):
    client = sign_in()
    for address in pages_of_everything():
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert EVIL not in answer.content.decode(), address
        assert "deep-secret" not in answer.content.decode(), address


def test_what_strangers_sent_is_on_the_pages_all_the_same(sign_in, evil):
    client = sign_in()
    for name in ("rule", "event", "execution", "trigger", "pack"):
        thing = evil[name]
        answer = client.get(reverse(f"admin:{thing._meta.app_label}_{thing._meta.model_name}_change", args=[thing.pk]))
        assert ESCAPED in answer.content.decode(), name


@pytest.mark.parametrize("name", ADDED)
def test_every_form_opens(name, sign_in, evil):
    assert sign_in().get(reverse(f"admin:{name}_add")).status_code == 200


def test_forms_show_what_strangers_sent_as_text(sign_in, evil):
    client = sign_in()
    addresses = [
        reverse("admin:rules_rule_edit", args=[evil["rule"].pk]),
        reverse("admin:rules_rule_add") + f"?event={evil['event'].pk}&trigger=evil.came",
        reverse("admin:rules_rule_add") + f"?copy={evil['rule'].pk}",
        reverse("admin:packs_pack_edit", args=["evil"]),
        reverse("admin:packs_pack_config", args=["evil"]),
        reverse("admin:packs_trigger_edit", args=["evil.came"]),
        reverse("admin:packs_trigger_webhook", args=["evil.came"]),
        reverse("admin:executions_execution_again", args=[evil["execution"].pk]),
        reverse("admin:rules_event_add") + "?trigger=evil.came",
        reverse("admin:executions_execution_add") + "?action=" + EVIL,
    ]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert EVIL not in answer.content.decode(), address
        assert "deep-secret" not in answer.content.decode(), address


def test_the_home_page_names_what_needs_somebody(sign_in, evil):
    shown = sign_in().get("/admin/").content.decode()
    assert "Sensor core.timer_sensor fell 3 times" in shown
    assert EVIL not in shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("exited with code 1: no way", "exited with code 1: no way. It starts again"),
        ("Its program is gone.", "Its program is gone. It starts again"),
        ("why me?", "why me? It starts again"),
        ("", "fell 3 times</b> It starts again"),
        ("x" * 300, "x" * 200 + ". It starts again"),
    ],
)
def test_what_a_fallen_sensor_said_last_is_a_sentence(sign_in, core, said, shown):
    sensor = Sensor.objects.get(ref="core.timer_sensor")
    soon = timezone.now() + timedelta(seconds=40)
    SensorProcess.objects.create(sensor=sensor, state="backoff", failures=3, last_error=said, next_start_at=soon)
    assert shown in html.unescape(sign_in().get("/admin/").content.decode())


def test_a_trigger_without_a_label_is_named_by_its_name(sign_in, core, people):
    services.save_adhoc_pack(ref="home", label="Home", actor=people("admin"))
    schemas = {"payload_schema": "{}", "parameters_schema": "{}"}
    answer = sign_in("editor").post(
        reverse("admin:packs_trigger_add"), {"pack": "home", "name": "payment.succeeded", "label": " "} | schemas
    )
    assert answer.status_code == 302, answer.content.decode()
    trigger = Trigger.objects.get(ref="home.payment.succeeded")
    assert trigger.label == "Payment Succeeded"
    edit = reverse("admin:packs_trigger_edit", args=[trigger.ref])
    assert sign_in("editor").post(edit, {"label": "Paid"} | schemas).status_code == 302
    assert Trigger.objects.get(ref=trigger.ref).label == "Paid"
    assert sign_in("editor").post(edit, {"label": ""} | schemas).status_code == 302
    assert Trigger.objects.get(ref=trigger.ref).label == "Payment Succeeded"


def test_the_home_page_says_when_nothing_needs_anybody(sign_in, core):
    Runtime.objects.update(available=True)
    assert "Nothing needs you." in sign_in().get("/admin/").content.decode()


def test_the_home_page_shows_the_first_steps_on_a_fresh_installation(sign_in, core):
    assert "Make your first rule" in sign_in().get("/admin/").content.decode()


def test_an_action_that_failed_three_times_in_a_row_needs_somebody(sign_in, core):
    for _ in range(3):
        Execution.objects.create(
            action_ref="core.noop", pack_ref="core", status=Status.FAILED, finished_at=timezone.now(), error="no luck"
        )
    assert "core.noop failed 3 times in a row" in sign_in().get("/admin/").content.decode()


def test_somebody_without_a_role_is_told_so(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("nobody", is_staff=True))
    assert "You have no role yet" in client.get("/admin/").content.decode()


@pytest.mark.parametrize("word", ["evil", "run", "new rule", "1", "zzz", "%", "'"])
def test_the_command_palette_answers_anything(word, sign_in, evil):
    answer = sign_in().get(reverse("admin:search"), {"s": word, "extended": "1"})
    assert answer.status_code == 200
    assert EVIL not in answer.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "status=bad&since=24h",
        "status=nonsense&since=x",
        "action_ref=core.*",
        "event=1",
        "event=99999999999999999999999",
        "q=evil",
        "p=900",
    ],
)
def test_a_list_takes_any_filter_from_its_address(query, sign_in, evil):
    assert sign_in().get(reverse("admin:executions_execution_changelist") + f"?{query}").status_code in (200, 302)


def test_lists_do_not_load_what_is_big(sign_in, evil, django_assert_max_num_queries):
    client = sign_in()
    with django_assert_max_num_queries(14) as seen:
        client.get(reverse("admin:executions_execution_changelist"))
    asked = [query["sql"] for query in seen if 'FROM "executions_execution"' in query["sql"]]
    assert asked
    for column in ("stdout", "stderr", "result", "sealed", "parameters"):
        assert not any(f'"executions_execution"."{column}"' in sql for sql in asked), column


def test_an_unknown_thing_is_not_found(sign_in, core):
    client = sign_in()
    for address in (
        "/admin/packs/action/core.nope/change/",
        "/admin/rules/rule/12345/change/",
        "/admin/rules/event/x/change/",
    ):
        assert client.get(address).status_code == 404, address


def test_the_event_page_says_why_each_rule_did_or_did_not_run(sign_in, evil):
    late = create_rule(
        ref="evil.late", pack="evil", trigger_ref="evil.came", action_ref="core.echo", actor="test", enabled=False
    )
    shown = sign_in().get(reverse("admin:rules_event_change", args=[evil["event"].pk])).content.decode()
    assert "there are no criteria, so every event matches" in shown
    assert "evil.other" in shown
    assert "no match" in shown
    assert late.ref in shown
    assert "The rule was made after the event" in shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rule": {"enabled": False}}, "The rule is off"),
        ({"trigger": {"enabled": False}}, "Its trigger evil.came is off"),
        ({"pack": {"enabled": False}}, "Its pack evil is off"),
    ],
)
def test_the_rule_page_says_why_it_cannot_run(change, said, sign_in, evil):
    for name, columns in change.items():
        type(evil[name])._base_manager.filter(pk=evil[name].pk).update(**columns)
    shown = sign_in().get(reverse("admin:rules_rule_change", args=["evil.rule"])).content.decode()
    assert said in shown


def test_the_live_tail_gives_what_is_new_and_where_to_go_on(sign_in, evil):
    client, execution = sign_in(), evil["execution"]
    log = logs.path_of(execution.pk, "stdout")
    log.write_bytes("grüße, half: ü".encode()[:-1])
    address = reverse("admin:executions_execution_tail", args=[execution.pk])
    told = client.get(address).json()
    assert told["stdout"]["open"] == [["grüße, half: ", ""]]
    log.write_bytes("grüße, half: ü!\n\x1b[31mred\nand".encode())
    more = client.get(address, {"stdout": told["stdout"]["offset"]}).json()["stdout"]
    assert (more["done"], more["open"]) == (
        [["grüße, half: ü!\n", ""], ["red\n", "at-f1"]],
        [["and", "at-f1"]],
    )
    last = client.get(address, {"stdout": more["offset"], "stdout_style": more["style"]}).json()["stdout"]
    assert (last["done"], last["open"], last["seen"]) == ([], [["and", "at-f1"]], more["seen"])
    assert told["over"] is True


@pytest.mark.parametrize("offset", ["-1", "x", "9" * 30, ""])
def test_the_live_tail_takes_any_offset(offset, sign_in, evil):
    address = reverse("admin:executions_execution_tail", args=[evil["execution"].pk])
    assert sign_in().get(address, {"stdout": offset}).status_code == 200


def test_a_whole_log_is_text_that_no_browser_takes_for_a_page(sign_in, evil):
    answer = sign_in().get(reverse("admin:executions_execution_log", args=[evil["execution"].pk, "stderr"]))
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer.content.decode() == EVIL


def test_a_field_is_drawn_anew_for_another_action(sign_in, core):
    client = sign_in()
    asked = {"source": "action", "subject": "core.sleep", "was": "core.echo", "templates": True, "mode": "form"}
    asked["form"] = {"message": "kept", "uppercase": "true"}
    told = client.post(reverse("admin:packs_pack_draw"), json.dumps(asked), content_type="application/json").json()
    assert set(told["drawn"]["keys"]) == {"seconds", "message"}
    assert told["form"]["message"] == "kept"


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"source": "nonsense"}', '{"source": "action", "mode": "raw", "raw": "{"}']
)
def test_drawing_refuses_what_it_cannot_read(body, sign_in, core):
    answer = sign_in().post(reverse("admin:packs_pack_draw"), body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json()["message"]


def test_a_pack_page_reports_what_is_wrong_with_its_files(sign_in, make_pack):
    pack = make_pack(
        "demo", {"actions/hi.sh": "echo hi", "actions/hi.yaml": {"ref": "demo.hi", "entry_point": "hi.sh"}}
    )
    (pack.folder / "actions" / "hi.yaml").write_text("ref: demo.hi\nentry_point: ../../etc/passwd\n")
    client = sign_in()
    assert "fault" in client.get(reverse("admin:packs_pack_change", args=["demo"]) + "?check=1").content.decode()
    answer = client.post(reverse("admin:packs_pack_do", args=[pack.pk, "reload"]))
    assert "Nothing was changed" in answer.content.decode()
    assert Action.objects.get(ref="demo.hi").entry_point == "hi.sh"


def test_the_login_page_leads_home(client, people):
    people("admin")
    shown = client.get(reverse("admin:login")).content.decode()
    assert 'name="next" value="/admin/"' in shown


def test_triggers_of_packs_show_no_webhook_until_it_is_opened(sign_in, core):
    assert Trigger.objects.get(ref="core.webhook").webhook_key is None
    assert (
        "Open as webhook"
        in sign_in().get(reverse("admin:packs_trigger_change", args=["core.webhook"])).content.decode()
    )
    assert Pack.objects.filter(ref="core").exists()


def test_a_pack_is_loaded_from_a_folder_or_its_faults_are_shown(sign_in, core, tmp_path):
    client, address = sign_in(), reverse("admin:packs_pack_load")
    assert "There is no pack" in client.post(address, {"folder": str(tmp_path / "nowhere")}).content.decode()
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "pack.yaml").write_text("ref: demo\nversion: [")
    assert "Nothing was changed" in client.post(address, {"folder": str(folder)}).content.decode()
    (folder / "pack.yaml").write_text("ref: demo\nlabel: Demo\ndescription: A pack\nversion: 1.0.0\n")
    assert client.post(address, {"folder": str(folder)}).status_code == 302
    assert Pack.objects.get(ref="demo").path == str(folder)


def test_a_packs_secret_setting_is_never_sent_back_and_survives_being_saved_again(sign_in, people, core):
    schema = {"type": "object", "properties": {"token": {"type": "string", "secret": True}, "room": {"type": "string"}}}
    pack = services.save_adhoc_pack(ref="own", actor="test", label="Own", conf_schema=schema)
    services.set_pack_config(pack, {"token": "deep-secret", "room": "a"}, actor="test")
    client, address = sign_in(), reverse("admin:packs_pack_config", args=["own"])
    assert "deep-secret" not in client.get(address).content.decode()
    sent = {"config__mode": "form", "config__form": json.dumps({"token": "********", "room": "b"})}
    assert client.post(address, sent).status_code == 302
    pack.refresh_from_db()
    assert configs.open_config(pack) == {"token": "deep-secret", "room": "b"}


def test_a_secret_parameter_is_kept_when_an_execution_is_run_again_with_changes(sign_in, core):
    from apps.executions.secrets import reveal
    from apps.executions.services import request_execution

    first = request_execution(
        Action.objects.select_related("pack").get(ref="core.http_request"),
        parameters={"url": "http://127.0.0.1:9/", "auth_type": "bearer", "token": "deep-secret"},
    )
    Execution.objects.filter(pk=first.pk).update(status=Status.FAILED)
    client, address = sign_in(), reverse("admin:executions_execution_again", args=[first.pk])
    assert "deep-secret" not in client.get(address).content.decode()
    sent = {"parameters__mode": "raw", "parameters__raw": '{"url": "http://127.0.0.1:8/", "token": "********"}'}
    assert client.post(address, sent).status_code == 302
    again = Execution.objects.latest("pk")
    assert again.original_id == first.pk
    assert reveal(again)["token"] == "deep-secret"
    assert reveal(again)["url"] == "http://127.0.0.1:8/"
    assert "deep-secret" not in json.dumps(again.parameters)


def test_a_key_that_cannot_be_kept_does_not_send_its_value_back(sign_in, core):
    sent = {"name": "Not A Name", "owner_type": "system", "value": "deep-secret"}
    answer = sign_in().post(reverse("admin:packs_key_add"), sent)
    assert answer.status_code == 422
    assert "deep-secret" not in answer.content.decode()
    assert not Key.objects.exists()


def test_a_delivery_for_a_webhook_that_nobody_knows_is_listed_like_the_others(sign_in, core):
    client = sign_in()
    assert client.post("/api/v1/webhooks/wh_" + "0" * 32, {}, "application/json").status_code == 404
    delivery = WebhookDelivery.objects.get()
    for address in ("changelist", "change"):
        arguments = [delivery.pk] if address == "change" else []
        page = client.get(reverse(f"admin:sensors_webhookdelivery_{address}", args=arguments))
        assert page.status_code == 200
        assert "unknown key" in page.content.decode()
