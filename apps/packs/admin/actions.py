"""Actions: what can be done, with which parameters, and how it went lately."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from apps.access.admin_base import reachable
from apps.access.admin_show import enabled_badge
from apps.packs import runtimes
from apps.packs.admin.base import ChoicesDropdownFilter, ComponentAdmin, EnabledFilter, PackFilter, schema_rows
from apps.packs.models import Action
from attune.lib.errors import AttuneError

SHOWN_RUNS = 10
COUNTED = 1000  # the latest runs among which those of a day are counted
_LIST_ROW = ("id", "status", "created", "duration_ms", "started_at", "rule_ref", "error")


@admin.register(Action)
class ActionAdmin(ComponentAdmin):
    page_template = "attune/action.html"
    list_display = ("ref", "title_and_description", "runner_type", "of_pack", "state", "run")
    list_filter = (PackFilter, ("runner_type", ChoicesDropdownFilter), EnabledFilter)

    @admin.display(description="What it does")
    def title_and_description(self, action: Action) -> SafeString:
        return format_html('<b>{}</b> <span class="at-quiet">{}</span>', action.title, action.description)

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        shown = tuple(super().get_list_display(request))
        return shown if self.has_operate_permission(request) else shown[:-1]

    @admin.display(description="")
    def run(self, action: Action) -> SafeString:
        if not (action.enabled and action.pack.enabled):
            return enabled_badge(False)
        return format_html('<a class="at-btn at-small" href="{}">Run</a>', run_url(action.ref))

    def page(self, request: HttpRequest, action: Action) -> dict[str, Any]:
        executions = action.executions.model.objects  # type: ignore[attr-defined]
        runs = executions.filter(action_ref=action.ref).only(*_LIST_ROW)  # by ref: that is what has an index
        since = timezone.now() - timedelta(days=1)
        latest = runs.order_by("-id").values_list("status", "created")[:COUNTED]
        return {
            "parameters": schema_rows(action.parameters_schema),
            "output": schema_rows(action.output_schema),
            "rules": reachable(request, action.rules.order_by("ref")),  # type: ignore[attr-defined]
            "runs": runs.order_by("-id")[:SHOWN_RUNS],
            "day": Counter(status for status, created in latest if created >= since).most_common(),
            "problem": problem_of(action),
            "run_url": run_url(action.ref),
        }


def run_url(ref: str) -> str:
    """The page that runs an action; it belongs to the executions."""
    return f"{reverse('admin:executions_execution_add')}?{urlencode({'action': ref})}"


def problem_of(action: Action) -> str:
    """Why it could not run at this moment, and the remedy; empty where it could."""
    if action.runtime and action.runtime.detected_at and not action.runtime.available:
        return action.runtime.problem
    try:
        if action.pack.path and action.runner_type == "shell":
            runtimes.command_for(action)
    except AttuneError as error:
        return error.message
    return ""
