"""Make an index of a folder of packs, and the archives it names: with both on a file server one has a registry."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from apps.packs.manifests import MANIFEST
from apps.packs.registry import checkouts
from apps.packs.registry.archiving import write_archive
from apps.packs.registry.describing import describe
from apps.packs.registry.documents import ARCHIVE, Entry, InstallSource, read_index
from apps.packs.registry.errors import AlreadyPublished
from apps.packs.registry.precedence import Precedence
from apps.packs.sources.archives import unpack
from apps.packs.sources.checksums import file_checksum, tree_checksum
from apps.packs.sources.copying import copy
from attune.lib.errors import InvalidInput

FORMAT = "1.0"
INDEX = "index.json"
ARCHIVES = (".tar.gz", ".tgz")


def build_index(
    folder: Path,
    *,
    name: str,
    url: str = "",
    base_url: str = "",
    previous: dict[str, Any] | None = None,
    archives_to: Path | None = None,
) -> dict[str, Any]:
    """The index of all packs in a folder: those in folders below it, and those that are archives in it.

    With `archives_to` an archive of each folder is written there, and what lies there from before stays published; a
    clean git checkout of a repository that others can reach is named besides. `base_url` is where the archives will
    be, by default beside the index. `last_updated` is that of `previous` where nothing else differs.

    Raises InvalidInput, PackInvalid, SourceInvalid or AlreadyPublished; archives already written stay, and are right.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder; name the one that holds the folders of the packs.")
    entries: dict[tuple[str, str], Entry] = {}
    with tempfile.TemporaryDirectory(prefix="attune-index-") as made:
        bench = _Bench(Path(made), base_url, archives_to)
        for path in _pack_folders(folder):
            _add(entries, bench.of_folder(path), path)
        for path in _archives(folder, archives_to):
            _add(entries, bench.of_archive(path), path)
    if not entries:
        raise InvalidInput(f"There is no pack in {folder}; each is a folder with a {MANIFEST}, or a .tar.gz of one.")
    index = {
        "registry_name": name,
        "registry_url": url,
        "version": FORMAT,
        "last_updated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "packs": [entry.as_dict() for entry in _in_order(entries.values())],
    }
    _check(index, base_url or str(folder.resolve() / INDEX))
    if previous is not None and index == previous | {"last_updated": index["last_updated"]}:
        index["last_updated"] = previous.get("last_updated", index["last_updated"])
    return index


def as_bytes(index: dict[str, Any]) -> bytes:
    """The index as it is written to a file."""
    return (json.dumps(index, indent=1, ensure_ascii=False) + "\n").encode()


class _Bench:
    """Where archives are made and looked into."""

    def __init__(self, folder: Path, base_url: str, archives_to: Path | None) -> None:
        self._folder, self._base, self._archives_to = folder, base_url, archives_to
        self._count = 0

    def of_folder(self, path: Path) -> Entry:
        """The entry of a pack's folder, its archive written if that is asked for."""
        tree = self._room() / "pack"
        copy(path, tree)  # so that it stays as it is meanwhile, without what work with it has left
        entry, checksum = describe(tree, shown=path), tree_checksum(tree)
        archive = self._room() / f"{entry.ref}-{entry.version}.tar.gz"
        write_archive(tree, archive, root=f"{entry.ref}-{entry.version}")
        sources, meta = [], entry.meta
        if git := checkouts.source_of(path, checksum, self._room()):
            sources.append(git)
            meta = meta | {"commit": git.ref}
        if self._archives_to is not None:
            sources.append(self._source(self._published(archive, checksum, entry)))
        if not sources:
            raise InvalidInput(
                f"Pack {entry.ref} in {path} could be had from nowhere: have archives made, or check it out by git "
                "from an https address, with nothing changed in it."
            )
        return replace(entry, install_sources=tuple(sources), meta=meta)

    def of_archive(self, path: Path) -> Entry:
        """The entry of a pack that is an archive already."""
        published = path
        if self._archives_to is not None and path.parent.resolve() != self._archives_to.resolve():
            published = self._archives_to / path.name
            if published.exists() and file_checksum(published) != file_checksum(path):
                raise AlreadyPublished(f"{published} is another archive than {path}; give one of them another name.")
            _put(path, published)
        return describe(self._unpacked(path), [self._source(published)], shown=path)

    def _published(self, archive: Path, checksum: str, entry: Entry) -> Path:
        """The archive at its final place. What was published once is never replaced: others hold its checksum."""
        assert self._archives_to is not None
        self._archives_to.mkdir(parents=True, exist_ok=True)
        final = self._archives_to / archive.name
        if final.exists():
            if tree_checksum(self._unpacked(final)) != checksum:
                raise AlreadyPublished(
                    f"{entry.ref} {entry.version} was published with other files before; raise `version` in its "
                    f"{MANIFEST}, or remove {final} if nobody has it yet."
                )
            return final
        _put(archive, final)
        return final

    def _source(self, archive: Path) -> InstallSource:
        base = f"{self._base.rstrip('/')}/" if self._base else ""
        return InstallSource(ARCHIVE, base + quote(archive.name), file_checksum(archive))

    def _unpacked(self, archive: Path) -> Path:
        target = self._room() / "pack"
        unpack(archive, target)
        return target

    def _room(self) -> Path:
        self._count += 1
        room = self._folder / str(self._count)
        room.mkdir()
        return room


def _pack_folders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and not path.is_symlink() and (path / MANIFEST).is_file()
    )


def _archives(folder: Path, archives_to: Path | None) -> list[Path]:
    """By name, each once, those that are asked for first."""
    found: dict[str, Path] = {}
    for place in (folder, archives_to):
        for path in sorted(place.iterdir()) if place is not None and place.is_dir() else ():
            if path.name.endswith(ARCHIVES) and not path.name.startswith(".") and path.is_file():
                found.setdefault(path.name, path)
    return list(found.values())


def _add(entries: dict[tuple[str, str], Entry], entry: Entry, path: Path) -> None:
    """Take in an entry; the archive that was made of a folder just now says nothing new."""
    known = entries.setdefault((entry.ref, entry.version), entry)
    if known is not entry and not {*entry.install_sources} <= {*known.install_sources}:
        raise AlreadyPublished(
            f"{entry.ref} {entry.version} is here twice, once in {path}; raise the version of one, or remove it."
        )


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """By ref, the newest version first."""
    newest_first = sorted(entries, key=lambda entry: Precedence(entry.version), reverse=True)
    return sorted(newest_first, key=lambda entry: entry.ref)


def _put(file: Path, final: Path) -> None:
    """Copy a file so that it is there whole or not at all."""
    if final.exists():
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}.part")
    shutil.copyfile(file, part)
    part.replace(final)


def _check(index: dict[str, Any], where: str) -> None:
    """Read the index as a server would: what it would leave out must not be published."""
    if faults := read_index(index, where=where).faults:
        raise InvalidInput(f"The index would not be of use: {'; '.join(faults[:5])}.", details={"faults": list(faults)})
