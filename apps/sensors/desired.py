"""What should run: which sensors, for which rules, from which program. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import Case, Count, Max, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Now

from apps.packs import configs, runtimes
from apps.packs.models import Sensor
from apps.rules.events import last_of_sensors
from apps.rules.models import Event, Rule
from apps.sensors.briefing import LastEvent, RuleBrief, settings_variables, with_defaults
from attune.lib import schemas
from attune.lib.errors import AttuneError


@dataclass(frozen=True)
class Glance:
    """One sensor as a tick sees it: cheap to read, enough to know whether to look closer."""

    sensor_id: int
    ref: str
    why_not: str  # why it should not run, in words; empty when it should
    stamp: tuple[Any, ...]  # changes whenever something changed that its program or its rules may depend on
    state: str | None  # of its SensorProcess; None when it has none yet
    reason: str
    host: str
    is_free: bool  # nobody holds its lease
    restart_requested_at: datetime | None


@dataclass(frozen=True)
class Program:
    """What is started for a sensor. Two that are equal need no restart."""

    argv: tuple[str, ...]
    cwd: Path
    runtime_env: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]  # ATTUNE_SENSOR_<NAME>
    digest: str  # of the pack's files
    problem: str = ""  # why it cannot be started, and the remedy


@dataclass(frozen=True)
class Plan:
    """All that one sensor's process is made of."""

    sensor: Sensor
    program: Program
    rules: dict[int, RuleBrief] = field(default_factory=dict)
    rows: dict[int, Rule] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()  # values that must not be seen in its log


# Of a trigger's enabled rules: whichever is added, changed, switched or removed, one of these changes.
_STAMP = (Count("pk"), Sum("pk"), Sum("revision"), Max("updated"), Max("trigger__updated"))
_STAMP_NAMES = [expression.default_alias for expression in _STAMP]


def look() -> list[Glance]:
    """Every sensor there is, in two queries."""
    sensors: list[Any] = list(
        Sensor.objects.annotate(
            is_free=Case(
                When(Q(process__lease_expires_at=None) | Q(process__lease_expires_at__lte=Now()), then=Value(True)),
                default=Value(False),
            )
        ).values_list(
            "pk", "ref", "enabled", "trigger_refs", "updated", "pack__ref", "pack__enabled", "pack__updated",
            "runtime__updated", "process__state", "process__reason", "process__host", "is_free",
            "process__restart_requested_at", named=True,
        )
    )  # fmt: skip
    refs = {ref for sensor in sensors for ref in sensor.trigger_refs}
    found = _live_rules(refs).values("trigger_ref").annotate(*_STAMP).values_list("trigger_ref", *_STAMP_NAMES)
    stamps = {ref: tuple(stamp) for ref, *stamp in found}
    return [_glance(sensor, tuple(map(stamps.get, sensor.trigger_refs))) for sensor in sensors]


def _glance(row: Any, rules: tuple[Any, ...]) -> Glance:
    why_not = ""
    if not row.enabled:
        why_not = "The sensor is disabled."
    elif not row.pack__enabled:
        why_not = f"Its pack {row.pack__ref} is disabled."
    elif not any(rules):
        why_not = f"No enabled rule uses {' or '.join(row.trigger_refs) or 'any trigger of it'}."
    return Glance(
        sensor_id=row.pk,
        ref=row.ref,
        why_not=why_not[:300],
        stamp=(row.updated, row.pack__updated, row.runtime__updated, rules),
        state=row.process__state,
        reason=row.process__reason or "",
        host=row.process__host or "",
        is_free=row.is_free,
        restart_requested_at=row.process__restart_requested_at,
    )


def plan(sensor_id: int) -> Plan | None:
    """The whole truth about one sensor, in three queries; None when it is gone."""
    sensor = Sensor.objects.select_related("pack", "runtime").filter(pk=sensor_id).first()
    if sensor is None:
        return None
    rows = {rule.pk: rule for rule in _live_rules(set(sensor.trigger_refs)).select_related("trigger").order_by("pk")}
    rules = {
        rule.pk: RuleBrief(
            id=rule.pk,
            ref=rule.ref,
            trigger_ref=rule.trigger_ref,
            config=with_defaults(rule.trigger_params, rule.trigger.parameters_schema),  # type: ignore[union-attr]
            since=rule.active_since,
            is_new=rule.revision == 1,
        )
        for rule in rows.values()
    }
    return Plan(sensor, _program(sensor), rules, rows, _secrets(sensor, rows.values()))


def _program(sensor: Sensor) -> Program:
    properties = (sensor.parameters_schema or {}).get("properties") or {}
    defaults = {name: about["default"] for name, about in properties.items() if "default" in about}
    try:
        given = configs.open_effective(sensor.pack)
    except AttuneError as error:
        return Program((), sensor.pack.folder, (), (), sensor.pack.digest, error.message)
    variables = settings_variables(defaults, given, sensor.config or {})
    try:
        command = runtimes.command_for(sensor)
    except AttuneError as error:
        return Program((), sensor.pack.folder, (), tuple(sorted(variables.items())), sensor.pack.digest, error.message)
    return Program(
        argv=tuple(map(str, command.argv)),
        cwd=command.cwd,
        runtime_env=tuple(sorted(command.env.items())),
        settings=tuple(sorted(variables.items())),
        digest=sensor.pack.digest,
    )


def _secrets(sensor: Sensor, rules: Iterable[Rule]) -> tuple[str, ...]:
    secret = schemas.secret_values(configs.open_effective(sensor.pack), sensor.pack.conf_schema)
    secret += schemas.secret_values(sensor.config or {}, sensor.parameters_schema)
    for rule in rules:
        secret += schemas.secret_values(rule.trigger_params, rule.trigger.parameters_schema)  # type: ignore[union-attr]
    return tuple(str(value) for value in secret if isinstance(value, str | int))


def last_events(rule_ids: Iterable[int]) -> dict[int, LastEvent]:
    """For each rule the newest event that a sensor sent for it alone."""
    by_event = {event: rule for rule, event in last_of_sensors(rule_ids).items()}
    rows = Event.objects.filter(pk__in=list(by_event)).values_list("pk", "payload", "created", "dedup_key")
    return {by_event[pk]: LastEvent(payload, created, dedup_key) for pk, payload, created, dedup_key in rows}


def rules_still_there(rule_ids: Iterable[int]) -> set[int]:
    return set(Rule.objects.filter(pk__in=list(rule_ids)).values_list("pk", flat=True))


def _live_rules(trigger_refs: set[str]) -> QuerySet[Rule]:
    """The rules that make a sensor of these triggers worth running."""
    return Rule.objects.filter(
        trigger_ref__in=trigger_refs,
        enabled=True,
        pack__enabled=True,
        trigger__enabled=True,
        trigger__pack__enabled=True,
    )
