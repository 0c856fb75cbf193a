"""Tokens: those a person holds (random, kept as a hash) and those of a single run (signed, kept nowhere)."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from apps.access.models import ApiToken
from attune.lib.signing import signature

RunKind = Literal["execution", "sensor"]
_RUN_TOKEN = re.compile(
    r"atr_(?P<kind>execution|sensor)_(?P<pk>[1-9]\d{0,18})_(?P<fence>0|[1-9]\d{0,9})_(?P<signature>[0-9a-f]{64})\Z",
    re.ASCII,
)
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class RunToken:
    """What a run token says: this run of that execution (its attempt) or of that sensor (its generation)."""

    kind: RunKind
    pk: int
    fence: int


def run_token(kind: RunKind, pk: int, fence: int) -> str:
    """The token of one run; it needs no row, and is worth nothing once the run is over or has a newer fence."""
    return f"atr_{kind}_{pk}_{fence}_{_signature(kind, pk, fence, settings.SECRET_KEY)}"


def read_run_token(text: str) -> RunToken | None:
    """What a run token says, if we signed it; whether that run still goes on is for its room to say."""
    found = _RUN_TOKEN.match(text)
    if not found:
        return None
    kind: RunKind = "execution" if found["kind"] == "execution" else "sensor"
    pk, fence = int(found["pk"]), int(found["fence"])
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if constant_time_compare(found["signature"], _signature(kind, pk, fence, secret)):
            return RunToken(kind, pk, fence)
    return None


def _signature(kind: str, pk: int, fence: int, secret: str) -> str:
    return signature("attune.run-token", f"{kind}:{pk}:{fence}", secret=secret)


def issue(
    user: AbstractUser,
    kind: ApiToken.Kind,
    *,
    name: str = "",
    scope: str = "",
    packs: Iterable[str] = (),
    made_from: ApiToken | None = None,
    lifetime: timedelta | None = None,
) -> tuple[str, ApiToken]:
    """A new token and its row; the text is shown this once and cannot be had again."""
    text = f"att_{secrets.token_urlsafe(32)}"
    row = ApiToken.objects.create(
        user=user,
        kind=kind,
        name=name,
        scope=scope,
        packs=list(packs),
        made_from=made_from,
        prefix=text[:10],
        digest=digest(text),
        expires_at=timezone.now() + lifetime if lifetime is not None else None,
    )
    return text, row


def holder_of(
    text: str, *, kinds: tuple[ApiToken.Kind, ...] = (ApiToken.Kind.ACCESS, ApiToken.Kind.PERSONAL)
) -> ApiToken | None:
    """The row (with its user) of a token that is of one of these kinds, not over, and of an active person."""
    now = timezone.now()
    row = _good(now).filter(digest=digest(text), kind__in=kinds).first()
    if row and row.kind == ApiToken.Kind.PERSONAL and (not row.last_used_at or row.last_used_at < now - _TOUCH_EVERY):
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row


def personal(number: int) -> ApiToken | None:
    """The row (with its user) of a personal token by its number, if that still lets its holder in."""
    return _good(timezone.now()).filter(pk=number, kind=ApiToken.Kind.PERSONAL).first()


def _good(now: datetime) -> QuerySet[ApiToken]:
    """Those that are not over, and of an active person."""
    rows = ApiToken.objects.select_related("user")
    return rows.filter(Q(expires_at=None) | Q(expires_at__gt=now), user__is_active=True)


def digest(text: str) -> str:
    """The only form in which a token is kept. Its 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(text.encode()).hexdigest()
