"""Storm control as a rule states it: throttle, debounce, dedup; checked, and their keys rendered. Pure.

`throttle: {seconds, limit?, key?}`   it acts on at most `limit` (1) events within `seconds`
`debounce: {seconds, key?}`           it acts on the last event, once no other has come for `seconds`
`dedup: {seconds, key}`               it acts on one event of a key within `seconds`

Each counts for itself for every value that the `key`, a template, gives; without a key for all events of the rule.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from apps.rules import rendering
from attune.lib.json_values import storable_text

CONTROLS = ("throttle", "debounce", "dedup")
FIELDS = {"throttle": ("seconds", "limit", "key"), "debounce": ("seconds", "key"), "dedup": ("seconds", "key")}
NEEDED = {"throttle": ("seconds",), "debounce": ("seconds",), "dedup": ("seconds", "key")}
SHORTEST, LONGEST = 0.1, 30 * 24 * 3600  # seconds
MOST = 1000  # events of a throttle
LONGEST_TEMPLATE, LONGEST_KEY = 500, 200  # characters


def faults_of_control(name: str, given: Any) -> list[tuple[str, str]]:
    """What is wrong with one of the three, as (path, message); an empty object is none, and well."""
    if not isinstance(given, dict):
        return [(name, f"must be an object of {', '.join(FIELDS[name])}; leave it out for none")]
    if not given:
        return []
    faults = [(f"{name}.{field}", "is missing") for field in NEEDED[name] if given.get(field) in (None, "")]
    for field, value in given.items():
        path = f"{name}.{field}"
        if field not in FIELDS[name]:
            faults.append((path, f"is not known; {name} takes {', '.join(FIELDS[name])}"))
        elif value is None:
            continue
        elif field == "seconds" and not _is_number(value, int | float, SHORTEST, LONGEST):
            faults.append((path, f"must be a number from {SHORTEST} to {LONGEST} (30 days), not {_shown(value)}"))
        elif field == "limit" and not _is_number(value, int, 1, MOST):
            faults.append((path, f"must be a whole number from 1 to {MOST}, not {_shown(value)}"))
        elif field == "key":
            faults += [(path, message) for message in _key_faults(value)]
    return faults


def keys_of(rule: Any, context: Mapping[str, Any]) -> dict[str, str]:
    """The key of each control that the rule has, for one event. Raises RenderingError."""
    return {
        name: _key(rendering.render(control.get("key") or "", context, place=f"{name}.key"))
        for name in CONTROLS
        if (control := getattr(rule, name))
    }


def limit_of(rule: Any, name: str) -> tuple[int, float]:
    """How many events may pass within how many seconds."""
    control = getattr(rule, name)
    return control.get("limit") or 1, float(control["seconds"])


def words(rule: Any) -> list[str]:
    """What the rule's controls do, as sentences for people."""
    told = []
    if rule.dedup:
        told.append(f"The same {rule.dedup['key']} again within {span(rule.dedup['seconds'])} does nothing.")
    if rule.debounce:
        quiet = span(rule.debounce["seconds"])
        told.append(f"It acts on the last event once no other has come for {quiet}{_each(rule.debounce)}.")
    if rule.throttle:
        limit, seconds = limit_of(rule, "throttle")
        told.append(f"It acts at most {times(limit)} within {span(seconds)}{_each(rule.throttle)}.")
    return told


def span(seconds: float) -> str:
    return f"{seconds:g} s"


def times(limit: int) -> str:
    return "once" if limit == 1 else f"{limit} times"


def _each(control: Mapping[str, Any]) -> str:
    return f", for each {control['key']}" if control.get("key") else ""


def _is_number(value: Any, kind: Any, least: float, most: float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most


def _key_faults(template: Any) -> list[str]:
    if not isinstance(template, str):
        return ["must be a text, mostly a template such as '{{ payload.host }}'"]
    if len(template) > LONGEST_TEMPLATE:
        return [f"is longer than {LONGEST_TEMPLATE} characters"]
    return [fault.message for fault in rendering.check_templates(template)]


def _key(value: Any) -> str:
    """A rendered key as it is kept; a long one as its hash."""
    text = storable_text(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    if len(text) <= LONGEST_KEY:
        return text
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _shown(value: Any) -> str:
    return repr(value)[:60]
