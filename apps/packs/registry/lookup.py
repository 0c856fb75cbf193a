"""Find packs in the indices: the one that a name means, or all that match a few words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.http import Http404

from apps.packs import versions
from apps.packs.models import PackIndex
from apps.packs.registry import indices as kept
from apps.packs.registry.documents import ARCHIVE, CONTENTS, GIT, Entry, Index, InstallSource
from apps.packs.registry.errors import NotInAnyIndex
from apps.packs.registry.precedence import Precedence, allows, is_pre_release
from attune.lib.errors import InvalidInput

NEAREST = 3  # names that are suggested for one that is not found
_POINTS = {"ref": 100, "label": 60, "keywords": 40, "description": 20, "contents": 10}


@dataclass(frozen=True)
class Found:
    """A version of a pack, the index that has it, and where that stands among those asked."""

    entry: Entry
    index: PackIndex
    position: int

    def is_newer_than(self, version: str | None) -> bool:
        """Whether it could take the place of an installed version; False where none is installed."""
        if not version or not versions.SEMVER.match(version):
            return False
        return Precedence(version) < Precedence(self.entry.version)


def chosen(registry_id: int | None = None, *, include_disabled: bool = False) -> list[PackIndex]:
    """The indices to ask, in order: the enabled ones, or just the one that was named. Raises Http404."""
    rows = PackIndex.objects.defer("content")
    if registry_id is not None:
        found = rows.filter(pk=registry_id).first()
        if found is None:
            raise Http404(f"There is no pack index {registry_id}.")
        return [found]
    return list(rows if include_disabled else rows.filter(enabled=True))


def find(ref: str, constraint: str = "", *, indices: Sequence[PackIndex] | None = None) -> Found:
    """The newest version of a pack that meets the constraint, from the first index that has the pack at all.

    A pre-release is taken only where the constraint names one. Raises InvalidInput for what is no constraint, and
    NotInAnyIndex, which says which indices were asked and which names come near.
    """
    if not versions.is_constraint(constraint) and not versions.SEMVER.match(constraint):
        raise InvalidInput(
            f"{constraint!r} is no version and no range of versions; write {ref}@1.2.0 or {ref}@>=1.0,<2"
        )
    asked = list(enumerate(chosen() if indices is None else indices))
    names: set[str] = set()
    for position, row, index in _read(asked):
        listed = index.by_ref.get(ref, [])
        if not listed:
            names |= index.by_ref.keys()
            continue
        for entry in listed:
            if allows(constraint, entry.version):
                return Found(entry, row, position)
        raise NotInAnyIndex(_no_such_version(ref, constraint, listed, row))
    raise NotInAnyIndex(_no_such_pack(ref, [row for _, row in asked], names))


def search(q: str = "", *, indices: Sequence[PackIndex] | None = None) -> list[Found]:
    """The packs that all the words are in, best match first, each as `find` would give it; without words all of them.

    A pack whose every version is a pre-release is shown by the newest of these.
    """
    words = q.lower().split()
    found: dict[str, tuple[int, Found]] = {}
    for position, row, index in _read(list(enumerate(chosen() if indices is None else indices))):
        for ref, listed in index.by_ref.items():
            if ref in found:
                continue
            entry = next((one for one in listed if not is_pre_release(one.version)), listed[0])
            # One that does not match still hides its namesake of an index further down, which `find` would not give.
            found[ref] = _rank(entry, words), Found(entry, row, position)
    matching = [(-rank, one.entry.ref, one) for rank, one in found.values() if rank]
    return [one for _, _, one in sorted(matching, key=lambda each: each[:2])]


def sources_of(found: Found, *, prefer: str = ARCHIVE) -> list[InstallSource]:
    """Where to get it from, in the order to try: the preferred type first, else as the index lists them.

    The next one is for when a source cannot be fetched, never for when it does not match its checksum.
    """
    if prefer not in (GIT, ARCHIVE):
        raise ValueError(f"{prefer!r} is no type of source; it is {GIT} or {ARCHIVE}")
    return sorted(found.entry.install_sources, key=lambda source: source.type != prefer)


def _read(rows: Iterable[tuple[int, PackIndex]]) -> Iterator[tuple[int, PackIndex, Index]]:
    """Each index as it is by now; one that could never be read has nothing."""
    for position, row in rows:
        yield position, row, kept.read(kept.refresh(row))


def _rank(entry: Entry, words: list[str]) -> int:
    """How well the words fit: 0 where one of them is nowhere. A whole name counts for more than a part of it."""
    if not words:
        return 1
    places = {
        "ref": [entry.ref],
        "label": [entry.label],
        "keywords": entry.keywords,
        "description": [entry.description, entry.use_case],
        "contents": [one.name for kind in CONTENTS for one in entry.contents.get(kind, ())],
    }
    total = 0
    for word in words:
        best = 0
        for place, texts in places.items():
            for text in texts:
                lower = text.lower()
                if word in lower:
                    nearness = 3 if lower == word else 2 if lower.startswith(word) else 1
                    best = max(best, _POINTS[place] * nearness)
        if not best:
            return 0
        total += best
    return total


def _no_such_version(ref: str, constraint: str, listed: list[Entry], row: PackIndex) -> str:
    there = ", ".join(entry.version for entry in listed[:10])
    wanted = f"no version of {ref} that meets {constraint}" if constraint else f"only pre-releases of {ref}"
    remedy = f"ask for one of them, such as {ref}@{listed[0].version}"
    return f"{row} has {wanted}; there is {there}: {remedy}."


def _no_such_pack(ref: str, asked: list[PackIndex], names: set[str]) -> str:
    if not asked:
        return f"There is no index to look for {ref} in; add one under pack indices, or give an address instead."
    near = difflib.get_close_matches(ref, sorted(names), n=NEAREST, cutoff=0.6)
    unread = [f"{row} could not be read: {row.problem}" for row in asked if row.problem and row.read_at is None]
    parts = [f"There is no pack {ref} in {', '.join(map(str, asked))}"]
    if near:
        parts.append(f"did you mean {' or '.join(near)}?")
    text = "; ".join([*parts, *unread])
    return text if text.endswith((".", "?")) else f"{text}."
