"""Copy a pack's folder on this machine, file by file, so that later edits of it change nothing that is installed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from apps.packs.errors import SourceInvalid
from apps.packs.sources.members import LIMITS, Limits
from apps.packs.sources.placing import Tree

# What work with a pack leaves beside its files.
LEFT_OUT = frozenset(
    {".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
)
_CHUNK = 256 << 10
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def copy(folder: Path, target: Path, *, limits: Limits = LIMITS) -> None:
    """Copy plain files and folders to the new folder `target`; links and special files are refused by name."""

    def refusal(reason: str) -> SourceInvalid:
        return SourceInvalid(f"The folder {folder} was refused: {reason}.")

    if target.parent.resolve().is_relative_to(folder.resolve()):
        raise refusal("what is installed is kept inside it; give the pack's own folder")
    tree = Tree(target, limits, refusal)

    def take(opened: int, prefix: str) -> None:
        for name in sorted(os.listdir(opened)):
            path = prefix + name
            if name in LEFT_OUT:
                continue
            facts = os.stat(name, dir_fd=opened, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                tree.folder(path)
                inner = os.open(name, _FOLDER, dir_fd=opened)
                try:
                    take(inner, f"{path}/")
                finally:
                    os.close(inner)
            elif stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=opened)
                tree.file(path, _content(file), executable=bool(facts.st_mode & 0o111))
            else:
                kind = "a symbolic link" if stat.S_ISLNK(facts.st_mode) else "a special file or has another name, too"
                raise refusal(f"{path} is {kind}; put a copy of the file in its place")

    top = os.open(folder.resolve(), _FOLDER)
    try:
        take(top, "")
    finally:
        os.close(top)


def _content(descriptor: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
