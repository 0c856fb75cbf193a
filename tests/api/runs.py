"""A running execution and a running sensor as rows, with the tokens that their programs would hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.access.tokens import run_token
from apps.executions.models import Execution, Status
from apps.packs.models import Pack, Sensor
from apps.sensors.models import SensorProcess


def running_execution(**fields: Any) -> tuple[Execution, str]:
    """An execution of `mine.act` in its first attempt, and its token."""
    given = {"action_ref": "mine.act", "pack_ref": "mine", "status": Status.RUNNING, "attempt": 1} | fields
    execution = Execution.objects.create(**given)
    return execution, run_token("execution", execution.pk, execution.attempt)


def running_sensor(trigger_refs: tuple[str, ...] = ("mine.happened",)) -> tuple[Sensor, str]:
    """The sensor `mine.watch`, hosted in its first generation, and its token."""
    pack, _ = Pack.objects.get_or_create(ref="mine", defaults={"label": "Mine", "is_adhoc": True})
    sensor = Sensor.objects.create(pack=pack, ref="mine.watch", entry_point="watch.py", trigger_refs=list(trigger_refs))
    SensorProcess.objects.create(
        sensor=sensor,
        state=SensorProcess.State.RUNNING,
        host="here",
        generation=1,
        lease_expires_at=timezone.now() + timedelta(hours=1),
    )
    return sensor, run_token("sensor", sensor.pk, 1)
