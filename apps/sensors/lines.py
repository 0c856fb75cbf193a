"""Cut a stream of bytes into lines, holding no more than one long line in memory. Pure."""

from __future__ import annotations


class LineBuffer:
    """Bytes in, whole lines out, one at a time.

    A line longer than `limit` comes out once, cut to `limit + 1` bytes so that its reader can tell; the rest of it is
    dropped as it arrives. Whoever feeds it should not while `has_line` is true: so a pipe is read no faster than its
    lines are used up.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bytes = bytearray()
        self._searched = 0  # no newline before this place
        self._dropping = False

    def feed(self, data: bytes) -> None:
        if self._dropping:
            end = data.find(b"\n")
            if end < 0:
                return
            data, self._dropping = data[end + 1 :], False
        self._bytes += data

    @property
    def has_line(self) -> bool:
        return self._end() >= 0 or len(self._bytes) > self.limit

    def pop(self) -> bytes | None:
        """The next line without its newline, or None while there is no whole one."""
        end = self._end()
        if end < 0 and len(self._bytes) <= self.limit:
            return None
        whole = end >= 0
        line = bytes(self._bytes[: min(end, self.limit + 1)] if whole else self._bytes[: self.limit + 1])
        if whole:
            del self._bytes[: end + 1]
        else:
            self._bytes.clear()
            self._dropping = True
        self._searched = 0
        return line

    def rest(self) -> bytes:
        """What came after the last newline, half a line if the stream is over; it is gone from here."""
        rest = bytes(self._bytes)
        self._bytes.clear()
        self._searched = 0
        return rest

    def _end(self) -> int:
        end = self._bytes.find(b"\n", self._searched)
        self._searched = len(self._bytes) if end < 0 else end
        return end
