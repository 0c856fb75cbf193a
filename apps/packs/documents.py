"""One YAML file of a pack, read with care: typed fields under all their names, every fault with its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from attune.lib.refs import COMPONENT_REF, PACK_REF, name_of, pack_of, title_of
from attune.lib.yamlfiles import Parsed, Path


@dataclass(frozen=True)
class Finding:
    """Something to say about a file of a pack: where, and what with its remedy."""

    file: str  # relative to the pack's folder
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message

    def as_dict(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "message": self.message}


@dataclass
class Findings:
    """What a load has found so far; a single fault refuses the whole load, a warning refuses nothing."""

    faults: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def fault(self, file: str, message: str, line: int | None = None) -> None:
        self.faults.append(Finding(file, line, message))

    def warn(self, file: str, message: str, line: int | None = None) -> None:
        self.warnings.append(Finding(file, line, message))


@dataclass(frozen=True)
class Identity:
    """What every component says of itself; `enabled` is None where the file leaves it to the operator."""

    ref: str
    label: str
    description: str
    enabled: bool | None
    tags: list[str]


class Document:
    """A mapping read from `file`. The getters take a field's name and its aliases, and note a fault for a wrong type.

    A field that is absent or null gives the default. `fault` and `warn` may be called at any time, while the row is
    registered too: the loader looks at the findings before it commits.
    """

    def __init__(self, file: str, parsed: Parsed, findings: Findings) -> None:
        self.file, self.findings = file, findings
        self.data: dict[str, Any] = parsed.data if isinstance(parsed.data, dict) else {}
        self._parsed = parsed
        self._known: set[str] = set()
        if not isinstance(parsed.data, dict):
            found = "is empty" if parsed.data is None else f"holds a {_kind(parsed.data)}"
            self.fault(f"the file {found}; it must hold fields such as `ref: my_pack.my_name`")

    def line(self, *path: str | int) -> int | None:
        """The line of the field at that path, or of the nearest field above it."""
        return self._parsed.line(path)

    def fault(self, message: str, *path: str | int) -> None:
        self.findings.fault(self.file, message, self.line(*path))

    def warn(self, message: str, *path: str | int) -> None:
        self.findings.warn(self.file, message, self.line(*path))

    # Fields ----------------------------------------------------------------------------------------------------------
    def raw(self, *names: str) -> tuple[str, Any]:
        """The name under which a field is given and its value; the first name and None where it is not."""
        self._known.update(names)
        given = [name for name in names if self.data.get(name) is not None]
        for other in given[1:]:
            if self.data[other] != self.data[given[0]]:
                self.warn(f"`{other}` is another name for `{given[0]}`, and they differ; `{given[0]}` counts", other)
        return (given[0], self.data[given[0]]) if given else (names[0], None)

    def text(self, *names: str, default: str = "", required: bool = False, limit: int = 500) -> str:
        name, value = self.raw(*names)
        if value is None or value == "":
            if required:
                self.fault(f"`{names[0]}` is missing; add `{names[0]}: …`", name)
            return default
        if not isinstance(value, str):
            remedy = "write one text" if isinstance(value, dict | list) else "put quotes around it"
            self.fault(f"`{name}` must be text, not a {_kind(value)}; {remedy}", name)
            return default
        if len(value) > limit:
            self.fault(f"`{name}` is longer than {limit} characters; shorten it", name)
            return default
        return value.strip()

    def choice(self, *names: str, among: Sequence[str], default: str, aliases: dict[str, str] | None = None) -> str:
        value = self.text(*names, default=default)
        value = (aliases or {}).get(value, value)
        if value not in among:
            self.fault(f"`{names[0]}` is {value!r}; choose one of {', '.join(among)}", self.raw(*names)[0])
            return default
        return value

    def flag(self, name: str) -> bool | None:
        """True, False, or None where the file says nothing."""
        _, value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            self.fault(f"`{name}` must be true or false, not {value!r}", name)
            return None
        return value

    def mapping(self, *names: str) -> dict[str, Any]:
        name, value = self.raw(*names)
        if value is not None and not isinstance(value, dict):
            self.fault(f"`{name}` must be a mapping of names to values, not a {_kind(value)}", name)
            return {}
        return value or {}

    def sequence(self, *names: str) -> list[Any]:
        name, value = self.raw(*names)
        if value is not None and not isinstance(value, list):
            self.fault(f"`{name}` must be a list, not a {_kind(value)}", name)
            return []
        return value or []

    def strings(self, *names: str, required: bool = False) -> list[str]:
        """A list of texts; a single text counts as a list of one."""
        name, value = self.raw(*names)
        if value is None or value == []:
            if required:
                self.fault(f"`{names[0]}` is missing; add a list with at least one entry", name)
            return []
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) and item for item in values):
            self.fault(f"`{name}` must be a list of texts", name)
            return []
        return list(values)

    def number(self, *names: str, minimum: float = 0, whole: bool = True) -> float | None:
        name, value = self.raw(*names)
        if value is None:
            return None
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not fits or not minimum <= value <= 2**31 - 1:
            self.fault(
                f"`{name}` must be a {'whole ' if whole else ''}number of at least {minimum}, not {value!r}", name
            )
            return None
        return value

    # The file as a whole ---------------------------------------------------------------------------------------------
    def identity(self, pack_ref: str) -> Identity | None:
        """The component's ref and what goes with it; None, with the fault noted, where the ref is not usable.

        `ref` may be left out where `name` is given and the other way round; where both are given they must agree.
        """
        ref, name = self.text("ref", limit=200), self.text("name", limit=200)
        self.raw("pack_ref")
        if not ref and not name:
            self.fault(f"`ref` is missing; add `ref: {pack_ref}.<name>`")
            return None
        ref = ref or (name if pack_of(name) == pack_ref and "." in name else f"{pack_ref}.{name}")
        if not COMPONENT_REF.match(ref):
            self.fault(f"{ref!r} is not a ref: it needs `<pack>.<name>` of lower-case letters, digits, _ and -", "ref")
            return None
        if pack_of(ref) != pack_ref:
            self.fault(f"{ref!r} belongs to another pack; it must begin with `{pack_ref}.`", "ref")
            return None
        if name and name not in (ref, name_of(ref)):
            self.fault(f"`name` {name!r} and `ref` {ref!r} disagree; name it {name_of(ref)!r}, or leave it out", "name")
            return None
        return Identity(
            ref=ref,
            label=self.text("label", default=title_of(name_of(ref)), limit=200),
            description=self.text("description", limit=20_000),
            enabled=self.flag("enabled"),
            tags=self.strings("tags"),
        )

    def pack_ref(self) -> str:
        """The pack's own ref, for its manifest; empty, with the fault noted, where it is not usable."""
        ref = self.text("ref", required=True, limit=100)
        if ref and not PACK_REF.match(ref):
            self.fault(f"{ref!r} is not a pack ref: use lower-case letters, digits, _ and -, a letter first", "ref")
            return ""
        return ref

    def refuse_unknown(self, why: str) -> None:
        """Note a fault for every top-level key that no getter has asked for; call it last."""
        for key in unknown_keys(self.data, self._known):
            self.fault(f"`{key}` {why}", key)

    def warn_of_unknown(self, *also_known: str) -> None:
        """Warn of every top-level key that no getter has asked for; call it last."""
        for key in unknown_keys(self.data, self._known | set(also_known)):
            self.warn(f"`{key}` is not a key that Attune reads; it is ignored", key)


@dataclass(frozen=True)
class Spec:
    """A component as its file describes it: the columns of its row, and the file for further findings."""

    ref: str
    enabled: bool | None  # None: the operator's choice
    fields: dict[str, Any]  # every other column but the pack
    document: Document


def unknown_keys(data: dict[str, Any], known: Iterable[str]) -> list[str]:
    return sorted(set(data) - set(known))


def _kind(value: Any) -> str:
    names = {dict: "mapping", list: "list", str: "text", bool: "true/false", int: "number", float: "number"}
    return names.get(type(value), type(value).__name__)


__all__ = ["Document", "Finding", "Findings", "Identity", "Path", "Spec"]
