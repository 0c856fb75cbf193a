"""What the pages of everything that a pack's files define have in common."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from apps.access.admin_base import AttuneAdmin, command, page_url, permits, principal, reachable
from apps.access.admin_show import enabled_badge, moment, ref
from apps.access.principals import Role
from apps.packs import services
from apps.packs.models import Pack
from attune.lib.schemas import MASK

__all__ = ["ChoicesDropdownFilter", "ComponentAdmin", "EnabledFilter", "PackFilter", "schema_rows"]


class EnabledFilter(DropdownFilter):
    """On or off."""

    title, parameter_name = "state", "enabled"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "On"), ("0", "Off")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(enabled=self.value() == "1") if self.value() in ("0", "1") else queryset


class PackFilter(DropdownFilter):
    """By pack, named by its ref so that the address can be written by hand."""

    title, parameter_name = "pack", "pack"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(ref, ref) for ref in reachable(request, Pack.objects.all()).values_list("ref", flat=True)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(pack__ref=self.value()) if self.value() else queryset


class ComponentAdmin(AttuneAdmin):
    """Defined by a pack's files: looked at here, switched on and off, never edited."""

    list_filter: Any = (PackFilter, EnabledFilter)
    search_fields = ("ref", "label", "description")
    list_select_related: Any = ("pack",)
    ordering = ("ref",)
    actions = ("switch_on", "switch_off")

    @command("Enable", role=Role.OPERATOR, icon="toggle_on", when=lambda thing: not thing.enabled)
    def enable(self, request: HttpRequest, thing: Any) -> str:
        services.set_enabled(thing, True, actor=principal(request))
        return f"{thing.ref} is on."

    @command(
        "Disable",
        role=Role.OPERATOR,
        icon="toggle_off",
        confirm="New events and requests will be refused while it is off.",
        when=lambda thing: thing.enabled,
    )
    def disable(self, request: HttpRequest, thing: Any) -> str:
        services.set_enabled(thing, False, actor=principal(request))
        return f"{thing.ref} is off."

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return permits(request, Role.OPERATOR, self.model)

    @admin.action(description="Enable", permissions=["operate"])
    def switch_on(self, request: HttpRequest, queryset: Any) -> None:
        self._switch(request, queryset, True)

    @admin.action(description="Disable", permissions=["operate"])
    def switch_off(self, request: HttpRequest, queryset: Any) -> None:
        self._switch(request, queryset, False)

    def _switch(self, request: HttpRequest, queryset: Any, enabled: bool) -> None:
        for thing in queryset:
            services.set_enabled(thing, enabled, actor=principal(request))
        self.message_user(request, f"{len(queryset)} switched {'on' if enabled else 'off'}.")

    @admin.display(description="State", ordering="enabled")
    def state(self, thing: Any) -> SafeString:
        return enabled_badge(thing.enabled)

    @admin.display(description="Pack", ordering="pack__ref")
    def of_pack(self, thing: Any) -> SafeString:
        return ref(page_url("packs.pack", thing.pack.ref), thing.pack.ref)

    @admin.display(description="Changed", ordering="updated")
    def changed(self, thing: Any) -> SafeString:
        return moment(thing.updated)


def schema_rows(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema's fields as rows to read: name, type, required, default, description."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return []
    required = schema.get("required") or []
    rows = []
    for name, field in properties.items():
        field = field if isinstance(field, dict) else {}
        kind = field.get("type", "any")
        rows.append(
            {
                "name": name,
                "type": " or ".join(map(str, kind)) if isinstance(kind, list) else kind,
                "required": name in required,
                "secret": bool(field.get("secret")),
                "has_default": "default" in field,
                "default": MASK if field.get("secret") else field.get("default"),
                "choices": field.get("enum"),
                "description": field.get("description", ""),
            }
        )
    return rows
