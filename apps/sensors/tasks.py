"""The doorbell of the sensors room."""

from __future__ import annotations

import dramatiq

from apps.sensors import supervisor


@dramatiq.actor(queue_name="sensors", max_retries=0, time_limit=float("inf"))
def host_sensors() -> None:
    """Host sensors in this process until it ends; at once back if it does already."""
    supervisor.host()
