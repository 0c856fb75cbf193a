"""The token of a running sensor: good for this start of it, and only while its host holds the lease."""

from __future__ import annotations

import logging
from functools import partial

from django.db import DatabaseError
from django.db.models import F
from django.db.models.functions import Now

from apps.access.principals import Principal
from apps.access.tokens import RunToken, run_token
from apps.rules.models import Rule
from apps.sensors.models import SensorProcess

logger = logging.getLogger(__name__)

State = SensorProcess.State


def token_for(sensor_id: int, generation: int) -> str:
    """The token this start of the sensor gets as ATTUNE_API_TOKEN."""
    return run_token("sensor", sensor_id, generation)


def principal_of(token: RunToken) -> Principal | None:
    """Whom the token speaks for; None once that process is over, or its host lost the lease."""
    row = (
        SensorProcess.objects.filter(
            sensor_id=token.pk,
            generation=token.fence,
            state__in=(State.STARTING, State.RUNNING),
            lease_expires_at__gt=Now(),
        )
        .values("sensor__ref", "sensor__pack__ref", "sensor__trigger_refs")
        .first()
    )
    if row is None:
        return None
    trigger_refs = tuple(row["sensor__trigger_refs"])
    return Principal(
        kind="sensor",
        name=f"sensor {row['sensor__ref']}",
        role=None,
        sensor_id=token.pk,
        generation=token.fence,
        sensor_ref=row["sensor__ref"],
        pack_ref=row["sensor__pack__ref"],
        trigger_refs=trigger_refs,
        key_refs=partial(_keys_named_by_rules, trigger_refs),
        count_event=partial(_count_event, token),
    )


def _count_event(token: RunToken) -> None:
    """Count an event that the sensor sent through the API, as its host counts those it prints.

    The event is kept already: a count that fails must not refuse it.
    """
    process = SensorProcess.objects.filter(sensor_id=token.pk, generation=token.fence)
    try:
        process.update(events=F("events") + 1, last_event_at=Now(), updated=Now())
    except DatabaseError:
        logger.exception("An event of sensor %s could not be counted.", token.pk)


def _keys_named_by_rules(trigger_refs: tuple[str, ...]) -> set[str]:
    """The keys that enabled rules name in parameters their trigger marks `key_ref: true`."""
    named = set()
    rules = Rule.objects.filter(trigger_ref__in=trigger_refs, enabled=True, trigger__enabled=True)
    for params, schema in rules.values_list("trigger_params", "trigger__parameters_schema"):
        for name, about in ((schema or {}).get("properties") or {}).items():
            if isinstance(about, dict) and about.get("key_ref") is True:
                value = (params or {}).get(name) or about.get("default")
                if isinstance(value, str):
                    named.add(value)
    return named
