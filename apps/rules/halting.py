"""What keeps every rule from looking at an event: a pause, or a chain of events and executions that grew too deep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from apps.executions import chains
from apps.rules.models import Event

# The pause that is on, or null; to stand in the statement that fetches an event's rules, so that it costs no other.
PAUSE = "(SELECT {array}(p.id, p.paused_by, p.reason) FROM rules_pause p WHERE p.active)"


@dataclass(frozen=True)
class Halt:
    """The verdict that every rule gives instead of looking, why, and the pause that it is due to."""

    verdict: str  # stopped, paused
    reason: str
    pause: int | None = None

    @property
    def note(self) -> dict[str, Any]:
        return {"verdict": self.verdict}


def halt_of(event: Event, pause: str | None) -> Halt | None:
    """What keeps rules from this event, if anything does; `pause` is what the database gave for PAUSE."""
    if chains.is_too_deep(event.depth):
        return Halt("stopped", f"stopped: {chains.fault_of(event.caused_by)}")
    if pause is None:
        return None
    number, by, reason = json.loads(pause)
    return Halt("paused", f"rules were paused by {by}: {reason}", number)
