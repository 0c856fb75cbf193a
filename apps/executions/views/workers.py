"""Workers: look at them, let them take no new executions, and take them again."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.rights import Role
from apps.executions import services
from apps.executions.leading import leader
from apps.executions.models import LIVE, Execution, Worker
from apps.executions.serializers.executions import DrainRequest, WorkerDetail, WorkerQuery, worker_row
from attune.lib.api import answer_both, body_of, one_of, page_of, query_of
from attune.lib.openapi import describe, describe_list


class Workers(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_workers", "List workers", answers=WorkerDetail, query=WorkerQuery)
    def get(self, request: Request) -> Response:
        asked = query_of(request, WorkerQuery)
        wanted = {"worker_role": asked.get("role"), "cordoned": asked.get("cordoned")}
        wanted |= {"status": asked.get("status"), "health_state": asked.get("health_state")}
        found = Worker.objects.filter(name__icontains=asked["q"]) if asked.get("q") else Worker.objects.all()
        rows = [
            row
            for row in worker_rows(found)
            if all(row[name] == value for name, value in wanted.items() if value is not None)
        ]
        return page_of(request, rows, WorkerDetail)


class WorkerView(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_worker", "Show a worker", answers=WorkerDetail, bare=True)
    def get(self, request: Request, pk: int) -> Response:
        worker = one_of(Worker.objects.all(), "worker", pk=pk)
        return _shown(worker)


class Drain(APIView):
    needs = {"POST": Role.OPERATOR}

    @describe(
        "drain_worker",
        "Let a worker take no new executions",
        body=DrainRequest,
        answers=WorkerDetail,
        bare=True,
        also={409: "It has stopped, or gives no sign of life."},
    )
    def post(self, request: Request, pk: int) -> Response:
        principal = principal_of(request)
        given = body_of(request, DrainRequest)
        worker = one_of(Worker.objects.all(), "worker", pk=pk)
        services.drain_worker(worker, actor=principal, user=principal.user, reason=given.get("reason") or "")
        return _shown(worker)


class Undrain(APIView):
    needs = {"POST": Role.OPERATOR}

    @describe("undrain_worker", "Let a worker take executions again", answers=WorkerDetail, bare=True)
    def post(self, request: Request, pk: int) -> Response:
        worker = one_of(Worker.objects.all(), "worker", pk=pk)
        services.undrain_worker(worker, actor=principal_of(request))
        return _shown(worker)


class Cordon(Drain):
    """The same under the SDK's name."""

    @describe(
        "cordon_worker",
        "Let a worker take no new executions",
        body=DrainRequest,
        answers=WorkerDetail,
        bare=True,
        also={409: "It has stopped, or gives no sign of life."},
    )
    def post(self, request: Request, pk: int) -> Response:
        return super().post(request, pk)


class Uncordon(Undrain):
    """The same under the SDK's name."""

    @describe("uncordon_worker", "Let a worker take executions again", answers=WorkerDetail, bare=True)
    def post(self, request: Request, pk: int) -> Response:
        return super().post(request, pk)


def _shown(worker: Worker) -> Response:
    return answer_both(WorkerDetail(worker_rows([worker])[0]).data)


def worker_rows(workers: Any) -> list[dict[str, Any]]:
    """Workers with what each is doing."""
    workers = list(workers)
    names = [worker.name for worker in workers]
    counts: dict[str, dict[str, int]] = {name: {} for name in names}
    live = Execution.objects.order_by().filter(worker__in=names, status__in=LIVE)
    for name, status, number in live.values_list("worker", "status").annotate(number=Count("pk")):
        counts[name][status] = number
    leading = leader()
    return [worker_row(worker, counts=counts[worker.name], leads=worker.name == leading) for worker in workers]
