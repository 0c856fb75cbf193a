"""Signing in and out: the front door of the gatehouse."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model, password_validation
from django.contrib.auth.models import AbstractUser, Group
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.access import audit, reach, rights, tokens
from apps.access.errors import InvalidCredentials, OutOfReach
from apps.access.models import PACKS, ApiToken, Identity, PackAccess
from apps.access.principals import Principal, Role, principal_for, role_of
from apps.access.throttle import Attempt
from attune.lib.errors import InvalidInput
from attune.lib.floods import Flood

LOGIN_FAILED, LOGOUT = "auth.login_failed", "auth.logout"

_flood = Flood(10)  # failures a second that each process writes to the audit log


@dataclass(frozen=True)
class Session:
    """What someone gets who signed in: a token to work with, and one to get the next pair with."""

    user: AbstractUser
    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105  (it is no secret)


@contextmanager
def attempt(origin: str, login: str | None = None, *, http_status: int = 401) -> Iterator[None]:
    """What is inside checks a password of this name, or a token; InvalidCredentials or ValidationError: it is wrong.

    Raises: TooManyAttempts, before anything is checked, to somebody who failed too often of late.
    """
    trying = Attempt(origin, login)
    trying.refuse_early()
    try:
        yield
    except (InvalidCredentials, ValidationError):
        trying.failed()
        _note_failure(login, origin, http_status)
        raise
    trying.succeeded()


def sign_in(login: str, password: str, *, origin: str) -> Session:
    """A session for this name and password. Raises: InvalidCredentials, TooManyAttempts.

    A name that nobody has takes as long as one that somebody has: Django hashes the password all the same.
    """
    with attempt(origin, login):
        user = authenticate(username=login, password=password)
        if not isinstance(user, AbstractUser):
            raise InvalidCredentials("The name or the password is wrong.")
    audit.record(user, "auth.login", login, origin=origin)
    return _open_session(user)


def sign_in_with_token(text: str, *, origin: str) -> Session:
    """A session for the holder of a personal token, with its scope. Raises: InvalidCredentials, TooManyAttempts."""
    with attempt(origin):
        row = tokens.holder_of(text, kinds=(ApiToken.Kind.PERSONAL,))
        if row is None:
            raise InvalidCredentials("This personal token is not valid, or no longer.")
    audit.record(row.user, "auth.token_login", row.prefix, origin=origin)
    return _open_session(row.user, row.scope, row.packs, made_from=row)


def refresh(text: str, *, origin: str) -> Session:
    """The next pair of tokens; the old pair ends, and of two who come with one refresh token only the first is let in.

    Raises: InvalidCredentials, TooManyAttempts.
    """
    with attempt(origin), transaction.atomic():
        row = tokens.holder_of(text, kinds=(ApiToken.Kind.REFRESH,))
        if row is None or not ApiToken.objects.filter(pk=row.pk).delete()[0]:
            raise InvalidCredentials("This refresh token is not valid, or no longer; sign in again.")
        _session_tokens(row).delete()
        vouched_for = Identity.objects.filter(user_id=row.user_id).exists()  # who is must show it anew one day
        until = row.expires_at if vouched_for else None
        return _open_session(row.user, row.scope, row.packs, made_from=row.made_from, until=until)


@transaction.atomic
def sign_out(principal: Principal) -> None:
    """End the session that this person's token belongs to; a personal token is not a session and stays."""
    row = ApiToken.objects.filter(pk=principal.token_id).exclude(kind=ApiToken.Kind.PERSONAL).first()
    if row:
        _session_tokens(row).delete()
        audit.record(principal, LOGOUT, principal.name)


def change_password(user: AbstractUser, *, current: str, new: str, token_id: int | None, origin: str) -> None:
    """Set a new password and end every other session of this person; personal tokens stay.

    Raises: InvalidCredentials if the current password is wrong, TooManyAttempts, InvalidInput if the new one is weak.
    """
    with attempt(origin, user.get_username()):
        if not user.check_password(current):
            raise InvalidCredentials("The current password is wrong.")
    try:
        password_validation.validate_password(new, user)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [{"path": "new_password", "message": message} for message in error.messages]
        raise InvalidInput(" ".join(error.messages), details={"faults": faults}) from None
    keep_password(user, new, token_id=token_id, origin=origin)


@transaction.atomic
def keep_password(user: AbstractUser, new: str, *, origin: str, token_id: int | None = None) -> None:
    """Keep a new password of one's own that was found good, and end one's other sessions."""
    user.set_password(new)
    user.save(update_fields=["password"])
    end_sessions(user, but=token_id)
    audit.record(user, "auth.change_password", user.get_username(), origin=origin)


def end_sessions(user: AbstractUser, *, but: int | None = None) -> None:
    """End this person's sessions of the API, but for the one that a token belongs to; personal tokens stay.

    Those of the admin end by themselves, being bound to the password.
    """
    sessions = ApiToken.objects.filter(user=user).exclude(kind=ApiToken.Kind.PERSONAL)
    own = sessions.filter(pk=but).first()
    (sessions.exclude(name=own.name) if own else sessions).delete()


@transaction.atomic
def create_personal_token(
    user: AbstractUser,
    *,
    name: str,
    scope: str = "",
    packs: Sequence[str] = (),
    lifetime: timedelta | None = None,
    actor: audit.Actor,
) -> tuple[str, ApiToken]:
    """A token for scripts and services, good until it is deleted or `lifetime` is over; the text is shown this once.

    With `packs` it reaches these alone. Raises: InvalidInput for a scope or packs beyond its holder's rights, or where
    a token is to make another one.
    """
    _refuse_token_of_token(actor)
    if scope:
        _check_scope(user, scope)
    _check_packs(user, packs)
    text, row = tokens.issue(user, ApiToken.Kind.PERSONAL, name=name, scope=scope, packs=packs, lifetime=lifetime)
    told = {"user": user.get_username(), "name": name, "scope": scope} | ({"packs": list(packs)} if packs else {})
    audit.record(actor, "token.create", row.prefix, after=told)
    return text, row


