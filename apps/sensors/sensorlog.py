"""A sensor's log: what it writes to stderr and what we say about it, in files that never outgrow their room."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from apps.packs.key_reads import KeyReads, new_of
from attune.lib.masks import Mask

logger = logging.getLogger(__name__)

FILE_SIZE = 5 * 1024 * 1024  # bytes of one file
KEPT_FILES = 4  # older files beside the newest


def path_of(ref: str) -> Path:
    return settings.ATTUNE_LOG_DIR / "sensors" / f"{ref}.log"


def size_and_age(ref: str) -> tuple[int, datetime | None]:
    """Bytes of a sensor's log, older files included, and when it was last written to; None when it never was."""
    found = []
    for name in (path_of(ref), *(Path(f"{path_of(ref)}.{number}") for number in range(1, KEPT_FILES + 1))):
        with contextlib.suppress(OSError):
            found.append(name.stat())
    written = max((each.st_mtime for each in found), default=None)
    return sum(each.st_size for each in found), datetime.fromtimestamp(written, UTC) if written else None


def tail(ref: str, *, limit: int = 64 * 1024) -> str:
    """The last lines of a sensor's log, at most `limit` bytes; empty when it never wrote."""
    try:
        with path_of(ref).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            text = file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""
    return text if size <= limit else text.partition("\n")[2]


class SensorLog:
    """The open log of one run. Secrets are masked; a full disk loses lines, never the sensor."""

    def __init__(self, ref: str, *, secrets: Iterable[str] = (), reads: KeyReads | None = None) -> None:
        self.path = path_of(ref)
        self.last_line = ""  # of the sensor itself
        self._mask, self._reads = Mask(secrets), reads
        self._file: BinaryIO | None = None
        self._size = 0

    def write(self, line: bytes) -> None:
        """One line that the sensor wrote to stderr."""
        line = self.masked(line.rstrip(b"\r"))
        if line.strip():
            self.last_line = line.decode("utf-8", "replace").strip()
        self._put(line)

    def note(self, text: str) -> None:
        """A line of ours about the sensor."""
        self._put(b"[attune] " + self.masked(text.encode("utf-8", "replace")))

    def masked(self, data: bytes) -> bytes:
        if self._reads is not None:
            self._mask.add(new_of(self._reads))
        return self._mask.raw(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _put(self, line: bytes) -> None:
        entry = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3].encode() + b"Z " + line + b"\n"
        try:
            if self._file is None or self._size + len(entry) > FILE_SIZE:
                self._open(make_room=self._file is not None or self._size_on_disk() + len(entry) > FILE_SIZE)
            self._file.write(entry)  # type: ignore[union-attr]
            self._size += len(entry)
        except OSError as error:
            logger.warning("The log %s cannot be written: %s", self.path, error)

    def _open(self, *, make_room: bool) -> None:
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if make_room:
            for number in range(KEPT_FILES - 1, 0, -1):
                self._rename(f".{number}", f".{number + 1}")
            self._rename("", ".1")
        self._file = self.path.open("ab", buffering=0)
        self._size = self._file.tell()

    def _rename(self, old: str, new: str) -> None:
        source = Path(f"{self.path}{old}")
        if source.exists():
            source.replace(f"{self.path}{new}")

    def _size_on_disk(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0
