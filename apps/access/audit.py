"""The audit log: who did or tried what, before and after, from where. Only ever added to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

from apps.access.models import AuditEntry
from apps.access.principals import Principal
from attune.lib.loglines import fact

Actor = Principal | AbstractBaseUser | str
Outcome = AuditEntry.Outcome

# Which of the SDK's seven categories an entry is in, by the first word of its action.
CATEGORIES = {
    "auth": ("auth", "token"),
    "rbac": ("user", "group", "access"),
    "secret": ("key",),
    "pack": ("pack", "index", "action", "trigger", "sensor"),
    "execution": ("execution", "event", "worker"),
    "admin": ("rule", "rules", "policy", "retention"),
    "api": (),
}
_CATEGORY_OF = {word: category for category, words in CATEGORIES.items() for word in words}
_WEBHOOKS = "/api/v1/webhooks/"  # what follows is a key


def record(
    actor: Actor,
    action: str,
    target: Any,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    origin: str = "",
    *,
    outcome: str = Outcome.SUCCESS,
    http_status: int | None = None,
) -> AuditEntry:
    """Write one line of the log, in the caller's transaction: no change without its line, no line without its change.

    `actor` is a principal, a user or a plain name; `action` is like `rule.update`; `target` a ref or a number.
    Keep secret values out of `before` and `after`: the log is readable to every administrator for ever.
    """
    entry = _entry(actor, action, target, before, after, origin, outcome=outcome, http_status=http_status)
    entry.save(force_insert=True)
    return entry


def record_each(
    actor: Actor,
    action: str,
    targets: Iterable[Any],
    *,
    after: dict[str, Any] | None = None,
    outcome: str = Outcome.SUCCESS,
) -> None:
    """The same done to several things: a line for each, with one statement."""
    AuditEntry.objects.bulk_create([_entry(actor, action, target, None, after, outcome=outcome) for target in targets])


def _entry(
    actor: Actor,
    action: str,
    target: Any,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    origin: str = "",
    *,
    outcome: str,
    http_status: int | None = None,
) -> AuditEntry:
    return AuditEntry(
        actor=actor_name(actor)[:200],
        identity=_identity(actor),
        came_with=_came_with(actor),
        action=action,
        category=_CATEGORY_OF.get(action.partition(".")[0], "api"),
        outcome=outcome,
        target=str(target)[:300],
        before=before or {},
        after=after or {},
        origin=(origin or getattr(actor, "origin", ""))[:100],
        http_status=http_status,
        **_request(),
    )


def count(action: str, target: Any, *, since: datetime) -> int:
    """How often something was done to something since a moment."""
    return AuditEntry.objects.filter(at__gte=since, action=action, target=str(target)).count()


def was_noted(actor: Actor, action: str, target: Any, *, since: datetime) -> bool:
    """Whether the log has it since a moment that this actor did this to this."""
    lines = AuditEntry.objects.filter(actor=actor_name(actor)[:200], action=action, target=str(target)[:300])
    return lines.filter(at__gte=since, outcome=Outcome.SUCCESS).exists()


def actor_name(actor: Actor) -> str:
    """How the log calls somebody."""
    if isinstance(actor, AbstractBaseUser):
        return actor.get_username()
    return actor.name if isinstance(actor, Principal) else actor


def _identity(actor: Actor) -> int | None:
    user = actor.user if isinstance(actor, Principal) else actor
    return user.pk if isinstance(user, AbstractBaseUser) else None


def _came_with(actor: Actor) -> str:
    if not isinstance(actor, Principal):
        return ""
    if actor.is_person:
        return "token" if actor.token_id else "session"
    return actor.kind


def _request() -> dict[str, str]:
    """The HTTP request that this thread is answering, if it does."""
    request = fact("request")
    if not isinstance(request, HttpRequest):
        return {}
    path = request.path if not request.path.startswith(_WEBHOOKS) else f"{_WEBHOOKS}…"
    return {
        "request_id": str(fact("request_id"))[:64],
        "http_method": (request.method or "")[:10],
        "http_path": path.replace("\0", "")[:300],
        "user_agent": request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:200],
    }
