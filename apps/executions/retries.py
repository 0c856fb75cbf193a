"""Another try for what failed: a new execution that points back, waiting as a row for its time."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.executions import lifecycle
from apps.executions.models import Execution, Status
from apps.executions.policies.holding import retry_of
from apps.executions.policies.parts import RETRIED
from apps.packs.models import Action
from attune.lib import crash

# What an action's own `max_retries` means: 1, 2, 4 … 300 s, as if a policy said so.
PLAIN = {"backoff": "exponential", "delay": 1, "max_delay": 300, "jitter": 0, "retry_on": RETRIED}


def end(execution: Execution, *, to: Status, **outcome: Any) -> bool:
    """Write the end of this attempt, and with it the next try if there is to be one; False if it is no longer ours."""
    action = execution.action
    if action is None or not (action.max_retries or execution.has_retry_policy):
        return lifecycle.finish(execution, to=to, **outcome)
    with transaction.atomic():
        if not lifecycle.finish(execution, to=to, **outcome):
            return False
        crash.point("amid-result")
        plan(execution, action)
    return True


def plan(execution: Execution, action: Action) -> Execution | None:
    """After a failed or timed-out run, the next try if a policy, or else the action, allows one; it waits its time."""
    how: Mapping[str, Any] = PLAIN | {"max_retries": action.max_retries}
    if execution.has_retry_policy:
        policy = retry_of(execution.action_ref, execution.pack_ref)
        how = policy.retry if policy and policy.retry else how
    if execution.status not in how["retry_on"] or execution.retry_number >= how["max_retries"]:
        return None
    dice = random.uniform(-1, 1)  # noqa: S311  (it spreads, it hides nothing)
    return again(
        execution,
        status=Status.SCHEDULED,
        original_id=execution.original_id or execution.pk,
        retry_number=execution.retry_number + 1,
        run_after=timezone.now() + timedelta(seconds=pause(how, execution.retry_number, dice=dice)),
    )


def pause(how: Mapping[str, Any], tries: int, *, dice: float) -> float:
    """Seconds until the next try after so many; `dice`, from -1 to 1, says how much of the jitter is added. Pure."""
    grown = {"constant": 1, "linear": tries + 1, "exponential": 2 ** min(tries, 40)}[how["backoff"]]
    return max(0.0, min(how["max_delay"], how["delay"] * grown) * (1 + how["jitter"] * dice))


def again(execution: Execution, **changes: object) -> Execution:
    """A new execution with the same request, changed where told."""
    copied = (
        "action_id", "action_ref", "pack_ref", "parameters", "sealed", "key_slots", "env_vars", "timeout", "rule_ref",
        "trigger_ref", "event_id", "trace_tag", "parent_id", "requested_by_id", "requested_token",
        "permission_set_refs", "worker_selector", "depth", "caused_by",
    )  # fmt: skip
    return Execution.objects.create(**{name: getattr(execution, name) for name in copied} | changes)  # type: ignore[misc]
