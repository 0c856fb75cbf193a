"""Single sign-on against a real OpenID provider: who comes in, as what, and every way in which one does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from django.conf import settings as attune_settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from playwright.sync_api import expect

from apps.access import rights, throttle
from apps.access.models import AuditEntry, Identity, PackAccess
from apps.access.principals import Role, role_of
from apps.access.sso import configuration
from apps.access.sso.configuration import Admission, Oidc
from apps.access.sso.provider import provider_of
from apps.access.views import sign_on
from tests.access.conftest import OidcProvider
from tests.live import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]

BY_GROUP = Admission(roles=(("ops", "operator"), ("it-staff", "admin"), ("readers", "viewer")))
OPS = {"groups": ["choir", "ops"]}


@pytest.fixture(autouse=True)
def configured(settings: Any, oidc_process: OidcProvider) -> Callable[..., Oidc]:
    """This installation as a client of the provider; a call changes how."""
    settings.ATTUNE_API_URL = "http://testserver"

    def configure(**how: Any) -> Oidc:
        settings.OIDC = Oidc(
            **{
                "issuer": oidc_process.issuer,
                "client_id": oidc_process.client_id,
                "client_secret": oidc_process.client_secret,
                "scopes": "openid profile email",
                "name": "Example",
                "username_claim": "preferred_username",
                "groups_claim": "groups",
                "admission": BY_GROUP,
            }
            | how
        )
        settings.AUTHENTICATION_BACKENDS = configuration.backends(settings.OIDC, None, local_login=True)
        provider_of.cache_clear()
        return settings.OIDC

    configure()
    return configure


class Browser:
    """One browser: what Attune gave it, and what the provider gave it."""

    def __init__(self, name: str = "anna") -> None:
        self.here, self.there, self.name = Client(), httpx.Client(verify=False), name

    def leave(self, redirect_to: str | None = None) -> str:
        """Where Attune sends it."""
        answer = self.here.get("/auth/oidc/login", {"redirect_to": redirect_to} if redirect_to else {})
        assert answer.status_code == 302, answer.content.decode()
        return answer["Location"]

    def visit(self, address: str) -> dict[str, str]:
        """Sign in at the provider; what it sends back."""
        issuer = attune_settings.OIDC.issuer
        self.there.get(f"{issuer.removesuffix('/o')}/login/", params={"as": self.name})
        back = self.there.get(address).headers["location"]
        assert back.startswith("http://testserver/auth/callback?")
        return dict(parse_qsl(urlsplit(back).query))

    def return_with(self, answer: dict[str, str]) -> Any:
        return self.here.get("/auth/callback", answer)

    def sign_on(self, redirect_to: str | None = None) -> Any:
        return self.return_with(self.visit(self.leave(redirect_to)))

    def is_in(self) -> bool:
        return "_auth_user_id" in self.here.session


def sentence(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def refused(browser: Browser, answer: Any, status: int, reason: str) -> None:
    """Not let in, with this status, and the audit log says why."""
    assert answer.status_code == status, sentence(answer)
    assert not browser.is_in() and not Identity.objects.exists()
    entry = AuditEntry.objects.filter(action="auth.login_failed").first()
    assert entry is not None and re.search(reason, entry.after["reason"]), entry and entry.after
    assert entry.outcome == ("denied" if status == 403 else "failure") and entry.http_status == status
    assert entry.origin == "127.0.0.1" and not AuditEntry.objects.filter(action="auth.login").exists()


# Who comes in --------------------------------------------------------------------------------------------------------
def test_somebody_new_gets_an_account_and_the_role_of_their_groups(provider):
    provider(claims=OPS)
    browser = Browser()
    answer = browser.sign_on("/admin/rules/rule/?enabled=1")
    assert answer.status_code == 302 and answer["Location"] == "/admin/rules/rule/?enabled=1"
    user = User.objects.get(username="anna")
    assert role_of(user) == Role.OPERATOR and user.is_staff and not user.is_superuser
    assert user.email == "anna@example.org" and user.first_name == "Anna" and not user.has_usable_password()
    assert [(each.issuer, each.subject) for each in user.identities.all()] == [
        (attune_settings.OIDC.issuer, "id-of-anna")
    ]
    assert browser.here.get("/admin/").status_code == 200
    assert browser.here.session.get_expiry_age() <= attune_settings.ATTUNE_SIGN_ON_SESSION
    told = {entry.action: entry for entry in AuditEntry.objects.all()}
    assert told["auth.login"].actor == "anna" and told["auth.login"].after["subject"] == "id-of-anna"
    assert told["user.create"].target == "anna" and told["user.update"].after["groups"] == ["operator"]
    me = browser.here.get("/auth/me").json()["data"]
    assert me["auth_provider"] == "oidc" and me["is_local"] is False and me["can_change_password"] is False


def test_the_code_is_asked_for_with_pkce_state_and_nonce_and_no_secret(provider):
    provider(claims=OPS)
    asked = [parse_qs(urlsplit(Browser().leave()).query) for _ in range(2)]
    for query in asked:
        assert query["response_type"] == ["code"] and query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == ["http://testserver/auth/callback"]
        assert attune_settings.OIDC.client_secret not in str(query)
    for name in ("state", "nonce", "code_challenge"):
        one, other = (query[name][0] for query in asked)
        assert len(one) >= 43 and one != other


def test_the_provider_decides_the_role_anew_at_each_sign_in(provider):
    for groups, role in (["ops"], Role.OPERATOR), (["it-staff", "ops"], Role.ADMIN), (["readers"], Role.VIEWER):
        provider(claims={"groups": groups})
        assert Browser().sign_on().status_code == 302
        assert role_of(User.objects.get(username="anna")) == role
    assert User.objects.get(username="anna").groups.count() == 1


def test_whose_groups_give_no_role_any_more_loses_all_rights_at_once(provider, monkeypatch):
    provider(claims=OPS)
    before = Browser()
    before.sign_on()
    heard: list[Any] = []
    monkeypatch.setattr(rights, "WATCHERS", [heard.append])  # rules of theirs are looked at anew
    before.sign_on()
    assert heard == []
    provider(claims={"groups": ["choir"]})
    answer = Browser().sign_on()
    assert len(heard) == 1
    assert answer.status_code == 403 and "None of your groups gives you a role here" in sentence(answer)
    user = User.objects.get(username="anna")
    assert role_of(user) is None and not user.is_staff
    assert before.here.get("/admin/").status_code == 302  # the session that they had
    assert AuditEntry.objects.filter(action="user.update").first().after["groups"] == []


def test_a_role_in_some_packs_does_not_make_up_for_none_at_the_provider(provider):
    provider(claims=OPS)
    Browser().sign_on()
    PackAccess.objects.create(user=User.objects.get(username="anna"), pack="core", role="viewer")
    assert Browser().sign_on().status_code == 302
    provider(claims={"groups": []})
    assert Browser().sign_on().status_code == 403


def test_whose_groups_give_no_role_is_not_even_written_down(provider):
    provider(claims={"groups": ["choir"]})
    browser = Browser()
    refused(browser, browser.sign_on(), 403, "No role for anna .*; groups: choir")
    assert not User.objects.filter(username="anna").exists()


def test_a_default_role_is_what_those_get_whose_groups_say_nothing(provider, configured):
    configured(admission=replace(BY_GROUP, default_role="viewer"))
    provider(claims={"groups": None})
    Browser().sign_on()
    assert role_of(User.objects.get(username="anna")) == Role.VIEWER


def test_without_a_map_of_groups_roles_are_an_administrators_business_here(provider, configured, people):
    configured(admission=Admission(default_role="viewer"))
    provider(claims=OPS)
    Browser().sign_on()
    user = User.objects.get(username="anna")
    assert role_of(user) == Role.VIEWER
    user.groups.set(people("editor").groups.all())
    Browser().sign_on()
    assert role_of(user) == Role.EDITOR
    user.groups.clear()
    assert Browser().sign_on().status_code == 403


@pytest.mark.parametrize("claim", ["resource_access.attune.roles", "https://example.org/roles"])
def test_groups_may_be_deeper_down_or_named_by_an_address(claim, provider, configured):
    configured(groups_claim=claim)
    nested = {"resource_access": {"attune": {"roles": ["ops"]}}} if claim.startswith("res") else {claim: "ops"}
    provider(claims=nested)
    assert Browser().sign_on().status_code == 302


def test_what_is_not_in_the_token_is_asked_for_but_only_of_the_same_person(provider):
    how = {"claims": {"groups": None}, "forge": {"claims": {"preferred_username": None}}}
    provider(**how, userinfo={"groups": ["ops"]})
    assert Browser().sign_on().status_code == 302
    assert role_of(User.objects.get(username="anna")) == Role.OPERATOR
    provider(**how, userinfo={"groups": ["it-staff"], "sub": "id-of-otto"})
    answer = Browser("vera").sign_on()
    assert answer.status_code == 401 and not User.objects.filter(username="vera").exists()


def test_nothing_more_is_asked_for_where_the_token_says_it_all(provider):
    process = provider(claims=OPS)
    Browser().sign_on()
    assert "/o/token/" in process.asked() and "/o/userinfo/" not in process.asked()


def test_accounts_can_be_made_by_administrators_alone_and_linked(provider, configured, people):
    configured(admission=replace(BY_GROUP, create_users=False))
    provider(claims=OPS)
    browser = Browser("viewer")
    people("viewer")
    refused(browser, browser.sign_on(), 403, "There is no account of viewer .id-of-viewer at .*none are made")
    call_command("link_sign_on", "viewer", "id-of-viewer")
    assert browser.sign_on().status_code == 302
    assert role_of(User.objects.get(username="viewer")) == Role.OPERATOR  # the provider decides from now on
    assert AuditEntry.objects.filter(action="user.link", target="viewer", actor="command").exists()
    with pytest.raises(CommandError, match="There is no user nobody"):
        call_command("link_sign_on", "nobody", "id-of-nobody")


def test_an_account_that_is_switched_off_stays_off_and_as_it_is(provider):
    provider(claims=OPS)
    browser = Browser()
    browser.sign_on()
    User.objects.filter(username="anna").update(is_active=False)
    assert browser.here.get("/admin/").status_code == 302
    provider(claims={"groups": ["it-staff"]})
    answer = Browser().sign_on()
    assert answer.status_code == 403 and "switched off" in sentence(answer)
    assert [group.name for group in User.objects.get(username="anna").groups.all()] == ["operator"]


def test_a_key_of_the_provider_that_is_new_is_fetched(provider, configured):
    provider(claims=OPS)
    Browser().sign_on()
    keys = provider_of(attune_settings.OIDC)._keys
    assert keys is not None
    for key in keys.keys:
        key.ensure_kid()
        key._dict_value["kid"] = "former"
    assert Browser().sign_on().status_code == 302


# Whose account it is -------------------------------------------------------------------------------------------------
def test_neither_a_name_nor_an_address_opens_the_account_of_somebody_else(provider, people):
    victim = people("admin")
    User.objects.filter(pk=victim.pk).update(email="admin@example.org")
    provider(claims={**OPS, "email": "admin@example.org"})
    browser = Browser("admin")
    refused(browser, browser.sign_on(), 403, "The name of admin .* is taken. To link: manage.py link_sign_on admin")
    other = Browser("mallory")
    assert other.sign_on().status_code == 302
    assert other.here.get("/auth/me").json()["data"]["login"] == "mallory"
    provider(claims={**OPS, "preferred_username": "ADMIN"})
    assert Browser("trudy").sign_on().status_code == 403
    assert not Identity.objects.filter(user=victim).exists() and role_of(victim) == Role.ADMIN


def test_who_takes_anothers_name_at_the_provider_still_gets_their_own_account(provider):
    provider(claims=OPS)
    Browser().sign_on()
    provider(claims={**OPS, "preferred_username": "otto"})
    browser = Browser()
    browser.sign_on()
    assert browser.here.get("/auth/me").json()["data"]["login"] == "anna"
    provider(claims={**OPS, "preferred_username": "anna"})
    assert Browser("otto").sign_on().status_code == 403


def test_the_same_subject_of_another_issuer_is_somebody_else(provider, people):
    Identity.objects.create(user=people("admin"), issuer="https://another.example.org", subject="id-of-anna")
    provider(claims=OPS)
    Browser().sign_on()
    assert Identity.objects.get(issuer=attune_settings.OIDC.issuer).user.username == "anna"


@pytest.mark.parametrize("verified", [False, None, "false", 1])
def test_an_address_that_the_provider_has_not_verified_is_nobodys(verified, provider, configured):
    provider(claims={**OPS, "email": "boss@example.org", "email_verified": verified})
    Browser().sign_on()
    assert User.objects.get(username="anna").email == ""


@pytest.mark.parametrize("verified", [False, None, "false", 1])
def test_an_address_that_is_not_verified_is_not_taken_for_a_name_either(verified, provider, configured):
    configured(username_claim="email")
    provider(claims={**OPS, "email": "boss@example.org", "email_verified": verified})
    browser = Browser()
    refused(browser, browser.sign_on(), 403, "e-mail address of id-of-anna is not verified")
    provider(claims={**OPS, "email": "boss@example.org"})
    assert browser.sign_on().status_code == 302
    assert User.objects.get().username == "boss@example.org"


@pytest.mark.parametrize("name", ["", "a b/c", "x" * 151, "nul\0byte", "<script>", None, 7])
def test_a_name_that_cannot_be_one_is_refused_with_a_sentence(name, provider):
    provider(claims={**OPS, "preferred_username": name}, userinfo={"preferred_username": name})
    browser = Browser()
    refused(browser, browser.sign_on(), 403, "id-of-anna at")


@pytest.mark.parametrize("claims", [{"name": "x\0y"}, {"email": "no address"}, {"groups": ["ops", "a\0b", 7, None]}])
def test_odd_claims_do_no_harm(claims, provider):
    provider(claims=OPS | claims)
    assert Browser().sign_on().status_code == 302


@pytest.mark.parametrize("subject", ["", "x" * 256, "nul\0byte", 7, ["id-of-anna"]])
def test_a_subject_that_cannot_be_kept_is_refused(subject, provider):
    provider(claims=OPS, forge={"claims": {"sub": subject}})
    browser = Browser()
    refused(browser, browser.sign_on(), 401, "subject|sub|somebody else")


# Tokens that are not to be trusted -----------------------------------------------------------------------------------
LIES = {
    "no signature": ({"by": "none"}, "UnsupportedAlgorithm|unsupported_algorithm|none"),
    "HS256 with the public key": ({"by": "public key"}, "unsupported_algorithm|HS256"),
    "HS256 with the client secret": ({"by": "client secret"}, "unsupported_algorithm|HS256"),
    "another key under the known name": ({"by": "another key"}, "bad_signature"),
    "a key that the token brings along": ({"by": "key in the token"}, "invalid_key_type|bad_signature|key"),
    "a key that nobody knows": ({"by": "unknown key"}, "invalid_key_id|kid"),
    "a body that was not signed": ({"by": "the signature before", "claims": {"sub": "boss"}}, "bad_signature"),
    "no ID token at all": ({"by": "nobody"}, "no ID token"),
    "another issuer": ({"claims": {"iss": "https://evil.example.org"}}, "iss"),
    "no issuer": ({"claims": {"iss": None}}, "iss"),
    "another audience": ({"claims": {"aud": "another-client"}}, "aud"),
    "an audience with us among others, issued to another": (
        {"claims": {"aud": ["attune", "another"], "azp": "another"}},
        "azp",
    ),
    "an audience with us among others, issued to nobody": ({"claims": {"aud": ["attune", "another"]}}, "azp"),
    "another audience, said to be issued to us": ({"claims": {"aud": ["another"], "azp": "attune"}}, "aud"),
    "no audience": ({"claims": {"aud": None}}, "aud"),
    "another nonce": ({"claims": {"nonce": "of another sign-in"}}, "nonce"),
    "no nonce": ({"claims": {"nonce": None}}, "nonce"),
    "an end that is past": ({"later": -36_000 - 61}, "expired|exp"),
    "no end": ({"claims": {"exp": None}}, "exp"),
    "a beginning in the future": ({"claims": {"iat": 9_999_999_999}}, "iat|future"),
    "not valid yet": ({"claims": {"nbf": 9_999_999_999}}, "nbf|not yet"),
    "the hash of another access token": ({"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, "at_hash"),
    "no subject": ({"claims": {"sub": None}}, "sub"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_with_a_fault_lets_nobody_in(lie, provider):
    forged, reason = LIES[lie]
    provider(claims=OPS, forge=forged)
    browser = Browser()
    answer = browser.sign_on()
    assert "cannot be trusted" in sentence(answer)
    refused(browser, answer, 401, reason)


def test_a_token_with_a_small_difference_of_clocks_is_good(provider):
    provider(claims=OPS, forge={"later": 30})
    assert Browser().sign_on().status_code == 302


# Answers that are not to what this browser asked ---------------------------------------------------------------------
def test_an_answer_that_another_browser_asked_for_signs_nobody_in(provider):
    """Who is sent to the attacker's answer must not end up in the attacker's account."""
    provider(claims=OPS)
    attacker = Browser("mallory")
    answer = attacker.visit(attacker.leave())
    for victim in (Browser(), Browser()):
        refused(victim, victim.return_with(answer), 401, "state")
        victim.leave()  # has one of their own under way
    assert attacker.return_with(answer).status_code == 302


@pytest.mark.parametrize("state", [None, "", "made-up"])
def test_an_answer_without_the_state_is_refused_and_asks_the_provider_nothing(state, provider):
    process = provider(claims=OPS)
    browser = Browser()
    answer = browser.visit(browser.leave()) | {"state": state}
    refused(browser, browser.return_with({k: v for k, v in answer.items() if v is not None}), 401, "state")
    assert "/o/token/" not in process.asked()


def test_a_cookie_that_we_did_not_write_counts_for_nothing(provider):
    provider(claims=OPS)
    browser = Browser()
    answer = browser.visit(browser.leave())
    kept = browser.here.cookies[sign_on._cookie()]
    kept.set(kept.key, kept.value[:-2] + "xx", kept.value[:-2] + "xx")
    refused(browser, browser.return_with(answer), 401, "state")


def test_an_answer_that_comes_too_late_is_refused(provider, monkeypatch):
    provider(claims=OPS)
    browser = Browser()
    answer = browser.visit(browser.leave())
    monkeypatch.setattr(sign_on, "PATIENCE", -1)
    refused(browser, browser.return_with(answer), 401, "state")


def test_a_code_counts_once(provider):
    provider(claims=OPS)
    browser = Browser()
    answer = browser.visit(browser.leave())
    cookie = browser.here.cookies[sign_on._cookie()].value
    assert browser.return_with(answer).status_code == 302
    again = Browser()
    assert again.return_with(answer).status_code == 401  # the cookie is gone
    again.here.cookies[sign_on._cookie()] = cookie
    assert again.return_with(answer).status_code == 401  # and with it the provider says no
    assert not again.is_in()
    assert "invalid_grant" in AuditEntry.objects.filter(action="auth.login_failed").first().after["reason"]


def test_a_code_that_was_got_with_another_verifier_is_worth_nothing(provider):
    """A stolen code cannot be put into a sign-in of one's own."""
    provider(claims=OPS)
    victim, thief = Browser(), Browser("mallory")
    stolen = victim.visit(victim.leave())["code"]
    answer = thief.visit(thief.leave()) | {"code": stolen}
    refused(thief, thief.return_with(answer), 401, "invalid_grant")


