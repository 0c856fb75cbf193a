"""Keys over the API: granted, taken back, and where they are used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.access.models import AuditEntry
from apps.packs import keys
from apps.packs.models import Action, Pack
from tests.api.runs import running_execution, running_sensor

pytestmark = pytest.mark.django_db
Api = Callable[..., APIClient]


@pytest.fixture
def token_key() -> str:
    """A key of another pack, and the pack and action that would like to have it."""
    for ref in ("mine", "jira"):
        pack = Pack.objects.create(ref=ref, label=ref, is_adhoc=True)
        Action.objects.create(ref=f"{ref}.act", pack=pack, entry_point="act.sh", secrets=["token"])
    return keys.write(ref="jira.token", owner_type="pack", owner_ref="jira", value="tok", actor="t").ref


@pytest.mark.parametrize("grantee", ["mine", "mine.act"])
def test_a_granted_key_is_read_by_a_run_of_that_pack_until_it_is_taken_back(
    api: Api, token_key: str, grantee: str
) -> None:
    program = api(token=running_execution()[1])
    refused = program.get("/api/v1/keys/jira.token?decrypt=true")
    assert refused.status_code == 403
    assert "attune key grant jira.token mine.act" in refused.json()["message"]
    made = api().post("/api/v1/keys/jira.token/grants", {"grantee": grantee})
    assert (made.status_code, made.json()["data"]["granted_by"]) == (201, "admin")
    assert program.get("/api/v1/keys/jira.token?decrypt=true").json()["data"]["value"] == "tok"
    assert [row["grantee"] for row in api().get(f"/api/v1/keys/{token_key}/grants").json()["items"]] == [grantee]
    assert api().delete(f"/api/v1/keys/{token_key}/grants/{grantee}").json()["success"] is True
    assert program.get("/api/v1/keys/jira.token?decrypt=true").status_code == 403
    assert api().delete(f"/api/v1/keys/{token_key}/grants/{grantee}").status_code == 404


def test_a_granted_key_is_read_by_a_sensor_of_that_pack(api: Api, token_key: str) -> None:
    program = api(token=running_sensor()[1])
    assert program.get("/api/v1/keys/jira.token?decrypt=true").status_code == 403
    api().post("/api/v1/keys/jira.token/grants", {"grantee": "mine.watch"})
    assert program.get("/api/v1/keys/jira.token?decrypt=true").json()["data"]["value"] == "tok"


@pytest.mark.parametrize("role", ["viewer", "operator", "editor"])
def test_only_administrators_grant_and_see_who_uses_a_key(api: Api, token_key: str, role: str) -> None:
    client, address = api(role), f"/api/v1/keys/{token_key}"
    assert client.get(f"{address}/grants").status_code == 403
    assert client.post(f"{address}/grants", {"grantee": "mine"}).status_code == 403
    assert client.delete(f"{address}/grants/mine").status_code == 403
    assert client.get(f"{address}/uses").status_code == 403


def test_a_run_grants_nothing_to_itself(api: Api, token_key: str) -> None:
    program = api(token=running_execution()[1])
    assert program.post(f"/api/v1/keys/{token_key}/grants", {"grantee": "mine"}).status_code == 403
    assert program.put(f"/api/v1/keys/{token_key}", {"granted_only": False}).status_code == 403


def test_a_key_says_who_names_it_and_who_read_it_last(api: Api, token_key: str) -> None:
    execution, token = running_execution(action_ref="jira.act", pack_ref="jira")
    for _ in range(3):
        api(token=token).get("/api/v1/keys/jira.token?decrypt=true")
    said = api().get(f"/api/v1/keys/{token_key}/uses").json()["data"]
    assert said["uses"] == [{"kind": "action", "ref": "jira.act", "place": "secrets"}]
    assert (said["reads"], said["last_read_by"]) == (3, f"execution {execution.pk}")
    assert AuditEntry.objects.filter(action="key.read").count() == 1


def test_a_system_key_is_open_to_clients_that_know_of_no_grants_and_closed_where_that_is_asked_for(api: Api) -> None:
    body: dict[str, Any] = {"local_ref": "smtp", "owner_type": "system", "name": "S", "value": 1}
    assert api().post("/api/v1/keys", body).json()["data"]["granted_only"] is False
    assert api().put("/api/v1/keys/system.smtp", {"granted_only": True}).json()["data"]["granted_only"] is True
    entry = AuditEntry.objects.get(action="key.update")
    assert (entry.before["granted_only"], entry.after["granted_only"]) == (False, True)
    closed = body | {"local_ref": "smtps", "granted_only": True}
    assert api().post("/api/v1/keys", closed).json()["data"]["granted_only"] is True


def test_what_cannot_be_granted_is_a_422_with_the_reason(api: Api, token_key: str) -> None:
    answer = api().post(f"/api/v1/keys/{token_key}/grants", {"grantee": "nobody"})
    assert (answer.status_code, answer.json()["error"]) == (422, "grant_invalid")
    assert "no pack, action or sensor 'nobody'" in answer.json()["message"]
