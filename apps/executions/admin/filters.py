"""What a list of executions can be narrowed to beyond what all lists can."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

from apps.access.admin_filters import EventFilter
from apps.executions.models import FINAL, LIVE, WAITING, Status

_GROUPS = {
    "open": ("Not over yet", WAITING | LIVE),
    "bad": ("Went wrong", FINAL - {Status.COMPLETED, Status.CANCELLED}),
}


class StatusFilter(DropdownFilter):
    """One status, or a group of them."""

    title, parameter_name = "status", "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        groups = [(name, label) for name, (label, _) in _GROUPS.items()]
        return groups + [(status.value, status.value.capitalize()) for status in Status]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value in _GROUPS:
            return queryset.filter(status__in=_GROUPS[value][1])
        return queryset.filter(status=value) if value in Status.values else queryset


class OfEventFilter(EventFilter):
    column = "enforcements__event_id"
