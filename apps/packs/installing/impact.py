"""What a change of a pack would break elsewhere; rooms to the left add what they know of it.

    # apps/rules/apps.py, when it loads
    impact.register(broken_rules)

A review is asked with a `Change` and answers with sentences about what is enabled now and would no longer work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Change:
    """The components of a pack that would be gone or different, with their new parameter schema; None: gone."""

    pack_ref: str
    actions: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    triggers: dict[str, dict[str, Any] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Break:
    """Something that would no longer work, and why."""

    kind: str  # rule, pack …
    ref: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "ref": self.ref, "reason": self.reason}


Review = Callable[[Change], list[Break]]
_reviews: list[Review] = []


def register(review: Review) -> None:
    """Ask this, too, whenever a change of a pack is planned."""
    if review not in _reviews:
        _reviews.append(review)


def breaks(change: Change) -> list[Break]:
    """All that the change would break, as every room sees it."""
    return [found for review in _reviews for found in review(change)]
