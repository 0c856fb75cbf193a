"""Hide secret values in what programs print, however the pieces arrive. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from urllib.parse import quote

MASK = b"********"
SHORTEST = 3  # a shorter secret would black out half of any text


def leaves(value: Any) -> Iterable[str]:
    """Every text and number inside a secret value, as text."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool) and len(str(value)) > SHORTEST:
        yield str(value)


class Mask:
    """Replaces these secrets, and their JSON-escaped, URL-quoted and base64 forms, by `********`.

    `text` and `data` mask what is whole; `feed` and `flush` a stream of bytes that may cut a secret in two.
    """

    def __init__(self, secrets: Iterable[Any]) -> None:
        self._secrets = list(secrets)
        self._held: dict[str, bytes] = {}

    @cached_property
    def _forms(self) -> list[bytes]:
        """Every spelling to look for, the longest first; made when the first output comes."""
        forms: set[str] = set()
        for secret in self._secrets:
            for leaf in leaves(secret):
                if len(leaf) < SHORTEST:
                    continue
                forms |= {
                    leaf,
                    json.dumps(leaf)[1:-1],
                    json.dumps(leaf, ensure_ascii=False)[1:-1],
                    quote(leaf, safe=""),
                }
                if len(leaf) > 2 * SHORTEST:
                    forms.add(base64.b64encode(leaf.encode("utf-8", "surrogatepass")).decode().rstrip("="))
                forms |= {line for line in leaf.splitlines() if len(line) > 2 * SHORTEST}
        return sorted((form.encode("utf-8", "surrogatepass") for form in forms), key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        return self.raw(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace") if text else text

    def raw(self, data: bytes) -> bytes:
        """The bytes with every secret masked."""
        for form in self._forms:
            data = data.replace(form, MASK)
        return data

    def data(self, value: Any) -> Any:
        """A JSON value with every secret inside its texts, keys and numbers masked."""
        if isinstance(value, dict):
            return {self.text(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and self.text(str(value)) != str(value):
            return MASK.decode()
        return value

    def feed(self, stream: str, data: bytes) -> bytes:
        """The part of this stream that can be shown by now; the beginning of a possible secret is held back."""
        data = self._held.pop(stream, b"") + data
        held = self._tail_that_may_be_a_secret(data)
        if held:
            self._held[stream] = data[-held:]
            data = data[:-held]
        return self.raw(data)

    def flush(self, stream: str) -> bytes:
        """What was held back, at the stream's end."""
        held = self._held.pop(stream, b"")
        return self.raw(held) if held else b""

    def _tail_that_may_be_a_secret(self, data: bytes) -> int:
        """How many last bytes could be the beginning of a secret; none of a whole secret that they are part of."""
        longest = 0
        for form in self._forms:
            for size in range(min(len(form) - 1, len(data)), longest, -1):
                if data.endswith(form[:size]):
                    longest = size
                    break
        cut = len(data) - longest
        for form in self._forms if longest else ():
            start = data.find(form, max(0, cut - len(form) + 1))
            if 0 <= start < cut:  # a whole secret lies over the cut: it can be masked now
                return len(data) - (start + len(form)) if start + len(form) > cut else longest
        return longest
