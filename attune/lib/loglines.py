"""Log lines that say what they are about: the ids at hand, as a suffix for people or as fields of JSON for programs.

`with about(execution_id=12):` gives them to every line that is written inside, in this thread; a call's own
`extra={"execution_id": 12}` does the same for one line.
"""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from typing import Any

FIELDS = ("request_id", "execution_id", "event_id", "rule_ref", "sensor_ref")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")  # strangers' text begins no line of its own
_facts: ContextVar[dict[str, Any]] = ContextVar("facts", default={})  # noqa: B039  (replaced, never changed)


class about:
    """What the lines inside are about; within another one its facts are added."""

    __slots__ = ("_given", "_token")

    def __init__(self, **facts: Any) -> None:
        self._given = facts
        self._token: Token[dict[str, Any]] | None = None

    def __enter__(self) -> None:
        self._token = _facts.set({**_facts.get(), **self._given})

    def __exit__(self, *error: object) -> None:
        if self._token is not None:
            _facts.reset(self._token)


def fact(name: str) -> Any:
    """What is known of that name here; empty where nothing is."""
    return _facts.get().get(name, "")


def _facts_of(record: logging.LogRecord) -> dict[str, Any]:
    known = _facts.get() | record.__dict__
    return {name: known[name] for name in FIELDS if known.get(name) not in (None, "")}


class Line(logging.Formatter):
    """`2026-01-31 12:00:00,000 WARNING apps.rules: Rule a.b failed. [event_id=7 rule_ref=a.b]`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in _facts_of(record).items())
        line = super().formatMessage(record) + (f" [{facts}]" if facts else "")
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], line)


class Json(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the ids, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts_of(record),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)
