"""Sensors and how they fare, as the wire has them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.packs.models import Sensor
from apps.sensors import services
from apps.sensors.models import SensorProcess
from attune.lib.api import PageQuery, Timestamp
from attune.lib.openapi import Constant, Object, TextOrNull


class SensorQuery(PageQuery):
    q = serializers.CharField(required=False)


class SensorChange(serializers.Serializer):
    """Sensors are defined by their pack's files; whether one is enabled is the operator's choice."""

    enabled = serializers.BooleanField()


class SensorLogQuery(serializers.Serializer):
    limit = serializers.IntegerField(default=64 * 1024, min_value=1, max_value=5 * 1024 * 1024, help_text="Bytes.")


class LogSummary(serializers.Serializer):
    """A log of a sensor, as it lies on the host that answers."""

    stream = serializers.CharField()
    size_bytes = serializers.IntegerField(help_text="Older files included; the end of the newest can be read.")
    updated = Timestamp(allow_null=True, help_text="When it was last written to.")


class Process(serializers.Serializer):
    """How the one process of a sensor fares."""

    state = serializers.SerializerMethodField(help_text="stopped, starting, running, backoff or lost.")
    reason = TextOrNull()
    host = TextOrNull()
    pid = serializers.IntegerField(allow_null=True)
    generation = serializers.IntegerField()
    started_at = Timestamp(allow_null=True)
    stopped_at = Timestamp(allow_null=True)
    next_start_at = Timestamp(allow_null=True)
    failures = serializers.IntegerField()
    restarts = serializers.IntegerField()
    events = serializers.IntegerField()
    bad_lines = serializers.IntegerField()
    last_event_at = Timestamp(allow_null=True)
    last_error = TextOrNull()
    last_error_at = Timestamp(allow_null=True)

    def get_state(self, process: SensorProcess) -> str:
        return services.state_of(process)


class SensorSummary(serializers.Serializer):
    """A sensor in a list."""

    id = serializers.IntegerField()
    ref = serializers.CharField()
    pack_ref = serializers.CharField(source="pack.ref")
    label = serializers.CharField(source="title")
    description = serializers.CharField()
    enabled = serializers.BooleanField()
    trigger_refs = serializers.ListField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())
    created = Timestamp()
    updated = Timestamp()


class SensorDetail(SensorSummary):
    pack = serializers.IntegerField(source="pack_id")
    entrypoint = serializers.CharField(source="entry_point")
    runner_type = serializers.CharField()
    runtime = serializers.IntegerField(source="runtime_id", allow_null=True)
    runtime_ref = serializers.SerializerMethodField()
    param_schema = Object(source="parameters_schema")
    poll_interval = serializers.FloatField(allow_null=True)
    meta = Object()
    worker_selector = Constant({})
    worker_affinity = Constant({})
    worker_tolerations = Constant([])
    process = serializers.SerializerMethodField()

    def get_runtime_ref(self, sensor: Sensor) -> str:
        return sensor.runtime.ref if sensor.runtime else sensor.runner_type

    def get_process(self, sensor: Sensor) -> dict[str, Any]:
        return Process(services.process_of(sensor)).data
