"""What the audit log has: who came and went, who was refused, by which request; and that nobody can fill it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.access import refusals, services, tokens
from apps.access.models import ApiToken, AuditEntry
from attune.lib import floods

pytestmark = pytest.mark.django_db


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything happens in one and the same second."""
    monkeypatch.setattr(floods.time, "monotonic", lambda: 1000.0)


def sign_in(name: str, password: str, address: str = "10.0.0.1") -> Any:
    body = {"login": name, "password": password}
    return APIClient(REMOTE_ADDR=address).post("/auth/login", body, format="json")


def bearing(user: Any) -> APIClient:
    text, _ = tokens.issue(user, ApiToken.Kind.PERSONAL)
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {text}", HTTP_USER_AGENT="a script/1.0")


def test_a_failed_sign_in_says_which_name_was_tried_from_where_and_never_the_password() -> None:
    assert sign_in("mallory", "a guessed one").status_code == 401
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.origin) == ("auth.login_failed", "mallory", "10.0.0.1")
    assert (entry.category, entry.outcome, entry.http_status) == ("auth", "failure", 401)
    assert "guessed" not in str(AuditEntry.objects.values())


def test_signing_out_is_in_the_log_in_the_api_and_in_the_admin(people: Callable[[str], Any]) -> None:
    people("admin")
    token = sign_in("admin", "admin-Password-1").json()["data"]["access_token"]
    APIClient(HTTP_AUTHORIZATION=f"Bearer {token}").get("/auth/logout")
    browser = Client()
    form = {"username": "admin", "password": "admin-Password-1"}
    assert browser.post(reverse("admin:login"), form).status_code == 302
    assert browser.post(reverse("admin:logout")).status_code in (200, 302)
    assert browser.get(reverse("admin:index")).status_code == 302
    said = list(AuditEntry.objects.order_by("pk").values_list("action", "actor", "identity"))
    number = people("admin").pk
    assert said == [(word, "admin", number) for word in ("auth.login", "auth.logout") * 2]


def test_a_personal_token_that_is_not_valid_is_in_the_log() -> None:
    APIClient().post("/auth/token-login", {"token": "att_wrong"}, format="json")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.outcome) == ("auth.token_login_failed", "failure")
    assert "att_wrong" not in str(AuditEntry.objects.values())


def test_guesses_from_very_many_addresses_do_not_fill_the_log(one_second: None) -> None:
    for number in range(100):
        assert sign_in(f"anna{number}", "wrong", f"10.0.1.{number}").status_code == 401
    assert AuditEntry.objects.count() == services._flood.most_a_second


def test_the_next_line_after_a_flood_tells_how_many_were_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(floods.time, "monotonic", lambda: now)
    for number in range(13):
        sign_in(f"anna{number}", "wrong", f"10.0.1.{number}")
    now += 1
    sign_in("anna", "wrong")
    assert AuditEntry.objects.first().after == {"more_like_it": 3}  # type: ignore[union-attr]


def test_a_refusal_of_somebody_signed_in_is_in_the_log_once(people: Callable[[str], Any]) -> None:
    client = bearing(people("viewer"))
    answer = client.post("/api/v1/keys", {}, format="json")
    assert answer.status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.target) == ("access.denied", "viewer", "/api/v1/keys")
    assert (entry.category, entry.outcome, entry.http_status) == ("rbac", "denied", 403)
    assert (entry.http_method, entry.came_with, entry.user_agent) == ("POST", "token", "a script/1.0")
    assert entry.request_id == answer["X-Request-ID"]


def test_a_refusal_in_the_admin_is_in_the_log_too(people: Callable[[str], Any]) -> None:
    client = Client()
    client.force_login(people("viewer"))
    address = reverse("admin:access_auditentry_changelist")
    assert client.get(address).status_code == 403
    assert list(AuditEntry.objects.values_list("action", "actor", "target")) == [("access.denied", "viewer", address)]


def test_a_stranger_leaves_no_refusal() -> None:
    assert APIClient().get("/api/v1/keys").status_code == 401
    assert APIClient(HTTP_AUTHORIZATION="Bearer wrong").get("/api/v1/keys").status_code == 401
    assert not AuditEntry.objects.exists()


def test_a_flood_of_refusals_is_few_lines(people: Callable[[str], Any], one_second: None) -> None:
    client = bearing(people("viewer"))
    for _ in range(30):
        client.post("/api/v1/keys", {}, format="json")
    assert AuditEntry.objects.count() == refusals._flood.most_a_second


def test_an_address_that_cannot_be_kept_is_refused_all_the_same(people: Callable[[str], Any]) -> None:
    address = "/api/v1/keys/" + "%00ä" + "x" * 5000
    assert bearing(people("viewer")).delete(address).status_code == 403
    assert len(AuditEntry.objects.get().target) == 300
