"""Those that wait for a limit: what they are told, and whom to look at again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.executions import lanes, lifecycle
from apps.executions.models import WAITING, Execution, Policy, PolicyStart
from apps.executions.policies.holding import RATE, Limit, holding
from apps.executions.policies.turns import lines_of, use_of

MOST_FORGOTTEN = 1000  # starts that are forgotten in one step


def due() -> list[Execution]:
    """The first in each line that is worth another look; they count as told of now.

    Before, those whose policy is no longer as it was when they began to wait are let go.
    """
    lines = lines_of(Execution.objects.exclude(waits_key=""))
    if not lines:
        return []
    revisions = dict(holding().values_list("pk", "revision"))
    stale = [key for key, _ in lines if revisions.get(_policy_of(key)) != _revision_of(key)]
    if stale:
        lifecycle.let_go(stale)
    now = timezone.now()
    forgotten = Q(nudged_at=None) | Q(nudged_at__lt=now - timedelta(seconds=settings.ATTUNE_SWEEP))
    heads = Execution.objects.filter(pk__in=[head for key, head in lines if key not in stale])
    found = list(heads.filter(forgotten | Q(waits_until__lte=now)).order_by("id").only(*lanes.COLUMNS))
    if found:
        lifecycle.nudged([execution.pk for execution in found], at=now)
    return found


def first_of_all() -> list[int]:
    """The first in each line, for when places came free that nobody gave back."""
    return [head for _, head in lines_of(Execution.objects.exclude(waits_key=""))]


def reasons(executions: Iterable[Execution]) -> dict[int, str]:
    """What each of these waits for, in a sentence; only those that wait for a policy are in it."""
    waiting = [e for e in executions if e.waits_key and e.status in WAITING]
    if not waiting:
        return {}
    keys = {e.waits_key for e in waiting}
    policies = holding().in_bulk({_policy_of(key) for key in keys})
    told = {key: _reason(key, policies.get(_policy_of(key))) for key in keys}
    return {e.pk: told[e.waits_key] for e in waiting}


def _reason(key: str, policy: Policy | None) -> str:
    if policy is None or policy.revision != _revision_of(key):
        return "It waited for a policy that was changed meanwhile; it is looked at again in a moment."
    _, _, kind, group = key.split(".")
    use = use_of(Limit(policy, kind), group)
    if use.free:
        return f"Waits for policy {policy.ref}: {use.words}; those that wait start one by one, oldest first."
    if kind == RATE and use.until:
        seconds = max(1, round((use.until - timezone.now()).total_seconds()))
        return f"Waits for policy {policy.ref}: {use.words}; the next may start in {seconds} s."
    return f"Waits for policy {policy.ref}: {use.words}."


def forget_starts() -> int:
    """Delete the starts that no window holds any more. Returns how many."""
    over = Q(pk__in=[])
    limited = set()
    rates: Any = Policy.objects.exclude(rate_limit=None).values_list("pk", "rate_limit")
    for pk, rate in rates:
        limited.add(pk)
        over |= Q(policy=pk, at__lt=timezone.now() - timedelta(seconds=rate["window"]))
    over |= ~Q(policy__in=limited)
    with transaction.atomic():
        rows = PolicyStart.objects.filter(over).select_for_update(skip_locked=True).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:MOST_FORGOTTEN])
        PolicyStart.objects.filter(pk__in=ids).delete()
    return len(ids)


def _policy_of(key: str) -> int:
    return int(key.split(".")[0])


def _revision_of(key: str) -> int:
    return int(key.split(".")[1])
