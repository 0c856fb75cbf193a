"""Read YAML that strangers wrote: the core schema of YAML 1.2, within limits, and with the line of every field.

Only `true` and `false` are booleans (`Off`, `yes` and the like are text), dates and `1:30` are text, tags are refused,
duplicate keys are refused, and what an alias stands for counts as often as it is used, so that a small file cannot
become a large value. Rules of resolution: YAML 1.2.2, chapter 10.3.2.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from attune.lib.errors import InvalidInput

MAX_BYTES = 256 * 1024
Path = tuple[str | int, ...]

_NULL = re.compile(r"(?:|~|null|Null|NULL)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_INT = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MERGE = "<<"


class InvalidYaml(InvalidInput):
    """The text cannot be read; `faults` holds (line or None, message) for each thing that is wrong."""

    code = "invalid_yaml"

    def __init__(self, faults: list[tuple[int | None, str]]) -> None:
        super().__init__("; ".join(f"line {line}: {text}" if line else text for line, text in faults))
        self.faults = faults


@dataclass(frozen=True)
class Limits:
    """How large a document may be: bytes, levels of nesting, values (what an alias stands for counted in full)."""

    size: int = MAX_BYTES
    depth: int = 32
    nodes: int = 20_000


@dataclass
class Parsed:
    """A document's value (None where it is empty) and where its parts stand."""

    data: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Sequence[str | int]) -> int | None:
        """The line (from 1) of what is at that path, or of the nearest thing above it; None for an empty document."""
        for end in range(len(path), -1, -1):
            found = self.lines.get(tuple(path[:end]))
            if found:
                return found
        return None


FILE_LIMITS = Limits()


def parse(content: bytes | str, *, limits: Limits = FILE_LIMITS) -> Parsed:
    """The one document in this YAML.

    Raises InvalidYaml, which names the line and the remedy, for what is not YAML, goes beyond a limit, has a tag, a
    duplicate key, or a value that JSON or a database cannot hold.
    """
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    if len(raw) > limits.size:
        raise InvalidYaml([(None, f"it has {len(raw):,} bytes; at most {limits.size:,} are read. Make it smaller")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidYaml([(line, "this is not UTF-8 text; save the file in UTF-8")]) from None
    try:
        return _Builder(text, limits).document()
    except yaml.reader.ReaderError as error:
        place = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else None
        raise InvalidYaml([(place, "a control character is not allowed here; remove it")]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise InvalidYaml([(mark.line + 1 if mark else None, f"this is not YAML: {said}")]) from None
    except yaml.YAMLError as error:
        raise InvalidYaml([(None, f"this is not YAML: {error}")]) from None


class _Builder:
    """Builds the value from the parser's events, so that the limits hold before anything large is made."""

    def __init__(self, text: str, limits: Limits) -> None:
        self._limits = limits
        self._events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._lines: dict[Path, int] = {}
        self._anchors: dict[str, tuple[Any, int]] = {}  # the value, and how many values it holds
        self._open: set[str] = set()
        self._nodes = 0
        self._faults: list[tuple[int | None, str]] = []

    def document(self) -> Parsed:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document begins here (`---`); keep one document in a file")
                value = self._node(next(self._events), ())
        if self._faults:
            raise InvalidYaml(self._faults)
        return Parsed(value, self._lines)

    def _node(self, event: Any, path: Path) -> Any:
        self._lines.setdefault(path, event.start_mark.line + 1)
        self._count(event, 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if len(path) >= self._limits.depth:
            self._stop(event, f"values are nested more than {self._limits.depth} deep; make it flatter")
        if event.tag is not None:
            self._note(event, f"the tag {event.tag} is not allowed; write the plain value")
        before = self._nodes
        if event.anchor:
            self._open.add(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(path)
        else:
            value = self._mapping(path)
        if event.anchor:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _alias(self, event: Any) -> Any:
        if event.anchor in self._open:
            self._stop(event, f"*{event.anchor} stands inside itself; write the value out")
        if event.anchor not in self._anchors:
            self._stop(event, f"*{event.anchor} is used, but there is no &{event.anchor} before it")
        value, size = self._anchors[event.anchor]
        self._count(event, size)
        return copy.deepcopy(value)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._stop(event, "a key must be plain text")
            key, plain = event.value, event.implicit[0]
            self._storable(event, key)
            self._count(event, 1)
            merge = plain and key == _MERGE
            inner = path if merge else (*path, key)
            if key in result:
                self._note(event, f"the key {key!r} is here twice; remove one")
            if not merge:
                self._lines[inner] = event.start_mark.line + 1
            value = self._node(next(self._events), inner)
            if merge:
                self._merge(event, value, merged)
            else:
                result[key] = value
        return {**merged, **result} if merged else result

    def _merge(self, event: Any, value: Any, merged: dict[str, Any]) -> None:
        """`<<: *base` of YAML 1.1, the one thing anchors are commonly used for; the first of several wins."""
        for base in value if isinstance(value, list) else [value]:
            if not isinstance(base, dict):
                self._note(event, "`<<` needs a mapping, such as `<<: *defaults`")
                return
            for key in base:
                merged.setdefault(key, base[key])

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if not event.implicit[0]:  # quoted or a block
            self._storable(event, text)
            return text
        if _NULL.match(text):
            return None
        if _BOOL.match(text):
            return text[0] in "tT"
        if _INT.match(text) or _OTHER_INT.match(text):
            if len(text) > 100:
                self._note(event, "this number has too many digits; put quotes around it")
                return 0
            return int(text, 10) if _INT.match(text) else int(text, 0)
        if _NOT_FINITE.match(text) or (_FLOAT.match(text) and not math.isfinite(float(text))):
            self._note(event, f"{text} is not a finite number; put quotes around it")
            return 0
        if _FLOAT.match(text):
            return float(text)
        self._storable(event, text)
        return text

    def _storable(self, event: Any, text: str) -> None:
        if _UNSTORABLE.search(text):
            self._note(event, "a zero byte or half of a character pair is not allowed; remove it")

    def _count(self, event: Any, more: int) -> None:
        self._nodes += more
        if self._nodes > self._limits.nodes:
            most = f"{self._limits.nodes:,}"
            self._stop(event, f"there are more than {most} values (aliases counted in full); make it smaller")

    def _note(self, event: Any, message: str) -> None:
        self._faults.append((event.start_mark.line + 1, message))

    def _stop(self, event: Any, message: str) -> None:
        self._note(event, message)
        raise InvalidYaml(self._faults)
