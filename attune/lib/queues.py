"""How long a Dramatiq queue is, whatever broker it is on."""

from __future__ import annotations

from typing import Any

LONG = 100  # messages; workers that have so many before them need no reminder


def depth(actor: Any, lane: str = "") -> int:
    """How many messages wait in that lane, or in that of the actor's queue; 0 where the broker does not tell."""
    try:
        return actor.broker.depth(lane or actor.queue_name)
    except Exception:
        return 0
