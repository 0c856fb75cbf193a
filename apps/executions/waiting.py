"""Why an execution waits, in words: until a time, for a policy, or for a worker."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import timezone

from apps.executions import workers
from apps.executions.models import WAITING, Execution, Worker
from apps.executions.policies import waiting as policies
from attune.lib import labels


def reasons(executions: Iterable[Execution]) -> dict[int, str]:
    """What each of these waits for, in a sentence; only those that wait are in it. A policy is named before workers."""
    waiting = [execution for execution in executions if execution.status in WAITING]
    told = policies.reasons(waiting)
    rest = [execution for execution in waiting if execution.pk not in told]
    among = workers.alive() if rest else []
    return told | {execution.pk: _reason(execution, among) for execution in rest}


def why_waiting(execution: Execution) -> str:
    """What it waits for; empty when it does not wait."""
    return reasons([execution]).get(execution.pk, "")


def waits_for_workers(execution: Execution, among: list[Worker]) -> str:
    """Which worker it has to wait for among these, and whether there is one."""
    selector = execution.worker_selector
    wanted = f"a worker with {selector.replace(',', ', ')}" if selector else "a worker"
    if workers.taking(selector, among):
        return f"Waits for {wanted} to be free."
    fitting = any(labels.meets(worker.labels, selector) for worker in among)
    return f"Waits for {wanted}; {'each that is alive is draining' if fitting else 'none is alive'}."


def _reason(execution: Execution, among: list[Worker]) -> str:
    if execution.run_after and execution.run_after > timezone.now():
        return f"Waits until {execution.run_after:%Y-%m-%d %H:%M:%S} UTC."
    return waits_for_workers(execution, among)
