"""What the settings say about signing in elsewhere. Read before Django's models are there, and before any library."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

ROLES = ("viewer", "operator", "editor", "admin")  # lowest first; the names of principals.Role
GROUP_TYPES = ("groupOfNames", "groupOfUniqueNames", "posixGroup", "nestedGroupOfNames", "activeDirectory")
_LOCAL, _SUPERUSERS = "django.contrib.auth.backends.ModelBackend", "apps.access.sso.backends.Superusers"
LDAP_BACKEND, OIDC_BACKEND = "apps.access.sso.ldap.Directory", "apps.access.sso.backends.SignedOn"


@dataclass(frozen=True)
class Admission:
    """Who of those that a provider vouches for comes in, and as what."""

    roles: tuple[tuple[str, str], ...] = ()  # a group there, and the role that it gives here
    default_role: str = ""
    create_users: bool = True

    def role_of(self, groups: frozenset[str]) -> str:
        """The highest role that these groups give, else the default one; empty if there is none."""
        given = [role for group, role in self.roles if group in groups]
        return max(given, key=ROLES.index, default=self.default_role)


@dataclass(frozen=True)
class Oidc:
    """An OpenID provider, and this installation as its client."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: str
    name: str
    username_claim: str
    groups_claim: str
    admission: Admission


@dataclass(frozen=True)
class Ldap:
    """A directory, and where in it people and their groups are found."""

    servers: str
    start_tls: bool
    ca_file: str
    bind_dn: str
    bind_password: str = field(repr=False)
    user_base: str
    user_filter: str
    name_attribute: str
    id_attribute: str
    group_base: str
    group_type: str
    timeout: int
    admission: Admission


def admission(prefix: str, *, roles: str, default_role: str, create_users: bool) -> Admission:
    """Raises: ImproperlyConfigured for a role that is none, or where nobody could ever come in."""
    pairs = []
    for part in filter(None, (each.strip() for each in roles.split(";"))):
        group, equals, role = (piece.strip() for piece in part.rpartition("="))
        if not equals or not group or role not in ROLES:
            raise ImproperlyConfigured(
                f"{prefix}_ROLES: {part!r} is not a group and its role, as in `ops=operator; it-staff=admin`. "
                f"Roles are {', '.join(ROLES)}."
            )
        pairs.append((group, role))
    if default_role and default_role not in ROLES:
        raise ImproperlyConfigured(f"{prefix}_DEFAULT_ROLE is {default_role!r}; roles are {', '.join(ROLES)}.")
    if not pairs and not default_role and create_users:
        raise ImproperlyConfigured(
            f"Nobody would get a role: set {prefix}_ROLES (`a group there=role; …`), {prefix}_DEFAULT_ROLE, or "
            f"{prefix}_CREATE_USERS=false and make the accounts here."
        )
    return Admission(tuple(pairs), default_role, create_users)


def oidc(*, issuer: str, client_id: str, scopes: str, admission: Admission, **more: str) -> Oidc:
    """Raises: ImproperlyConfigured for what cannot work or is not safe."""
    parts = urlsplit(issuer)
    if not parts.hostname or parts.query or parts.fragment or not _is_private(parts.scheme, parts.hostname):
        raise ImproperlyConfigured(f"OIDC_ISSUER is {issuer!r}; it must be an address that begins with https://.")
    if not client_id:
        raise ImproperlyConfigured("OIDC_CLIENT_ID is not set; the provider gives it to you with the secret.")
    if "openid" not in scopes.split():
        raise ImproperlyConfigured(f"OIDC_SCOPES is {scopes!r}; `openid` must be one of them.")
    return Oidc(issuer=issuer, client_id=client_id, scopes=scopes, admission=admission, **more)


def ldap(
    *,
    servers: str,
    start_tls: bool,
    ca_file: str,
    user_base: str,
    user_filter: str,
    group_base: str,
    group_type: str,
    timeout: int,
    admission: Admission,
    **more: str,
) -> Ldap:
    """Raises: ImproperlyConfigured for what cannot work or is not safe."""
    if not (find_spec("django_auth_ldap") and find_spec("ldap")):
        raise ImproperlyConfigured(
            "LDAP_SERVER is set, and the packages for it are not installed: pip install -r requirements-ldap.lock"
        )
    for server in (parts := re.split(r"[\s,]+", servers.strip())):
        scheme, host = urlsplit(server).scheme, urlsplit(server).hostname or ""
        if scheme not in ("ldap", "ldaps", "ldapi"):
            raise ImproperlyConfigured(f"LDAP_SERVER: {server!r} is no address such as ldaps://ldap.example.org.")
        if scheme == "ldap" and not start_tls and not _is_loopback(host):
            raise ImproperlyConfigured(
                f"LDAP_SERVER: passwords would travel to {server} in the clear. "
                "Use ldaps://, or set LDAP_START_TLS=true."
            )
    if not user_base:
        raise ImproperlyConfigured("LDAP_USER_BASE is not set; it says below which entry people are.")
    if "%(user)s" not in user_filter:
        raise ImproperlyConfigured(f"LDAP_USER_FILTER is {user_filter!r}; the name that is typed goes to %(user)s.")
    if admission.roles and not group_base:
        raise ImproperlyConfigured("LDAP_ROLES needs LDAP_GROUP_BASE, which says below which entry groups are.")
    if group_type not in GROUP_TYPES:
        raise ImproperlyConfigured(f"LDAP_GROUP_TYPE is {group_type!r}; there are {', '.join(GROUP_TYPES)}.")
    if ca_file and not Path(ca_file).is_file():
        raise ImproperlyConfigured(f"LDAP_CA_FILE: there is no file {ca_file}.")
    return Ldap(
        servers=" ".join(parts),
        start_tls=start_tls,
        ca_file=ca_file,
        user_base=user_base,
        user_filter=user_filter,
        group_base=group_base,
        group_type=group_type,
        timeout=timeout,
        admission=replace(admission, roles=tuple((group.lower(), role) for group, role in admission.roles)),
        **more,
    )


def backends(oidc: Oidc | None, ldap: Ldap | None, *, local_login: bool) -> list[str]:
    """Who may say who somebody is, in this order; local accounts first, so that they need no directory.

    Raises: ImproperlyConfigured if nobody but superusers could sign in.
    """
    if not local_login and oidc is None and ldap is None:
        raise ImproperlyConfigured(
            "ATTUNE_LOCAL_LOGIN is off, and there is no other way in: set OIDC_ISSUER or LDAP_SERVER as well."
        )
    return [_LOCAL if local_login else _SUPERUSERS, *[LDAP_BACKEND] * bool(ldap), *[OIDC_BACKEND] * bool(oidc)]


def _is_private(scheme: str, host: str) -> bool:
    """Whether nobody on the way can listen."""
    return scheme == "https" or (scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
