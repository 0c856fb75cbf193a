"""uvicorn's protocol, with head and body of a small answer in one packet: each packet costs a system call, and wakes
the one who waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PLENTY = 64 * 1024  # bytes that are written at once


class Gathering:
    """A transport that writes what it is given in one step of the loop at the step's end."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._write_out)
        self._held.append(data)
        self._size += len(data)
        if self._size >= PLENTY:
            self._write_out()

    def close(self) -> None:
        self._write_out()
        self._transport.close()

    def _write_out(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(b"".join(self._held))
        self._held, self._size = [], 0


class Protocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Gathering(transport, self.loop))  # type: ignore[arg-type]
