"""Which files and folders may come into a pack from outside: names that stay inside, each once, and not too many.

The same rules hold for archives, git trees and folders, and for every system that a pack may be copied to. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from attune.lib.errors import AttuneError

_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Limits:
    """How much a pack may hold."""

    files: int = 5_000  # folders are counted, too
    size: int = 256 << 20  # bytes of all files together
    depth: int = 32
    name: int = 255  # bytes of one part of a path, as most file systems have it
    path: int = 1_000  # bytes


LIMITS = Limits()


class Members:
    """Collects the members of one source; the first that may not be there is refused by its name."""

    def __init__(self, limits: Limits, refusal: Callable[[str], AttuneError]) -> None:
        self._limits, self._refusal = limits, refusal
        self._known: dict[str, tuple[str, bool]] = {}  # as a file system that ignores case sees it: spelling, is a file
        self._size = 0

    def file(self, name: str) -> str:
        """Take in a file; its path with `/` between the parts, empty for one that is to be left out."""
        return self._add(name, is_file=True)

    def folder(self, name: str) -> str:
        """Take in a folder, which may be named again; empty for the top itself and for one that is to be left out."""
        return self._add(name, is_file=False)

    def grow(self, name: str, length: int) -> None:
        """So many bytes more."""
        self._size += length
        if self._size > self._limits.size:
            mib = self._limits.size >> 20
            raise self._refusal(f"with {_shown(name)} it is larger than {mib} MiB; leave out what a pack does not need")

    def _add(self, name: str, *, is_file: bool) -> str:
        parts = self._parts(name)
        if not parts or parts[0] == "__MACOSX" or any(part.casefold() == ".git" for part in parts):
            return ""
        for end in range(1, len(parts) + 1):
            self._place("/".join(parts[:end]), is_file and end == len(parts), is_last=end == len(parts))
        return "/".join(parts)

    def _parts(self, name: str) -> list[str]:
        shown, limits = _shown(name), self._limits
        if not name or "\\" in name or not name.isprintable():
            raise self._refusal(f"the name {shown} holds characters that do not belong in one; rename it")
        if name.startswith("/") or _DRIVE.match(name):
            raise self._refusal(f"the name {shown} is absolute; make the archive inside the pack's folder")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self._refusal(f"the name {shown} leads outside; make the archive inside the pack's folder")
        lengths = [len(part.encode()) for part in parts]
        if len(parts) > limits.depth or sum(lengths) > limits.path or max(lengths, default=0) > limits.name:
            raise self._refusal(f"the name {shown} is too long or too deep; make it shorter")
        return parts

    def _place(self, path: str, is_file: bool, *, is_last: bool) -> None:
        folded = unicodedata.normalize("NFC", path).casefold()
        known = self._known.get(folded)
        if known is None:
            if len(self._known) >= self._limits.files:
                count = f"{self._limits.files:,}"
                raise self._refusal(f"it has more than {count} files and folders; leave out what a pack does not need")
            self._known[folded] = (path, is_file)
            return
        spelling, was_file = known
        if spelling != path:
            raise self._refusal(f"{_shown(path)} and {_shown(spelling)} are one name to some systems; rename one")
        if was_file != is_file:
            raise self._refusal(f"{_shown(path)} is both a file and a folder; make the archive anew")
        if is_last and is_file:
            raise self._refusal(f"{_shown(path)} is in it twice; make the archive anew")


def _shown(name: str) -> str:
    return repr(name) if len(name) <= 120 else f"{name[:120]!r}…"
