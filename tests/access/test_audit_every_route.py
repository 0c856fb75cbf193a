"""No way to change something without a line in the audit log: every unsafe operation of the API is accounted for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.access import tokens
from apps.access.models import ApiToken, AuditEntry
from apps.executions.models import Worker
from apps.executions.services import request_execution
from apps.packs.models import Sensor
from apps.rules.services import emit_event
from tests.api.test_audit import CHANGES
from tests.conftest import one_of_each

pytestmark = pytest.mark.django_db

# (method, address, body, the action of its only line); `{…}` is filled in with what `things` made
MORE: list[tuple[str, str, dict[str, Any], str]] = [
    ("post", "/api/v1/executions/execute", {"action_ref": "demo.act", "parameters": {}}, "execution.request"),
    ("post", "/api/v1/executions/{execution}/reschedule", {}, "execution.reschedule"),
    ("post", "/api/v1/executions/{execution}/rerun", {}, "execution.rerun"),
    ("post", "/api/v1/executions/{execution}/cancel", {}, "execution.cancel"),
    ("post", "/api/v1/events/{event}/replay", {}, "event.replay"),
    ("put", "/api/v1/actions/demo.act", {"enabled": False}, "action.disable"),
    ("put", "/api/v1/sensors/demo.watch", {"enabled": False}, "sensor.disable"),
    ("post", "/api/v1/sensors/demo.watch/enable", {}, "sensor.enable"),
    ("post", "/api/v1/sensors/demo.watch/restart", {}, "sensor.restart"),
    ("post", "/api/v1/sensors/demo.watch/disable", {}, "sensor.disable"),
    ("post", "/api/v1/pack-indices", {"url": "https://packs.test/index.json", "headers": {}}, "index.create"),
    ("put", "/api/v1/pack-indices/{index}", {"name": "Ours"}, "index.update"),
    ("delete", "/api/v1/pack-indices/{index}", {}, "index.delete"),
    ("put", "/api/v1/packs/demo/environment", {"constraints": ["a<2"]}, "pack.set_environment"),
    ("post", "/api/v1/workers/{worker}/drain", {}, "worker.drain"),
    ("post", "/api/v1/workers/{worker}/undrain", {}, "worker.undrain"),
    ("post", "/api/v1/workers/{worker}/cordon", {}, "worker.drain"),
    ("post", "/api/v1/workers/{worker}/uncordon", {}, "worker.undrain"),
    ("post", "/api/v1/rules/pause", {"reason": "calm"}, "rules.pause"),
    ("delete", "/api/v1/rules/pause", {}, "rules.resume"),
    ("post", "/api/v1/keys", {"local_ref": "k", "owner_type": "system", "name": "K", "value": "v"}, "key.create"),
    ("post", "/api/v1/keys/system.k/grants", {"grantee": "demo.act"}, "key.grant"),
    ("delete", "/api/v1/keys/system.k/grants/demo.act", {}, "key.revoke"),
    ("post", "/auth/tokens", {"name": "mine"}, "token.create"),
    ("delete", "/auth/tokens/{own_token}", {}, "token.revoke"),
    ("post", "/auth/login", {"login": "admin", "password": "admin-Password-1"}, "auth.login"),
    ("post", "/auth/token-login", {"token": "{token}"}, "auth.token_login"),
    (
        "post",
        "/auth/change-password",
        {"current_password": "admin-Password-1", "new_password": "Another-Password-1"},
        "auth.change_password",
    ),
]
# What writes no line of its own, and why.
EXEMPT = {
    "create_event": "an event is a record itself, and says who sent it",
    "refresh_token": "the access token goes on; signing in is in the log",
    "refresh_pack_index": "reads the index anew",
    "validate_pack_config": "changes nothing",
    "test_rule": "changes nothing",
    "test_rule_draft": "changes nothing",
    "get_pack_dependencies": "changes nothing",
    "download_packs": "an installation, which says who asked; what is switched to is in the log",
    "install_pack": "the same",
    "upload_pack": "the same",
    "update_pack_files": "the same",
    "reload_pack": "the same",
    "roll_back_pack": "the same",
    "register_packs_batch": "the same; each pack that is loaded has its line",
    "register_pack": "the same",
    "build_pack_environment": "an installation; makes again what the pack's files and settings say",
    "build_pack_envs": "the same",
    "test_pack": "an installation; its outcome is kept with the pack",
    "logout_by_post": "a personal token has no session that ends; of the others another test tells",
    "update_current_user": "the next test has it",
    "ldap_login": "as the other door for passwords, where there is a directory",
}


@pytest.fixture
def admin(people: Callable[[str], Any]) -> tuple[APIClient, str]:
    """A client that signed in with a password, and a personal token of the same person."""
    session, _ = tokens.issue(people("admin"), ApiToken.Kind.ACCESS)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {session}")
    client.default_format = "json"
    return client, tokens.issue(people("admin"), ApiToken.Kind.PERSONAL)[0]


@pytest.fixture
def things(make_pack: Callable[..., Any], make_trigger: Callable[..., Any]) -> Callable[[str], str]:
    """The address with the numbers of what was made for it."""
    pack = make_pack("demo", one_of_each("demo"))
    made = {
        "own_token": lambda: ApiToken.objects.get(name="mine").pk,
        "execution": lambda: request_execution(pack.actions.get(), parameters={}).pk,
        "event": lambda: emit_event(make_trigger(), payload={}).event.pk,
        "worker": lambda: Worker.objects.create(name="here:1", host="h", pid=1, heartbeat_at=timezone.now()).pk,
    }
    assert Sensor.objects.filter(ref="demo.watch").exists()
    known: dict[str, Any] = {}

    def fill(address: str) -> str:
        for name in re.findall(r"{(\w+)}", address):
            if name not in known:
                known[name] = made[name]() if name in made else AuditEntry.objects.filter(action="index.create")
            value = known[name]
            number = value if isinstance(value, int) else value.latest("pk").target
            address = address.replace(f"{{{name}}}", str(number))
        return address

    return fill


def test_each_of_these_changes_writes_exactly_one_line(
    admin: tuple[APIClient, str], things: Callable[[str], str], django_capture_on_commit_callbacks: Any
) -> None:
    client, token = admin
    for number, (method, address, body, action) in enumerate(MORE):
        if "token" in body:
            body = {"token": token}
        answer = getattr(client, method)(things(address), body, HTTP_X_REQUEST_ID=f"step-{number}")
        lines = list(AuditEntry.objects.filter(request_id=f"step-{number}").values_list("action", "actor", "origin"))
        assert lines == [(action, "admin", "127.0.0.1")], f"{method} {address}: {answer.status_code} {answer.content!r}"


def test_there_is_no_unsafe_operation_that_nobody_thought_of(admin: tuple[APIClient, str]) -> None:
    """A new one belongs into one of the lists, or has a reason."""
    known = [(method, f"/api/v1/{address}") for method, address, _, action in CHANGES if action]
    known += [(method, address) for method, address, _, _ in MORE]
    document = admin[0].get("/api-spec/openapi.json").json()
    forgotten = []
    for path, operations in document["paths"].items():
        pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
        for method, operation in operations.items():
            if method in ("get", "head", "options", "parameters") or operation["operationId"] in EXEMPT:
                continue
            if not any(used == method and pattern.fullmatch(address) for used, address in known):
                forgotten.append(f"{method} {path} ({operation['operationId']})")
    assert forgotten == []


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_api_changes_and_deletes_no_entry(admin: tuple[APIClient, str], method: str) -> None:
    client, _ = admin
    client.post("/api/v1/packs", {"ref": "own", "label": "Own", "version": "1.0.0"})
    entry = AuditEntry.objects.get()
    for address in ("", f"/{entry.pk}", "/export"):
        assert getattr(client, method)(f"/api/v1/audit-events{address}", {"actor": "x"}).status_code == 405
    assert AuditEntry.objects.get().actor == "admin"


def test_the_admin_changes_and_deletes_no_entry(people: Callable[[str], Any], client: Any) -> None:
    client.force_login(people("admin"))
    client.post("/admin/packs/key/add/", {"name": "k", "owner_type": "system", "value": "v"})
    entry = AuditEntry.objects.get(action="key.create")
    page = f"/admin/access/auditentry/{entry.pk}"
    data = {"actor": "x", "post": "yes", "action": "delete_selected", "_selected_action": [entry.pk]}
    for address in (f"{page}/change/", f"{page}/delete/", "/admin/access/auditentry/add/", "/admin/access/auditentry/"):
        answer = client.post(address, data)
        assert answer.status_code in (403, 404, 405, 200, 302), address
    entry.refresh_from_db()
    assert entry.actor == "admin"
    assert AuditEntry.objects.filter(pk=entry.pk).exists()
