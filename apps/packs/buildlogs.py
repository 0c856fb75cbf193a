"""The log of a build: kept, told line by line while it grows, and shown without credentials."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

Say = Callable[[str], object]

LOG = "build.log"
FAILED = "failed.log"
LARGEST = 16 * 1024 * 1024  # bytes, beyond which a build is stopped
LONGEST = 2000  # characters of a line
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
_END = 12  # lines in an error


def masked(text: str) -> str:
    """The text without names and passwords in addresses."""
    return _CREDENTIALS.sub("//…@", text)


class Log:
    """The log of a build under way. `say` gets each line once it is whole."""

    def __init__(self, path: Path, say: Say | None) -> None:
        self.path, self._say = path, say
        self._told = 0
        self._rest = b""

    def write(self, line: str) -> None:
        """A line of our own."""
        with self.path.open("ab") as file:
            file.write(f"{line}\n".encode("utf-8", "replace"))

    @property
    def is_full(self) -> bool:
        return self.path.stat().st_size > LARGEST

    def follow(self, *, to_the_end: bool = False) -> None:
        """Tell what has come since the last time; a line that is not whole yet only `to_the_end`."""
        if self._say is None:
            return
        with self.path.open("rb") as file:
            file.seek(self._told)
            data = file.read(LARGEST)
        self._told += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if to_the_end and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._say(masked(line.decode("utf-8", "replace").rstrip("\r"))[:LONGEST])


def read(path: Path, *, limit: int = 256 * 1024) -> str:
    """The end of a log, as it may be shown; empty where there is none."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - limit))
        text = masked(file.read(limit).decode("utf-8", "replace"))
        return text if size <= limit else "…" + text.partition("\n")[2]
    return ""


def story(ref: str, log: Path, reason: str, *, keeps: bool = False) -> str:
    """What went wrong with a build, with the end of its log and the remedy."""
    still = " What was built before stays in use." if keeps else ""
    ends = "\n".join(line[:LONGEST] for line in read(log).strip().splitlines()[-_END:])
    return (
        f"The environment of pack {ref} could not be built: {reason}.{still} Mend its requirements, or pin versions "
        f"on the pack's page, and build it there, with `attune pack build {ref}`, or with: manage.py load_pack {ref}. "
        f"The whole log is {log}; it ends:\n{ends}"
    )
