"""Workers: which processes run actions, what they run now, which are draining and which have gone silent."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.access.admin_base import AttuneAdmin, command, principal, reachable
from apps.access.admin_show import DASH, badge, moment
from apps.access.principals import Role
from apps.executions import services, workers
from apps.executions.leading import leader
from apps.executions.models import LIVE, Execution, Worker
from apps.executions.workers import State


def is_active(worker: Worker) -> bool:
    return workers.state_of(worker) == State.ACTIVE


def is_draining(worker: Worker) -> bool:
    return workers.state_of(worker) == State.DRAINING


@admin.register(Worker)
class WorkerAdmin(AttuneAdmin):
    page_template = "attune/worker.html"
    list_display = ("name", "state", "busy", "shown_labels", "host", "pid", "version", "heard_of", "since")
    search_fields = ("name", "host")

    @admin.display(description="State")
    def state(self, worker: Worker) -> SafeString:
        return badge(workers.state_of(worker))

    @admin.display(description="At work")
    def busy(self, worker: Worker) -> str:
        running = Execution.objects.filter(worker=worker.name, status__in=LIVE).count()
        return f"{running} of {worker.threads}"

    @admin.display(description="Labels")
    def shown_labels(self, worker: Worker) -> SafeString:
        return labels_of(worker)

    @admin.display(description="Last sign of life", ordering="heartbeat_at")
    def heard_of(self, worker: Worker) -> SafeString:
        return moment(worker.heartbeat_at)

    @admin.display(description="Started", ordering="created")
    def since(self, worker: Worker) -> SafeString:
        return moment(worker.created)

    @command(
        "Drain",
        role=Role.OPERATOR,
        icon="block",
        when=is_active,
        confirm="Let this worker take no new executions? What it runs now ends in peace.",
    )
    def drain(self, request: HttpRequest, worker: Worker) -> str:
        services.drain_worker(worker, actor=principal(request), user=request.user)
        return "It takes no new executions from now on, or in a second or two."

    @command("Take work again", role=Role.OPERATOR, icon="play_arrow", tone="primary", when=is_draining)
    def undrain(self, request: HttpRequest, worker: Worker) -> str:
        services.undrain_worker(worker, actor=principal(request))
        return "It takes executions again."

    def page(self, request: HttpRequest, worker: Worker) -> dict[str, Any]:
        rows = reachable(request, Execution.objects.filter(worker=worker.name))
        running = rows.filter(status__in=LIVE).only("id", "status", "action_ref", "started_at", "created", "error")
        return {
            "state": badge(workers.state_of(worker)),
            "labels": labels_of(worker),
            "draining": is_draining(worker),
            "leads": leader() == worker.name,
            "running": running.order_by("started_at"),
            "latest": rows.exclude(status__in=LIVE).only(
                "id", "status", "action_ref", "created", "duration_ms", "error"
            )[:20],
        }


def labels_of(worker: Worker) -> SafeString:
    if not worker.labels:
        return DASH
    return format_html_join(" ", '<span class="at-badge at-mute">{}={}</span>', sorted(worker.labels.items()))
