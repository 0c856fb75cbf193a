"""Check a rule before it is saved: everything that can be told without an event. Every fault is named."""

from __future__ import annotations

from typing import Any

from apps.packs.models import Action, Trigger
from apps.rules import controls, matching, rendering
from attune.lib import schemas
from attune.lib.errors import AttuneError

Fault = dict[str, str]  # {"path": "action_params.message", "message": "…"}


def faults_of(
    *,
    trigger_ref: str,
    trigger: Trigger | None,
    trigger_params: Any,
    criteria: Any,
    action_ref: str,
    action: Action | None,
    action_params: Any,
    throttle: Any,
    debounce: Any,
    dedup: Any,
) -> list[Fault]:
    """All that would keep the rule from working; empty when it can be saved."""
    faults: list[Fault] = []
    if trigger is None:
        faults.append(_fault("trigger_ref", f"there is no trigger {trigger_ref!r}; install its pack or choose another"))
    if action is None:
        faults.append(_fault("action_ref", f"there is no action {action_ref!r}; install its pack or choose another"))
    faults += [_fault(f.path, f.message) for f in matching.check(criteria)]
    faults += parameter_faults(
        "trigger_params", trigger_params, trigger.parameters_schema if trigger else None, templates=False
    )
    templates = [_fault(f.path, f.message) for f in rendering.check_templates(action_params)]
    faults += templates
    if not templates:
        schema = action.parameters_schema if action else None
        faults += parameter_faults("action_params", action_params, schema)
    for name, control in (("throttle", throttle), ("debounce", debounce), ("dedup", dedup)):
        faults += [_fault(path, message) for path, message in controls.faults_of_control(name, control)]
    return faults


def _is_template(value: Any) -> bool:
    """Whether its final value and type are only known once it is rendered."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def parameter_faults(field: str, values: Any, schema: dict[str, Any] | None, *, templates: bool = True) -> list[Fault]:
    """What of the parameters in that field does not meet the schema; values that are templates are not looked at."""
    if not isinstance(values, dict):
        return [_fault(field, "must be an object of names and values")]
    if schema is None:
        return []
    try:
        schemas.check(schema, values, closed=True, skip=_is_template if templates else None)
    except AttuneError as error:
        listed = error.details.get("faults") or [{"path": "", "message": error.message}]
        return [_fault(f"{field}.{f['path']}".rstrip("."), f["message"]) for f in listed]
    return []


def literal_secrets(action_params: Any, schema: dict[str, Any] | None) -> list[Fault]:
    """The secret parameters whose value is written into the rule, where all who see the rule, its history or the audit
    log would read it."""
    faults = []
    for place in schemas.secret_places(action_params, schema or {}):
        value = action_params
        for step in place:
            value = value[step]
        if value not in ("", [], {}) and not _holds_template(value):
            path = ".".join(map(str, ("action_params", *place)))
            message = "is secret and cannot be kept in a rule; keep it as a key and write {{ key.<ref of the key> }}"
            faults.append(_fault(path, message))
    return faults


def _holds_template(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_holds_template, value.values() if isinstance(value, dict) else value))
    return _is_template(value)


def _fault(path: str, message: str) -> Fault:
    return {"path": path, "message": message}
