"""Who hosts which sensor: every write to SensorProcess, each refused when the lease is no longer the writer's.

A lease is `host` and `lease_expires_at` on the sensor's row. The database's clock decides, since hosts' clocks differ.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from apps.sensors.models import SensorProcess
from attune.lib.clock import from_now

State = SensorProcess.State


def name_of_this_host() -> str:
    """A name that no other host has or had: machine, process, and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Leases:
    """The leases that one host holds, or may take."""

    def __init__(self, host: str, *, seconds: float) -> None:
        self.host = host
        self.seconds = seconds

    def take(self, sensor_id: int) -> SensorProcess | None:
        """Take a sensor that nobody hosts; None when somebody does after all."""
        SensorProcess.objects.get_or_create(sensor_id=sensor_id)
        free = SensorProcess.objects.filter(Q(lease_expires_at=None) | Q(lease_expires_at__lte=Now()))
        if not free.filter(sensor_id=sensor_id).update(
            host=self.host, lease_expires_at=from_now(self.seconds), pid=None, updated=Now()
        ):
            return None
        return SensorProcess.objects.filter(sensor_id=sensor_id, host=self.host).first()

    def renew(self) -> int:
        """One UPDATE for all that we hold; how many those are."""
        return SensorProcess.objects.filter(host=self.host).update(lease_expires_at=from_now(self.seconds))

    def write(self, sensor_id: int, **changes: Any) -> bool:
        """Change the row of a sensor that we hold; False, and nothing changed, when we no longer do."""
        rows = SensorProcess.objects.filter(sensor_id=sensor_id, host=self.host)
        return bool(rows.update(**changes, updated=Now()))

    def give_up(self, sensor_id: int, *, reason: str) -> bool:
        """The sensor is stopped and free for any host."""
        return self.write(
            sensor_id,
            state=State.STOPPED,
            reason=reason[:300],
            host="",
            lease_expires_at=None,
            pid=None,
            next_start_at=None,
            stopped_at=Now(),
        )


def note_reasons(reasons: Iterable[tuple[int, str]]) -> None:
    """Write why sensors that nobody hosts do not run; several hosts may, for they write the same."""
    for sensor_id, reason in reasons:
        SensorProcess.objects.get_or_create(sensor_id=sensor_id)
        SensorProcess.objects.filter(Q(lease_expires_at=None) | Q(lease_expires_at__lte=Now())).filter(
            sensor_id=sensor_id
        ).update(state=State.STOPPED, reason=reason, host="", lease_expires_at=None, pid=None, updated=Now())
