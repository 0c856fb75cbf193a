"""What a sensor says: one line of its stdout, read as one event. Pure: no database, no process.

    {"trigger": "core.intervaltimer", "payload": {…}, "trigger_instance_id": "rule_12", "dedup_key": "…"}

`trigger_ref` and `trigger_type` are other names of `trigger`, which may be left out by a sensor of one trigger type.
An object with none of these names is the payload itself. `"passed_over": "skipped"` (or `missed`), with a `reason`,
says that this could have happened and did not: it is kept, and no rule looks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attune.lib import strictjson

MAX_LINE = 1024 * 1024  # bytes
MAX_KEY = 300  # characters of a dedup_key
TRIGGER_NAMES = ("trigger", "trigger_ref", "trigger_type")
ENVELOPE_NAMES = frozenset({*TRIGGER_NAMES, "payload", "trigger_instance_id", "dedup_key"})
KNOWN_NAMES = ENVELOPE_NAMES | {"passed_over", "reason"}
PASSED_OVER = ("skipped", "missed")  # two of the verdicts in `rules.verdicts`
_RULE = re.compile(r"rule_(?:(?P<id>[0-9]{1,18})|(?P<ref>[a-z][a-z0-9_-]*\.[a-z0-9_.-]+))\Z")


@dataclass(frozen=True)
class Line:
    """One event as a sensor told it. `rule` is the id or ref of the only rule that shall look, None for all.

    `passed_over` is one of PASSED_OVER where no rule shall look, and `reason` says why.
    """

    trigger_ref: str
    payload: dict[str, Any]
    rule: int | str | None = None
    dedup_key: str = ""
    passed_over: str = ""
    reason: str = ""


@dataclass(frozen=True)
class BadLine:
    """A line that is no event; `reason` is a sentence for the sensor's author."""

    reason: str


def read_line(raw: bytes, trigger_refs: Sequence[str]) -> Line | BadLine | None:
    """What one line (without its newline) of a sensor with these trigger types says; None for a blank line."""
    if len(raw) > MAX_LINE:
        return BadLine(f"The line is longer than {MAX_LINE} bytes.")
    if not raw.strip():
        return None
    try:
        value = strictjson.read(raw)
    except strictjson.BadJson as error:
        return BadLine(f"The line {error}.")
    if not isinstance(value, dict):
        return BadLine(f"The line is JSON but not an object: print one object a line, not {_kind(value)}.")
    if not ENVELOPE_NAMES & value.keys():
        value = {"payload": value}
    try:
        return Line(
            trigger_ref=_trigger(value, trigger_refs),
            payload=_payload(value),
            rule=_rule(value.get("trigger_instance_id")),
            dedup_key=_dedup_key(value.get("dedup_key")),
            **_passed_over(value),
        )
    except _Fault as fault:
        return BadLine(str(fault))


class _Fault(Exception):
    pass


def _trigger(value: dict[str, Any], trigger_refs: Sequence[str]) -> str:
    given = {value[name] for name in TRIGGER_NAMES if isinstance(value.get(name), str)}
    odd = [name for name in TRIGGER_NAMES if value.get(name) is not None and not isinstance(value[name], str)]
    if odd:
        raise _Fault(f"{odd[0]} must be the ref of a trigger, not {_kind(value[odd[0]])}.")
    if len(given) > 1:
        raise _Fault(f"The line names several triggers: {', '.join(sorted(given))}.")
    if not given:
        if len(trigger_refs) == 1:
            return trigger_refs[0]
        raise _Fault(f"The line names no trigger; the sensor has several: {', '.join(trigger_refs)}.")
    (ref,) = given
    if ref not in trigger_refs:
        raise _Fault(f"{ref[:100]} is none of this sensor's trigger types ({', '.join(trigger_refs)}).")
    return ref


def _payload(value: dict[str, Any]) -> dict[str, Any]:
    if "payload" not in value:
        strangers = sorted(value.keys() - KNOWN_NAMES)
        if strangers:
            raise _Fault(f"The line has no payload, but {strangers[0][:100]!r}: put the event's data into payload.")
        return {}
    payload = value["payload"]
    if payload is None:
        return {}
    if not isinstance(payload, dict):
        raise _Fault(f"payload must be an object, not {_kind(payload)}.")
    return payload


def _rule(instance: Any) -> int | str | None:
    if instance is None:
        return None
    found = _RULE.match(instance) if isinstance(instance, str) else None
    if not found:
        raise _Fault(f"trigger_instance_id {str(instance)[:100]!r} is not of the form rule_<id>.")
    return int(found["id"]) if found["id"] else found["ref"]


def _dedup_key(key: Any) -> str:
    if key is None:
        return ""
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise _Fault(f"dedup_key must be a text or a whole number, not {_kind(key)}.")
    if len(str(key)) > MAX_KEY:
        raise _Fault(f"dedup_key is longer than {MAX_KEY} characters.")
    return str(key)


def _passed_over(value: dict[str, Any]) -> dict[str, str]:
    word, reason = value.get("passed_over"), value.get("reason")
    if word is None:
        return {}
    if word not in PASSED_OVER:
        raise _Fault(f"passed_over must be {' or '.join(PASSED_OVER)}, not {str(word)[:100]!r}.")
    if not isinstance(reason, str | None):
        raise _Fault(f"reason must be a text, not {_kind(reason)}.")
    return {"passed_over": word, "reason": reason or ""}


def _kind(value: Any) -> str:
    """What a JSON value is, in a word."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
