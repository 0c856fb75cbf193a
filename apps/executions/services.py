"""The front door of the executions room: ask for a run, cancel it, run it again, sweep up, keep policies."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.access import audit, reach
from apps.access.principals import Principal, Role
from apps.executions import adoption, chains, lanes, lifecycle, recovery, repeats, tasks, workers
from apps.executions.environment import check_env_vars
from apps.executions.errors import (
    ActionDisabled,
    ExecutionOver,
    NotWaiting,
    ParametersInvalid,
    PermissionSetUnknown,
    WorkerGone,
)
from apps.executions.models import WAITING, Execution, Policy, Worker
from apps.executions.policies import keeping, waiting
from apps.executions.secrets import changed, check_parameters, reveal, seal
from apps.packs.definitions import PERMISSION_SETS
from apps.packs.models import Action, Pack
from attune.lib import labels, queues, schemas
from attune.lib.json_values import storable
from attune.lib.plans import Plan, Step
from attune.lib.rows import insert


@dataclass(frozen=True)
class Request:
    """A request that was checked and can be written: the columns of its row."""

    columns: dict[str, Any]


def prepare(
    action: Action,
    *,
    parameters: dict[str, Any],
    env_vars: dict[str, Any] | None = None,
    timeout: int | None = None,
    key_slots: dict[str, Any] | None = None,
    **origin: Any,
) -> Request:
    """Check a request without writing anything.

    `origin` takes rule_ref, trigger_ref, event_id, trace_tag, depth, caused_by, parent, original, requested_by,
    requested_token, permission_set_refs. Raises ActionDisabled, ParametersInvalid (naming the parameters),
    EnvironmentRefused, PermissionSetUnknown, ChainTooDeep.
    """
    if not action.enabled or not action.pack.enabled:
        what = f"Action {action.ref}" if not action.enabled else f"Pack {action.pack.ref}"
        raise ActionDisabled(f"{what} is disabled; enable it or choose another action.")
    if timeout is not None and timeout <= 0:
        raise ParametersInvalid(f"The time limit is {timeout} s; it must be more than 0.")
    chains.check(origin.get("depth", 0), origin.get("caused_by"))
    _check_permission_sets(action, origin.get("permission_set_refs") or action.permission_set_refs)
    checked = check_parameters(action, parameters, key_slots or {})
    secret = schemas.secret_paths(action.parameters_schema)
    return Request(
        {
            "action": action,
            "action_ref": action.ref,
            "pack_ref": action.pack.ref,
            "parameters": storable(schemas.mask(checked, action.parameters_schema) if secret else checked),
            "sealed": seal(checked, action.ref) if secret else "",
            "key_slots": key_slots or {},
            "env_vars": check_env_vars(env_vars, declared=action.env_vars) if env_vars else {},
            "timeout": timeout,
            "worker_selector": labels.write(action.worker_selector) if action.worker_selector else "",
            "nudged_at": timezone.now(),
            **origin,
        }
    )


def _check_permission_sets(action: Action, wanted: list[str]) -> None:
    """The token of an execution never carries less than it says: what we do not have is refused by name."""
    unknown = [ref for ref in wanted if ref not in PERMISSION_SETS]
    if unknown:
        raise PermissionSetUnknown(
            f"Action {action.ref} asks for the permission set {', '.join(unknown)}, which there is not here; "
            f"ask with permission_set_refs: [{', '.join(PERMISSION_SETS)}] to run it with the rights of that one."
        )


def request_execution(
    action: Action, *, parameters: dict[str, Any], actor: audit.Actor | None = None, **more: Any
) -> Execution:
    """Record that this action shall run, and let a worker know once the record is safe. See `prepare` for the rest.

    `actor`: who it is that asks, where that is to be in the audit log.
    """
    columns = prepare(action, parameters=parameters, **more).columns
    with transaction.atomic() if actor is not None else contextlib.nullcontext():
        [execution] = insert(Execution, [columns])
        if actor is not None:
            audit.record(actor, "execution.request", execution.pk, after={"action": action.ref})
        transaction.on_commit(partial(nudge, [execution]), robust=True)
    return execution


def request_once(
    action: Action, *, by: str, key: str, asked: Any, parameters: dict[str, Any], **more: Any
) -> tuple[Execution, bool]:
    """The same, once for each `key` that `by` gives within a day: the execution, and whether it is new.

    `asked`, as JSON, is what a repetition has to be equal in. Raises KeyInUse, and what `prepare` raises.
    """
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
    return repeats.once(lambda: request_execution(action, parameters=parameters, **more), by=by, key=key, digest=digest)


def plan(request: Request, plan: Plan) -> Step:
    """Make a checked request part of somebody's plan; whoever carries it out says `nudge` afterwards."""
    return plan.insert(Execution, request.columns)


nudge = tasks.nudge  # ring the workers' doorbell: `nudge(executions)`


def cancel_execution(execution: Execution, *, actor: Any) -> Execution:
    """Cancel it: at once while it waits, else its worker ends the program. Raises ExecutionOver."""
    reach.require(actor, Role.OPERATOR, execution)
    if not lifecycle.cancel(execution, why=f"Cancelled by {audit.actor_name(actor)}."):
        execution.refresh_from_db(fields=["status"])
        raise ExecutionOver(f"Execution {execution.pk} is already over ({execution.status}); it cannot be cancelled.")
    audit.record(actor, "execution.cancel", execution.pk, after={"status": execution.status})
    return execution


