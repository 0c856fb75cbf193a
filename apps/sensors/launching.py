"""Start a sensor: its environment, its folders, its process."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from selectors import BaseSelector

from django.conf import settings

from apps.packs.key_reads import KeyReads
from apps.packs.models import Sensor
from apps.sensors.briefing import snapshots
from apps.sensors.child import Child, marker_of
from apps.sensors.desired import Plan, last_events
from apps.sensors.sensorlog import SensorLog
from apps.sensors.tokens import token_for
from attune.lib import processes
from attune.lib.confining import here
from attune.lib.surroundings import base_environment

LONG_ENOUGH = 8  # characters of a secret that is masked in events, which are data and must not be harmed


def start(plan: Plan, *, generation: int, selector: BaseSelector) -> Child:
    """Start the plan's program as this generation of its sensor, and tell it of its rules.

    Raises: OSError when the program cannot be started, TooManyRules.
    """
    sensor, program = plan.sensor, plan.program
    told, left = snapshots(plan.rules, last_events(plan.rules), takes_control_lines=sensor.takes_control_lines)
    token = token_for(sensor.pk, generation)
    env = environment(plan, token=token, told=told)
    log = SensorLog(sensor.ref, secrets=[token, *plan.secrets], reads=_reads(sensor))
    process = processes.start(
        here.confined(program.argv),
        cwd=program.cwd,
        env=env,
        stdin=subprocess.PIPE if sensor.takes_control_lines else subprocess.DEVNULL,
        marker=marker_of(token),
    )
    for pipe in filter(None, (process.stdout, process.stderr)):
        here.hand_over(pipe.fileno())  # else it could not open /dev/stderr
    child = Child(
        process, selector=selector, log=log, token=token, hidden=_hidden(plan), grace=settings.ATTUNE_KILL_GRACE
    )
    try:
        log.note(f"Started as process {process.pid}, generation {generation}, for {len(plan.rules)} rules.")
        for line in left:
            child.tell(line)
    except BaseException:
        child.close()  # nobody would know of it
        raise
    return child


def _hidden(plan: Plan) -> list[str]:
    """The secrets that are not even let through in events: those too long to be there by chance."""
    return [secret for secret in plan.secrets if len(secret) >= LONG_ENOUGH]


def _reads(sensor: Sensor) -> KeyReads:
    return KeyReads(f"sensor {sensor.ref}", {sensor.ref, sensor.pack.ref, ""})


def environment(plan: Plan, *, token: str, told: str) -> dict[str, str]:
    """All that the sensor finds in its environment, and nothing of the server's own (contract: Sensors)."""
    sensor, program = plan.sensor, plan.program
    state = state_folder(sensor.ref)
    temporary = settings.ATTUNE_TMP_DIR / "sensors" / sensor.ref
    for folder in (state, temporary, settings.ATTUNE_ARTIFACTS_DIR):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        here.hand_over(folder)
    return {
        **base_environment(),
        **dict(program.runtime_env),
        **dict(program.settings),
        "PWD": str(program.cwd),
        "TMPDIR": str(temporary),
        "ATTUNE_SENSOR_REF": sensor.ref,
        "ATTUNE_SENSOR_ID": str(sensor.pk),
        "ATTUNE_SENSOR_STATE_DIR": str(state),
        "ATTUNE_SENSOR_TRIGGER_TYPES": json.dumps(sensor.trigger_refs),
        "ATTUNE_SENSOR_TRIGGERS": told,
        "ATTUNE_PACK_REF": sensor.pack.ref,
        "ATTUNE_API_URL": settings.ATTUNE_API_URL,
        "ATTUNE_API_TOKEN": token,
        "ATTUNE_ARTIFACTS_DIR": str(settings.ATTUNE_ARTIFACTS_DIR),
        "ATTUNE_LOG_LEVEL": settings.LOG_LEVEL.lower(),
    }


def state_folder(ref: str) -> Path:
    """A folder of the sensor's own that outlives its process."""
    return settings.ATTUNE_DATA_DIR / "sensors" / ref
