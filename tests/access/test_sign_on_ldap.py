"""Signing in by LDAP against a real slapd: who comes in, as what, and every way in which one does not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from apps.access.models import ApiToken, AuditEntry, Identity
from apps.access.principals import Role, role_of
from apps.access.sso import configuration
from apps.access.sso.configuration import Admission, Ldap
from tests.access.slapd import BASE, READER, READER_PASSWORD, Slapd

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]

ROLES = Admission(roles=(("ops", "operator"), (f"cn=editors,ou=groups,{BASE}", "editor"), ("admins", "admin")))


@pytest.fixture
def directory(slapd_process: Slapd) -> Iterator[Slapd]:
    """The directory as it was at first, and running, whatever a test does to it."""
    yield slapd_process
    if slapd_process.process is None or slapd_process.process.poll() is not None:
        slapd_process.start()


@pytest.fixture(autouse=True)
def configured(settings: Any, directory: Slapd) -> Callable[..., Ldap]:
    """This installation with the directory; a call changes how."""

    def configure(**how: Any) -> Ldap:
        settings.LDAP = configuration.ldap(
            **{
                "servers": directory.address,
                "start_tls": False,
                "ca_file": "",
                "bind_dn": READER,
                "bind_password": READER_PASSWORD,
                "user_base": f"ou=people,{BASE}",
                "user_filter": "(uid=%(user)s)",
                "name_attribute": "uid",
                "id_attribute": "entryUUID",
                "group_base": f"ou=groups,{BASE}",
                "group_type": "groupOfNames",
                "timeout": 5,
                "admission": ROLES,
            }
            | how
        )
        settings.AUTHENTICATION_BACKENDS = configuration.backends(None, settings.LDAP, local_login=True)
        return settings.LDAP

    configure()
    return configure


def sign_in(name: str, password: str | None = None) -> Any:
    given = {"login": name, "password": f"{name}-Password-1" if password is None else password}
    return APIClient().post("/auth/login", given, format="json")


# Who comes in --------------------------------------------------------------------------------------------------------
def test_who_is_in_the_directory_gets_an_account_and_the_role_of_their_groups():
    for name, role in ("otto", Role.EDITOR), ("anna", Role.EDITOR):  # the higher of otto's two
        assert sign_in(name).status_code == 200
        user = User.objects.get(username=name)
        assert role_of(user) == role and user.is_staff and not user.is_superuser
        assert user.email == f"{name}@example.org" and not user.has_usable_password()
        assert user.identities.get().issuer == "ldap" and len(user.identities.get().subject) == 36
    assert AuditEntry.objects.filter(action="auth.login", actor="otto").count() == 1
    assert AuditEntry.objects.filter(action="user.create", target="otto", origin="127.0.0.1").count() == 1


def test_the_door_of_the_sdk_takes_the_directorys_password_and_is_not_there_without_a_directory(settings):
    given = {"login": "otto", "password": "otto-Password-1"}
    session = APIClient().post("/auth/ldap/login", given, format="json").json()["data"]
    me = APIClient(HTTP_AUTHORIZATION=f"Bearer {session['access_token']}").get("/auth/me").json()["data"]
    assert (me["login"], me["auth_provider"]) == ("otto", "ldap")
    assert APIClient().post("/auth/ldap/login", given | {"password": "wrong"}, format="json").status_code == 401
    settings.LDAP = None
    gone = APIClient().post("/auth/ldap/login", given, format="json")
    assert gone.status_code == 404 and "POST /auth/login" in gone.json()["message"]


def test_the_admins_form_takes_the_directorys_password_and_the_session_is_as_short_as_others(settings):
    client = Client()
    given = {"username": "otto", "password": "otto-Password-1", "next": "/admin/"}
    assert client.post("/admin/login/", given).status_code == 302
    assert client.get("/admin/").status_code == 200
    assert client.session.get_expiry_age() <= settings.ATTUNE_SIGN_ON_SESSION
    me = client.get("/auth/me").json()["data"]
    assert me["auth_provider"] == "ldap" and not me["is_local"] and not me["can_change_password"]
    User.objects.filter(username="otto").update(is_active=False)
    assert client.get("/admin/").status_code == 302


def test_the_directory_decides_the_role_anew_at_each_sign_in(directory):
    sign_in("otto")
    directory.change("editors", "anna")
    try:
        assert sign_in("otto").status_code == 200
        assert role_of(User.objects.get(username="otto")) == Role.OPERATOR
    finally:
        directory.change("editors", "anna", "otto")


def test_whose_groups_give_no_role_is_told_so_and_not_written_down():
    refused = sign_in("nora")
    assert refused.status_code == 403 and "None of your groups gives you a role" in refused.json()["message"]
    page = Client().post("/admin/login/", {"username": "nora", "password": "nora-Password-1"})
    assert "None of your groups gives you a role" in page.content.decode()
    assert not User.objects.filter(username="nora").exists()
    entry = AuditEntry.objects.filter(action="auth.login_failed", outcome="denied").first()
    assert entry.after["reason"].startswith("No role for nora") and entry.origin == "127.0.0.1"


def test_a_default_role_is_what_those_get_whose_groups_say_nothing(configured):
    configured(admission=Admission(default_role="viewer"), group_base="")
    sign_in("vera")
    assert role_of(User.objects.get(username="vera")) == Role.VIEWER


def test_accounts_can_be_made_by_administrators_alone_and_linked(configured, people):
    configured(admission=replace(ROLES, create_users=False))
    people("viewer")
    assert sign_in("otto").status_code == 403
    reason = AuditEntry.objects.filter(outcome="denied").first().after["reason"]
    assert "none are made at first sign-in" in reason
    call_command("link_sign_on", "viewer", reason.partition("(")[2].partition(" at ")[0], "--ldap")
    assert sign_in("otto").status_code == 200
    assert role_of(User.objects.get(username="viewer")) == Role.EDITOR


# Whose account it is -------------------------------------------------------------------------------------------------
def test_a_name_in_the_directory_does_not_open_the_local_account_of_that_name(people):
    people("admin")
    taken = sign_in("admin", "admin-Password-1")  # the local one
    assert taken.status_code == 200
    User.objects.get(username="admin").set_password("another")
    user = User.objects.get(username="admin")
    user.set_password("Quite-Another-1")
    user.save()
    refused = sign_in("admin", "admin-Password-1")  # the directory's
    assert refused.status_code == 403 and "another account named admin" in refused.json()["message"]
    assert not Identity.objects.exists()


def test_who_gets_a_name_that_somebody_had_before_does_not_get_their_account(directory):
    directory.add("paul")
    directory.change("ops", "otto", "paul")
    try:
        assert sign_in("paul").status_code == 200
        directory.remove("paul")
        directory.add("paul")  # somebody else
        assert sign_in("paul").status_code == 403
    finally:
        directory.remove("paul")
        directory.change("ops", "otto", "dora (a*b)")


# Passwords and names -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("password", ["wrong", " ", "otto-Password-1 ", "otto-Password-1\0", "OTTO-PASSWORD-1"])
def test_a_wrong_password_is_wrong(password):
    assert sign_in("otto", password).status_code in (400, 401)
    assert not User.objects.filter(username="otto").exists()


def test_an_empty_password_is_refused_though_the_directory_would_take_it():
    """A bind without a password is nobody's, and succeeds."""
    from apps.access.sso.ldap import Directory

    assert sign_in("otto", "").status_code == 422
    page = Client().post("/admin/login/", {"username": "otto", "password": ""})
    assert page.status_code == 200 and not User.objects.filter(username="otto").exists()
    for nothing in ("", None):
        assert Directory().authenticate(None, username="otto", password=nothing) is None