def test_an_answer_that_says_it_is_from_another_provider_is_refused(provider):
    provider(claims=OPS)
    browser = Browser()
    answer = browser.visit(browser.leave()) | {"iss": "https://evil.example.org"}
    refused(browser, browser.return_with(answer), 401, "from https://evil.example.org")
    good = browser.visit(browser.leave()) | {"iss": attune_settings.OIDC.issuer}
    assert browser.return_with(good).status_code == 302


def test_a_provider_that_says_who_it_is_must_say_it(provider):
    process = provider(claims=OPS, metadata={"authorization_response_iss_parameter_supported": True})
    browser = Browser()
    refused(browser, browser.return_with(browser.visit(browser.leave())), 401, "from nobody")
    assert "/o/token/" not in process.asked()


def test_who_says_no_at_the_provider_is_told_so(provider):
    provider(claims=OPS)
    browser = Browser()
    state = parse_qs(urlsplit(browser.leave()).query)["state"][0]
    answer = browser.return_with({"error": "access_denied\n<b>", "state": state, "error_description": "<script>"})
    assert "did not let you in" in sentence(answer) and "<script>" not in sentence(answer)
    refused(browser, answer, 403, r"access_denied\?<b>")


@pytest.mark.parametrize(
    "address",
    [
        *("https://evil.example.org/", "//evil.example.org", "///evil.example.org", r"/\evil.example.org", "admin"),
        *("javascript:alert(1)", "http:evil.example.org", "/admin/login/", "\x00//evil", "http://testserver@evil.org/"),
    ],
)
def test_one_is_sent_on_to_pages_of_ours_alone(address, provider):
    provider(claims=OPS)
    assert Browser().sign_on(address)["Location"] == "/admin/"


