"""What programs print, on the admin's pages: as it stands, and as it grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from attune.lib import ansi


def output(text: str) -> SafeString:
    """A program's output with its colours; whatever else is in it is text."""
    return drawn(ansi.spans(text)[0])


def drawn(spans: list[ansi.Span]) -> SafeString:
    """Spans as HTML, escaped."""
    parts = (format_html('<span class="{}">{}</span>', classes, text) if classes else text for text, classes in spans)
    return format_html_join("", "{}", ((part,) for part in parts))


def grown(text: str, *, offset: int, style: str = "", size: Callable[[str], int] = len) -> dict[str, Any]:
    """What came from `offset` on, where `style` held, for a page that shows what was before.

    `done` are spans to append; `open` those of the line that is not over, in place of the former such line. `offset`
    and `style` are to be asked with next time, `seen` grows while there is more.
    """
    end = ansi.settled(text)
    done, style = ansi.spans(text[:end], style, overprinted=text[end - 1 : end] == "\r")
    return {
        "offset": offset + size(text[:end]),
        "seen": offset + size(text),
        "style": style,
        "done": done,
        "open": ansi.spans(text[end:], style)[0],
    }


def text_of(data: bytes) -> str:
    """Bytes as text of the same `length_of`; without the beginning of a character that is not whole yet."""
    return data[: len(data) - _cut_character(data)].decode("utf-8", "surrogateescape")


def length_of(text: str) -> int:
    """How many bytes a text from `text_of` was."""
    return len(text.encode("utf-8", "surrogateescape"))


def _cut_character(data: bytes) -> int:
    """How many last bytes are the beginning of a UTF-8 character that is not whole yet."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
            return back if length > back else 0
    return 0
