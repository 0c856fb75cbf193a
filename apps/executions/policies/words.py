"""A policy in words: what it governs, and what each of its parts says. Pure."""

from __future__ import annotations

from typing import Any

from apps.executions.models import Policy
from apps.executions.policies.parts import CANCEL
from apps.executions.retries import pause


def governs(policy: Policy) -> str:
    if policy.scope == Policy.Scope.GLOBAL:
        return "every action"
    return f"every action of pack {policy.scope_ref}" if policy.scope == Policy.Scope.PACK else policy.scope_ref


def says(policy: Policy) -> list[str]:
    """A sentence for each part."""
    told = []
    if policy.concurrency:
        told.append(f"At most {policy.concurrency['limit']} at a time{_each(policy.concurrency)}")
    if policy.rate_limit:
        rate = policy.rate_limit
        told.append(f"At most {rate['limit']} started within {rate['window']} s{_each(rate)}")
    if policy.retry:
        told.append(_retry(policy.retry))
    return told


def _each(part: dict[str, Any]) -> str:
    names = [path.removeprefix("parameters.") for path in part["group_by"]]
    each = f" for each {' and '.join(names)}" if names else ""
    return f"{each}; the rest {'is cancelled' if part['on_limit'] == CANCEL else 'waits'}."


def _retry(how: dict[str, Any]) -> str:
    times = how["max_retries"]
    if not times:
        return "Never tried again."
    pauses = ", ".join(f"{pause(how, tries, dice=0):g}" for tries in range(min(times, 4)))
    more = " …" if times > 4 else ""
    jitter = f", give or take {how['jitter']:.0%}" if how["jitter"] else ""
    after = " or ".join(how["retry_on"])
    return f"Tried again up to {times} time{'s' if times > 1 else ''} after {after}: {pauses}{more} s later{jitter}."
