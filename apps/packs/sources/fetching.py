"""Fetch a pack from any source into a new folder, and verify what came: all of it, or nothing is left behind."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from apps.packs import folders
from apps.packs.documents import Findings
from apps.packs.errors import SourceInvalid
from apps.packs.sources import archives, checksums, copying, git
from apps.packs.sources.spec import Source

_MANIFEST = "pack.yaml"
_SHOWN = 8  # names, where there may be many

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """A pack's files as they came, verified; nothing of them has been read as a pack yet."""

    folder: Path
    source_type: Literal["git", "archive", "local"]
    git_commit: str = ""
    checksum: str = ""  # of what came: an archive's bytes, else the same as `tree`
    tree: str = ""  # of the pack's files
    final_url: str = ""  # of a download, after its redirects, without credentials


def fetch(
    source: Source,
    folder: Path,
    *,
    say: Say,
    deadline: float,
    allow_local: bool,
    trusted_hosts: frozenset[str] = frozenset(),
    expected_checksum: str = "",
    verify_ssl: bool = True,
    environment: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    step: Say = lambda name: None,
) -> Fetched:
    """Fetch a source that is not a registry's name into `folder`, which must be new.

    `deadline` is a moment of `time.monotonic`. `allow_local` says whether folders, archives and repositories on this
    machine may be read. `expected_checksum` is for an archive that of its bytes, else that of the pack's files.
    `environment` is for git alone (`git.py` says what for). `headers` go with a download, to the host that is named and
    no other. `step` is told when it comes to `verify` and to `unpack`.
    """
    expected = checksums.normal(expected_checksum)
    if source.kind == "registry":
        raise SourceInvalid(f"{source.shown} is a pack's name; look it up in the indices first.")
    if source.protocol == "file" and not allow_local:
        raise SourceInvalid(f"{source.shown} is on the server itself, and may not be used from here; give a URL.")
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(errno.EEXIST, "the folder to fetch into is there already", str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".fetching-", dir=folder.parent))
    try:
        way = _Way(
            source,
            work,
            say,
            deadline,
            allow_local,
            trusted_hosts,
            expected,
            verify_ssl,
            environment or {},
            headers or {},
            step,
        )
        came = way.go()
        _check(came.folder, source)
        tree = checksums.tree_checksum(came.folder)
        if came.source_type != "archive":
            step("verify")
            checksums.verify(tree, expected, source.shown)
        checksum = came.checksum or tree
        say(f"{'Verified' if expected else 'Checksum'}: {checksum}")
        came.folder.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return replace(came, folder=folder, checksum=checksum, tree=tree)


@dataclass(frozen=True)
class _Way:
    """One fetch under way, inside a folder of its own that is removed afterwards."""

    source: Source
    work: Path
    say: Say
    deadline: float
    allow_local: bool
    trusted_hosts: frozenset[str]
    expected: str
    verify_ssl: bool
    environment: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    step: Say

    def go(self) -> Fetched:
        if self.source.kind == "git":
            return self._clone()
        if self.source.kind == "archive_url":
            return self._download()
        path = Path(self.source.location)
        if path.is_dir():
            return self._copy(path)
        if path.is_file():
            return self._unpack(path, checksums.file_checksum(path))
        hint = f" For the pack of that name in a registry write {path.name}." if path.parent.name == "" else ""
        raise SourceInvalid(f"There is no folder and no archive {self.source.shown} on the server.{hint}")

    def _clone(self) -> Fetched:
        tree = self.work / "tree"
        fetched = git.fetch(
            self.source,
            tree,
            say=self.say,
            deadline=self.deadline,
            allow_local=self.allow_local,
            trusted_hosts=self.trusted_hosts,
            verify_ssl=self.verify_ssl,
            environment=self.environment,
        )
        return Fetched(tree, "git", git_commit=fetched.commit)

    def _download(self) -> Fetched:
        from apps.packs.sources import downloads  # an HTTP client is megabytes, and few processes ever need it

        file = self.work / "archive"
        came = downloads.download(
            self.source.location,
            file,
            say=self.say,
            deadline=self.deadline,
            trusted_hosts=self.trusted_hosts,
            headers=self.headers,
            verify_ssl=self.verify_ssl,
        )
        return replace(self._unpack(file, came.checksum), final_url=came.final_url)

    def _unpack(self, file: Path, checksum: str) -> Fetched:
        self.step("verify")
        checksums.verify(checksum, self.expected, self.source.shown)
        self.step("unpack")
        self.say("Unpacking")
        archives.unpack(file, self.work / "tree", name=self.source.shown)
        return Fetched(self._below(self.work / "tree"), "archive", checksum=checksum)

    def _copy(self, folder: Path) -> Fetched:
        self.say(f"Copying {self.source.shown}")
        below = folder / self.source.subdirectory
        if not below.resolve().is_relative_to(folder.resolve()) or not below.is_dir():
            raise SourceInvalid(f"{self.source.shown} has no folder {self.source.subdirectory!r}; name another one.")
        copying.copy(below, self.work / "tree")
        return Fetched(self.work / "tree", "local")

    def _below(self, tree: Path) -> Path:
        folder = tree / self.source.subdirectory
        if not folder.is_dir():
            inside = _names(tree)
            raise SourceInvalid(
                f"{self.source.shown} has no folder {self.source.subdirectory!r}; it holds {inside}. Name another one."
            )
        return folder


def _check(folder: Path, source: Source) -> None:
    """Refuse what is no pack by its looks: no manifest, or something among its files that no pack may have."""
    if not (folder / _MANIFEST).is_file():
        deeper = sorted(found.parent.relative_to(folder).as_posix() for found in folder.rglob(_MANIFEST))
        remedy = f"Name the subdirectory: {_listed(deeper)}" if deeper else f"A pack has its {_MANIFEST} at the top"
        raise SourceInvalid(f"{source.shown} holds no {_MANIFEST}; it holds {_names(folder)}. {remedy}.")
    findings = Findings()
    folders.walk(folder, findings)
    if findings.faults:
        told = _listed([str(fault) for fault in findings.faults], "; ")
        details = {"faults": [fault.as_dict() for fault in findings.faults]}
        raise SourceInvalid(f"{source.shown} holds what a pack may not have: {told}.", details=details)


def _names(folder: Path) -> str:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())
    return _listed(names) if names else "nothing"


def _listed(names: list[str], between: str = ", ") -> str:
    return between.join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
