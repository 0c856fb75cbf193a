"""Check a policy before it is saved: its scope, its parts, and the paths that it groups by. Every fault is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.executions.models import Policy
from apps.executions.policies.holding import CONCURRENCY, RATE
from apps.executions.policies.parts import Reading, read
from apps.packs.models import Action, Pack
from attune.lib.schemas.masking import touches_secret


@dataclass(frozen=True)
class Checked:
    """The columns of a policy that is sound, or what is wrong with it."""

    columns: dict[str, Any]
    faults: list[dict[str, str]]
    unknown: list[str]


def check(scope: str, scope_ref: str, given: Mapping[str, Any]) -> Checked:
    """The scope and the parts of a policy, in the form in which they are kept."""
    reading = read(given)
    schema = _schema_of(scope, scope_ref, reading)
    for kind in (CONCURRENCY, RATE):
        part = reading.parts[kind]
        if part and schema is not None:
            for path in part["group_by"]:
                _check_path(f"{kind}.group_by", path, schema, scope_ref, reading)
    columns = {"scope": scope, "scope_ref": scope_ref, **reading.parts}
    return Checked(columns, reading.faults, reading.unknown)


def _schema_of(scope: str, scope_ref: str, reading: Reading) -> dict[str, Any] | None:
    """The schema of the action that is meant; None where it is not one action, or there is no such thing."""
    if scope == Policy.Scope.ACTION:
        found = Action.objects.filter(ref=scope_ref).values_list("parameters_schema", flat=True).first()
        if found is None:
            named = f"there is no action {scope_ref!r}" if scope_ref else "the action is missing"
            reading.fault("scope.action_ref", f"{named}; install its pack or choose another")
        return found
    if scope == Policy.Scope.PACK and not Pack.objects.filter(ref=scope_ref).exists():
        named = f"there is no pack {scope_ref!r}" if scope_ref else "the pack is missing"
        reading.fault("scope.pack_ref", f"{named}; install it or choose another")
    if scope not in Policy.Scope.values:
        reading.fault("scope.type", f"is {scope!r}; choose one of {', '.join(Policy.Scope.values)}")
    return None


def _check_path(at: str, path: str, schema: dict[str, Any], action_ref: str, reading: Reading) -> None:
    names = path.split(".")[1:]
    properties = schema.get("properties") or {}
    if properties and names[0] not in properties and "additionalProperties" not in schema:
        there = ", ".join(sorted(properties))
        reading.fault(at, f"{path!r}: action {action_ref} has no parameter {names[0]!r}; it has {there}")
    elif touches_secret(list(names), schema):
        reading.fault(at, f"{path!r} is secret, and secret values are not compared; group by another parameter")
