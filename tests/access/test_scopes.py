"""What a token may do: its scope can only take away from its holder's role; programs have accounts of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from apps.access import services
from apps.access.models import ApiToken, AuditEntry
from apps.access.principals import Role, principal_for
from apps.executions.models import Execution
from apps.packs.definitions import CARRY_RIGHTS
from attune.lib.errors import InvalidInput
from tests.api.runs import running_execution

pytestmark = pytest.mark.django_db

NEW_PACK = {"ref": "scoped", "label": "Scoped", "version": "1.0.0"}


def bearing(token: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


def role_with(token: str) -> Any:
    return bearing(token).get("/auth/me").json()["data"]["role"]


@pytest.mark.parametrize("held", list(Role))
@pytest.mark.parametrize("scope", list(Role))
def test_a_token_has_the_lower_one_of_its_scope_and_its_holders_role(
    held: Role, scope: Role, people: Callable[[str], Any]
) -> None:
    assert principal_for(people(held.group), scope=scope.group).role == min(held, scope)
    assert principal_for(people(held.group)).role == held


@pytest.mark.parametrize(("scope", "status"), [("viewer", 403), ("operator", 403), ("editor", 201), ("", 201)])
def test_a_scope_holds_at_the_door_and_in_the_session_and_all_that_follow(
    scope: str, status: int, people: Callable[[str], Any]
) -> None:
    text, _ = services.create_personal_token(people("admin"), name="script", scope=scope, actor="test")
    session = APIClient().post("/auth/token-login", {"token": text}, format="json").json()["data"]
    later = APIClient().post("/auth/refresh", {"refresh_token": session["refresh_token"]}, format="json").json()["data"]
    assert role_with(text) == role_with(later["access_token"]) == (scope or "admin")
    assert bearing(later["access_token"]).post("/api/v1/packs", NEW_PACK, format="json").status_code == status
    assert bearing(text).delete("/api/v1/packs/scoped").status_code == (403 if status == 403 else 200)


def test_a_scope_does_not_outlast_its_holders_role(people: Callable[[str], Any]) -> None:
    user = people("editor")
    text, _ = services.create_personal_token(user, name="script", scope="editor", actor="test")
    user.groups.set([Group.objects.get_or_create(name="viewer")[0]])
    assert role_with(text) == "viewer"
    user.groups.clear()
    assert role_with(text) is None
    assert bearing(text).get("/api/v1/packs").status_code == 403


@pytest.mark.parametrize("scope", ["admin", "editor", "root", "VIEWER", "viewer "])
def test_a_scope_above_its_holders_role_or_unknown_is_refused(scope: str, people: Callable[[str], Any]) -> None:
    with pytest.raises(InvalidInput, match="operator holds the role operator"):
        services.create_personal_token(people("operator"), name="script", scope=scope, actor="test")
    assert not ApiToken.objects.exists() and not AuditEntry.objects.exists()


@pytest.mark.parametrize("action_ref", sorted(CARRY_RIGHTS))
def test_a_run_does_not_give_a_token_the_right_that_its_scope_took_away(
    action_ref: str, people: Callable[[str], Any], make_action: Callable[..., Any]
) -> None:
    pack, name = action_ref.split(".")
    make_action("true", pack=pack, name=name)
    narrow, _ = services.create_personal_token(people("admin"), name="narrow", scope="operator", actor="test")
    whole, _ = services.create_personal_token(people("admin"), name="whole", scope="admin", actor="test")
    body = {"action_ref": action_ref, "parameters": {}}

    def status(token: str, path: str) -> int:
        return bearing(token).post(f"/api/v1/executions/{path}", body, format="json").status_code

    assert status(narrow, "execute") == 403
    assert status(whole, "execute") == 201
    former, _ = running_execution(action_ref=action_ref, pack_ref=pack, requested_by=people("admin"))
    assert status(narrow, f"{former.pk}/rerun") == 403
    assert Execution.objects.count() == 2


def test_a_service_account_has_a_role_and_a_token_and_no_password() -> None:
    out = StringIO()
    call_command("service_account", "deploy", "--role", "operator", "--days", "30", stdout=out, stderr=StringIO())
    text = out.getvalue().strip()
    assert role_with(text) == "operator"
    account = get_user_model().objects.get(username="deploy")
    assert not account.has_usable_password() and not account.is_staff and not account.is_superuser
    token = ApiToken.objects.get(user=account)
    assert token.expires_at is not None and token.expires_at - token.created > timedelta(days=29)
    for password in ("", "!", account.password):
        body = {"login": "deploy", "password": password}
        assert APIClient().post("/auth/login", body, format="json").status_code in (401, 422)
    assert list(AuditEntry.objects.order_by("id").values_list("actor", "action")[:2]) == [
        ("command", "user.create"),
        ("command", "token.create"),
    ]
    assert text not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["viewer", "--role", "viewer"], "There is a user viewer already"),
        (["", "--role", "viewer"], "is no name of a user"),
        (["a b", "--role", "viewer"], "is no name of a user"),
        (["x" * 151, "--role", "viewer"], "is no name of a user"),
        (["new", "--role", "root"], "invalid choice"),
        (["new"], "required"),
        (["new", "--role", "viewer", "--days", "0"], "from 1 to 3650"),
        (["new", "--role", "viewer", "--days", "99999999999"], "from 1 to 3650"),
    ],
)
def test_a_service_account_that_cannot_be_is_refused_with_a_sentence(
    given: list[str], words: str, people: Callable[[str], Any]
) -> None:
    people("viewer")
    with pytest.raises(CommandError, match=words):
        call_command("service_account", *given)
    assert get_user_model().objects.count() == 1 and not ApiToken.objects.exists()
