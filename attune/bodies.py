"""Bodies of requests, read on the event loop before a thread is taken, so that slow senders cost no thread.

The first part of a body is kept in memory, the rest in a temporary file. All bodies under way together have a bound,
and a sender who falls silent half-way is given up: strangers may send bodies, too.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from typing import IO, Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

IN_MEMORY = 64 * 1024  # bytes of one body
MOST_TOGETHER = 128 * 1024 * 1024  # bytes of all that are being read or worked on
SILENCE = 30.0  # seconds without a byte until a sender is given up
DRAINED = 8  # times the limit


class TooLarge(Exception):
    """The body has more bytes than a request may have."""


class Crowded(Exception):
    """So much is being sent at this moment that there is no room for another body."""


class BrokenOff(Exception):
    """The sender went away, or fell silent, and nobody can say whether that was all."""


class Body:
    """One body: gathered from the event loop, read by a thread, then closed, which makes room for others."""

    together = 0  # bytes; changed on the event loop alone

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (closed by `close`)
        self.size = 0

    async def gather(self, receive: Receive, most: int) -> bool:
        """Take in the body; False if its sender went away before its end. Raises: TooLarge, Crowded."""
        read, more, is_whole = 0, True, True
        while more:
            message = await patiently(receive)
            is_whole = message["type"] != "http.disconnect"
            part = message.get("body", b"")
            more = message.get("more_body", False)
            read += len(part)
            if read <= most:
                self._keep(part)
            elif read > DRAINED * most:
                break  # what is too much is read on and dropped: most senders hear us only when they are done
        if read > most:
            raise TooLarge
        self.file.seek(0)
        return is_whole

    def _keep(self, part: bytes) -> None:
        if Body.together + len(part) > MOST_TOGETHER:
            raise Crowded
        Body.together += len(part)
        self.size += len(part)
        self.file.write(part)

    def close(self) -> None:
        Body.together -= self.size
        self.size = 0
        self.file.close()


async def patiently(receive: Receive) -> Message:
    """The next message; a sender who says nothing for too long is taken for one who went away."""
    try:
        return await asyncio.wait_for(receive(), SILENCE)
    except TimeoutError:
        return {"type": "http.disconnect"}