@transaction.atomic
def reschedule_execution(execution: Execution, *, actor: Any) -> int:
    """Tell a worker of it at once instead of with the next sweep. Returns how often that was asked. Raises NotWaiting.

    It still waits for its time, its policies and a worker that is free.
    """
    reach.require(actor, Role.OPERATOR, execution)
    if execution.status not in WAITING:
        raise NotWaiting(f"Execution {execution.pk} is {execution.status}; only one that waits can be rescheduled.")
    audit.record(actor, "execution.reschedule", execution.pk)
    transaction.on_commit(partial(nudge, [execution]), robust=True)
    return audit.count("execution.reschedule", execution.pk, since=execution.created)


@transaction.atomic
def rerun_execution(
    execution: Execution, *, parameters: dict[str, Any] | None = None, actor: Any, user: Any = None
) -> Execution:
    """A new execution of the same request, or with other parameters; it points back to the first of its line.

    A parameter that comes as it was shown keeps its value: a secret that stays `********`, a key's `{{ key.name }}`.

    Raises what `prepare` raises, since the action or its schema may have changed, and ParametersInvalid when the action
    is gone.
    """
    reach.require(actor, Role.OPERATOR, execution)
    action = execution.action
    if action is None:
        raise ParametersInvalid(f"Action {execution.action_ref} is no longer installed; install its pack first.")
    given = reveal(execution) if parameters is None else changed(execution, parameters)
    request = prepare(
        action,
        parameters=given,
        env_vars=execution.env_vars,
        timeout=execution.timeout,
        key_slots=execution.key_slots,
        rule_ref=execution.rule_ref,
        trigger_ref=execution.trigger_ref,
        event_id=execution.event_id,
        trace_tag=execution.trace_tag,
        depth=execution.depth,
        caused_by=execution.caused_by,
        permission_set_refs=execution.permission_set_refs,
        original_id=execution.original_id or execution.pk,
        requested_by=user,
        requested_token=actor.personal_token if isinstance(actor, Principal) else None,
    )
    [new] = insert(Execution, [request.columns])
    transaction.on_commit(partial(nudge, [new]), robust=True)
    audit.record(actor, "execution.rerun", execution.pk, after={"execution": new.pk})
    return new


def wake_due() -> int:
    """Tell workers of waiting executions that are due and were forgotten. Returns how many.

    Each worker does so for the lanes that it listens to itself. While hints wait in a lane in plenty, nothing is
    forgotten there: then it is the workers who are busy.
    """
    if workers.is_draining():
        return 0
    forgotten = waiting.due()
    for lane in (*lanes.USUAL, *workers.lanes_of_ours()):
        if queues.depth(tasks.run_execution, lane) <= queues.LONG:
            forgotten += recovery.due(lane)
    nudge(forgotten)
    return len(forgotten)


def settle_lost() -> int:
    """Adopt what ended without its worker, settle what is lost with one, clear up after it. Returns how many."""
    count = adoption.adopt() + recovery.settle_orphans() + recovery.settle_unknown()
    recovery.clear_folders()
    if count:
        tasks.wake(waiting.first_of_all())
    return count


# Workers -------------------------------------------------------------------------------------------------------------
@transaction.atomic
def drain_worker(worker: Worker, *, actor: Any, user: Any = None, reason: str = "") -> Worker:
    """Let it take no new executions; what runs there ends in peace. It hears of it within a second or two.

    Raises WorkerGone when it is stopped or lost. Nothing happens when it is draining already.
    """
    if workers.state_of(worker) in (workers.State.STOPPED, workers.State.LOST):
        raise WorkerGone(f"Worker {worker.name} is {workers.state_of(worker)}; only one that is alive can be drained.")
    if workers.set_draining(worker, by=user, reason=reason[:300]):
        audit.record(actor, "worker.drain", worker.name, after={"draining": True, "reason": reason[:300]})
    return worker


@transaction.atomic
def undrain_worker(worker: Worker, *, actor: Any) -> Worker:
    """Let it take executions again. Nothing happens when it does already."""
    if workers.end_draining(worker):
        audit.record(actor, "worker.undrain", worker.name, before={"draining": True}, after={"draining": False})
    return worker


# Policies ------------------------------------------------------------------------------------------------------------
@transaction.atomic
def create_policy(*, ref: str, pack: Pack | str, actor: Any, **fields: Any) -> Policy:
    """Save a new policy made by a person. See `keeping.create`; what waits already is looked at again."""
    policy = keeping.create(ref=ref, pack=pack, actor=actor, **fields)
    transaction.on_commit(wake_due, robust=True)
    return policy


@transaction.atomic
def update_policy(policy: Policy, *, actor: Any, **changes: Any) -> Policy:
    """Change a policy. See `keeping.update`; what waits for it is looked at again."""
    keeping.update(policy, actor=actor, **changes)
    transaction.on_commit(wake_due, robust=True)
    return policy


def set_policy_enabled(policy: Policy, enabled: bool, *, actor: Any) -> Policy:
    """Switch a policy on or off; one from a pack's files too. Raises PolicyInvalid if it could not work any more."""
    return update_policy(policy, actor=actor, enabled=enabled)


@transaction.atomic
def delete_policy(policy: Policy, *, actor: Any) -> None:
    """Delete a policy made by a person; what waits for it may start. Raises PolicyReadOnly."""
    keeping.delete(policy, actor=actor)
    transaction.on_commit(wake_due, robust=True)


def forget() -> int:
    """Delete what no rate limit counts any more, and keys of requests that are over. Returns how many."""
    return waiting.forget_starts() + repeats.forget()
