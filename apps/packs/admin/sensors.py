"""Sensors as their packs define them; how the running one fares comes from the sensors room."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.access.admin_base import reachable
from apps.access.admin_show import badge, moment
from apps.packs.admin.base import ComponentAdmin, schema_rows
from apps.packs.models import Sensor, Trigger


@admin.register(Sensor)
class SensorAdmin(ComponentAdmin):
    page_template = "attune/sensor.html"
    list_display = ("ref", "title_and_description", "process_state", "last_event", "of_pack", "state")
    list_select_related = ("pack", "process")

    @admin.display(description="What it listens to")
    def title_and_description(self, sensor: Sensor) -> SafeString:
        return format_html('<b>{}</b> <span class="at-quiet">{}</span>', sensor.title, sensor.description)

    @admin.display(description="Process")
    def process_state(self, sensor: Sensor) -> SafeString:
        process = getattr(sensor, "process", None)
        return badge(process.state) if process else badge("stopped", "not started")

    @admin.display(description="Last event")
    def last_event(self, sensor: Sensor) -> SafeString:
        process = getattr(sensor, "process", None)
        return moment(process.last_event_at if process else None)

    def page(self, request: HttpRequest, sensor: Sensor) -> dict[str, Any]:
        return {
            "parameters": schema_rows(sensor.parameters_schema),
            "triggers": reachable(request, Trigger.objects.filter(ref__in=sensor.trigger_refs)),
            "process_panel": reverse("admin:sensors_sensorprocess_panel", args=[sensor.pk]),
        }