def test_an_address_too_long_to_be_kept_does_not_stop_anybody(provider):
    provider(claims=OPS)
    assert Browser().sign_on("/admin/?" + "x" * 5000)["Location"] == "/admin/"


def test_strangers_without_a_sign_in_do_not_fill_the_audit_log(provider):
    for _ in range(30):
        assert Client().get("/auth/callback?state=x&code=y").status_code == 401
    assert AuditEntry.objects.count() < 30


def test_only_the_very_method_and_only_where_it_is_set_up(settings):
    assert Client().post("/auth/oidc/login").status_code == 405 == Client().post("/auth/callback").status_code
    settings.OIDC = None
    for address in ("/auth/oidc/login", "/auth/callback?state=x&code=y"):
        assert Client().get(address).status_code == 404
    page = Client().get("/admin/login/").content.decode()
    assert "Sign in with" not in page and 'name="password"' in page


# A provider in trouble -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/o/.well-known/openid-configuration", "/o/.well-known/jwks.json", "/o/token/"])
def test_a_provider_that_is_out_of_order_is_no_fault_of_ours(path, provider):
    provider(claims=OPS, down=[path])
    browser = Browser()
    answer = browser.here.get("/auth/oidc/login")
    if answer.status_code == 302:
        answer = browser.return_with(browser.visit(answer["Location"]))
    assert "try again in a while" in sentence(answer)
    refused(browser, answer, 503, "HTTPStatusError")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"issuer": "https://evil.example.org"}, "calls itself https://evil.example.org; set OIDC_ISSUER"),
        ({"authorization_endpoint": None}, "authorization_endpoint is None"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is javascript"),
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_used(metadata, reason, provider):
    provider(claims=OPS, metadata=metadata)
    browser = Browser()
    refused(browser, browser.here.get("/auth/oidc/login"), 503, reason)


def test_a_provider_that_is_not_there_leaves_the_password(configured, people):
    configured(issuer="http://127.0.0.1:9/o")
    browser = Browser()
    refused(browser, browser.here.get("/auth/oidc/login"), 503, "ConnectError")
    people("admin")
    given = {"username": "admin", "password": "admin-Password-1"}
    assert browser.here.post("/admin/login/", given).status_code == 302


def test_who_fails_too_often_waits(provider, monkeypatch):
    provider(claims=OPS)
    monkeypatch.setitem(throttle.FREE, "tokens", 2)
    for status in (401, 401, 429):
        browser = Browser()
        browser.leave()
        state = browser.here.cookies[sign_on._cookie()]
        answer = browser.visit(browser.leave()) | {"code": "guessed"}
        assert state and browser.return_with(answer).status_code == status


# The cookie, the page, the settings ----------------------------------------------------------------------------------
def test_the_cookie_is_out_of_reach_of_scripts_and_other_hosts(provider, settings):
    provider(claims=OPS)
    settings.SESSION_COOKIE_SECURE = True
    kept = Client().get("/auth/oidc/login").cookies["__Host-attune_sign_on"]
    assert kept["httponly"] and kept["secure"] and kept["samesite"] == "Lax" and kept["path"] == "/"
    assert not kept["domain"] and kept["max-age"] == 600
    gone = Client().get("/auth/callback").cookies["__Host-attune_sign_on"]
    assert gone.value == "" and gone["secure"]


def test_the_session_is_a_new_one(provider, people):
    """One that somebody put into the browser before is worth nothing afterwards."""
    provider(claims=OPS)
    browser = Browser()
    browser.here.force_login(people("viewer"))
    planted = browser.here.session.session_key
    browser.sign_on()
    assert browser.here.session.session_key != planted


def test_local_passwords_can_be_kept_to_superusers(settings, people, provider):
    provider(claims=OPS)
    sessions = {}
    for role in ("admin", "viewer"):
        people(role)
        sessions[role] = Client()
        assert sessions[role].login(username=role, password=f"{role}-Password-1")
    settings.ATTUNE_LOCAL_LOGIN = False
    settings.AUTHENTICATION_BACKENDS = configuration.backends(settings.OIDC, None, local_login=False)
    User.objects.create_superuser("root", password="root-Password-1")
    for name, status in ("admin", 401), ("viewer", 401), ("root", 200):
        body = {"login": name, "password": f"{name}-Password-1"}
        assert Client().post("/auth/login", body, content_type="application/json").status_code == status, name
    assert sessions["viewer"].get("/auth/me").status_code == 401  # a session that was open is over
    assert "or, as a superuser, with a password" in Client().get("/admin/login/").content.decode()
    offered = Client().get("/auth/settings").json()["data"]
    assert offered["oidc_enabled"] and offered["oidc_provider_label"] == "Example"
    assert not offered["local_password_enabled"] and not offered["ldap_enabled"]
    assert Browser().sign_on().status_code == 302


def start(folder: Path, code: str = "", **given: str) -> subprocess.CompletedProcess[str]:
    """The settings with these in the environment."""
    env = os.environ | {"ATTUNE_DATA_DIR": str(folder), "ATTUNE_MODE": "embedded", **given}
    command = [sys.executable, "-c", f"import django; django.setup(); {code}"]
    env["DJANGO_SETTINGS_MODULE"] = "attune.settings"
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


RIGHT = {"OIDC_ISSUER": "https://id.example.org", "OIDC_CLIENT_ID": "attune", "OIDC_DEFAULT_ROLE": "viewer"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"OIDC_ISSUER": "http://id.example.org"}, "must be an address that begins with https://"),
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID is not set"),
        ({"OIDC_SCOPES": "profile"}, "`openid` must be one of them"),
        ({"OIDC_DEFAULT_ROLE": ""}, "Nobody would get a role"),
        ({"OIDC_DEFAULT_ROLE": "boss"}, "'boss'; roles are viewer"),
        ({"OIDC_ROLES": "ops=boss"}, "'ops=boss' is not a group and its role"),
        ({"OIDC_ISSUER": "", "ATTUNE_LOCAL_LOGIN": "false"}, "there is no other way in"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_remedy(given, words, tmp_path):
    refusal = start(tmp_path, **(RIGHT | given))
    assert refusal.returncode != 0 and words in refusal.stderr


def test_nothing_of_it_is_loaded_before_somebody_signs_on(tmp_path):
    code = "import sys, attune.urls; print([name for name in sys.modules if name.startswith(('authlib', 'joserfc'))])"
    loaded = start(tmp_path, code, **RIGHT, OIDC_CLIENT_SECRET="hidden-away", OIDC_ROLES="a=b=viewer; c=admin")
    assert loaded.stdout == "[]\n", loaded.stderr
    shown = start(tmp_path, "from django.conf import settings; print(settings.OIDC)", **RIGHT, OIDC_CLIENT_SECRET="hid")
    assert "https://id.example.org" in shown.stdout and "hid" not in shown.stdout


def test_the_roles_of_settings_are_those_that_there_are():
    assert [role.group for role in sorted(Role)] == list(configuration.ROLES)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_real_browser_the_button_leads_to_the_page_that_one_wanted(
    scheme,
    browser,
    live_server,
    settings,
    oidc_process,
):
    settings.ATTUNE_API_URL = live_server.url
    oidc_process.switch(redirect_uris=f"{live_server.url}/auth/callback", claims=OPS)
    context = browser.new_context(base_url=live_server.url, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(40_000)
    page.goto("/admin/executions/execution/")
    if folder := os.environ.get("ATTUNE_TEST_PICTURES"):
        page.screenshot(path=f"{folder}/login-{scheme}.png")
    page.click("text=Sign in with Example")
    page.fill("[name=as]", "anna")
    page.click("text=Go on")
    page.wait_for_url("**/admin/executions/execution/")
    expect(page.locator("body")).to_contain_text("Executions")
    oidc_process.switch(redirect_uris=f"{live_server.url}/auth/callback", claims={"groups": []})
    context.clear_cookies(name="sessionid")
    page.goto("/auth/oidc/login")
    expect(page.locator("[role=alert]")).to_contain_text("None of your groups gives you a role here")
    if folder:
        page.screenshot(path=f"{folder}/refused-{scheme}.png")
    page.click("text=Back to signing in")
    expect(page.locator("[name=password]")).to_be_visible()
    context.close()
