"""Personal tokens in their holder's own hands: made, listed and revoked over the API, never more than the holder is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from apps.access import services
from apps.access.models import ApiToken, AuditEntry
from apps.access.principals import Role
from apps.packs.definitions import CARRY_RIGHTS
from tests.access.world import limited, make_things, token_for

pytestmark = pytest.mark.django_db


def bearing(token: str) -> APIClient:
    made = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    made.default_format = "json"
    return made


def signed_in(person: Any) -> APIClient:
    """By their password."""
    return bearing(services._open_session(person).access_token)


def made(client: APIClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/auth/tokens", {"name": "script"} | body)
    assert answer.status_code == 201, answer.content
    return answer.json()["data"]


def test_a_token_is_made_listed_used_and_revoked(people: Callable[[str], Any]) -> None:
    client = signed_in(people("operator"))
    new = made(client, scope="viewer", expires_in_days=30)
    assert new["token"].startswith(new["prefix"]) and new["scope"] == "viewer" and new["expires_at"]
    user = bearing(new["token"])
    assert user.get("/auth/me").json()["data"]["role"] == "viewer"
    [listed] = client.get("/auth/tokens").json()["items"]
    assert listed["last_used_at"] and "token" not in listed and new["token"] not in str(listed)
    assert client.delete(f"/auth/tokens/{new['id']}").status_code == 200
    assert user.get("/auth/me").status_code == 401
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(actions)[-2:] == ["token.create", "token.revoke"]


def test_the_text_is_in_no_cache_and_in_no_log(people: Callable[[str], Any]) -> None:
    answer = signed_in(people("viewer")).post("/auth/tokens", {"name": "x"})
    assert answer["Cache-Control"] == "no-store"
    assert answer.json()["data"]["token"] not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scope": "editor"}, 400),
        ({"scope": "root"}, 422),
        ({"packs": ["beta"]}, 400),
        ({"packs": ["*"]}, 400),
        ({"packs": ["al*"]}, 400),
        ({"packs": ["No Pack"]}, 400),
        ({"expires_in_days": 0}, 422),
        ({"expires_in_days": 99999}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 101}, 422),
    ],
)
def test_a_token_beyond_its_holder_is_refused_with_a_sentence(body: dict[str, Any], status: int) -> None:
    client = signed_in(limited("anna", alpha=Role.OPERATOR))
    refused = client.post("/auth/tokens", {"name": "script"} | body)
    assert refused.status_code in (status, 422) and refused.json()["message"]
    assert not ApiToken.objects.filter(kind="personal").exists()


def test_a_token_may_be_limited_to_packs_and_so_is_all_that_comes_of_it(people: Callable[[str], Any]) -> None:
    make_things("alpha"), make_things("beta")
    new = made(signed_in(people("admin")), packs=["alpha"])
    session = APIClient().post("/auth/token-login", {"token": new["token"]}, format="json").json()["data"]
    later = APIClient().post("/auth/refresh", {"refresh_token": session["refresh_token"]}, format="json").json()["data"]
    for text in (new["token"], later["access_token"]):
        client = bearing(text)
        assert client.get("/api/v1/packs/alpha").status_code == 200
        assert client.get("/api/v1/packs/beta").status_code == 404
        assert client.post("/api/v1/packs/register", {"path": "/x"}).status_code == 403


@pytest.mark.parametrize("action_ref", sorted(CARRY_RIGHTS))
def test_no_run_carries_on_more_than_a_token_that_is_limited_to_packs(
    action_ref: str, people: Callable[[str], Any], make_action: Callable[..., Any]
) -> None:
    pack, name = action_ref.split(".")
    make_action("true", pack=pack, name=name)
    client = bearing(token_for(people("admin"), packs=[pack]))
    assert client.post("/api/v1/executions/execute", {"action_ref": action_ref}).status_code == 403


def test_a_token_never_has_more_than_its_holder_has_now(people: Callable[[str], Any]) -> None:
    make_things("alpha")
    person = people("editor")
    client = bearing(made(signed_in(person), scope="editor", packs=["alpha"])["token"])
    assert client.put("/api/v1/rules/alpha.rule", {"label": "x"}).status_code == 200
    person.groups.set([Group.objects.get(name="viewer")])
    assert client.put("/api/v1/rules/alpha.rule", {"label": "y"}).status_code == 403
    person.groups.clear()
    assert client.get("/api/v1/rules/alpha.rule").status_code == 403


def test_a_token_makes_no_other_and_neither_does_its_session(people: Callable[[str], Any]) -> None:
    client = signed_in(people("admin"))
    first, second = made(client), made(client)
    session = APIClient().post("/auth/token-login", {"token": first["token"]}, format="json").json()["data"]
    for text in (first["token"], session["access_token"]):
        assert bearing(text).post("/auth/tokens", {"name": "more"}).status_code == 403
        assert bearing(text).delete(f"/auth/tokens/{second['id']}").status_code == 403
    assert bearing(first["token"]).delete(f"/auth/tokens/{first['id']}").status_code == 200  # but it may end itself


def test_a_revoked_token_takes_the_sessions_with_it_that_were_opened_with_it(people: Callable[[str], Any]) -> None:
    client = signed_in(people("admin"))
    new = made(client)
    session = APIClient().post("/auth/token-login", {"token": new["token"]}, format="json").json()["data"]
    later = APIClient().post("/auth/refresh", {"refresh_token": session["refresh_token"]}, format="json").json()["data"]
    assert bearing(later["access_token"]).get("/auth/me").status_code == 200
    client.delete(f"/auth/tokens/{new['id']}")
    assert bearing(later["access_token"]).get("/auth/me").status_code == 401
    again = APIClient().post("/auth/refresh", {"refresh_token": later["refresh_token"]}, format="json")
    assert again.status_code == 401


def test_a_session_does_not_outlast_the_token_it_was_opened_with(people: Callable[[str], Any]) -> None:
    new = made(signed_in(people("admin")), expires_in_days=1)
    APIClient().post("/auth/token-login", {"token": new["token"]}, format="json")
    end = ApiToken.objects.get(pk=new["id"]).expires_at
    opened = ApiToken.objects.filter(made_from=new["id"])
    assert opened.count() == 2 and all(row.expires_at <= end for row in opened)  # type: ignore[operator]


def test_nobody_lists_or_revokes_the_tokens_of_others(people: Callable[[str], Any]) -> None:
    theirs = made(signed_in(people("admin")))
    client = signed_in(people("editor"))
    assert client.get("/auth/tokens").json()["items"] == []
    assert client.delete(f"/auth/tokens/{theirs['id']}").status_code == 404
    session = ApiToken.objects.filter(user=people("editor"), kind="access").get()
    assert client.delete(f"/auth/tokens/{session.pk}").status_code == 404  # a session is no personal token
