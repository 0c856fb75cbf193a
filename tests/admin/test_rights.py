"""Who may do what in the admin; and that looking never changes anything."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.access import services as access
from apps.access.models import ApiToken, AuditEntry, SignInFailures
from apps.executions.models import Execution, Status
from apps.executions.services import create_policy
from apps.packs import keys, services
from apps.packs.models import Action, Key, Pack, Sensor, Trigger
from apps.rules.models import Event, Rule
from apps.rules.services import create_rule, emit_event
from apps.sensors.models import SensorProcess

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db]

ROLES = ("viewer", "operator", "editor", "admin")


@pytest.fixture
def things(core, people):
    boss = people("admin")
    pack = services.save_adhoc_pack(ref="own", actor=boss, label="Own", conf_schema={"limit": {"type": "integer"}})
    trigger = services.save_adhoc_trigger(pack=pack, name="came", actor=boss, label="Came")
    rule = create_rule(ref="own.rule", pack=pack, trigger_ref=trigger.ref, action_ref="core.echo", actor=boss)
    event = emit_event(trigger, payload={"x": 1}).event
    action = Action.objects.get(ref="core.echo")
    execution = Execution.objects.create(action=action, action_ref=action.ref, pack_ref="core", status=Status.FAILED)
    key = keys.write(value="hidden", actor=boss, local_ref="own_key")
    policy = create_policy(
        ref="own.policy", pack=pack, scope="action", scope_ref="core.echo", concurrency={"limit": 1}, actor=boss
    )
    process = SensorProcess.objects.create(sensor=Sensor.objects.get(ref="core.timer_sensor"))
    made = {
        "packs.pack": pack,
        "packs.trigger": trigger,
        "rules.rule": rule,
        "rules.event": event,
        "packs.action": action,
    }
    made |= {"executions.policy": policy}
    return made | {"executions.execution": execution, "packs.key": key, "sensors.sensorprocess": process}


def do(model: str, thing: object, command: str) -> str:
    return reverse(f"admin:{model.replace('.', '_')}_do", args=[thing.pk, command])  # type: ignore[attr-defined]


COMMANDS = [
    ("rules.rule", "disable", "operator", {}),
    ("rules.rule", "remove", "editor", {}),
    ("executions.policy", "disable", "operator", {}),
    ("executions.policy", "remove", "editor", {}),
    ("rules.event", "replay", "operator", {}),
    ("packs.action", "disable", "operator", {}),
    ("packs.pack", "disable", "operator", {}),
    ("packs.pack", "delete_adhoc", "editor", {}),
    ("packs.trigger", "open_webhook", "editor", {}),
    ("packs.trigger", "delete_adhoc", "editor", {}),
    ("packs.key", "replace", "admin", {"value": "new"}),
    ("packs.key", "remove", "admin", {}),
    ("executions.execution", "again", "operator", {}),
    ("sensors.sensorprocess", "restart", "operator", {}),
]


@pytest.mark.parametrize(("model", "command", "least", "data"), COMMANDS)
def test_a_command_is_for_its_role_and_those_above_and_in_the_audit_log_once(
    model, command, least, data, things, sign_in
):
    for role in ROLES[: ROLES.index(least)]:
        assert sign_in(role).post(do(model, things[model], command), data).status_code == 403, role
    if command == "delete_adhoc":
        Rule.objects.filter(pack__ref="own").delete()  # which uses them
    before = AuditEntry.objects.count()
    answer = sign_in(least).post(do(model, things[model], command), data)
    assert answer.status_code == 302, answer.content[:500]
    assert AuditEntry.objects.count() == before + 1


@pytest.mark.parametrize(("model", "command", "least", "data"), COMMANDS)
def test_no_command_is_done_by_a_get(model, command, least, data, things, sign_in):
    before = AuditEntry.objects.count()
    assert sign_in().get(do(model, things[model], command)).status_code == 405
    assert AuditEntry.objects.count() == before


FORMS = [
    ("rules_rule_add", "editor"),
    ("packs_pack_add", "editor"),
    ("packs_trigger_add", "editor"),
    ("packs_key_add", "admin"),
    ("executions_execution_add", "operator"),
    ("executions_policy_add", "editor"),
    ("rules_event_add", "operator"),
    ("access_apitoken_add", "viewer"),
    ("auth_user_add", "admin"),
]


@pytest.mark.parametrize(("name", "least"), FORMS)
def test_a_form_is_for_its_role_and_those_above(name, least, things, sign_in):
    for role in ROLES:
        expected = 200 if ROLES.index(role) >= ROLES.index(least) else 403
        assert sign_in(role).get(reverse(f"admin:{name}")).status_code == expected, role
        if expected == 403:
            assert sign_in(role).post(reverse(f"admin:{name}"), {}).status_code == 403, role


@pytest.mark.parametrize("name", ["packs_pack_config", "packs_pack_edit"])
def test_a_viewer_changes_no_pack(name, things, sign_in):
    address = reverse(f"admin:{name}", args=[things["packs.pack"].pk])
    assert sign_in("viewer").post(address, {"label": "Mine"}).status_code == 403
    assert Pack.objects.get(ref="own").label == "Own"


def test_a_viewer_sees_the_pages_and_no_button(things, sign_in):
    client = sign_in("viewer")
    for model, thing in things.items():
        answer = client.get(reverse(f"admin:{model.replace('.', '_')}_change", args=[thing.pk]))
        assert answer.status_code == 200, model
        assert "/do/" not in answer.content.decode(), model


@pytest.mark.parametrize("name", ["auth_user", "auth_group", "access_auditentry"])
def test_people_and_the_audit_log_are_for_administrators(name, things, sign_in):
    for role in ROLES[:-1]:
        assert sign_in(role).get(reverse(f"admin:{name}_changelist")).status_code == 403
    assert sign_in("admin").get(reverse(f"admin:{name}_changelist")).status_code == 200


def test_trying_a_rule_out_is_for_editors_since_templates_read_settings(things, sign_in):
    data = {"trigger_ref": "own.came", "action_ref": "core.echo", "action_params__mode": "form"}
    assert sign_in("operator").post(reverse("admin:rules_rule_try"), data).status_code == 403
    assert sign_in("editor").post(reverse("admin:rules_rule_try"), data).status_code == 200


def test_a_webhook_address_is_not_shown_to_viewers(things, sign_in):
    services.enable_webhook(things["packs.trigger"], actor="test")
    address = reverse("admin:packs_trigger_change", args=["own.came"])
    assert "wh_" not in sign_in("viewer").get(address).content.decode()
    assert "wh_" in sign_in("operator").get(address).content.decode()


def test_one_sees_and_revokes_ones_own_tokens_only(things, people, sign_in):
    other = ApiToken.objects.create(user=people("admin"), kind="personal", name="x", prefix="att_1", digest="1" * 64)
    client = sign_in("editor")
    assert client.get(reverse("admin:access_apitoken_change", args=[other.pk])).status_code == 404
    assert client.post(reverse("admin:access_apitoken_do", args=[other.pk, "revoke"])).status_code == 404
    assert ApiToken.objects.filter(pk=other.pk).exists()


def test_a_token_is_shown_once_and_only_its_hash_is_kept(sign_in, core):
    client = sign_in("operator")
    answer = client.post(reverse("admin:access_apitoken_add"), {"name": "CI", "days": "30"})
    token = ApiToken.objects.get(name="CI")
    assert token.user.username == "operator"
    assert answer.content.decode().count(token.prefix) == 1
    assert "no-store" in answer["Cache-Control"]
    again = client.get(reverse("admin:access_apitoken_change", args=[token.pk])).content.decode()
    assert token.digest not in again


def test_a_token_carries_the_scope_that_was_chosen_and_none_above_its_owners_role(sign_in, people, core):
    client, add = sign_in("operator"), reverse("admin:access_apitoken_add")
    assert client.post(add, {"name": "low", "scope": "viewer"}).status_code == 200
    low = ApiToken.objects.get(name="low")
    assert low.scope == "viewer"
    page = client.get(reverse("admin:access_apitoken_change", args=[low.pk])).content.decode()
    assert "<dt>May do</dt><dd>viewer</dd>" in page
    assert "viewer" in client.get(reverse("admin:access_apitoken_changelist")).content.decode()
    refused = client.post(add, {"name": "high", "scope": "admin"})
    assert refused.status_code == 422
    assert "operator holds the role operator; a token cannot carry" in refused.content.decode()
    assert client.post(add, {"name": "odd", "scope": "root"}).status_code == 422
    assert set(ApiToken.objects.values_list("name", flat=True)) == {"low"}
    viewer = people("viewer").pk  # an administrator may make one for somebody else, within that one's role
    assert sign_in().post(add, {"name": "x", "user": viewer, "scope": "operator"}).status_code == 422
    assert sign_in().post(add, {"name": "x", "user": viewer, "scope": "viewer"}).status_code == 200


def test_a_token_is_revoked_by_its_holder_and_by_an_administrator_and_dead_at_once(sign_in, people):
    for by in ("operator", "admin"):
        text, row = access.create_personal_token(people("operator"), name="CI", actor="test")
        me = {"HTTP_AUTHORIZATION": f"Bearer {text}"}
        assert Client().get("/auth/me", **me).status_code == 200
        revoke = reverse("admin:access_apitoken_do", args=[row.pk, "revoke"])
        assert sign_in("viewer").post(revoke).status_code == 404
        assert sign_in(by).post(revoke).status_code == 302
        assert Client().get("/auth/me", **me).status_code == 401
        assert AuditEntry.objects.filter(action="token.revoke", target=row.prefix, actor=by).count() == 1


def test_somebody_who_is_not_staff_stays_outside(client, people, core):
    user = people("admin")
    User.objects.filter(pk=user.pk).update(is_staff=False)
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get("/admin/packs/pack/").status_code == 302


def test_a_role_group_cannot_be_renamed_or_deleted(sign_in, people):
    people("viewer")
    group = Group.objects.get(name="viewer")
    client = sign_in()
    client.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "nobody"})
    client.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
    assert Group.objects.filter(name="viewer").exists()


def test_what_is_changed_about_people_is_in_the_audit_log_without_passwords(sign_in, people):
    client, user = sign_in(), people("viewer")
    data = {"username": "viewer", "email": "v@example.com", "is_active": "on", "groups": []}
    data |= {"pack_access-TOTAL_FORMS": 0, "pack_access-INITIAL_FORMS": 0}
    assert client.post(reverse("admin:auth_user_change", args=[user.pk]), data).status_code == 302
    entry = AuditEntry.objects.get(action="user.update")
    assert entry.actor == "admin"
    assert entry.before["groups"] == ["viewer"]
    assert entry.after["groups"] == []
    assert "password" not in json.dumps([entry.before, entry.after])


def test_looking_at_everything_changes_nothing(things, sign_in):
    """Every address of every page, as an administrator, by GET: not one row more or less, and no line in the log but of
    what is refused to everybody."""
    client = sign_in()

    def state():
        models = (Pack, Action, Trigger, Sensor, Rule, Event, Execution, Key, ApiToken, AuditEntry, SensorProcess, User)
        rows = {m: m.objects.order_by("pk") for m in models}
        rows[AuditEntry] = rows[AuditEntry].exclude(action="access.denied")
        return [(m.__name__, list(found.values())) for m, found in rows.items()]

    before = [(name, [{k: v for k, v in row.items() if k != "last_login"} for row in rows]) for name, rows in state()]
    for model, model_admin in admin.site._registry.items():
        label = model._meta.label_lower
        thing = things.get(label) or model._base_manager.first()
        for pattern in model_admin.get_urls():
            if pattern.name is None:
                continue
            arguments = {name: _argument(name, thing) for name in pattern.pattern.converters}
            if None not in arguments.values():
                client.get(reverse(f"admin:{pattern.name}", kwargs=arguments))
    after = [(name, [{k: v for k, v in row.items() if k != "last_login"} for row in rows]) for name, rows in state()]
    assert after == before


def _argument(name: str, thing: object) -> object:
    known = {"command": "remove", "stream": "stdout", "sensor_id": 1}
    return known.get(name) or getattr(thing, "pk", None)


def test_a_post_without_its_token_is_refused(things, people):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(people("admin"))
    for address in (do("rules.rule", things["rules.rule"], "disable"), reverse("admin:rules_rule_add")):
        assert client.post(address).status_code == 403
    assert Rule.objects.get(ref="own.rule").enabled


def test_a_button_leads_back_only_within_this_site(things, sign_in):
    answer = sign_in().post(do("rules.rule", things["rules.rule"], "disable"), {"next": "https://evil.example/"})
    assert answer["Location"].startswith("/admin/")


def test_passwords_cannot_be_guessed_at_the_login_page(client, people):
    people("admin")
    address, wrong = reverse("admin:login"), {"username": "admin", "password": "wrong"}
    for _ in range(5):
        assert client.post(address, wrong).status_code == 200
    SignInFailures.objects.update(wait_until=timezone.now() + timedelta(seconds=60))
    answer = client.post(address, {"username": "admin", "password": "admin-Password-1", "next": "/admin/"})
    assert answer.status_code == 429 and 0 < int(answer["Retry-After"]) <= 60
    assert "Too many failed attempts to sign in; wait" in answer.content.decode()
    assert AuditEntry.objects.filter(action="auth.login_failed", target="admin").count() == 5
    SignInFailures.objects.update(wait_until=timezone.now())
    assert client.post(address, {"username": "admin", "password": "admin-Password-1"}).status_code == 302


def test_a_form_without_a_name_or_a_password_counts_for_nothing(client, db):
    for sent in ({}, {"username": "admin"}, {"password": "x"}, {"username": "a\0b", "password": "x"}):
        assert client.post(reverse("admin:login"), sent).status_code == 200
    assert not SignInFailures.objects.exists() and not AuditEntry.objects.exists()


def test_signing_in_is_in_the_audit_log(client, people):
    people("admin")
    sent = {"username": "admin", "password": "admin-Password-1", "next": "/admin/"}
    assert client.post(reverse("admin:login"), sent)["Location"] == "/admin/"
    assert AuditEntry.objects.get(action="auth.login").actor == "admin"
