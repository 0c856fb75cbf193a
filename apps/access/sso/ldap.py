"""Signing in with a directory's password: django-auth-ldap finds and binds, people.py says who comes in.

Loaded when somebody signs in, and only where LDAP is set up. Local accounts are asked first.
"""

from __future__ import annotations

from typing import Any

import ldap
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.http import HttpRequest
from django_auth_ldap import config as library
from django_auth_ldap.backend import LDAPBackend

from apps.access.origin import client_address
from apps.access.sso import people, refusals
from apps.access.sso.configuration import Ldap
from apps.access.sso.errors import NotAdmitted
from apps.access.sso.people import Arrival
from attune.lib.loglines import fact

ISSUER = "ldap"
_GROUP_TYPES = {
    "groupOfNames": library.GroupOfNamesType,
    "groupOfUniqueNames": library.GroupOfUniqueNamesType,
    "posixGroup": library.PosixGroupType,
    "nestedGroupOfNames": library.NestedGroupOfNamesType,
    "activeDirectory": library.NestedActiveDirectoryGroupType,
}


class Directory(LDAPBackend):
    """The directory that the settings name."""

    @property
    def default_settings(self) -> dict[str, Any]:
        return _settings_of(_config())

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **more: Any
    ) -> AbstractUser | None:
        """None for a name with marks that one does not see: a directory passes over them, the throttle does not."""
        if not username or not username.isprintable():
            return None
        return super().authenticate(request, username=username, password=password, **more)

    def get_or_build_user(self, username: str, ldap_user: Any) -> tuple[AbstractUser, bool]:
        """Called once the password was right. Raises: NotAdmitted."""
        config = _config()
        try:
            arrival = _arrival(config, ldap_user)
            return people.admit(arrival, config.admission, origin=_origin()), False
        except NotAdmitted as error:
            refusals.note(error, provider="ldap", origin=_origin())
            raise

    def get_user(self, user_id: Any) -> AbstractUser | None:
        """Whose session it is. As Django's own backend does it: the account may have been switched off since."""
        return get_user_model().objects.filter(pk=user_id, is_active=True).first()


def _config() -> Ldap:
    assert settings.LDAP is not None, "this backend is there only where LDAP is set up"
    return settings.LDAP


def _arrival(config: Ldap, ldap_user: Any) -> Arrival:
    def first(name: str) -> str:
        values = ldap_user.attrs.get(name) or [""]
        return _text(values[0])

    if not first(config.id_attribute):
        raise NotAdmitted(
            "The directory does not say who you are; tell an administrator.",
            reason=f"{ldap_user.dn} has no {config.id_attribute}; set LDAP_ID_ATTRIBUTE to what it has.",
        )
    groups = {name for name in ldap_user.group_names if name} | set(ldap_user.group_dns) if config.group_base else set()
    return Arrival(
        provider="ldap",
        issuer=ISSUER,
        subject=first(config.id_attribute)[:255],
        name=first(config.name_attribute),
        display_name=first("displayName") or first("cn"),
        email=first("mail"),
        groups=frozenset(group.lower() for group in groups),
    )


def _text(value: str | bytes) -> str:
    """A text that can be kept: of numbers in bytes, such as Active Directory's objectGUID, the hexadecimal form."""
    if isinstance(value, str) and value.isprintable():
        return value
    return (value.encode() if isinstance(value, str) else value).hex()


def _origin() -> str:
    request = fact("request")
    return client_address(request) if isinstance(request, HttpRequest) else ""


def _settings_of(config: Ldap) -> dict[str, Any]:
    """The same, in the library's words."""
    options: dict[int, Any] = {
        ldap.OPT_NETWORK_TIMEOUT: config.timeout,
        ldap.OPT_TIMEOUT: config.timeout,
        ldap.OPT_REFERRALS: 0,  # else our password for the directory goes to whoever it names
    }
    if config.start_tls or "ldaps://" in config.servers:
        options[ldap.OPT_X_TLS_REQUIRE_CERT] = ldap.OPT_X_TLS_DEMAND
        if config.ca_file:
            options[ldap.OPT_X_TLS_CACERTFILE] = config.ca_file
        options[ldap.OPT_X_TLS_NEWCTX] = 0  # last: it makes the others count
    found: dict[str, Any] = {
        "SERVER_URI": config.servers,
        "START_TLS": config.start_tls,
        "CONNECTION_OPTIONS": options,
        "BIND_DN": config.bind_dn,
        "BIND_PASSWORD": config.bind_password,
        "USER_SEARCH": library.LDAPSearch(
            config.user_base, ldap.SCOPE_SUBTREE, config.user_filter, ["*", config.id_attribute]
        ),
        "ALWAYS_UPDATE_USER": False,  # people.py does it
    }
    if config.group_base:
        found["GROUP_SEARCH"] = library.LDAPSearch(config.group_base, ldap.SCOPE_SUBTREE)
        found["GROUP_TYPE"] = _GROUP_TYPES[config.group_type]()
    return found
