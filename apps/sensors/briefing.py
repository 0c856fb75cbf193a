"""What a sensor is told: its environment, the rules that want its events, and what changed among them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.sensors.errors import TooManyRules

MOST_BYTES = 120 * 1024  # of one variable; Linux takes 128 KiB (MAX_ARG_STRLEN)
LONGEST_LAST_PAYLOAD = 2048  # bytes of the last event's payload that are worth telling
OWN_NAMES = frozenset({"REF", "ID", "TRIGGER_TYPES", "TRIGGERS", "STATE_DIR"})  # ATTUNE_SENSOR_… that are ours


@dataclass(frozen=True)
class LastEvent:
    """The newest event that was meant for a rule alone."""

    payload: Mapping[str, Any]
    created: datetime
    dedup_key: str

    def told(self) -> dict[str, Any]:
        small = len(_json(self.payload).encode()) <= LONGEST_LAST_PAYLOAD
        return {
            "payload": dict(self.payload) if small else None,
            "created": _moment(self.created),
            "dedup_key": self.dedup_key,
        }


@dataclass(frozen=True)
class RuleBrief:
    """One enabled rule, as far as the sensor that feeds it is concerned."""

    id: int
    ref: str
    trigger_ref: str
    config: Mapping[str, Any]  # the rule's trigger parameters with the trigger's defaults
    since: datetime  # when it was enabled, or these parameters were changed
    is_new: bool = False  # it has never been changed since it was made

    def snapshot(self, last: LastEvent | None) -> dict[str, Any]:
        """Its entry in ATTUNE_SENSOR_TRIGGERS."""
        return {
            "id": self.id,
            "ref": self.ref,
            "trigger_ref": self.trigger_ref,
            "config": dict(self.config),
            "active": True,
            "enabled": True,
            "since": _moment(self.since),
            "last_event": last.told() if last else None,
        }

    def control(self, event_type: str, last: LastEvent | None = None) -> bytes:
        """The line on stdin that tells of its change: rule.created, updated, enabled, disabled or deleted."""
        line = {
            "event_type": event_type,
            "rule_id": self.id,
            "rule_ref": self.ref,
            "trigger_ref": self.trigger_ref,
            "trigger_params": dict(self.config),
            "active": event_type not in ("rule.disabled", "rule.deleted"),
            "since": _moment(self.since),
            "last_event": last.told() if last else None,
        }
        return _json(line).encode() + b"\n"

    @property
    def substance(self) -> tuple[Any, ...]:
        """What the sensor must hear of when it changes."""
        return self.ref, self.trigger_ref, _json(self.config), self.since


Rules = Mapping[int, RuleBrief]


@dataclass(frozen=True)
class Change:
    """One rule that a running sensor knows wrongly."""

    event_type: str
    rule: RuleBrief


def changes(known: Rules, wanted: Rules, *, still_there: Iterable[int], ever_known: Iterable[int]) -> list[Change]:
    """What turns `known` into `wanted`. Of the rules gone, those `still_there` were switched off, not deleted;
    of the rules come, those `ever_known` to this process (or changed before) were switched on, not made."""
    kept, met = set(still_there), set(ever_known)
    gone = [
        Change("rule.disabled" if rule.id in kept else "rule.deleted", rule)
        for rule in known.values()
        if rule.id not in wanted
    ]
    come = []
    for rule in wanted.values():
        if rule.id not in known:
            come.append(Change("rule.created" if rule.is_new and rule.id not in met else "rule.enabled", rule))
        elif rule.substance != known[rule.id].substance:
            come.append(Change("rule.updated", rule))
    return gone + come


def with_defaults(params: Mapping[str, Any] | None, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """A rule's trigger parameters with the defaults of the trigger's schema for those absent or null."""
    properties = (schema or {}).get("properties") or {}
    defaults = {
        name: about["default"] for name, about in properties.items() if isinstance(about, dict) and "default" in about
    }
    return defaults | {
        name: value for name, value in (params or {}).items() if value is not None or name not in defaults
    }


def snapshots(rules: Rules, last: Mapping[int, LastEvent], *, takes_control_lines: bool) -> tuple[str, list[bytes]]:
    """The text of ATTUNE_SENSOR_TRIGGERS, and control lines for the rules that found no room in it.

    Only a sensor that reads control lines can be told of more than fit. Raises: TooManyRules for another.
    """
    entries = [(rule, _json(rule.snapshot(last.get(rule.id)))) for rule in rules.values()]
    room, fitting = MOST_BYTES, []
    for _rule, text in entries:
        room -= len(text.encode()) + 1
        if room < 0:
            break
        fitting.append(text)
    left = [rule.control("rule.created", last.get(rule.id)) for rule, _text in entries[len(fitting) :]]
    if left and not takes_control_lines:
        raise TooManyRules(
            f"{len(entries)} rules are more than fit into ATTUNE_SENSOR_TRIGGERS ({MOST_BYTES} bytes). "
            "Disable some, or let the sensor read control lines (`meta: {control: stdin}` in its YAML)."
        )
    return f"[{','.join(fitting)}]", left


def settings_variables(*layers: Mapping[str, Any]) -> dict[str, str]:
    """ATTUNE_SENSOR_<NAME> for parameters and configuration; later layers win, names that are ours are left out."""
    variables = {}
    for layer in layers:
        for name, value in layer.items():
            upper = re.sub(r"[^A-Z0-9_]", "_", str(name).upper())
            if upper and upper not in OWN_NAMES:
                variables[f"ATTUNE_SENSOR_{upper}"] = as_text(value)
    return variables


def as_text(value: Any) -> str:
    """A value as a variable holds it: texts as they are, null empty, booleans true and false, the rest as JSON."""
    if value is None:
        return ""
    return value.replace("\0", "") if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
