"""Filters that several lists share; each one's name can be written into an address by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from attune.lib.long_tables import beginning_with, since


class SinceFilter(DropdownFilter):
    """How far back."""

    title, parameter_name = "time", "since"
    column = "created"
    spans = {
        "15m": ("Last 15 minutes", timedelta(minutes=15)),
        "1h": ("Last hour", timedelta(hours=1)),
        "24h": ("Last 24 hours", timedelta(days=1)),
        "7d": ("Last 7 days", timedelta(days=7)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in self.spans.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        known = self.spans.get(self.value() or "")
        if known is None:
            return queryset
        return since(queryset, self.column, timezone.now() - known[1])


class RefFilter(TextFilter):
    """The whole ref of something, or the beginning of one with a `*` after it."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = (self.value() or "").strip()
        if not value:
            return queryset
        queryset = queryset.exclude(**{self.parameter_name: ""})  # as the partial indexes say
        if not value.endswith("*"):
            return queryset.filter(**{self.parameter_name: value})
        beginning = value.rstrip("*")
        if not self.indexed(queryset.model):
            return queryset.filter(**{f"{self.parameter_name}__startswith": beginning})
        return beginning_with(queryset, self.parameter_name, beginning)

    def indexed(self, model: type[Model]) -> bool:
        """Whether an index of the model begins with the column."""
        return any(index.fields[:1] == [self.parameter_name] for index in model._meta.indexes)


class ActionFilter(RefFilter):
    title, parameter_name = "action", "action_ref"


class RuleFilter(RefFilter):
    title, parameter_name = "rule", "rule_ref"


class TriggerFilter(RefFilter):
    title, parameter_name = "trigger", "trigger_ref"


class EventFilter(TextFilter):
    title, parameter_name = "event number", "event"
    column = "event_id"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = (self.value() or "").strip()
        return queryset.filter(**{self.column: int(value)}) if value.isdecimal() and len(value) < 19 else queryset