@pytest.mark.parametrize(
    "name",
    [
        *("*", "*)(uid=*", "otto)(|(uid=*", "o*", "otto\0", "(|(uid=otto))", "\\6ftto", f"uid=otto,ou=people,{BASE}"),
        *("ot\u00adto", "ott\u200bo", "", "x" * 10_000, "otto)(userPassword=*", "%(user)s", "%s"),
    ],
)
def test_a_name_is_a_name_and_no_filter(name):
    assert sign_in(name, "otto-Password-1").status_code in (400, 401, 422)
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["ot\u00adto", "otto\u200b", "\u202eotto"])
def test_a_name_with_marks_that_one_does_not_see_is_not_even_looked_for(name, configured, caplog):
    configured(bind_password="wrong")
    assert sign_in(name).status_code == 401
    assert "INVALID_CREDENTIALS" not in caplog.text


def test_a_name_that_looks_like_a_filter_is_found_as_it_is():
    answer = sign_in("dora (a*b)")
    assert answer.status_code == 403 and "cannot be the name of an account" in answer.json()["message"]


def test_guessing_is_slow_however_the_name_is_written(people):
    spellings = ["otto", "OTTO", " otto", "Otto ", "oTTo"]
    assert [sign_in(name, "wrong").status_code for name in spellings] == [401] * 5
    stopped = sign_in("ottO")
    assert stopped.status_code == 429 and stopped["Retry-After"] == "1"
    assert AuditEntry.objects.filter(action="auth.login_failed").count() == 5


