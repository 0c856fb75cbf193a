"""The log files of executions: written while the action runs, capped, readable live; and their short form."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from django.conf import settings

from apps.executions.models import Execution
from attune.lib.json_values import storable_text

STREAMS = ("stdout", "stderr")
HEAD = TAIL = 32 * 1024  # bytes of each stream that the row keeps


def folder() -> Path:
    """Below which all of them lie, a thousand executions to a folder."""
    return settings.ATTUNE_LOG_DIR / "executions"


def path_of(execution_id: int, stream: str) -> Path:
    """Where a stream's log is, whether or not anything was written yet."""
    return folder() / str(execution_id // 1000) / f"{execution_id}.{stream}.log"


def read(execution_id: int, stream: str, *, offset: int = 0, limit: int = 1024 * 1024) -> bytes:
    """Up to `limit` bytes from `offset` on (negative: from the end); empty when there is no more, or no output yet."""
    try:
        with path_of(execution_id, stream).open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end + offset) if offset < 0 else offset)
            return file.read(limit)
    except FileNotFoundError:
        data = _in_the_row(execution_id, stream)
        start = max(0, len(data) + offset) if offset < 0 else offset
        return data[start : start + limit]


def size(execution_id: int, stream: str) -> int:
    """How many bytes `read` can give at this moment."""
    try:
        return path_of(execution_id, stream).stat().st_size
    except FileNotFoundError:
        return len(_in_the_row(execution_id, stream))


def _in_the_row(execution_id: int, stream: str) -> bytes:
    """What a short run printed, which has no file of its own."""
    kept = Execution.objects.filter(pk=execution_id).values_list(stream, flat=True).first()
    return (kept or "").encode()


class Log:
    """One stream of one run: takes bytes as they come, writes the first `limit` to a file, counts the rest.

    There is a file only once somebody could be watching (`go_live`), or when there is more than the row can hold: most
    runs are short and say little, and a file for each would cost more than the run. A disk that refuses is noted.
    """

    def __init__(self, execution_id: int, stream: str, *, limit: int) -> None:
        self._of, self.limit = (execution_id, stream), limit
        self.total = 0
        self.problem = ""
        self._live = False
        self._head, self._tail = bytearray(), bytearray()
        self._file: IO[bytes] | None = None

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if not data:
            return
        if self.total + len(data) > HEAD:
            self.go_live()
        room = max(0, self.limit - self.total)
        if self._live:
            self._to_file(data[:room])
            if len(data) > room > 0 or self.total == self.limit:
                self._to_file(f"\n[Attune: cut here; only the first {self.limit:,} bytes are kept]\n".encode())
        missing = HEAD - len(self._head)
        if missing > 0:
            self._head += data[:missing]
        self._tail = (self._tail + data[max(0, missing) :])[-TAIL:]
        self.total += len(data)

    def go_live(self) -> None:
        """Write through to the file from now on, beginning with what has come so far."""
        if not self._live:
            self._live = True
            self._to_file(bytes(self._head))

    def close(self) -> None:
        if self._file:
            self._file.close()

    @property
    def excerpt(self) -> str:
        """Head and tail as text, with a note of what is missing between them."""
        head, tail = bytes(self._head), bytes(self._tail)
        missing = self.total - len(head) - len(tail)
        note = f"\n[… {missing:,} bytes omitted; see the log …]\n".encode() if missing > 0 else b""
        return storable_text((head + note + tail).decode("utf-8", "replace"))

    @property
    def end(self) -> str:
        """The last lines, for an error message."""
        return storable_text(bytes(self._tail or self._head).decode("utf-8", "replace"))

    def _to_file(self, data: bytes) -> None:
        if not data or self.problem:
            return
        try:
            if self._file is None:
                path = path_of(*self._of)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("wb", buffering=0)
            self._file.write(data)
        except OSError as error:
            self.problem = f"The log could not be written: {error.strerror or error}."
