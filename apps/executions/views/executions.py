"""Executions: ask for a run, look at it, read its logs, cancel it, run it again."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import Principal, principal_of
from apps.access.reach import find, narrow
from apps.access.rights import Role, in_packs, open_to
from apps.executions import logs, services, tokens
from apps.executions.models import Execution, Status
from apps.executions.serializers import executions as serializers
from apps.executions.serializers.executions import BIG_COLUMNS, ExecutionDetail, ExecutionQuery, ExecutionSummary
from apps.executions.waiting import why_waiting
from apps.packs.models import Action
from attune.lib.api import answer, answer_both, body_of, idempotency_key, narrowed, page_of, query_of
from attune.lib.long_tables import beginning_with
from attune.lib.openapi import describe, describe_list

FILTERS = {
    "status": "status",
    "action_ref": "action_ref",
    "rule_ref": "rule_ref",
    "trigger_ref": "trigger_ref",
    "trace_tag": "trace_tag",
    "executor": "requested_by_id",
    "enforcement": "enforcements",
    "parent": "parent_id",
    "original_execution": "original_id",
}


def readable(principal: Principal) -> QuerySet[Execution]:
    """The executions one may look at: those of packs one reaches, or for a running one itself and its children."""
    rows = narrow(principal, Execution.objects.all())
    if principal.kind == "execution":
        rows = rows.filter(Q(pk=principal.execution_id) | Q(parent_id=principal.execution_id))
    return rows


def summaries(rows: QuerySet[Execution]) -> QuerySet[Execution]:
    """The rows with just what a list shows, the enforcement that asked for each included."""
    enforcements = Execution.enforcements.field.model.objects.only("execution_id")  # type: ignore[attr-defined]
    return rows.defer(*BIG_COLUMNS).prefetch_related(Prefetch("enforcements", queryset=enforcements))


def execution_for(principal: Principal, pk: int) -> Execution:
    """Raises: Http404; PermissionDenied for the token of another execution, whether or not there is such a one."""
    found = readable(principal).filter(pk=pk).first()
    if found is None:
        if principal.kind == "execution":
            raise PermissionDenied(f"The token of {principal.name} does not reach execution {pk}.")
        raise Http404(f"There is no execution {pk}.")
    return found


def _listed(request: Request, **fixed: Any) -> Response:
    asked = query_of(request, ExecutionQuery) | fixed
    rows = narrowed(readable(principal_of(request)), asked, FILTERS)
    if asked.get("pack_name"):
        rows = beginning_with(rows.filter(pack_ref=asked["pack_name"]), "action_ref", f"{asked['pack_name']}.")
    if asked.get("top_level_only"):
        rows = rows.filter(parent=None)
    if asked.get("result_contains"):
        text = asked["result_contains"]
        rows = rows.annotate(result_text=Cast("result", TextField()))
        rows = rows.filter(Q(result_text__icontains=text) | Q(stdout__icontains=text))
    return page_of(request, summaries(rows), ExecutionSummary, cursors=True)


class Executions(APIView):
    needs = {"GET": open_to(Role.VIEWER, execution=True)}

    @describe_list("list_executions", "List executions, latest first", answers=ExecutionSummary, query=ExecutionQuery)
    def get(self, request: Request) -> Response:
        return _listed(request)


class ExecutionsByStatus(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_executions_by_status", "List executions of a status", answers=ExecutionSummary)
    def get(self, request: Request, status: str) -> Response:
        if status not in (*Status.values, "scheduling"):
            raise Http404(f"There is no status {status}; there are {', '.join(Status.values)}.")
        return _listed(request, status=status)


class ExecutionsByEnforcement(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_executions_by_enforcement", "List an enforcement's executions", answers=ExecutionSummary)
    def get(self, request: Request, enforcement_id: int) -> Response:
        if enforcement_id >= 2**63:  # further than a database counts
            raise Http404(f"There is no enforcement {enforcement_id}.")
        return _listed(request, enforcement=enforcement_id)


class Execute(APIView):
    needs = {"POST": open_to(Role.OPERATOR, execution=True, in_packs=True)}

    @describe(
        "create_execution",
        "Run an action",
        body=serializers.ExecuteRequest,
        answers=ExecutionDetail,
        status=201,
        bare=True,
        once=True,
        also={
            409: "The action or its pack is disabled, or too many executions led to this one.",
            422: "The parameters do not meet the action's schema, or the key was used for another request.",
        },
    )
    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        given = body_of(request, serializers.ExecuteRequest)
        actions = Action.objects.select_related("pack", "runtime")
        action = find(request, actions, "action", ref=given["action_ref"])
        tokens.refuse_to_carry(principal, action.ref)
        more = {
            "parameters": given["parameters"],
            "env_vars": given["env_vars"],
            "timeout": given.get("timeout_seconds"),
            "permission_set_refs": given.get("permission_set_refs") or [],
            "actor": principal if principal.is_person else None,
            **_origin(principal, action, given.get("trace_tag") or ""),
        }
        if key := idempotency_key(request):
            execution, _ = services.request_once(action, by=principal.name, key=key, asked=given, **more)
        else:
            execution = services.request_execution(action, **more)
        return answer_both(ExecutionDetail(execution).data, status=201)


def _origin(principal: Principal, action: Action, trace_tag: str) -> dict[str, Any]:
    """Where the new execution comes from: a person, or a running execution, whose child it then is."""
    if principal.kind != "execution":
        return {
            "requested_by": principal.user,
            "requested_token": principal.personal_token,
            "trace_tag": trace_tag,
        }
    told = ("requested_by", "requested_token", "trace_tag", "parent", "rule_ref")
    parent = Execution.objects.only(*told).get(pk=principal.execution_id)
    tokens.refuse_beyond(principal, action, parent)
    return {
        "parent_id": parent.pk,
        "depth": principal.depth + 1,
        "caused_by": parent.pk,
        "requested_by_id": parent.requested_by_id,
        "requested_token": parent.requested_token,
        "trace_tag": trace_tag or parent.trace_tag,
    }


class ExecutionStatistics(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_execution_stats", "Count executions by status", answers=serializers.ExecutionStats)
    def get(self, request: Request) -> Response:
        counted = readable(principal_of(request)).order_by().values_list("status").annotate(number=Count("pk"))
        by_status = dict.fromkeys(Status.values, 0) | dict(counted)
        return answer({"total": sum(by_status.values()), "by_status": by_status})


class ExecutionView(APIView):
    needs = {"GET": open_to(Role.VIEWER, execution=True)}

    @describe("get_execution", "Show an execution", answers=ExecutionDetail)
    def get(self, request: Request, pk: int) -> Response:
        return answer(ExecutionDetail(execution_for(principal_of(request), pk)).data)


class Cancel(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("cancel_execution", "Cancel an execution", answers=ExecutionDetail, also={409: "It is already over."})
    def post(self, request: Request, pk: int) -> Response:
        principal = principal_of(request)
        execution = services.cancel_execution(execution_for(principal, pk), actor=principal)
        execution.refresh_from_db()
        return answer(ExecutionDetail(execution).data)


class Reschedule(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe(
        "reschedule_execution",
        "Tell a worker of an execution that waits, without waiting for the next sweep",
        answers=serializers.Rescheduled,
        also={409: "It does not wait."},
    )
    def post(self, request: Request, pk: int) -> Response:
        principal = principal_of(request)
        execution = execution_for(principal, pk)
        count = services.reschedule_execution(execution, actor=principal)
        told = {
            "execution": execution,
            "attempt_count": count,
            "last_attempt_at": timezone.now(),
            "message": f"A worker is told of it again. {why_waiting(execution)}".strip(),
        }
        return answer(serializers.Rescheduled(told).data)


class Rerun(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe(
        "rerun_execution",
        "Run an execution again, with the same parameters or others",
        body=serializers.RerunRequest,
        answers=ExecutionDetail,
        status=201,
    )
    def post(self, request: Request, pk: int) -> Response:
        principal = principal_of(request)
        execution = execution_for(principal, pk)
        tokens.refuse_to_carry(principal, execution.action_ref)
        given = body_of(request, serializers.RerunRequest)
        new = services.rerun_execution(
            execution, parameters=given.get("parameters"), actor=principal, user=principal.user
        )
        return answer(ExecutionDetail(new).data, status=201)


class Logs(APIView):
    needs = {"GET": open_to(Role.VIEWER, execution=True)}

    @describe("get_execution_log", "Read an execution's output", query=serializers.LogQuery, text=True)
    def get(self, request: Request, pk: int, stream: str) -> HttpResponse:
        execution = execution_for(principal_of(request), pk)
        asked = query_of(request, serializers.LogQuery)
        if stream not in logs.STREAMS:
            raise Http404(f"There is no log {stream}; there are {' and '.join(logs.STREAMS)}.")
        text = logs.read(execution.pk, stream, offset=asked["offset"], limit=asked["limit"])
        headers = {"Content-Disposition": f'attachment; filename="execution-{execution.pk}-{stream}.txt"'}
        return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)
