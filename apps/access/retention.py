"""How long this room keeps its rows: the audit log, and tokens and sessions that have run out, failed sign-ins."""

from __future__ import annotations

from django.conf import settings
from django.contrib.sessions.models import Session

from apps.access.models import ApiToken, AuditEntry, SignInFailures
from attune.lib.retention import Kind


def kinds() -> list[Kind]:
    """What is deleted, and when."""
    after_end = settings.ATTUNE_KEEP_SESSIONS
    return [
        Kind("audit entries", AuditEntry, "at", settings.ATTUNE_KEEP_AUDIT),
        Kind("expired tokens", ApiToken, "expires_at", after_end, in_order=False),
        Kind("failed sign-ins", SignInFailures, "last_at", after_end, in_order=False),
        Kind("expired sessions", Session, "expire_date", after_end, in_order=False),
    ]