@transaction.atomic
def create_service_account(
    name: str,
    *,
    role: Role,
    packs: Mapping[str, str] = MappingProxyType({}),
    lifetime: timedelta | None = None,
    actor: audit.Actor,
) -> tuple[str, ApiToken]:
    """A user without a password, with this role, and its first token, whose text is shown this once.

    `packs`: those it is limited to, each with a role, or with an empty text for the one that it has.
    Raises: InvalidInput for a name that is taken or none, or for what is no pack or role.
    """
    users = get_user_model()
    if users.objects.filter(username=name).exists():
        raise InvalidInput(f"There is a user {name} already; choose another name, or make a token for that one.")
    account = users(username=name)
    account.set_unusable_password()
    try:
        account.full_clean()
    except ValidationError as error:
        raise InvalidInput(f"{name!r} is no name of a user. {' '.join(error.messages)}") from None
    account.save()
    rights.ensure_groups()
    account.groups.add(Group.objects.get(name=role.group))
    limits = [PackAccess(user=account, pack=pack, role=held) for pack, held in packs.items()]
    for limit in limits:
        try:
            limit.full_clean()
        except ValidationError as error:
            raise InvalidInput(f"{limit.pack}={limit.role}: {' '.join(error.messages)}") from None
    PackAccess.objects.bulk_create(limits)
    told = {"groups": [role.group], "password": None} | ({"packs": [str(limit) for limit in limits]} if limits else {})
    audit.record(actor, "user.create", name, after=told)
    return create_personal_token(account, name="service account", lifetime=lifetime, actor=actor)


@transaction.atomic
def revoke_token(row: ApiToken, *, actor: audit.Actor) -> None:
    """End a personal token, and the sessions that were opened with it, at once.

    Raises: OutOfReach where another token is to do it.
    """
    if not (isinstance(actor, Principal) and actor.token_id == row.pk):
        _refuse_token_of_token(actor)
    audit.record(actor, "token.revoke", row.prefix, before={"user": row.user.get_username()})
    row.delete()


def _refuse_token_of_token(actor: audit.Actor) -> None:
    """What a token may do ends with it: it makes no others, and neither does a session opened with one."""
    number = actor.token_id if isinstance(actor, Principal) else None
    personal = Q(kind=ApiToken.Kind.PERSONAL) | Q(made_from__isnull=False)
    if number is not None and ApiToken.objects.filter(personal, pk=number).exists():
        raise OutOfReach("A personal token makes and revokes no others; sign in with your password to do so.")


def _check_packs(user: AbstractUser, packs: Sequence[str]) -> None:
    wrong = [pack for pack in packs if not re.match(PACKS, pack)]
    beyond = [] if wrong else [pack for pack in packs if not reach.patterns_within(principal_for(user), [pack])]
    if wrong or beyond:
        message = (
            f"{wrong[0]!r} is no pack: write its ref, the beginning of one and *, or *."
            if wrong
            else f"{user.get_username()} does not reach {', '.join(beyond)}; a token never has more than its holder."
        )
        raise InvalidInput(message, details={"faults": [{"path": "packs", "message": message}]})


def _check_scope(user: AbstractUser, scope: str) -> None:
    held = role_of(user)
    if scope not in {role.group for role in Role if held is not None and role <= held}:
        holds = f"the role {held.group}" if held else "no role"
        message = f"{user.get_username()} holds {holds}; a token cannot carry {scope!r}. Choose a lower one, or none."
        raise InvalidInput(message, details={"faults": [{"path": "scope", "message": message}]})


def _open_session(
    user: AbstractUser,
    scope: str = "",
    packs: Sequence[str] = (),
    *,
    made_from: ApiToken | None = None,
    until: datetime | None = None,
) -> Session:
    name = f"session {secrets.token_hex(8)}"
    same: dict[str, Any] = {"name": name, "scope": scope, "packs": packs, "made_from": made_from}
    seconds, longer = settings.ATTUNE_ACCESS_TOKEN_LIFETIME, settings.ATTUNE_REFRESH_TOKEN_LIFETIME
    for end in (until, made_from.expires_at if made_from is not None else None):
        if end is not None:  # a session does not outlast its token
            left = max(1, int((end - timezone.now()).total_seconds()))
            seconds, longer = min(seconds, left), min(longer, left)
    access, _ = tokens.issue(user, ApiToken.Kind.ACCESS, lifetime=timedelta(seconds=seconds), **same)
    refresh_text, _ = tokens.issue(user, ApiToken.Kind.REFRESH, lifetime=timedelta(seconds=longer), **same)
    return Session(user, access, refresh_text, seconds)


def _session_tokens(row: ApiToken) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user_id=row.user_id, name=row.name).exclude(kind=ApiToken.Kind.PERSONAL)


def _note_failure(login: str | None, origin: str, http_status: int) -> None:
    """A line in the audit log for who could not come in: the name that was tried, never the password.

    Of guesses from very many addresses each process writes a few a second; the next line says how many it stands for.
    """
    name, action = login or "", LOGIN_FAILED if login is not None else "auth.token_login_failed"
    left_out = _flood.left_out("password" if login is not None else ("token", origin))
    if left_out is not None:
        after = {"more_like_it": left_out} if left_out else {}
        audit.record(
            name, action, name, after=after, origin=origin, outcome=audit.Outcome.FAILURE, http_status=http_status
        )
