"""Signing in, staying in, signing out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.access import services, tokens
from apps.access.errors import InvalidCredentials
from apps.access.models import ApiToken, AuditEntry, SignInFailures

pytestmark = pytest.mark.django_db


def sign_in(name: str = "viewer", password: str = "viewer-Password-1") -> Any:
    return APIClient().post("/auth/login", {"login": name, "password": password}, format="json")


def bearing(token: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


def test_a_login_gives_tokens_that_work_and_says_who_one_is(people: Callable[[str], Any]) -> None:
    user = people("viewer")
    session = sign_in().json()["data"]
    assert session["token_type"] == "Bearer"
    assert session["expires_in"] > 0
    assert session["user"] == {"id": user.pk, "login": "viewer", "display_name": ""}
    me = bearing(session["access_token"]).get("/auth/me").json()["data"]
    assert me["login"] == "viewer"
    assert me["assigned_permission_set_refs"] == ["viewer"]
    assert {"resource": "packs", "actions": ["read"]} in me["effective_permissions"]


def test_only_hashes_of_tokens_are_kept(people: Callable[[str], Any]) -> None:
    people("viewer")
    session = sign_in().json()["data"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM access_apitoken")
        kept = str(cursor.fetchall())
    assert session["access_token"] not in kept
    assert session["refresh_token"] not in kept


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("viewer", "wrong"),
        ("nobody", "viewer-Password-1"),
        ("viewer", "viewer-Password-1 "),
        ("VIEWER", "viewer-Password-1"),
    ],
)
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(
    people: Callable[[str], Any], name: str, password: str
) -> None:
    people("viewer")
    answer = sign_in(name, password)
    assert answer.status_code == 401
    assert answer.json() == {"error": "unauthorized", "message": "The name or the password is wrong."}


def test_a_refresh_gives_a_new_pair_and_ends_the_old_one(people: Callable[[str], Any]) -> None:
    people("viewer")
    old = sign_in().json()["data"]
    new = APIClient().post("/auth/refresh", {"refresh_token": old["refresh_token"]}, format="json").json()["data"]
    assert bearing(new["access_token"]).get("/auth/me").status_code == 200
    assert bearing(old["access_token"]).get("/auth/me").status_code == 401
    again = APIClient().post("/auth/refresh", {"refresh_token": old["refresh_token"]}, format="json")
    assert again.status_code == 401


def test_a_refresh_token_opens_nothing_else_and_an_access_token_refreshes_nothing(people: Callable[[str], Any]) -> None:
    people("viewer")
    session = sign_in().json()["data"]
    assert bearing(session["refresh_token"]).get("/auth/me").status_code == 401
    body = {"refresh_token": session["access_token"]}
    assert APIClient().post("/auth/refresh", body, format="json").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_two_who_come_with_one_refresh_token_one_is_let_in(people: Callable[[str], Any]) -> None:
    people("viewer")
    text = sign_in().json()["data"]["refresh_token"]
    got: list[bool] = []
    start = threading.Barrier(4)

    def come() -> None:
        start.wait()
        try:
            services.refresh(text, origin="127.0.0.1")
            got.append(True)
        except InvalidCredentials:
            got.append(False)
        finally:
            connection.close()

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False, False, False, True]


def test_a_logout_ends_both_tokens_of_this_session_and_no_other(people: Callable[[str], Any]) -> None:
    people("viewer")
    one, other = sign_in().json()["data"], sign_in().json()["data"]
    assert bearing(one["access_token"]).get("/auth/logout").status_code == 200
    assert bearing(one["access_token"]).get("/auth/me").status_code == 401
    assert APIClient().post("/auth/refresh", {"refresh_token": one["refresh_token"]}, format="json").status_code == 401
    assert bearing(other["access_token"]).get("/auth/me").status_code == 200


def test_a_token_that_is_over_or_whose_person_is_gone_is_401(people: Callable[[str], Any]) -> None:
    user = people("viewer")
    text, row = tokens.issue(user, ApiToken.Kind.PERSONAL, lifetime=timedelta(hours=1))
    assert bearing(text).get("/auth/me").status_code == 200
    ApiToken.objects.filter(pk=row.pk).update(expires_at=timezone.now())
    assert bearing(text).get("/auth/me").status_code == 401
    text, _ = tokens.issue(user, ApiToken.Kind.PERSONAL)
    user.is_active = False
    user.save()
    assert bearing(text).get("/auth/me").status_code == 401


def test_a_personal_token_opens_a_session_and_knows_when_it_was_used(people: Callable[[str], Any]) -> None:
    text, row = services.create_personal_token(people("viewer"), name="script", actor="test")
    session = APIClient().post("/auth/token-login", {"token": text}, format="json").json()["data"]
    assert bearing(session["access_token"]).get("/auth/me").status_code == 200
    row.refresh_from_db()
    assert row.last_used_at is not None
    assert APIClient().post("/auth/token-login", {"token": session["access_token"]}, format="json").status_code == 401


def test_changing_the_password_ends_the_other_sessions(people: Callable[[str], Any]) -> None:
    people("viewer")
    here, elsewhere = sign_in().json()["data"], sign_in().json()["data"]
    body = {"current_password": "viewer-Password-1", "new_password": "A-better-one-22"}
    answer = bearing(here["access_token"]).post("/auth/change-password", body, format="json")
    assert answer.json()["data"] == {"message": "The password is changed.", "success": True}
    assert bearing(here["access_token"]).get("/auth/me").status_code == 200
    assert bearing(elsewhere["access_token"]).get("/auth/me").status_code == 401
    assert sign_in().status_code == 401
    assert sign_in(password="A-better-one-22").status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "status"),
    [("wrong", "A-better-one-22", 401), ("viewer-Password-1", "short", 422), ("viewer-Password-1", "1234567890", 422)],
)
def test_a_password_is_not_changed_by_the_wrong_one_or_to_a_weak_one(
    people: Callable[[str], Any], current: str, new: str, status: int
) -> None:
    people("viewer")
    session = sign_in().json()["data"]
    body = {"current_password": current, "new_password": new}
    assert bearing(session["access_token"]).post("/auth/change-password", body, format="json").status_code == status
    assert sign_in().status_code == 200


def test_one_may_change_ones_own_name(people: Callable[[str], Any]) -> None:
    people("viewer")
    client = bearing(sign_in().json()["data"]["access_token"])
    answer = client.put("/auth/me", {"display_name": "Věra"}, format="json")
    assert answer.json()["data"]["display_name"] == "Věra"
    assert AuditEntry.objects.filter(action="user.update", target="viewer").exists()


def test_the_ways_to_sign_in_are_told_to_anybody() -> None:
    told = APIClient().get("/auth/settings").json()["data"]
    assert told["local_password_enabled"] is True
    assert told["oidc_enabled"] is False


def test_sign_ins_are_in_the_audit_log_without_any_password(people: Callable[[str], Any]) -> None:
    people("viewer")
    sign_in()
    sign_in(password="wrong-guess")
    entries = list(AuditEntry.objects.values("actor", "action", "origin"))
    assert {"actor": "viewer", "action": "auth.login", "origin": "127.0.0.1"} in entries
    assert {"actor": "viewer", "action": services.LOGIN_FAILED, "origin": "127.0.0.1"} in entries
    assert "wrong-guess" not in str(list(AuditEntry.objects.values()))


def test_in_the_admin_a_new_password_ends_the_sessions_of_the_api_as_well(
    people: Callable[[str], Any], client: Client
) -> None:
    new = {"new_password1": "A-new-Password-1", "new_password2": "A-new-Password-1"}
    people("viewer")
    mine = bearing(sign_in().json()["data"]["access_token"])
    client.force_login(people("viewer"))
    changed = client.post("/admin/password_change/", {"old_password": "viewer-Password-1", **new})
    assert changed.status_code == 302, changed.content.decode()
    assert mine.get("/auth/me").status_code == 401
    assert client.get("/admin/").status_code == 200, "this very session stays"
    theirs = bearing(sign_in("viewer", "A-new-Password-1").json()["data"]["access_token"])
    client.force_login(people("admin"))
    sent = {"usable_password": "true", "password1": "Another-Password-1", "password2": "Another-Password-1"}
    assert client.post(f"/admin/auth/user/{people('viewer').pk}/password/", sent).status_code == 302
    assert theirs.get("/auth/me").status_code == 401
    assert sign_in("viewer", "Another-Password-1").status_code == 200


def test_nobody_guesses_at_a_password_on_the_admins_page_to_change_it(
    people: Callable[[str], Any], client: Client
) -> None:
    client.force_login(people("viewer"))
    new = {"new_password1": "A-new-Password-1", "new_password2": "A-new-Password-1"}
    for _ in range(5):
        answer = client.post("/admin/password_change/", {"old_password": "wrong", **new})
        assert "Your old password was entered incorrectly" in answer.content.decode()
    SignInFailures.objects.update(wait_until=timezone.now() + timedelta(seconds=60))
    answer = client.post("/admin/password_change/", {"old_password": "viewer-Password-1", **new})
    assert "Too many failed attempts to sign in" in answer.content.decode()
    assert AuditEntry.objects.filter(action="auth.login_failed", actor="viewer").count() == 5
    assert people("viewer").check_password("viewer-Password-1")
