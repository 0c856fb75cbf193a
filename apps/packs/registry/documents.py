"""An index as a registry serves it: what it says of each pack, and how far that can be used. Pure.

Reading is lenient with what nobody needs and strict with what an install relies on: a pack whose entry is faulty there
is left out, with its fault named, and the others stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from apps.packs import versions
from apps.packs.registry import addresses
from apps.packs.registry.errors import IndexUnreadable
from apps.packs.registry.fields import Fields, Unusable
from apps.packs.registry.precedence import Precedence
from attune.lib import strictjson
from attune.lib.refs import PACK_REF, title_of

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
MOST_NOTES = 100  # kept of each kind; a registry with more has one fault
MOST_SOURCES = 20  # of one pack
MOST_NAMED = 1000  # components of one kind
CONTENTS = ("actions", "sensors", "triggers", "rules", "workflows")
GIT, ARCHIVE = "git", "archive"
_INDEX_KEYS = {"registry_name", "registry_url", "version", "last_updated", "packs", "meta"}


@dataclass(frozen=True)
class InstallSource:
    """Where a pack can be had, and what must come of it: a tree's checksum for git, the file's own for an archive."""

    type: str
    url: str  # of an archive beside an index in a file: a path
    checksum: str
    ref: str = ""

    def as_dict(self) -> dict[str, str]:
        given = {"type": self.type, "url": self.url, "ref": self.ref, "checksum": self.checksum}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class Named:
    """One component that a pack brings."""

    name: str
    description: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "description": self.description}


@dataclass(frozen=True)
class Entry:
    """One version of a pack."""

    ref: str
    version: str
    label: str
    install_sources: tuple[InstallSource, ...]
    description: str = ""
    author: str = ""
    license: str = ""
    keywords: tuple[str, ...] = ()
    runtime_deps: tuple[str, ...] = ()
    contents: dict[str, tuple[Named, ...]] = field(default_factory=dict)
    dependencies: dict[str, Any] = field(default_factory=dict)  # as a manifest's in normal form
    meta: dict[str, Any] = field(default_factory=dict)
    repository: str = ""
    email: str = ""
    homepage: str = ""
    use_case: str = ""

    def __str__(self) -> str:
        return f"{self.ref}@{self.version}"

    def as_dict(self) -> dict[str, Any]:
        """As an index has it, keys in its order; what is empty and may be left out is."""
        optional = ("repository", "email", "homepage", "use_case", "dependencies")
        return {
            "ref": self.ref,
            "label": self.label,
            "description": self.description,
            "version": self.version,
            "author": self.author,
            "license": self.license,
            "keywords": list(self.keywords),
            "runtime_deps": list(self.runtime_deps),
            "install_sources": [source.as_dict() for source in self.install_sources],
            "contents": {kind: [one.as_dict() for one in self.contents.get(kind, ())] for kind in CONTENTS},
            "meta": self.meta,
            **{name: value for name in optional if (value := getattr(self, name))},
        }


@dataclass(frozen=True)
class Index:
    """All that could be used of an index, and what was wrong with the rest."""

    where: str
    name: str = ""
    url: str = ""
    version: str = ""
    last_updated: str = ""
    entries: tuple[Entry, ...] = ()
    faults: tuple[str, ...] = ()  # of packs that are left out
    warnings: tuple[str, ...] = ()

    @cached_property
    def by_ref(self) -> dict[str, list[Entry]]:
        """The versions of each pack, newest first."""
        listed: dict[str, list[Entry]] = {}
        for entry in self.entries:
            listed.setdefault(entry.ref, []).append(entry)
        for entries in listed.values():
            entries.sort(key=lambda entry: Precedence(entry.version), reverse=True)
        return listed


def read_index(data: bytes | dict[str, Any], *, where: str) -> Index:
    """The index that was read at `where`, an address or a file's path. Raises IndexUnreadable where it is none."""
    document = data if isinstance(data, dict) else parse(data, where=where)
    packs = document.get("packs")
    if not isinstance(packs, list):
        raise IndexUnreadable(f"{where} is no index of packs: it has no list `packs`.")
    faults: list[str] = []
    top = Fields(document, "the index")
    head = {name: top.text(name, limit=2000) for name in ("registry_name", "registry_url", "version", "last_updated")}
    top.warn_of_unknown(_INDEX_KEYS)
    warnings = top.warnings
    entries: dict[tuple[str, str], Entry] = {}
    for number, given in enumerate(packs):
        place = f"packs[{number}]"
        if not isinstance(given, dict):
            faults.append(f"{place}: must be an object with `ref`, `version` and `install_sources`")
            continue
        if isinstance(given.get("ref"), str):
            place += f" {given['ref'][:100]}"
        fields = Fields(given, place)
        try:
            entry = _entry(fields, where)
            if (entry.ref, entry.version) in entries:
                raise Unusable(f"version {entry.version} is listed before; each version is listed once")
            entries[entry.ref, entry.version] = entry
        except Unusable as fault:
            faults.append(f"{place}: {fault}")
        warnings += fields.warnings
    return Index(
        where=where,
        name=head["registry_name"],
        url=head["registry_url"],
        version=head["version"],
        last_updated=head["last_updated"],
        entries=tuple(entries.values()),
        faults=_bounded(faults),
        warnings=_bounded(warnings),
    )


