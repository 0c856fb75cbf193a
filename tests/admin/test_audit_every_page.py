"""No way to change something in the admin without a line in the audit log: every address of it is accounted for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver, resolve
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.executions.models import Worker
from apps.packs.loading import load_pack
from apps.packs.models import Installation, Sensor, Trigger
from apps.rules.models import Rule
from apps.rules.services import create_rule, emit_event
from apps.sensors.models import SensorProcess
from tests.conftest import one_of_each, write_pack

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db]

NEW_PASSWORD = {"password1": "A-new-Password-1", "password2": "A-new-Password-1"}
MY_PASSWORD = {"new_password1": "A-new-Password-1", "new_password2": "A-new-Password-1"}
PACK = {"label": "Own", "version": "1.0.0", "conf_schema__mode": "raw", "conf_schema__raw": '{"n": "integer"}'}
TRIGGER = {"label": "Came", "payload_schema": "{}", "parameters_schema": "{}"}
RULE = {"trigger_ref": "own.came", "action_ref": "core.noop", "enabled": "on"}
POLICY = {"enabled": "on", "scope": "action", "scope_action_ref": "core.noop", "concurrency_limit": "1"}
NO_ROWS = {"pack_access-TOTAL_FORMS": "0", "pack_access-INITIAL_FORMS": "0"}
RESTORED = {"revision": "1"}

# (address below /admin/, what is sent, the action of its only line). `{it}` is the latest thing of that kind; a list's
# action is sent for all of `_selected_action`, which is the latest thing where it is not given.
CHANGES: list[tuple[str, dict[str, Any], str]] = [
    ("login/", {"username": "admin", "password": "admin-Password-1"}, "auth.login"),
    ("auth/group/add/", {"name": "crew", **NO_ROWS}, "group.create"),
    ("auth/group/{it}/change/", {"name": "team", **NO_ROWS}, "group.update"),
    ("auth/group/{it}/delete/", {"post": "yes"}, "group.delete"),
    ("auth/group/add/", {"name": "crew", **NO_ROWS}, "group.create"),
    ("auth/group/", {"action": "delete_selected", "post": "yes"}, "group.delete"),
    ("auth/user/add/", {"username": "eve", "usable_password": "true", **NEW_PASSWORD}, "user.create"),
    ("auth/user/{it}/change/", {"username": "eva", "is_active": "on", **NO_ROWS}, "user.update"),
    ("auth/user/{it}/password/", {"usable_password": "true", **NEW_PASSWORD}, "user.set_password"),
    ("auth/user/{it}/delete/", {"post": "yes"}, "user.delete"),
    ("auth/user/add/", {"username": "eve", "usable_password": "true", **NEW_PASSWORD}, "user.create"),
    ("auth/user/", {"action": "delete_selected", "post": "yes"}, "user.delete"),
    ("access/apitoken/add/", {"user": "{admin}", "name": "mine"}, "token.create"),
    ("access/apitoken/{it}/do/revoke/", {}, "token.revoke"),
    ("packs/pack/add/", {"ref": "own", **PACK}, "pack.create"),
    ("packs/pack/own/edit/", PACK | {"label": "Ours"}, "pack.update"),
    ("packs/pack/own/config/", {"config__mode": "raw", "config__raw": '{"n": 1}'}, "pack.configure"),
    ("packs/pack/own/do/disable/", {}, "pack.disable"),
    ("packs/pack/own/do/enable/", {}, "pack.enable"),
    ("packs/pack/", {"action": "switch_off"}, "pack.disable"),
    ("packs/pack/", {"action": "switch_on"}, "pack.enable"),
    ("packs/pack/files/do/reload/", {}, "pack.load"),
    ("packs/pack/files/do/uninstall/", {}, "pack.remove"),
    ("packs/pack/load/", {"folder": "{folder}"}, "pack.load"),
    ("packs/pack/files/environment/", {"constraints": "six<2"}, "pack.set_environment"),
    ("packs/action/files.act/do/disable/", {}, "action.disable"),
    ("packs/action/files.act/do/enable/", {}, "action.enable"),
    ("packs/action/", {"action": "switch_off"}, "action.disable"),
    ("packs/action/", {"action": "switch_on"}, "action.enable"),
    ("packs/sensor/files.watch/do/disable/", {}, "sensor.disable"),
    ("packs/sensor/files.watch/do/enable/", {}, "sensor.enable"),
    ("packs/sensor/", {"action": "switch_off"}, "sensor.disable"),
    ("packs/sensor/", {"action": "switch_on"}, "sensor.enable"),
    ("sensors/sensorprocess/{it}/do/restart/", {}, "sensor.restart"),
    ("packs/trigger/add/", {"pack": "own", "name": "came", **TRIGGER}, "trigger.create"),
    ("packs/trigger/own.came/edit/", TRIGGER | {"label": "Come"}, "trigger.update"),
    ("packs/trigger/own.came/do/disable/", {}, "trigger.disable"),
    ("packs/trigger/own.came/do/enable/", {}, "trigger.enable"),
    ("packs/trigger/", {"action": "switch_off"}, "trigger.disable"),
    ("packs/trigger/", {"action": "switch_on"}, "trigger.enable"),
    ("packs/trigger/own.came/do/open_webhook/", {}, "trigger.enable_webhook"),
    ("packs/trigger/own.came/do/rotate_key/", {}, "trigger.rotate_webhook_key"),
    ("packs/trigger/own.came/webhook/", {"scheme": "github", "secret": "s3cret"}, "trigger.set_webhook_options"),
    ("packs/trigger/own.came/do/close_webhook/", {}, "trigger.disable_webhook"),
    ("rules/rule/add/", {"pack": "own", "name": "rule", **RULE}, "rule.create"),
    ("rules/rule/own.rule/edit/", RULE | {"label": "L"}, "rule.update"),
    ("rules/rule/own.rule/do/restore/", RESTORED, "rule.update"),
    ("rules/rule/own.rule/do/disable/", {}, "rule.update"),
    ("rules/rule/own.rule/do/enable/", {}, "rule.update"),
    ("rules/rule/", {"action": "switch_off"}, "rule.update"),
    ("rules/rule/", {"action": "switch_on"}, "rule.update"),
    ("rules/rule/pause/", {"reason": "calm"}, "rules.pause"),
    ("rules/rule/resume/", {"held": "skip"}, "rules.resume"),
    ("rules/event/{it}/do/replay/", {}, "event.replay"),
    ("rules/rule/core.theirs/do/take_over/", {}, "rule.update"),
    ("rules/rule/own.rule/do/remove/", {}, "rule.delete"),
    ("packs/trigger/own.came/do/delete_adhoc/", {}, "trigger.delete"),
    ("executions/policy/add/", {"pack": "own", "name": "calm", **POLICY}, "policy.create"),
    ("executions/policy/own.calm/edit/", POLICY | {"label": "Calm"}, "policy.update"),
    ("executions/policy/own.calm/do/disable/", {}, "policy.update"),
    ("executions/policy/own.calm/do/enable/", {}, "policy.update"),
    ("executions/policy/", {"action": "switch_off"}, "policy.update"),
    ("executions/policy/", {"action": "switch_on"}, "policy.update"),
    ("executions/policy/own.calm/do/remove/", {}, "policy.delete"),
    ("packs/pack/own/do/delete_adhoc/", {}, "pack.delete"),
    ("executions/execution/add/?action=core.noop", {"parameters__mode": "raw"}, "execution.request"),
    ("executions/execution/{it}/do/cancel/", {}, "execution.cancel"),
    ("executions/execution/{it}/do/again/", {}, "execution.rerun"),
    ("executions/execution/", {"action": "cancel_many"}, "execution.cancel"),
    ("executions/execution/", {"action": "rerun_many"}, "execution.rerun"),
    ("executions/execution/", {"action": "cancel_many"}, "execution.cancel"),
    ("executions/execution/{it}/again/", {"parameters__mode": "raw"}, "execution.rerun"),
    ("executions/worker/{it}/do/drain/", {}, "worker.drain"),
    ("executions/worker/{it}/do/undrain/", {}, "worker.undrain"),
    ("packs/key/add/", {"name": "k", "owner_type": "system", "value": "s3cret"}, "key.create"),
    ("packs/key/system.k/do/replace/", {"value": "s3cret"}, "key.update"),
    ("packs/key/system.k/do/close/", {}, "key.update"),
    ("packs/key/system.k/do/open/", {}, "key.update"),
    ("packs/key/system.k/do/grant/", {"grantee": "core"}, "key.grant"),
    ("packs/key/system.k/do/revoke/", {"grantee": "core"}, "key.revoke"),
    ("packs/key/system.k/do/remove/", {}, "key.delete"),
    ("packs/packindex/add/", {"url": "{index}", "enabled": "on"}, "index.create"),
    ("packs/packindex/{it}/edit/", {"url": "{index}", "name": "Ours"}, "index.update"),
    ("packs/packindex/{it}/do/enable/", {}, "index.update"),
    ("packs/packindex/{it}/do/disable/", {}, "index.update"),
    ("packs/packindex/{it}/do/remove/", {}, "index.delete"),
    ("password_change/", {"old_password": "admin-Password-1", **MY_PASSWORD}, "auth.change_password"),
    ("logout/", {}, "auth.logout"),
]
# What writes no line of its own, or more than one, and why.
EXEMPT = {
    "rules/event/add/": "an event is a record itself, and says who sent it",
    "packs/runtime/do/detect": "writes down which interpreters are there",
    "packs/packindex/do/refresh": "reads the index anew",
    "packs/packindex/do/up": "a line for each index whose place it changes; so for a list's action, for each thing",
    "packs/packindex/do/down": "the same",
    "packs/installation/add/": "an installation, which says who asked; what is switched to is in the log",
    "packs/installation/do/install_this": "the same",
    "packs/installation/do/again": "the same",
    "packs/installation/do/force": "the same",
    "packs/pack/do/update": "the same",
    "packs/pack/do/rollback": "the same",
    "packs/pack/do/rebuild": "the same",
    "packs/pack/do/test": "the same",
}
# What answers a POST and changes nothing, which its statements show.
HARMLESS = re.compile(
    r"|search/|jsi18n/|.*app_label.*"  # the frame
    r"|\w+/\w+/|\w+/\w+/<path:object_id>/(history/)?"  # lists, the way to a page, Django's own history of a thing
    r"|packs/pack/draw/|packs/packindex/catalogue/.*|rules/rule/(try|samples)/"
    r"|(executions|packs)/\w+/<int:object_id>/(tail|log/.*)/|sensors/\w+/panel/.*"
)
_WRITES = re.compile(r"INSERT|UPDATE|DELETE", re.IGNORECASE)
_NOT_COUNTED = ("django_session", "access_auditentry")  # a refusal is in the log


@pytest.fixture
def fill(core: Any, people: Callable[[str], Any], tmp_path: Path) -> Callable[[str], Any]:
    """An address or a value with the names and numbers of what there is."""
    files = one_of_each("files")
    folder = write_pack(tmp_path / "files", "files", files)
    assert load_pack(folder).ok
    write_pack(folder, "files", files, version="1.1.0")
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"registry_name": "Ours", "packs": []}))
    Worker.objects.create(name="here:1", host="h", pid=1, heartbeat_at=timezone.now())
    Installation.objects.create(kind="install", source=str(folder), status="failed", finished_at=timezone.now())
    emit_event(Trigger.objects.get(ref="files.came"), payload={})
    SensorProcess.objects.create(sensor=Sensor.objects.get(ref="core.timer_sensor"))
    create_rule(ref="core.theirs", pack=core, trigger_ref="core.alert", action_ref="core.noop", actor="test")
    Rule.objects.update(barred="its owner may not run it any more")
    known = {"admin": people("admin").pk, "folder": folder, "index": index}

    def filled(text: str, latest: int | None = None) -> str:
        return text.format(**known, it=latest) if re.search(r"{\w+}", text) else text

    return filled


def latest(route: str) -> int | None:
    """The number of the latest thing of the model whose page it is."""
    app, _, rest = route.partition("/")
    models = {m._meta.model_name: m for m in admin.site._registry if m._meta.app_label == app}
    model = models.get(rest.partition("/")[0])
    return model._base_manager.order_by("-pk").values_list("pk", flat=True).first() if model else None  # type: ignore[union-attr]


def test_each_of_these_changes_writes_exactly_one_line(
    sign_in: Callable[..., Client], fill: Callable[..., str]
) -> None:
    client = sign_in()
    for number, (address, sent, action) in enumerate(CHANGES):
        last = latest(address)
        data = {name: fill(value, last) for name, value in sent.items()}
        if "action" in sent:
            data["_selected_action"] = str(last)
        answer = client.post(f"/admin/{fill(address, last)}", data, HTTP_X_REQUEST_ID=f"step-{number}")
        lines = list(AuditEntry.objects.filter(request_id=f"step-{number}").values_list("action", "actor", "origin"))
        told = re.sub(r"\s+", " ", answer.content.decode())[-3000:]
        assert lines == [(action, "admin", "127.0.0.1")], f"{address} {sent}: {answer.status_code} {told}"
    assert "s3cret" not in str(list(AuditEntry.objects.values()))


# The addresses -------------------------------------------------------------------------------------------------------
def addresses(below: Any = None, beginning: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every address of the admin, as the resolver has it."""
    for pattern in get_resolver().url_patterns if below is None else below:
        route = beginning + str(pattern.pattern)
        if not isinstance(pattern, URLPattern):
            yield from addresses(pattern.url_patterns, route)
        elif route.startswith("admin/"):
            yield route.removeprefix("admin/"), pattern


