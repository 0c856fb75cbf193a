"""Where a key is used: who names it. Rooms to the left add what they know of it.

    # apps/rules/apps.py, when it loads
    key_uses.register(names_in_rules)

A finder gives everything that names any key, with the name as it stands there; which key that means is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from apps.packs import keys
from apps.packs.models import Action, Key, Pack


@dataclass(frozen=True)
class Named:
    """A place that names a key: `name` as it is written, `pack_ref` of the code that would get the value.

    `is_path`: the name may go on into the value, as `jira.token` for the field `token` of the key `jira`.
    """

    kind: str  # action, rule, pack
    ref: str
    place: str
    name: str
    pack_ref: str
    sensor_ref: str = ""
    is_path: bool = False

    def as_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "ref": self.ref, "place": self.place}


Finder = Callable[[], Iterable[Named]]
_finders: list[Finder] = []


def register(finder: Finder) -> None:
    """Ask this one, too."""
    if finder not in _finders:
        _finders.append(finder)


def uses_of(key: Key) -> list[Named]:
    """Everything that names this key, sorted."""
    found = [named for named in _all() if _means(named, key)]
    return sorted(set(found), key=lambda named: (named.kind, named.ref, named.place))


def _all() -> Iterator[Named]:
    for ref, names, pack_ref in Action.objects.exclude(secrets=[]).values_list("ref", "secrets", "pack__ref"):
        for name in names:
            yield Named("action", ref, "secrets", str(name), pack_ref)
    for pack in Pack.objects.exclude(config={}):
        for place, text in texts_in(pack.config):
            yield Named("pack", pack.ref, f"config.{place}", text, pack.ref)
    for finder in _finders:
        yield from finder()


def texts_in(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text inside a JSON value that could be a key's ref, with the way to it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from texts_in(item, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from texts_in(item, f"{place}[{at}]")
    elif isinstance(value, str) and 0 < len(value) <= 300:
        yield place, value


def _means(named: Named, key: Key) -> bool:
    """As `keys.find` would decide, but for keys that hide this one behind a spelling tried earlier."""
    name = named.name
    if not named.is_path:
        return _spelt(name, named, key)
    parts = name.split(".")
    return any(_spelt(".".join(parts[:length]), named, key) for length in range(len(parts), 0, -1))


def _spelt(name: str, named: Named, key: Key) -> bool:
    return name == key.alias or key.ref in keys.spellings(name, named.pack_ref, named.sensor_ref)
