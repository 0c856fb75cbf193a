"""Chains of executions, each started by the one before or by an event that it sent; too long ones are circles."""

from __future__ import annotations

from django.conf import settings

from apps.executions.errors import ChainTooDeep
from apps.executions.models import Execution


def is_too_deep(depth: int) -> bool:
    """Whether that many executions before it are more than may lead to one."""
    return depth > settings.ATTUNE_MAX_CHAIN


def fault_of(caused_by: int | None) -> str:
    """In words: that the chain which came by this execution is too deep, and where it began."""
    return f"chain deeper than {settings.ATTUNE_MAX_CHAIN} (began with {_beginning(caused_by)})"


def check(depth: int, caused_by: int | None) -> None:
    """Raises ChainTooDeep."""
    if is_too_deep(depth):
        raise ChainTooDeep(
            f"Not started: {fault_of(caused_by)}. Look for executions that start each other in a circle, "
            "or set ATTUNE_MAX_CHAIN higher."
        )


def _beginning(caused_by: int | None) -> str:
    """The event or execution at the start, as far as rows are still there; asked only when a chain is stopped."""
    first, event, seen = caused_by, None, set()
    while caused_by is not None and caused_by not in seen:
        seen.add(caused_by)
        row = Execution.objects.filter(pk=caused_by).values_list("event_id", "caused_by").first()
        if row is None:
            break
        first, event, caused_by = caused_by, row[0], row[1]
    return f"event {event}" if event else f"execution {first}"
