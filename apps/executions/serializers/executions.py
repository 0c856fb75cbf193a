"""Executions and workers as the wire has them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework import serializers

from apps.executions import workers
from apps.executions.models import Execution, Status, Worker
from apps.executions.secrets import shown_parameters
from apps.executions.waiting import reasons
from attune.lib import labels
from attune.lib.api import CursorQuery, Id, PageQuery, Timestamp
from attune.lib.openapi import Constant, Object, TextOrNull

BIG_COLUMNS = ("sealed", "result", "stdout", "stderr", "parameters", "env_vars", "key_slots", "error")


class ExecuteRequest(serializers.Serializer):
    action_ref = serializers.CharField(max_length=200)
    parameters = Object(default=dict)
    env_vars = Object(default=dict)
    timeout_seconds = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    permission_set_refs = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, allow_null=True
    )
    trace_tag = serializers.CharField(max_length=200, required=False, allow_null=True, allow_blank=True)

    def to_internal_value(self, data: Any) -> Any:
        """`action` and `timeout` are other names of action_ref and timeout_seconds; null is as good as absent."""
        if isinstance(data, dict):
            data = {name: value for name, value in data.items() if value is not None}
            for name, alias in (("action_ref", "action"), ("timeout_seconds", "timeout")):
                data.setdefault(name, data.get(alias)) if alias in data else None
        return super().to_internal_value(data)


class RerunRequest(serializers.Serializer):
    parameters = Object(required=False)


class ExecutionQuery(CursorQuery):
    status = serializers.ChoiceField(choices=[*Status.values, "scheduling"], required=False)
    action_ref = serializers.CharField(required=False)
    pack_name = serializers.CharField(required=False, help_text="A pack's ref.")
    rule_ref = serializers.CharField(required=False)
    trigger_ref = serializers.CharField(required=False)
    trace_tag = serializers.CharField(required=False)
    executor = Id(required=False, help_text="The user who asked for it.")
    enforcement = Id(required=False)
    parent = Id(required=False)
    original_execution = Id(required=False)
    top_level_only = serializers.BooleanField(required=False)
    result_contains = serializers.CharField(required=False)


class ExecutionList(serializers.ListSerializer):
    """Looks up what the rows of a list wait for in one go."""

    def to_representation(self, data: Any) -> list[Any]:
        rows = list(data)
        self.child.reasons = reasons(rows)  # type: ignore[union-attr]
        return super().to_representation(rows)


class ExecutionSummary(serializers.Serializer):
    """An execution in a list."""

    reasons: dict[int, str] | None = None  # what the rows of the list wait for, by their numbers

    class Meta:
        list_serializer_class = ExecutionList

    id = serializers.IntegerField()
    action_ref = serializers.CharField()
    pack_ref = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    enforcement = serializers.SerializerMethodField(help_text="The enforcement that asked for it.")
    original_execution = serializers.IntegerField(source="original_id", allow_null=True)
    parent = serializers.IntegerField(source="parent_id", allow_null=True)
    rule_ref = TextOrNull()
    trigger_ref = TextOrNull()
    event = serializers.IntegerField(source="event_id", allow_null=True)
    trace_tag = TextOrNull()
    depth = serializers.IntegerField(help_text="How many executions led to it, one after the other.")
    caused_by = serializers.IntegerField(
        allow_null=True, help_text="The execution that started it, or that sent the event it answers to."
    )
    timeout_seconds = serializers.IntegerField(source="timeout", allow_null=True)
    workflow_task = Constant(None)
    started_at = Timestamp(allow_null=True)
    finished_at = Timestamp(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    exit_code = serializers.IntegerField(allow_null=True)
    waits_for = serializers.SerializerMethodField(help_text="Why it waits, in words; null where it does not.")
    created = Timestamp()
    updated = Timestamp()

    def get_waits_for(self, execution: Execution) -> str | None:
        told = reasons([execution]) if self.reasons is None else self.reasons
        return told.get(execution.pk)

    def get_enforcement(self, execution: Execution) -> int | None:
        return next((enforcement.pk for enforcement in execution.enforcements.all()), None)  # type: ignore[attr-defined]


class ShownParameters(Object):
    """The parameters as people may see them."""

    def get_attribute(self, execution: Execution) -> dict[str, Any]:
        return shown_parameters(execution)


class ExecutionDetail(ExecutionSummary):
    """An execution with all that is known of it; secret values are masked."""

    action = serializers.IntegerField(source="action_id", allow_null=True)
    config = ShownParameters(help_text="The parameters, under the name that the SDK reads.")
    parameters = ShownParameters()
    env_vars = Object()
    result = serializers.SerializerMethodField()
    error = TextOrNull()
    executor = serializers.IntegerField(source="requested_by_id", allow_null=True)
    permission_set_refs = serializers.ListField(child=serializers.CharField())
    attempt = serializers.IntegerField()
    retry_number = serializers.IntegerField()
    run_after = Timestamp(allow_null=True)
    worker = Constant(None)
    worker_name = TextOrNull(source="worker")
    worker_affinity = Constant(None)
    worker_selector = serializers.SerializerMethodField(help_text="Labels that its worker must have; null: any.")
    worker_tolerations = Constant(None)
    artifact_retention_policy = Constant(None)
    artifact_retention_limit = Constant(None)

    def get_result(self, execution: Execution) -> dict[str, Any]:
        return result_of(execution)

    def get_worker_selector(self, execution: Execution) -> dict[str, str] | None:
        return labels.read(execution.worker_selector) or None


class Rescheduled(serializers.Serializer):
    """An execution of which a worker was told once more."""

    execution = ExecutionDetail()
    attempt_count = serializers.IntegerField(help_text="How often this was asked.")
    last_attempt_at = Timestamp()
    message = serializers.CharField()


class ExecutionStats(serializers.Serializer):
    total = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())


class LogQuery(serializers.Serializer):
    offset = serializers.IntegerField(
        default=0, min_value=-(2**40), max_value=2**40, help_text="In bytes; negative: from the end."
    )
    limit = serializers.IntegerField(default=1024 * 1024, min_value=1, max_value=10 * 1024 * 1024)


class DrainRequest(serializers.Serializer):
    reason = serializers.CharField(max_length=300, required=False, allow_null=True, allow_blank=True)


class WorkerQuery(PageQuery):
    q = serializers.CharField(required=False)
    role = serializers.CharField(required=False)
    status = serializers.CharField(required=False)
    health_state = serializers.CharField(required=False)
    cordoned = serializers.BooleanField(required=False, allow_null=True, default=None)


class WorkerRuntime(serializers.Serializer):
    name = serializers.CharField()
    versions = serializers.ListField(child=serializers.CharField())


class WorkerDetail(serializers.Serializer):
    """A worker, made by `worker_row`."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    host = serializers.CharField()
    version = serializers.CharField()
    worker_role = serializers.CharField()
    worker_type = serializers.CharField()
    status = serializers.CharField()
    health_state = serializers.CharField()
    heartbeat_stale = serializers.BooleanField()
    heartbeat_age_seconds = serializers.IntegerField()
    last_heartbeat = Timestamp()
    state = serializers.ChoiceField(choices=workers.State.choices)
    pid = serializers.IntegerField()
    labels = serializers.DictField(child=serializers.CharField())
    threads = serializers.IntegerField(help_text="Executions that it runs at a time.")
    running = serializers.IntegerField(help_text="Executions that it runs now.")
    leader = serializers.BooleanField(help_text="It is the one that does the chores of all.")
    cordoned = serializers.BooleanField(help_text="It is draining: it takes no new executions.")
    cordoned_at = Timestamp(allow_null=True)
    cordoned_by = serializers.IntegerField(allow_null=True)
    cordon_reason = TextOrNull()
    load = Object()
    supported_runtimes = WorkerRuntime(many=True)
    created = Timestamp()
    updated = Timestamp()


