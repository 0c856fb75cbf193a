"""What an execution printed, as its page first shows it."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from apps.access.admin_live import drawn, grown, length_of, text_of
from apps.executions import logs
from apps.executions.models import Execution

SHOWN_LOG = 256 * 1024  # bytes of a stream that the page itself shows


def stream_of(execution: Execution, name: str) -> dict[str, Any]:
    """A stream as the page first shows it: its end, and where the live tail goes on."""
    there = logs.size(execution.pk, name)
    start = max(0, there - SHOWN_LOG)
    data = logs.read(execution.pk, name, offset=start, limit=SHOWN_LOG)
    begin = data.find(b"\n") + 1 if start else 0  # a line that was cut may begin within a character or a colour
    shown = grown(text_of(data[begin:]), offset=start + begin, size=length_of)
    return {
        "name": name,
        **shown,
        "done": drawn(shown["done"]),
        "open": drawn(shown["open"]),
        "size": max(getattr(execution, f"{name}_bytes"), there),
        "cut": start > 0,
        "url": reverse("admin:executions_execution_log", args=[execution.pk, name]),
    }