def ways(request: HttpRequest) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every way to post something: its name, its address, and what belongs to it.

    The name is the address, `app/model/do/command`, or `app/model/#action` of a list.
    """
    pages = {f"{m._meta.app_label}/{m._meta.model_name}/": found for m, found in admin.site._registry.items()}
    for route, pattern in addresses():
        of = pages.get("/".join(route.split("/")[:2]) + "/")
        if "<slug:command>" in route:
            yield from ((f"{route.partition('<')[0]}do/{c.name}", route, {"command": c.name}) for c in of.commands())
            continue
        yield route, route, {}
        if (pattern.name or "").endswith("_changelist"):
            yield from ((f"{route}#{action}", route, {"action": action}) for action in of.get_actions(request))


def way_of(address: str, sent: dict[str, Any]) -> str:
    """The way that one of the changes goes."""
    found = resolve("/admin/" + address.partition("?")[0].replace("{it}", "1"))
    route = found.route.removeprefix("admin/")
    if "command" in found.kwargs:
        return f"{route.partition('<')[0]}do/{found.kwargs['command']}"
    return f"{route}#{sent['action']}" if "action" in sent else route


def filled_in(route: str, known: dict[str, str]) -> str:
    """An address of a route; what is not known is the latest thing's number."""
    number = latest(route) or 1
    named = re.compile(r"\(\?P<(\w+)>[^)]*\)|<(?:\w+:)?(\w+)>")
    return "/admin/" + named.sub(lambda found: str(known.get(found[1] or found[2], number)), route).strip("^$")


def test_there_is_no_way_to_change_something_that_nobody_thought_of(sign_in: Callable[..., Client], fill: Any) -> None:
    """What is in no list is tried: it is refused, or is known to be harmless and then writes nothing."""
    client = sign_in()
    request = client.get("/admin/").wsgi_request
    known = {way_of(address, sent) for address, sent, _ in CHANGES} | EXEMPT.keys()
    forgotten, gone = [], set(known)
    for way, route, more in ways(request):
        gone.discard(way)
        if way in known:
            continue
        told = {"ref": "core", "stream": "stdout", "app_label": "packs", "url": "nowhere", **more}
        sent = more | {"_selected_action": str(latest(route))} if "action" in more else {}
        with CaptureQueriesContext(connection) as asked:
            status = client.post(filled_in(route, told), sent).status_code
        written = [q["sql"] for q in asked if _WRITES.match(q["sql"]) and not any(t in q["sql"] for t in _NOT_COUNTED)]
        if written or not (status in (403, 404, 405) or HARMLESS.fullmatch(way)):
            forgotten.append(f"{way}: {status} {written}")
    assert forgotten == []
    assert gone == set(), "These are no more."
