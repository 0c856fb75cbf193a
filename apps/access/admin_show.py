"""How the admin shows values: badges, moments, durations, links and JSON trees. All text is escaped."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

TONES = {
    **dict.fromkeys(("completed", "matched", "on", "available", "ready", "alive", "active", "accepted"), "ok"),
    **dict.fromkeys(
        ("failed", "timeout", "abandoned", "error", "unavailable", "dead", "lost", "broken", "chain_stopped"), "bad"
    ),
    **dict.fromkeys(
        ("backoff", "canceling", "refused", "undecided", "starting", "draining", "suppressed", "paused"), "warn"
    ),
    **dict.fromkeys(("running", "processing"), "run"),
    **dict.fromkeys(("requested", "scheduled", "waiting"), "wait"),
}
WORDS = {"backoff": "back-off", "not_matched": "no match", "canceling": "cancelling"}
DASH = mark_safe("–")
LONGEST_TREE = 400  # nodes shown; a bigger value is shown as text
LONGEST_TEXT = 200_000


def badge(word: str, text: str = "") -> SafeString:
    """A state as a coloured word; the colour is never the only sign of it."""
    shown = text or WORDS.get(word, word.replace("_", " "))
    return format_html('<span class="at-badge at-{}">{}</span>', TONES.get(word, "mute"), shown)


def enabled_badge(enabled: bool) -> SafeString:
    return badge("on") if enabled else badge("off")


def link(url: str, text: Any, css: str = "at-link") -> SafeString:
    return format_html('<a class="{}" href="{}">{}</a>', css, url, text)


def ref(url: str, text: Any) -> SafeString:
    """A link to a thing by its ref."""
    return link(url, text, "at-link at-ref") if text else DASH


def moment(at: datetime | None) -> SafeString:
    """A point in time as `12 s ago`; the page's script keeps it fresh and gives the local time as its title."""
    if at is None:
        return DASH
    return format_html('<time class="at-time" datetime="{}">{}</time>', at.isoformat(), ago(at))


def ago(at: datetime) -> str:
    seconds = (timezone.now() - at).total_seconds()
    text = span(abs(seconds))
    return f"in {text}" if seconds < -0.5 else f"{text} ago"


def span(seconds: float) -> str:
    """A length of time in its largest sensible unit: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * 2 or (size == 60 and seconds >= 120):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return DASH
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def pretty(value: Any) -> str:
    """A JSON value as text to read and to edit."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "\n… cut here; the API has the whole."


def tree(value: Any) -> SafeString:
    """A JSON value as a tree that folds; a very big one as text."""
    if not isinstance(value, dict | list) or not value:
        return format_html('<div class="at-tree">{}</div>', _leaf(value))
    if _nodes(value) > LONGEST_TREE:
        return format_html('<pre class="at-pre">{}</pre>', pretty(value))
    return format_html('<div class="at-tree">{}</div>', _branch(value, 0))


def _nodes(value: Any) -> int:
    stack, seen = [value], 0
    while stack and seen <= LONGEST_TREE:
        item = stack.pop()
        seen += 1
        if isinstance(item, dict | list):
            stack.extend(item.values() if isinstance(item, dict) else item)
    return seen


def _branch(value: Any, depth: int) -> SafeString:
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    return format_html_join("", "{}", ((_pair(name, item, depth),) for name, item in pairs))


def _pair(name: Any, item: Any, depth: int) -> SafeString:
    if isinstance(item, dict | list) and item:
        if depth > 20:
            return format_html('<div><b>{}</b> <span class="at-quiet">…</span></div>', name)
        count = f"{len(item)} {'field' if isinstance(item, dict) else 'item'}{'s' if len(item) != 1 else ''}"
        opened = mark_safe(" open") if depth < 2 and len(item) <= 30 else ""
        return format_html(
            '<details{}><summary><b>{}</b> <span class="at-quiet">{}</span></summary><div>{}</div></details>',
            *(opened, name, count, _branch(item, depth + 1)),
        )
    return format_html("<div><b>{}</b> {}</div>", name, _leaf(item))


def _leaf(value: Any) -> SafeString:
    if isinstance(value, str):
        return format_html('<span class="at-str">{}</span>', value if value else '""')
    if value is None or isinstance(value, bool | int | float):
        return format_html('<span class="at-num">{}</span>', json.dumps(value))
    return format_html('<span class="at-quiet">{}</span>', json.dumps(value))
