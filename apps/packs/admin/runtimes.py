"""Runtimes: which interpreters were found, and what to do about those that were not."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.access.admin_base import AttuneAdmin, command
from apps.access.admin_show import badge, moment
from apps.access.principals import Role
from apps.packs import runtimes
from apps.packs.models import Runtime


@admin.register(Runtime)
class RuntimeAdmin(AttuneAdmin):
    page_template = "attune/runtime.html"
    list_display = ("ref", "name", "state", "version", "path", "problem", "looked")
    search_fields = ("ref", "name")

    @admin.display(description="State", ordering="available")
    def state(self, runtime: Runtime) -> SafeString:
        return state_of(runtime)

    @admin.display(description="Looked", ordering="detected_at")
    def looked(self, runtime: Runtime) -> SafeString:
        return moment(runtime.detected_at)

    @command("Look again", role=Role.OPERATOR, icon="refresh", tone="primary")
    def detect(self, request: HttpRequest, runtime: Runtime) -> str:
        runtimes.detect()
        runtime.refresh_from_db()
        return f"{runtime.name}: {'found ' + runtime.version if runtime.available else runtime.problem}"

    def page(self, request: HttpRequest, runtime: Runtime) -> dict[str, Any]:
        return {
            "state": state_of(runtime),
            "actions": runtime.actions.order_by("ref"),  # type: ignore[attr-defined]
            "sensors": runtime.sensors.order_by("ref"),  # type: ignore[attr-defined]
        }


def state_of(runtime: Runtime) -> SafeString:
    if runtime.detected_at is None:
        return badge("unknown", "not looked for yet")
    return badge("available" if runtime.available else "unavailable")
