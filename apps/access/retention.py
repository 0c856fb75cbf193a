"""How long this room keeps its rows: the audit log, and tokens and sessions that have run out, failed sign-ins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from apps.access.models import ApiToken, AuditEntry, AuditSeal, SignInFailures
from attune.lib.retention import Kind


def open_the_log() -> None:
    """PostgreSQL lets entries of the audit log go in a transaction that says this, and in no other."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL attune.retention = 'on'")


def _are_empty(seals: QuerySet[Any], before: datetime) -> QuerySet[Any]:
    entries = AuditEntry.objects.filter(id__gte=OuterRef("first_id"), id__lte=OuterRef("last_id"))
    return seals.filter(~Exists(entries))


def kinds() -> list[Kind]:
    """What is deleted, and when."""
    after_end = settings.ATTUNE_KEEP_SESSIONS
    return [
        Kind("audit entries", AuditEntry, "at", settings.ATTUNE_KEEP_AUDIT, before_delete=open_the_log),
        Kind("seals of the audit log", AuditSeal, "last_at", settings.ATTUNE_KEEP_AUDIT, may_go=_are_empty),
        Kind("expired tokens", ApiToken, "expires_at", after_end, in_order=False),
        Kind("failed sign-ins", SignInFailures, "last_at", after_end, in_order=False),
        Kind("expired sessions", Session, "expire_date", after_end, in_order=False),
    ]
