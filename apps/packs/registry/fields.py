"""The fields of one object in an index: taken as they should be, else left out with a warning. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from apps.packs import manifests, versions

VERSION_KEYS = ("attune_version", "python_version", "nodejs_version")
MOST_TEXTS = 200  # of one list


class Unusable(ValueError):
    """Something that an install relies on is wrong; the message says what."""


class Fields:
    """An object's fields. What nobody relies on and is of the wrong kind is warned of, and counts as absent."""

    def __init__(self, data: dict[str, Any], place: str) -> None:
        self.data, self.place = data, place
        self.known: set[str] = set()
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(f"{self.place}: {message}")

    def needed(self, name: str, *, limit: int) -> str:
        """A text without which there is no use. Raises Unusable."""
        self.known.add(name)
        value = self.data.get(name)
        if not isinstance(value, str) or not value.strip():
            raise Unusable(f"`{name}` is missing" if value in (None, "") else f"`{name}` must be text")
        if len(value) > limit:
            raise Unusable(f"`{name}` is longer than {limit} characters")
        return value

    def text(self, name: str, *, limit: int = 500) -> str:
        value = self._value(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.warn(f"`{name}` must be text; it is ignored")
            return ""
        return value.strip()[:limit]

    def texts(self, name: str) -> tuple[str, ...]:
        values = self.sequence(name, most=MOST_TEXTS)
        texts = tuple(value.strip()[:500] for value in values if isinstance(value, str) and value.strip())
        if len(texts) < len(values):
            self.warn(f"`{name}` must be a list of texts; others are ignored")
        return texts

    def sequence(self, name: str, *, most: int) -> list[Any]:
        value = self._value(name)
        if value is not None and not isinstance(value, list):
            self.warn(f"`{name}` must be a list; it is ignored")
            return []
        if value and len(value) > most:
            self.warn(f"`{name}` has more than {most:,} entries; the rest is ignored")
        return (value or [])[:most]

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._value(name)
        if value is not None and not isinstance(value, dict):
            self.warn(f"`{name}` must be an object; it is ignored")
            return {}
        return value or {}

    def link(self, name: str) -> str:
        """An address that a page may link to."""
        url = self.text(name, limit=2000)
        if not url:
            return ""
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            self.warn(f"`{name}` is not a web address; it is ignored")
            return ""
        return url

    def dependencies(self, name: str) -> dict[str, Any]:
        """As a manifest's, in normal form. Raises Unusable for a need that cannot be read: it must not get lost."""
        given = self._value(name)
        if given is None:
            return {}
        if isinstance(given, list):
            given = {"packs": given}
        if not isinstance(given, dict) or not isinstance(given.get("packs") or [], list):
            raise Unusable(f"`{name}` must be an object with a list `packs`")
        for text in given.get("packs") or []:
            if not isinstance(text, str) or manifests.dependency(text) is None:
                raise Unusable(f"it needs {text!r}, which is no pack; write a ref, or `ref@>=1.0.0`")
        for key in VERSION_KEYS:
            wanted = given.get(key)
            if wanted is not None and not (isinstance(wanted, str) and versions.is_constraint(wanted)):
                raise Unusable(f"`{name}.{key}` must be a version constraint such as '>=3.10'")
        kept = {key: given[key] for key in VERSION_KEYS if given.get(key)}
        return {"packs": list(given.get("packs") or [])} | kept

    def warn_of_unknown(self, known: Iterable[str] = ()) -> None:
        for key in sorted(set(self.data) - self.known - set(known))[:10]:
            self.warn(f"`{key[:100]}` is not a key of an index; it is ignored")

    def _value(self, name: str) -> Any:
        self.known.add(name)
        return self.data.get(name)
