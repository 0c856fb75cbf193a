"""Who a request comes from: a bearer token, or the session of someone signed in to the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractUser
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.access.models import ApiToken
from apps.access.origin import client_address
from apps.access.principals import Principal, principal_for
from apps.access.tokens import RunToken, holder_of, personal, read_run_token

# What a run token stands for while its run goes on, else None. The rooms that run things fill this in when they load.
RUN_TOKEN_READERS: dict[str, Callable[[RunToken], Principal | None]] = {}


def principal_from(text: str, *, origin: str = "") -> Principal | None:
    """Whom a bearer token belongs to; None if it is unknown, over or its run has ended."""
    run = read_run_token(text)
    if run:
        reader = RUN_TOKEN_READERS.get(run.kind)
        return reader(run) if reader else None
    row = holder_of(text)
    return principal_of_token(row, origin=origin) if row else None


def principal_of_token(row: ApiToken, *, origin: str = "") -> Principal:
    """Its holder, as far as the token goes."""
    asked_with = row.pk if row.kind == ApiToken.Kind.PERSONAL else row.made_from_id
    return principal_for(
        row.user, origin=origin, token_id=row.pk, personal_token=asked_with, scope=row.scope, packs=row.packs
    )


def principal_behind(user: AbstractUser, token: int | None) -> Principal | None:
    """A person who asked for something before, with what they may do now, as far as the personal token goes that they
    asked with. None where that token is over: then nothing is done in its name."""
    if token is None:
        return principal_for(user)
    row = personal(token)
    return principal_of_token(row) if row is not None and row.user_id == user.pk else None


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer <token>`."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        principal = principal_from(text.strip(), origin=client_address(request._request))
        if principal is None:
            raise AuthenticationFailed("This token is not valid, or no longer; sign in again.")
        return principal.user or principal, principal

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="attune"'


class AdminSession(SessionAuthentication):
    """The session cookie of the admin's own pages, with Django's CSRF check."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        found = super().authenticate(request)
        if not found:
            return None
        return found[0], principal_for(found[0], origin=client_address(request._request))
