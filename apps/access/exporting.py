"""The audit log as a file, written line by line while it is read: CSV for spreadsheets, JSON lines for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.access.models import AuditEntry
from attune.lib.api import timestamp

MOST = 100_000  # entries in one file
_AT_ONCE = 500
COLUMNS = (
    *("id", "at", "actor", "identity", "came_with", "action", "category", "outcome", "target", "origin"),
    *("request_id", "http_method", "http_path", "http_status", "user_agent", "before", "after"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would calculate


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    content_type: str
    lines: Callable[[QuerySet[AuditEntry]], Iterator[str]]


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _as_csv(rows: QuerySet[AuditEntry]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in rows.iterator(_AT_ONCE):
        yield writer.writerow([_cell(value) for value in _values(row).values()])


def _as_json_lines(rows: QuerySet[AuditEntry]) -> Iterator[str]:
    for row in rows.iterator(_AT_ONCE):
        yield json.dumps(_values(row), ensure_ascii=False) + "\n"


def _values(row: AuditEntry) -> dict[str, Any]:
    return {name: getattr(row, name) for name in COLUMNS} | {"at": timestamp(row.at)}


def _cell(value: Any) -> Any:
    """Strangers' text is never a formula."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


KINDS = {
    "csv": Kind("text/csv; charset=utf-8", _as_csv),
    "jsonl": Kind("application/x-ndjson", _as_json_lines),
}