def test_a_session_of_the_api_ends_when_it_was_to_end_however_often_it_is_renewed(people):
    """Who leaves the directory must not stay for ever."""
    people("viewer")
    for name, moves in ("otto", False), ("viewer", True):
        text = sign_in(name).json()["data"]["refresh_token"]
        ends = ApiToken.objects.get(user__username=name, kind="refresh").expires_at
        assert APIClient().post("/auth/refresh", {"refresh_token": text}, format="json").status_code == 200
        later = ApiToken.objects.get(user__username=name, kind="refresh").expires_at - ends
        assert (later.total_seconds() > 0.001) is moves


# A directory in trouble ----------------------------------------------------------------------------------------------
def test_without_the_directory_local_accounts_work_and_the_log_says_why_others_do_not(directory, people, caplog):
    people("viewer")
    directory.stop()
    with caplog.at_level(logging.WARNING):
        assert sign_in("viewer").status_code == 200
        assert not caplog.records
        assert sign_in("otto").status_code == 401
    assert "Can't contact LDAP server" in caplog.text and "otto-Password-1" not in caplog.text
    directory.start()
    assert sign_in("otto").status_code == 200


def test_a_reader_that_the_directory_does_not_let_in_is_in_the_log(configured, caplog):
    configured(bind_password="wrong")
    assert sign_in("otto").status_code == 401
    assert "INVALID_CREDENTIALS" in caplog.text and "otto-Password-1" not in caplog.text


def test_an_entry_without_the_lasting_number_is_refused_and_the_log_names_the_setting(configured, caplog):
    configured(id_attribute="objectGUID")
    assert sign_in("otto").status_code == 403
    assert "set LDAP_ID_ATTRIBUTE" in caplog.text


# The connection ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["start_tls", "ldaps"])
def test_the_connection_is_encrypted_and_the_directory_must_be_the_right_one(how, configured, directory, caplog):
    secure = {"start_tls": True} if how == "start_tls" else {"servers": directory.tls_address}
    configured(**secure)
    assert sign_in("otto").status_code == 401
    assert "CONNECT_ERROR" in caplog.text or "SERVER_DOWN" in caplog.text
    configured(**secure, ca_file=str(directory.ca_file))
    assert sign_in("otto").status_code == 200
    name = {"servers": configured().servers.replace("127.0.0.1", "localhost"), "start_tls": True}
    configured(**name, ca_file=str(directory.ca_file))
    assert sign_in("anna").status_code == 401  # the certificate is not localhost's


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"servers": "ldap://ldap.example.org"}, "LDAP_START_TLS=true"),
        ({"servers": "ldaps://a.example.org ldap://b.example.org"}, "travel to ldap://b.example.org in the clear"),
        ({"servers": "https://ldap.example.org"}, "no address such as"),
        ({"user_base": ""}, "LDAP_USER_BASE is not set"),
        ({"user_filter": "(uid=*)"}, r"goes to %\(user\)s"),
        ({"group_base": ""}, "LDAP_ROLES needs LDAP_GROUP_BASE"),
        ({"group_type": "team"}, "'team'; there are groupOfNames"),
        ({"ca_file": "/nowhere/ca.pem"}, "there is no file /nowhere/ca.pem"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_remedy(how, words, configured):
    with pytest.raises(ImproperlyConfigured, match=words):
        configured(**how)
    assert READER_PASSWORD not in repr(configured())


def test_without_the_package_the_server_says_how_to_install_it(configured, monkeypatch):
    monkeypatch.setattr(configuration, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install -r requirements-ldap\.lock"):
        configured()
