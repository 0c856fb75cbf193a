"""Server-sent events, taken from the bytes as they come. Pure.

Lines end at newlines only: a text may hold U+2028, U+0085 and others at which Python's own `splitlines` would cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    name: str  # empty for those that have none
    data: Any
    id: str  # empty where there is none


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Each whole event. What the stream broke off in the middle of is left out: it comes again after a reconnect."""
    fields: dict[str, str] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields['data']}\n{value}" if name == "data" and "data" in fields else value
            continue
        if "data" in fields:
            yield Event(fields.get("event", ""), _value(fields["data"]), fields.get("id", ""))
        fields = {}


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