def parse(data: bytes, *, where: str) -> dict[str, Any]:
    """The bytes of an index as the JSON object they are. Raises IndexUnreadable."""
    if len(data) > MAX_BYTES:
        raise IndexUnreadable(f"{where} has {len(data):,} bytes; an index has at most {MAX_BYTES:,}.")
    try:
        document = strictjson.read(data, max_depth=MAX_DEPTH)
    except strictjson.BadJson as error:
        raise IndexUnreadable(f"{where} {error}.") from None
    if not isinstance(document, dict):
        raise IndexUnreadable(f"{where} is no index of packs: it must be a JSON object with a list `packs`.")
    return document


# One pack ------------------------------------------------------------------------------------------------------------
def _entry(fields: Fields, where: str) -> Entry:
    ref, version = fields.needed("ref", limit=100), fields.needed("version", limit=60)
    if not PACK_REF.match(ref):
        raise Unusable(f"{ref!r} is not a pack's ref: use lower-case letters, digits, _ and -, a letter first")
    if not versions.SEMVER.match(version):
        raise Unusable(f"version {version!r} is not a semantic version; write it like 1.0.0")
    entry = Entry(
        ref=ref,
        version=version,
        install_sources=_sources(fields, where),
        label=fields.text("label", limit=200) or title_of(ref),
        description=fields.text("description", limit=20_000),
        author=fields.text("author"),
        license=fields.text("license"),
        keywords=fields.texts("keywords"),
        runtime_deps=fields.texts("runtime_deps"),
        contents=_contents(fields),
        dependencies=fields.dependencies("dependencies"),
        meta=fields.mapping("meta"),
        repository=fields.link("repository"),
        email=fields.text("email"),
        homepage=fields.link("homepage"),
        use_case=fields.text("use_case", limit=20_000),
    )
    fields.warn_of_unknown()
    return entry


def _sources(fields: Fields, where: str) -> tuple[InstallSource, ...]:
    given = fields.data.get("install_sources")
    fields.known.add("install_sources")
    if not isinstance(given, list):
        raise Unusable("`install_sources` must be a list that says where the pack can be had")
    sources = [source for one in given[:MOST_SOURCES] if (source := _source(one, fields, where))]
    if not sources:
        raise Unusable("`install_sources` names no git repository and no archive, so it cannot be installed")
    return tuple(sources)


def _source(given: Any, fields: Fields, where: str) -> InstallSource | None:
    """None for a type that is not known here: another may do."""
    if not isinstance(given, dict):
        raise Unusable("a source must be an object with `type`, `url` and `checksum`")
    kind = given.get("type")
    if kind not in (GIT, ARCHIVE):
        fields.warn(f"a source of the type {kind!r} cannot be used here; it is left out")
        return None
    source = Fields(given, fields.place)
    url, checksum = source.needed("url", limit=2000), source.needed("checksum", limit=100)
    if not addresses.CHECKSUM.match(checksum):
        raise Unusable(f"the checksum {checksum!r} must be `sha256:` and 64 hexadecimal digits")
    ref = source.needed("ref", limit=250) if kind == GIT else ""
    if ref and not addresses.is_git_ref(ref):
        raise Unusable(f"{ref!r} is no name of a branch, tag or commit")
    try:
        found = addresses.source_address(url, where, beside=kind == ARCHIVE)
    except ValueError as fault:
        raise Unusable(str(fault)) from None
    return InstallSource(kind, found, checksum.lower(), ref)


def _contents(fields: Fields) -> dict[str, tuple[Named, ...]]:
    given = Fields(fields.mapping("contents"), f"{fields.place} contents")
    contents = {}
    for kind in CONTENTS:
        named = [_named(one) for one in given.sequence(kind, most=MOST_NAMED)]
        contents[kind] = tuple(one for one in named if one)
        if None in named:
            given.warn(f"`{kind}` must list objects with `name` and `description`; others are left out")
    given.warn_of_unknown()
    fields.warnings += given.warnings
    return contents


def _named(given: Any) -> Named | None:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or not given["name"]:
        return None
    description = given.get("description")
    return Named(given["name"][:200], description.strip()[:2000] if isinstance(description, str) else "")


def _bounded(notes: list[str]) -> tuple[str, ...]:
    more = len(notes) - MOST_NOTES
    return tuple(notes) if more <= 0 else (*notes[:MOST_NOTES], f"and {more:,} more")
