"""The values that templates work with: JSON data, moments as text, and keys that are not there yet."""

import math
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from apps.rules.rendering.metering import MAX_OUTPUT, LimitError, Missing, Opaque, weighed


class KeyReference(Opaque):
    """`key.a.b`: the way to a secret that is not here yet."""

    __slots__ = ("complaint", "parts")

    def __init__(self, parts: tuple[str | int, ...] = ()) -> None:
        self.parts = parts
        self.complaint = f"{self.name} must be used as it is, without filters, operators or conditions"

    @property
    def name(self) -> str:
        return ".".join(["key", *map(str, self.parts)])

    def child(self, name: Any) -> "KeyReference":
        if not isinstance(name, str | int) or len(self.parts) >= 20:
            raise LimitError("the name of a key is text")
        return KeyReference((*self.parts, name))

    def slot(self) -> dict[str, Any]:
        """What the worker needs to know to find the value."""
        return {"parts": list(self.parts)}


class SealedReference(KeyReference):
    """A secret inside an event or a configuration: encrypted there, and opened only where it is delivered."""

    __slots__ = ("about", "sealed")

    def __init__(self, sealed: str, about: str, parts: tuple[str | int, ...]) -> None:
        super().__init__(parts)
        self.sealed, self.about = sealed, about

    @property
    def name(self) -> str:
        return f"{'.'.join(map(str, self.parts))} is secret, and"

    def child(self, name: Any) -> "SealedReference":
        if not isinstance(name, str | int) or len(self.parts) >= 100:
            raise LimitError("the name of a part is text")
        return SealedReference(self.sealed, self.about, (*self.parts, name))

    def slot(self) -> dict[str, Any]:
        return {"sealed": self.sealed, "about": self.about, "parts": list(self.parts)}


def with_references(value: Any, sealed: str, about: str, places: Iterable[Iterable[str | int]]) -> Any:
    """The value with a reference to what is sealed at each of these places; copied on the way there."""
    for place in places:
        value = _with_one(value, tuple(place), SealedReference(sealed, about, tuple(place)))
    return value


def _with_one(value: Any, way: tuple[str | int, ...], reference: SealedReference) -> Any:
    if not way:
        return reference
    copied = value.copy()
    copied[way[0]] = _with_one(value[way[0]], way[1:], reference)
    return copied


class Slots:
    """The placeholders of one rendering: unguessable, so that no payload can name one."""

    def __init__(self) -> None:
        self.nonce = secrets.token_hex(16)
        self.slots: dict[str, dict[str, Any]] = {}

    def placeholder(self, reference: KeyReference) -> str:
        if not reference.parts:
            raise LimitError("key needs a name, like key.jira.token")
        sentinel = f"@@attune-key:{self.nonce}:{len(self.slots)}@@"
        self.slots[sentinel] = reference.slot()
        return sentinel


SLOTS: ContextVar[Slots | None] = ContextVar("slots", default=None)


def moment_text(moment: datetime | str | None) -> str | None:
    if not isinstance(moment, datetime):
        return moment
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def plain(value: Any, *, with_keys: bool = False) -> Any:
    """A value as JSON data of its own; at the end of an expression, a key in it becomes its placeholder."""
    if isinstance(value, KeyReference):
        return _placeholder(value) if with_keys else value._refused()
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise LimitError("the keys of an object must be text")
        return {key: plain(item, with_keys=with_keys) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, with_keys=with_keys) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise LimitError(f"{value} is not a number that JSON knows")
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Missing):
        str(value)  # raises, and says what is missing
    if isinstance(value, datetime):
        return moment_text(value)
    raise LimitError("the expression gives something that is not JSON data")


def put_out(value: Any) -> str:
    """A value as it stands in the midst of text."""
    if isinstance(value, str):
        return value
    if isinstance(value, KeyReference):
        return _placeholder(value)
    return str(plain(weighed(value, limit=MAX_OUTPUT)))


def _placeholder(reference: KeyReference) -> str:
    slots = SLOTS.get()
    if slots is None:
        raise LimitError("keys cannot be used here, only in the parameters of an action")
    return slots.placeholder(reference)
