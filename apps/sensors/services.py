"""The front door of the sensors room: restart a sensor, ask how it fares, read its log."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.access import audit
from apps.access.audit import Actor
from apps.packs.models import Sensor
from apps.sensors import sensorlog
from apps.sensors.errors import SensorDisabled
from apps.sensors.models import SensorProcess

State = SensorProcess.State
LOG_STREAM = "stderr"


def process_of(sensor: Sensor) -> SensorProcess:
    """The sensor's process; one that never ran has a row all the same, only not in the database."""
    found = SensorProcess.objects.filter(sensor=sensor).first()
    return found or SensorProcess(sensor=sensor, reason="No host of sensors has looked at it yet.")


@transaction.atomic
def restart_sensor(sensor: Sensor, *, actor: Actor) -> SensorProcess:
    """Ask its host to start it anew, at once even if it waits after a failure. Raises SensorDisabled."""
    for thing, name in ((sensor, f"Sensor {sensor.ref}"), (sensor.pack, f"Pack {sensor.pack.ref}")):
        if not thing.enabled:
            raise SensorDisabled(f"{name} is disabled; enable it, then the sensor starts by itself.")
    process, _ = SensorProcess.objects.get_or_create(sensor=sensor)
    SensorProcess.objects.filter(pk=process.pk).update(restart_requested_at=timezone.now())
    audit.record(actor, "sensor.restart", sensor.ref)
    process.refresh_from_db()
    return process


def state_of(process: SensorProcess) -> str:
    """Its state as people should read it: a running one whose host gave no sign of life for its lease is `lost`."""
    hosted = process.lease_expires_at is not None and process.lease_expires_at > timezone.now()
    return process.state if hosted or process.state == State.STOPPED else "lost"


def logs_of(sensor: Sensor) -> list[dict[str, Any]]:
    """The logs that a sensor has, with `stream`, `size_bytes` and `updated`: one, since its stdout are events."""
    size, updated = sensorlog.size_and_age(sensor.ref)
    return [{"stream": LOG_STREAM, "size_bytes": size, "updated": updated}]


def log_tail(sensor: Sensor, *, limit: int = 64 * 1024) -> str:
    """The last lines of the sensor's log, at most `limit` bytes, secrets masked. It lies on the host that runs it."""
    return sensorlog.tail(sensor.ref, limit=limit)
