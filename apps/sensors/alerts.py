"""Tell people, by an event of the core pack, that a sensor keeps failing."""

from __future__ import annotations

import logging

from apps.rules.errors import Overloaded
from apps.rules.services import emit_event
from attune.lib.errors import AttuneError

logger = logging.getLogger(__name__)

TRIGGER = "core.alert"
LONGEST_ERROR = 1000  # characters of it that are told


def sensor_keeps_failing(ref: str, *, failures: int, error: str, occasion: str) -> None:
    """Send the alert; the same occasion is told of once. Where nobody defines or wants alerts, it goes to the log.

    Raises Overloaded while no events are taken.
    """
    error = error[:LONGEST_ERROR]
    payload = {
        "severity": "error",
        "source": ref,
        "message": f"Sensor {ref} failed {failures} times in a row: {error}",
        "details": {"kind": "sensor_failing", "sensor_ref": ref, "failures": failures, "error": error},
    }
    try:
        emit_event(TRIGGER, payload=payload, source=f"sensor {ref}", dedup_key=f"sensor_failing {ref} {occasion}"[:300])
    except Overloaded:
        raise
    except AttuneError as problem:
        logger.warning("The alert about sensor %s could not be sent: %s", ref, problem)
