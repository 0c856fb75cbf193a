"""A key's page: whom it is granted to, where it is named, who read it last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from apps.access.models import AuditEntry
from apps.packs import keys
from apps.packs.models import Action, Key, KeyGrant, Pack

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]


@pytest.fixture
def key() -> Key:
    pack = Pack.objects.create(ref="jira", label="Jira")
    Action.objects.create(ref="jira.act", pack=pack, entry_point="act.sh", secrets=["token"])
    Pack.objects.create(ref="slack", label="Slack")
    key = keys.write(local_ref="token", owner_type="pack", owner_ref="jira", value="deep-secret", actor="t")
    keys.read(key, reader="execution 12")
    return key


def do(key: Key, command: str) -> str:
    return reverse("admin:packs_key_do", args=[key.pk, command])


def page_of(client: Any, key: Key) -> str:
    return client.get(reverse("admin:packs_key_change", args=[key.pk])).content.decode()


def test_an_administrator_grants_a_key_and_takes_it_back(sign_in: Callable[..., Any], key: Key) -> None:
    client = sign_in()
    client.post(do(key, "grant"), {"grantee": " slack "})
    assert KeyGrant.objects.get().grantee == "slack"
    assert "slack" in page_of(client, key)
    client.post(do(key, "revoke"), {"grantee": "slack"})
    assert not KeyGrant.objects.exists()
    said = AuditEntry.objects.filter(action__in=["key.grant", "key.revoke"]).values_list("actor", flat=True)
    assert list(said) == ["admin", "admin"]


def test_a_grant_to_nobody_says_so(sign_in: Callable[..., Any], key: Key) -> None:
    client = sign_in()
    answer = client.post(do(key, "grant"), {"grantee": "<b>nobody</b>"}, follow=True)
    assert "There is no pack, action or sensor" in answer.content.decode()
    assert "<b>nobody</b>" not in answer.content.decode()


def test_the_page_says_where_the_key_is_named_and_who_read_it(sign_in: Callable[..., Any], key: Key) -> None:
    shown = page_of(sign_in(), key)
    assert "execution 12" in shown and reverse("admin:packs_action_change", args=["jira.act"]) in shown
    assert "deep-secret" not in shown


def test_who_is_no_administrator_sees_no_uses_and_grants_nothing(sign_in: Callable[..., Any], key: Key) -> None:
    client = sign_in("editor")
    assert "Where it is named" not in page_of(client, key)
    for command in ("grant", "revoke", "close", "open"):
        assert client.post(do(key, command), {"grantee": "slack"}).status_code == 403
    assert not KeyGrant.objects.exists()


def test_a_system_key_is_opened_and_closed_by_a_button(sign_in: Callable[..., Any]) -> None:
    key, client = keys.write(local_ref="smtp", value=1, actor="t"), sign_in()
    assert "For all that name it" in page_of(client, key)
    client.post(do(key, "open"))
    key.refresh_from_db()
    assert not key.granted_only and "Only for what it is granted to" in page_of(client, key)
    client.post(do(key, "close"))
    key.refresh_from_db()
    assert key.granted_only


@pytest.mark.parametrize(("ticked", "granted_only"), [({}, True), ({"is_open": "on"}, False)])
def test_a_system_key_from_the_form_is_for_those_it_is_granted_to_unless_one_says_otherwise(
    sign_in: Callable[..., Any], ticked: dict[str, str], granted_only: bool
) -> None:
    sent = {"name": "smtp", "owner_type": "system", "value": "v"} | ticked
    page = sign_in().post(reverse("admin:packs_key_add"), sent, follow=True).content.decode()
    assert Key.objects.get(ref="system.smtp").granted_only is granted_only
    assert "{{ key.system.smtp }}" in page  # which a rule finds it by