def result_of(execution: Execution) -> dict[str, Any]:
    """What the wire calls the result: `{}` until the end, then how it ended, what it said, and the data in that."""
    if not execution.is_final:
        return {}
    result = {
        "exit_code": execution.exit_code,
        "succeeded": execution.status == Status.COMPLETED,
        "duration_ms": execution.duration_ms,
        "data": execution.result,
        "stdout": execution.stdout,
        "stderr": execution.stderr,
    }
    if execution.error:
        result["error"] = execution.error
    return result | ({"timed_out": True} if execution.status == Status.TIMEOUT else {})


def worker_row(worker: Worker, *, counts: dict[str, int], leads: bool) -> dict[str, Any]:
    """A worker as the wire has it. `counts` are its executions by status, `leads`: it does the chores of all."""
    age = timezone.now() - worker.heartbeat_at
    state = workers.state_of(worker)
    running, canceling = counts.get(Status.RUNNING, 0), counts.get(Status.CANCELING, 0)
    active = running + canceling
    busy = "busy" if active >= worker.threads else "active"
    health = {"stopped": "inactive", "lost": "offline", "draining": "cordoned"}.get(state, busy)
    load = {"requested": 0, "scheduling": 0, "scheduled": 0, "running": running, "canceling": canceling}
    load |= {"total_active": active, "max_concurrent_executions": worker.threads}
    load["utilization_percent"] = min(100, round(100 * active / max(1, worker.threads)))
    return {
        "id": worker.pk,
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "labels": worker.labels,
        "worker_role": "action",
        "worker_type": "local",
        "state": state,
        "status": "inactive" if health in ("offline", "inactive") else busy,
        "health_state": health,
        "heartbeat_stale": age > timedelta(seconds=settings.ATTUNE_LEASE),
        "heartbeat_age_seconds": max(0, int(age.total_seconds())),
        "last_heartbeat": worker.heartbeat_at,
        "threads": worker.threads,
        "running": active,
        "leader": leads,
        "cordoned": worker.draining_since is not None,
        "cordoned_at": worker.draining_since,
        "cordoned_by": worker.drained_by_id,
        "cordon_reason": worker.drain_reason,
        "load": load,
        "supported_runtimes": worker.runtimes,
        "created": worker.created,
        "updated": worker.updated,
    }
