"""Enforcements: a rule's verdict on an event that it matched or failed on, each comparison with its values."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from apps.access.admin_base import AttuneAdmin, LatestPaginator, page_url
from apps.access.admin_filters import ActionFilter, EventFilter, RuleFilter, SinceFilter, TriggerFilter
from apps.access.admin_show import DASH, badge, moment, ref
from apps.access.principals import Role
from apps.rules.models import Enforcement


@admin.register(Enforcement)
class EnforcementAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER}
    page_template = "attune/enforcement.html"
    list_display = ("number", "shown_verdict", "shown_rule", "shown_event", "became", "why", "happened")
    list_filter = (
        ("verdict", ChoicesDropdownFilter),
        RuleFilter,
        TriggerFilter,
        ActionFilter,
        SinceFilter,
        EventFilter,
    )
    searched = {"refs": ("rule_ref",), "late": ("action_ref",)}
    search_help_text = "Number or rule; of late ones also the whole ref of the action"
    ordering = ("-id",)
    sortable_by = ()
    deferred = ("results", "action_params")
    paginator = LatestPaginator

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related("execution")
        big = ("parameters", "sealed", "result", "stdout", "stderr", "env_vars", "key_slots")
        return rows.defer(*self.deferred, *(f"execution__{name}" for name in big))

    @admin.display(description="No.")
    def number(self, enforcement: Enforcement) -> str:
        return str(enforcement.pk)

    @admin.display(description="Verdict")
    def shown_verdict(self, enforcement: Enforcement) -> SafeString:
        return badge(enforcement.verdict)

    @admin.display(description="Rule")
    def shown_rule(self, enforcement: Enforcement) -> SafeString:
        return ref(page_url("rules.rule", enforcement.rule_ref), enforcement.rule_ref)

    @admin.display(description="Event")
    def shown_event(self, enforcement: Enforcement) -> SafeString:
        return ref(page_url("rules.event", enforcement.event_id), enforcement.event_id)

    @admin.display(description="Execution")
    def became(self, enforcement: Enforcement) -> SafeString:
        run = enforcement.execution
        if run is None:
            return DASH
        return format_html("{} {}", ref(page_url("executions.execution", run.pk), run.pk), badge(run.status))

    @admin.display(description="Why")
    def why(self, enforcement: Enforcement) -> SafeString:
        return format_html('<span class="at-clip" title="{0}">{0}</span>', enforcement.reason[:300])

    @admin.display(description="When")
    def happened(self, enforcement: Enforcement) -> SafeString:
        return moment(enforcement.created)

    def page(self, request: HttpRequest, enforcement: Enforcement) -> dict[str, Any]:
        return {"title": f"Enforcement {enforcement.pk}"}
