"""Fill a new folder with files from outside: only those that `members` lets in, each once, none through a link."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from apps.packs.sources.members import Limits, Members
from attune.lib.errors import AttuneError


class Tree:
    """A folder that is made here and filled by nobody else; what it holds may be read by all and changed by us."""

    def __init__(self, root: Path, limits: Limits, refusal: Callable[[str], AttuneError]) -> None:
        self.root, self._members = root, Members(limits, refusal)
        root.mkdir()
        root.chmod(0o755)
        self._made = {""}

    def folder(self, name: str) -> None:
        self._make(self._members.folder(name))

    def file(self, name: str, chunks: Iterable[bytes], *, executable: bool = False) -> None:
        """Write a file as its pieces come; the pieces of one that is left out are taken, and thrown away."""
        path = self._members.file(name)
        if not path:
            for chunk in chunks:
                self._members.grow(name, len(chunk))
            return
        self._make(path.rpartition("/")[0])
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.root / path, flags, 0o600), "wb") as output:
            for chunk in chunks:
                self._members.grow(name, len(chunk))
                output.write(chunk)
            os.fchmod(output.fileno(), 0o755 if executable else 0o644)

    def _make(self, path: str) -> None:
        if path not in self._made:
            self._make(path.rpartition("/")[0])
            (self.root / path).mkdir()
            (self.root / path).chmod(0o755)
            self._made.add(path)
