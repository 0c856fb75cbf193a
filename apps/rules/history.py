"""What a rule was before: its revisions as the audit log has them, and how each differs from the one before."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from apps.access.models import AuditEntry
from apps.rules.controls import CONTROLS
from apps.rules.errors import NoSuchRevision
from apps.rules.models import Rule

WHAT_IT_DOES = ("trigger_ref", "trigger_params", "criteria", "action_ref", "action_params", *CONTROLS)
RESTORED = (*WHAT_IT_DOES, "label", "description", "tags", "permission_set_refs", "trace_tag_template")
SHOWN = (*RESTORED, "enabled")
_SAVED = ("rule.create", "rule.update")
_MOST_LINES = 1000  # of one part, beyond which it is not compared line by line


@dataclass(frozen=True)
class Revision:
    """A rule as it was after one change, and that change."""

    number: int
    at: datetime
    actor: str
    rule: dict[str, Any]
    changes: dict[str, dict[str, Any]]  # {part: {"before", "after"}}; of the first revision none
    restored: int | None  # the revision that was brought back by this change
    request_id: str
    entry: int  # of the audit log


def state(rule: Rule) -> dict[str, Any]:
    """All of a rule that a change can touch, as the audit log keeps it."""
    return {name: getattr(rule, name) for name in SHOWN} | {"revision": rule.revision}


def entries(rule: Rule) -> QuerySet[AuditEntry]:
    """What the audit log has on this rule's changes, latest first; not on a former rule of its ref."""
    return AuditEntry.objects.filter(target=rule.ref, action__in=_SAVED, at__gte=rule.created).order_by("-pk")


def revision_of(entry: AuditEntry) -> Revision:
    """An entry of the log, read."""
    after, before = entry.after, entry.before
    changes = {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in SHOWN
        if before and before.get(name) != after.get(name)
    }
    return Revision(
        number=after.get("revision", 0),
        at=entry.at,
        actor=entry.actor,
        rule={name: after[name] for name in SHOWN if name in after},
        changes=changes,
        restored=after.get("restored"),
        request_id=entry.request_id,
        entry=entry.pk,
    )


def find(rule: Rule, number: int) -> Revision:
    """Raises: NoSuchRevision."""
    entry = entries(rule).filter(after__revision=number).first()
    if entry is None:
        raise NoSuchRevision(f"The audit log has no revision {number} of rule {rule.ref}; look at its history.")
    return revision_of(entry)


def difference(before: Any, after: Any) -> list[tuple[str, str]]:
    """The lines of a value that went (`-`), came (`+`) or stand beside these (a blank)."""
    old, new = _lines(before), _lines(after)
    if max(len(old), len(new)) > _MOST_LINES:
        return [("-", f"{len(old)} lines"), ("+", f"{len(new)} lines, too many to compare")]
    compared = list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]  # without the names of files
    return [(line[0], line[1:]) for line in compared if not line.startswith("@@")]


def _lines(value: Any) -> list[str]:
    if value in (None, "", {}, []):
        return []
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return text.splitlines()
