"""Hide secret values in what programs print, however the pieces arrive. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

MASK = b"********"
SHORTEST = 3  # a shorter secret would black out half of any text
_SIMPLE = re.compile("[A-Za-z0-9_-]*")  # what nobody escapes
_SHELL = re.compile(r"[^A-Za-z0-9_@%+=:,./\x80-\U0010ffff-]")
_PERCENT = re.compile("%[0-9A-F]{2}")
_URL_SAFE = str.maketrans("+/", "-_")
# Parts of a structured secret that are none: where a service is, not how to get in.
_PLAIN = frozenset({"url", "base_url", "host", "hostname", "port", "scheme", "protocol", "region", "timeout"})


def leaves(value: Any) -> Iterable[str]:
    """Every text and number inside a secret value, as text; of an object not where its service is."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in _PLAIN or (isinstance(item, str) and "@" in item):
                yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool) and len(str(value)) > SHORTEST:
        yield str(value)


def spellings(text: str) -> set[str]:
    """The text as programs show it: as it is, escaped for JSON, addresses, HTML, Python and the shell, encoded."""
    raw = text.encode("utf-8", "surrogatepass")
    return {text} if _SIMPLE.fullmatch(text) else _escaped(text, raw)


def encodings(text: str) -> set[str]:
    """The text in hex and base64, alone or in the midst of other bytes, of which only whole characters are its own."""
    raw = text.encode("utf-8", "surrogatepass")
    alone, code = base64.b64encode(raw).decode(), raw.hex()
    found = {alone.rstrip("=")}
    for before, first in ((0, 0), (1, 2), (2, 3)):
        found.add(base64.b64encode(bytes(before) + raw).decode()[first : (before + len(raw)) * 8 // 6])
    return {*found, *(form.translate(_URL_SAFE) for form in found), code, code.upper()}


def _escaped(text: str, raw: bytes) -> set[str]:
    found = {text, repr(text)[1:-1], repr(raw)[2:-1], html.escape(text), html.escape(text, quote=False)}
    found |= {text.replace("'", "'\\''"), _SHELL.sub(r"\\\g<0>", text)}
    found.add("".join(chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in raw).replace("'", "\\'"))
    for escaped in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        found |= {escaped, escaped.replace("/", "\\/"), json.dumps(escaped)[1:-1], escaped.replace("'", "'\\''")}
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        found |= {quoted, _PERCENT.sub(lambda code: code[0].lower(), quoted)}
    return found | {line for line in text.splitlines() if len(line) > 2 * SHORTEST}


class Mask:
    """Replaces these secrets, in every spelling that programs show them in, by `********`.

    `text` and `data` mask what is whole; `feed` and `flush` a stream of bytes that may cut a secret in two.
    """

    def __init__(self, secrets: Iterable[Any]) -> None:
        self._secrets = list(secrets)
        self._held: dict[str, bytes] = {}
        self._encoded: list[bytes] = []  # those of the spellings that programs break into lines of some width

    @cached_property
    def _forms(self) -> list[bytes]:
        """Every spelling to look for, the longest first; made when the first output comes."""
        forms: set[str] = set()
        self._encoded = []
        for secret in self._secrets:
            for leaf in leaves(secret):
                if len(leaf) >= SHORTEST:
                    forms |= spellings(leaf)
                if len(leaf) > 2 * SHORTEST:
                    encoded = encodings(leaf)
                    forms |= encoded
                    self._encoded += [form.encode() for form in encoded if 8 <= len(form) < 16_384]
        self._encoded.sort(key=len, reverse=True)
        return sorted((form.encode("utf-8", "surrogatepass") for form in forms), key=len, reverse=True)

    def add(self, secrets: Iterable[Any]) -> None:
        """Hide these from now on, too."""
        new = [secret for secret in secrets if secret not in self._secrets]
        if new:
            self._secrets += new
            for name in ("_forms", "_by_first_byte", "_longest_form"):
                self.__dict__.pop(name, None)

    @cached_property
    def _by_first_byte(self) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for form in self._forms:
            found.setdefault(form[:1], []).append(form)
        return found

    @cached_property
    def _longest_form(self) -> int:
        return len(self._forms[0]) if self._forms else 1

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        return self.raw(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace") if text else text

    def raw(self, data: bytes) -> bytes:
        """The bytes with every secret masked."""
        for form in self._forms:
            data = data.replace(form, MASK)
        for pattern in self._broken_in(data):
            data = pattern.sub(MASK, data)
        return data

    def _broken_in(self, data: bytes) -> Iterator[re.Pattern[bytes]]:
        """What finds each encoded spelling that is in the data, broken into lines; rare enough to be made anew."""
        if b"\n" not in data:
            return
        joined = data.translate(None, b"\r\n")
        for form in self._encoded:
            if form in joined:
                yield re.compile(b"[\r\n]*".join(re.escape(form[at : at + 1]) for at in range(len(form))))

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
        longest, start = 0, max(0, len(data) - self._longest_form + 1)
        for first, forms in self._by_first_byte.items():
            at = data.find(first, start)
            while 0 <= at < len(data) - longest:
                tail = data[at:]
                if any(len(form) > len(tail) and form.startswith(tail) for form in forms):
                    longest = len(tail)
                    break
                at = data.find(first, at + 1)
        longest = max(longest, self._tail_over_lines(data))
        cut = len(data) - longest
        for form in self._forms if longest else ():
            start = data.find(form, max(0, cut - len(form) + 1))
            if 0 <= start < cut:  # a whole secret lies over the cut: it can be masked now
                return len(data) - (start + len(form)) if start + len(form) > cut else longest
        for pattern in self._broken_in(data) if longest else ():
            for found in pattern.finditer(data):
                if found.start() < cut < found.end():
                    return len(data) - found.end()
        return longest

    def _tail_over_lines(self, data: bytes) -> int:
        """The same for what is encoded and broken into lines."""
        tail = data[-2 * self._longest_form :]
        if b"\n" not in tail:
            return 0
        joined = tail.translate(None, b"\r\n")
        longest = 0
        for form in self._encoded:
            at = joined.find(form[:1], max(0, len(joined) - len(form) + 1))
            while 0 <= at < len(joined) - longest:
                if form.startswith(joined[at:]):
                    longest = len(joined) - at
                    break
                at = joined.find(form[:1], at + 1)
        size, left = 0, longest
        while left:
            size += 1
            left -= tail[-size] not in b"\r\n"
        return size
