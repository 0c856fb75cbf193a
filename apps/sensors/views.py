"""Sensors: look at them, switch them on and off, restart them, read their logs."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.reach import find, narrow
from apps.access.rights import Role, in_packs
from apps.packs.models import Sensor
from apps.packs.services import set_enabled
from apps.sensors import serializers, services
from apps.sensors.serializers import SensorDetail, SensorQuery, SensorSummary
from attune.lib.api import answer, body_of, narrowed, page_of, query_of
from attune.lib.openapi import describe, describe_list


def _sensors() -> QuerySet[Sensor]:
    return Sensor.objects.select_related("pack", "runtime")


def _listed(request: Request, **fixed: Any) -> Response:
    asked = query_of(request, SensorQuery) | fixed
    rows = narrowed(narrow(principal_of(request), _sensors()), asked, {"pack_ref": "pack__ref", "enabled": "enabled"})
    if asked.get("q"):
        rows = rows.filter(Q(ref__icontains=asked["q"]) | Q(label__icontains=asked["q"]))
    return page_of(request, rows, SensorSummary)


def _switch(request: Request, ref: str, enabled: bool | None = None) -> Response:
    sensor = find(request, _sensors(), "sensor", ref=ref)
    if enabled is None:
        enabled = body_of(request, serializers.SensorChange)["enabled"]
    set_enabled(sensor, enabled, actor=principal_of(request))
    return answer(SensorDetail(sensor).data)


class Sensors(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_sensors", "List sensors", answers=SensorSummary, query=SensorQuery)
    def get(self, request: Request) -> Response:
        return _listed(request)


class EnabledSensors(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_enabled_sensors", "List enabled sensors", answers=SensorSummary, query=SensorQuery)
    def get(self, request: Request) -> Response:
        return _listed(request, enabled=True)


class SensorsOfPack(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_sensors_by_pack", "List a pack's sensors", answers=SensorSummary, query=SensorQuery)
    def get(self, request: Request, pack_ref: str) -> Response:
        return _listed(request, pack_ref=pack_ref)


class SensorsOfTrigger(APIView):
    """SQLite cannot look into a JSON list, so it is done here: there are few sensors."""

    needs = {"GET": Role.VIEWER}

    @describe_list("list_sensors_by_trigger", "List the sensors that emit a trigger", answers=SensorSummary)
    def get(self, request: Request, trigger_ref: str) -> Response:
        rows = [sensor for sensor in narrow(principal_of(request), _sensors()) if trigger_ref in sensor.trigger_refs]
        return page_of(request, rows, SensorSummary)


class SensorView(APIView):
    needs = {"GET": Role.VIEWER, "PUT": in_packs(Role.OPERATOR)}

    @describe("get_sensor", "Show a sensor and how it fares", answers=SensorDetail)
    def get(self, request: Request, ref: str) -> Response:
        return answer(SensorDetail(find(request, _sensors(), "sensor", ref=ref)).data)

    @describe("update_sensor", "Enable or disable it", body=serializers.SensorChange, answers=SensorDetail)
    def put(self, request: Request, ref: str) -> Response:
        return _switch(request, ref)


class EnableSensor(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("enable_sensor", "Enable a sensor", answers=SensorDetail)
    def post(self, request: Request, ref: str) -> Response:
        return _switch(request, ref, True)


class DisableSensor(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("disable_sensor", "Disable a sensor", answers=SensorDetail)
    def post(self, request: Request, ref: str) -> Response:
        return _switch(request, ref, False)


class RestartSensor(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("restart_sensor", "Restart a sensor", answers=SensorDetail, also={409: "The sensor is disabled."})
    def post(self, request: Request, ref: str) -> Response:
        sensor = find(request, _sensors(), "sensor", ref=ref)
        services.restart_sensor(sensor, actor=principal_of(request))
        return answer(SensorDetail(sensor).data, message=f"Sensor {ref} restarts in a moment.")


class SensorLogs(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_sensor_logs", "List a sensor's logs", answers=serializers.LogSummary)
    def get(self, request: Request, ref: str) -> Response:
        sensor = find(request, _sensors(), "sensor", ref=ref)
        return page_of(request, services.logs_of(sensor), serializers.LogSummary)


class SensorLog(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_sensor_log", "Read the end of a sensor's log", query=serializers.SensorLogQuery, text=True)
    def get(self, request: Request, ref: str, stream: str) -> HttpResponse:
        sensor = find(request, _sensors(), "sensor", ref=ref)
        limit = query_of(request, serializers.SensorLogQuery)["limit"]
        if stream != services.LOG_STREAM:
            raise Http404(f"A sensor's log is its stderr; what it says on stdout are events. There is no {stream}.")
        text = services.log_tail(sensor, limit=limit)
        headers = {"Content-Disposition": f'attachment; filename="{sensor.ref}-{stream}.txt"'}
        return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)
