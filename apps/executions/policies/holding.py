"""Which policies hold for an execution, and into which group of a limit it falls."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from apps.executions.models import Policy

# To stand in a statement that knows an execution's `action_ref` and `pack_ref`: is there such a policy for it?
_HELD = """EXISTS (
        SELECT 1 FROM executions_policy y JOIN packs_pack yp ON yp.id = y.pack_id
        WHERE y.scope_ref IN ('', pack_ref, action_ref) AND y.enabled AND yp.enabled AND {part})"""
IS_LIMITED = _HELD.format(part="(y.concurrency IS NOT NULL OR y.rate_limit IS NOT NULL)")
IS_RETRIED = _HELD.format(part="y.retry IS NOT NULL")

_SPECIFIC = (Policy.Scope.ACTION, Policy.Scope.PACK, Policy.Scope.GLOBAL)
CONCURRENCY, RATE = "concurrency", "rate_limit"


@dataclass(frozen=True)
class Limit:
    """One limiting part of a policy."""

    policy: Policy
    kind: str  # CONCURRENCY or RATE

    @property
    def part(self) -> dict[str, Any]:
        return getattr(self.policy, self.kind)

    def group(self, parameters: Any, key_slots: dict[str, Any]) -> str:
        """A short word for the values at its paths; the same values, the same word."""
        paths = self.part["group_by"]
        values = [_plain(_at(parameters, path.split(".")[1:]), key_slots) for path in paths]
        told = json.dumps([self.kind, paths, values], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def key(self, group: str) -> str:
        """What an execution of that group notes while it waits; another one when the policy changes."""
        return f"{self.policy.pk}.{self.policy.revision}.{self.kind}.{group}"


def holding() -> QuerySet[Policy]:
    """The policies that are switched on."""
    return Policy.objects.filter(enabled=True, pack__enabled=True)


def of_action(action_ref: str, pack_ref: str) -> QuerySet[Policy]:
    """Those that hold for an action."""
    return holding().filter(scope_ref__in=["", pack_ref, action_ref])


def limits_of(action_ref: str, pack_ref: str) -> list[Limit]:
    """The limits that an execution of that action has to keep, always in the same order."""
    policies = of_action(action_ref, pack_ref).exclude(Q(concurrency=None) & Q(rate_limit=None)).order_by("pk")
    return [Limit(p, kind) for p in policies for kind in (CONCURRENCY, RATE) if getattr(p, kind)]


def retry_of(action_ref: str, pack_ref: str) -> Policy | None:
    """The policy that says how to retry: of the highest priority, then of the closest scope, then the first by ref."""
    found = of_action(action_ref, pack_ref).exclude(retry=None)
    return min(found, key=lambda p: (-p.priority, _SPECIFIC.index(Policy.Scope(p.scope)), p.ref), default=None)


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _plain(value: Any, key_slots: dict[str, Any]) -> Any:
    """The value so that equal ones look equal: 1.0 is 1, and a key that is yet to be filled in has its name."""
    if isinstance(value, dict):
        return {name: _plain(item, key_slots) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, key_slots) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        for sentinel, slot in key_slots.items():
            value = value.replace(sentinel, f"key.{'.'.join(map(str, slot['parts']))}")
    return value
