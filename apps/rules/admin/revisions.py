"""A rule's revisions on its page: who changed what, line by line."""

from __future__ import annotations

from typing import Any

from apps.rules import history
from apps.rules.models import Rule

SHOWN = 20
_CSS = {"-": "at-gone", "+": "at-come"}


def of_rule(rule: Rule) -> list[dict[str, Any]]:
    """The latest, each with the lines of every part that it changed."""
    found = [history.revision_of(entry) for entry in history.entries(rule)[:SHOWN]]
    return [
        {
            "revision": revision,
            "is_current": revision.number == rule.revision,
            "parts": [(name, _lines(change)) for name, change in revision.changes.items()],
        }
        for revision in found
    ]


def _lines(change: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(_CSS.get(sign, ""), sign, text) for sign, text in history.difference(change["before"], change["after"])]
