"""Walk a pack's folder: plain files and folders only, nothing that leads outside, nothing without end."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from apps.packs.documents import Findings

MAX_FILES = 20_000
MAX_DEPTH = 32
_SKIPPED = frozenset({"__pycache__", "node_modules"})  # and every folder that begins with a dot: .git, .venv, …


@dataclass
class Folder:
    """What is in a pack's folder: relative paths (with `/`), each with its mode, in order of their names."""

    path: Path
    files: dict[str, int] = field(default_factory=dict)

    def read(self, name: str, *, limit: int) -> bytes:
        """The content of one of the files, at most `limit` + 1 bytes. OSError if it is a link by now."""
        descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limit + 1)

    def yaml_files(self, folder: str) -> list[str]:
        """The YAML files directly in a folder."""
        prefix = f"{folder}/"
        return [
            name
            for name in self.files
            if name.startswith(prefix) and "/" not in name[len(prefix) :] and name.endswith((".yaml", ".yml"))
        ]

    def digest(self) -> str:
        """SHA-256 over the names, lengths and contents of all files."""
        whole = hashlib.sha256()
        for name in self.files:
            with (self.path / name).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            whole.update(len(name.encode()).to_bytes(8, "big") + name.encode() + content)
        return whole.hexdigest()


def walk(path: Path, findings: Findings) -> Folder:
    """All files of a pack. Links, devices, names that cannot be shown and folders without end are faults."""
    folder = Folder(path)
    for name, mode in sorted(_entries(path, "", 0, findings)):
        if len(folder.files) >= MAX_FILES:
            findings.fault("", f"the pack has more than {MAX_FILES:,} files; leave out what it does not need")
            break
        folder.files[name] = mode
    return folder


def _entries(path: Path, prefix: str, depth: int, findings: Findings) -> Iterator[tuple[str, int]]:
    if depth > MAX_DEPTH:
        findings.fault(prefix, f"folders are nested more than {MAX_DEPTH} deep; make them flatter")
        return
    try:
        with os.scandir(path) as entries:
            found = list(entries)
    except OSError as error:
        findings.fault(prefix or ".", f"the folder cannot be read: {error.strerror}")
        return
    for entry in found:
        name = prefix + entry.name
        if not entry.name.isprintable():
            findings.fault(prefix or ".", f"the name {entry.name!r} holds characters that cannot be shown; rename it")
            continue
        facts = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            if not entry.name.startswith(".") and entry.name not in _SKIPPED:
                yield from _entries(Path(entry.path), f"{name}/", depth + 1, findings)
        elif stat.S_ISLNK(facts.st_mode):
            findings.fault(name, "a symbolic link is not allowed in a pack; put a copy of the file in its place")
        elif not stat.S_ISREG(facts.st_mode):
            findings.fault(name, "only plain files and folders are allowed in a pack; remove it")
        elif facts.st_nlink > 1:
            findings.fault(
                name, "a hard link is not allowed in a pack, for its other name may be outside; copy the file"
            )
        else:
            yield name, facts.st_mode
