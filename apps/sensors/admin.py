"""The admin's pages for running sensors and for what knocked at the webhooks."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from apps.access.admin_base import AttuneAdmin, LatestPaginator, command, page_url, principal, reachable
from apps.access.admin_filters import SinceFilter, TriggerFilter
from apps.access.admin_show import ago, badge, moment, ref
from apps.access.principals import Role
from apps.packs.models import Sensor
from apps.sensors import services
from apps.sensors.models import SensorProcess, WebhookDelivery

SHOWN_DELIVERIES = 15
State = SensorProcess.State


@admin.register(SensorProcess)
class SensorProcessAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER}
    page_template = "attune/sensor_process.html"
    list_display = ("shown_sensor", "state_word", "story", "events", "bad_lines", "restarts", "last_event", "host")
    list_display_links = None
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("sensor__ref",)
    list_select_related = ("sensor__pack",)

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [path("panel/<int:sensor_id>/", view(self.panel_view), name="sensors_sensorprocess_panel")]

    @admin.display(description="Sensor", ordering="sensor__ref")
    def shown_sensor(self, process: SensorProcess) -> SafeString:
        return ref(page_url("packs.sensor", process.sensor.ref), process.sensor.ref)

    @admin.display(description="State", ordering="state")
    def state_word(self, process: SensorProcess) -> SafeString:
        return badge_of(process)

    @admin.display(description="In words")
    def story(self, process: SensorProcess) -> str:
        return story_of(process)

    @admin.display(description="Last event", ordering="last_event_at")
    def last_event(self, process: SensorProcess) -> SafeString:
        return moment(process.last_event_at)

    def page(self, request: HttpRequest, process: SensorProcess) -> dict[str, Any]:
        return self._panel(request, process)

    @command("Restart", role=Role.OPERATOR, icon="restart_alt", confirm="Its process is ended and started anew.")
    def restart(self, request: HttpRequest, process: SensorProcess) -> str:
        services.restart_sensor(process.sensor, actor=principal(request))
        return f"{process.sensor.ref} is being restarted."

    def panel_view(self, request: HttpRequest, sensor_id: int) -> HttpResponse:
        """How a sensor fares, as a part of its own page."""
        self.require(request, "view")
        sensor = reachable(request, Sensor.objects.select_related("pack").filter(pk=sensor_id)).first()
        if sensor is None:
            raise Http404(f"There is no sensor {sensor_id}.")
        process = services.process_of(sensor)
        buttons = self.buttons(request, process) if process.pk else []
        return self.render(request, "attune/sensor_panel.html", {"buttons": buttons, **self._panel(request, process)})

    def _panel(self, request: HttpRequest, process: SensorProcess) -> dict[str, Any]:
        return {
            "process": process,
            "state": badge_of(process),
            "story": story_of(process),
            "log": services.log_tail(process.sensor),
            "back": page_url("packs.sensor", process.sensor.ref),
        }


def badge_of(process: SensorProcess) -> SafeString:
    state = services.state_of(process)
    return badge("dead", "lost") if state == "lost" else badge(state)


def story_of(process: SensorProcess) -> str:
    """How it stands, and what comes next."""
    state = services.state_of(process)
    if state == "lost":
        return f"Its host {process.host or ''} is silent; another takes over when the lease ends."
    if state == State.RUNNING:
        return f"Started {ago(process.started_at)}." if process.started_at else "Running."
    if state == State.BACKOFF:
        when = f" It starts again {ago(process.next_start_at)}." if process.next_start_at else ""
        return f"It ended {process.failures} times in a row.{when}"
    if state == State.STARTING:
        return "It is being started."
    return process.reason or "Nothing asks for it: no enabled rule uses its triggers."


class AnswerFilter(DropdownFilter):
    """Let in or not."""

    title, parameter_name = "answer", "answer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("in", "Let in"), ("out", "Refused")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "in":
            return queryset.filter(status__lt=400)
        return queryset.filter(status__gte=400) if self.value() == "out" else queryset


class ReceivedFilter(SinceFilter):
    column = "received_at"


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER}
    page_template = "attune/delivery.html"
    list_display = ("number", "answer", "shown_trigger", "address", "reason", "shown_event", "came")
    list_filter = (AnswerFilter, TriggerFilter, ReceivedFilter)
    searched = {"refs": ("trigger_ref",), "late": ("address", "delivery_id")}
    search_help_text = "Trigger; of late deliveries also the address or the delivery id"
    ordering = ("-id",)
    sortable_by = ()
    paginator = LatestPaginator

    def extra_urls(self) -> list[URLPattern]:
        return [path("panel/", self.admin_site.admin_view(self.panel_view), name="sensors_webhookdelivery_panel")]

    @admin.display(description="No.")
    def number(self, delivery: WebhookDelivery) -> str:
        return str(delivery.pk)

    @admin.display(description="Answer", ordering="status")
    def answer(self, delivery: WebhookDelivery) -> SafeString:
        return answer_of(delivery)

    @admin.display(description="Trigger")
    def shown_trigger(self, delivery: WebhookDelivery) -> SafeString | str:
        if not delivery.trigger_ref:
            return "unknown key"
        return ref(page_url("packs.trigger", delivery.trigger_ref), delivery.trigger_ref)

    @admin.display(description="Event")
    def shown_event(self, delivery: WebhookDelivery) -> SafeString:
        return ref(page_url("rules.event", delivery.event_id), delivery.event_id)

    @admin.display(description="When")
    def came(self, delivery: WebhookDelivery) -> SafeString:
        return moment(delivery.received_at)

    def page(self, request: HttpRequest, delivery: WebhookDelivery) -> dict[str, Any]:
        return {"answer": answer_of(delivery), "title": f"Delivery {delivery.pk}"}

    def panel_view(self, request: HttpRequest) -> HttpResponse:
        """A trigger's latest deliveries, as a part of its page."""
        self.require(request, "view")
        rows = WebhookDelivery.objects.filter(trigger_ref=request.GET.get("trigger", ""))
        rows = reachable(request, rows)[:SHOWN_DELIVERIES]
        shown = [(row, answer_of(row)) for row in rows]
        return self.render(request, "attune/deliveries_panel.html", {"deliveries": shown})


def answer_of(delivery: WebhookDelivery) -> SafeString:
    return badge("accepted" if delivery.status < 400 else "refused", str(delivery.status))
