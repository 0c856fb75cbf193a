"""From uvicorn's event loop to Django's WSGI handler and back: small requests in one hop each way, the rest by a2wsgi.

A hop between the loop and a thread costs more than most of what a request does in between. So a small body is read
before the handler is called, and a small answer comes back whole.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi import build_environ

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

SMALL = 64 * 1024  # bytes of a body, or an answer, that is held whole


class Bridge:
    """An ASGI application around a WSGI one, which runs in `threads` threads that stay."""

    def __init__(self, app: Application, *, threads: int) -> None:
        self.app = app
        self._large = WSGIMiddleware(app, workers=threads)  # type: ignore[arg-type]
        self.executor: ThreadPoolExecutor = self._large.executor

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _length(scope) > SMALL:
            await self._large(scope, receive, send)  # type: ignore[arg-type]
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        environ: Any = build_environ(scope, io.BytesIO(body))  # type: ignore[arg-type]
        loop = asyncio.get_running_loop()
        answer = _Answer(loop, send)
        await loop.run_in_executor(self.executor, answer.make, self.app, environ)
        await answer.finish()


class _Answer:
    """What the application answers: kept while it is small, sent on as it comes from there on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self._loop, self._send = loop, send
        self._start: Message = {}
        self._held = bytearray()
        self._is_going = False

    def make(self, app: Application, environ: dict[str, Any]) -> None:
        """Call the application and take its answer; in a thread."""
        chunks = app(environ, self._begin)
        try:
            for chunk in chunks:
                self._held += chunk
                if len(self._held) > SMALL:
                    asyncio.run_coroutine_threadsafe(self._pass_on(), self._loop).result()
        finally:
            getattr(chunks, "close", lambda: None)()

    def _begin(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
        pairs = [(name.lower().encode("latin1"), value.strip().encode("latin1")) for name, value in headers]
        self._start = {"type": "http.response.start", "status": int(status[:3]), "headers": pairs}
        return self._held.extend

    async def _pass_on(self, *, more: bool = True) -> None:
        if not self._is_going:
            self._is_going = True
            await self._send(self._start)
        held, self._held = bytes(self._held), bytearray()
        await self._send({"type": "http.response.body", "body": held, "more_body": more})

    async def finish(self) -> None:
        await self._pass_on(more=False)


def _length(scope: Message) -> int:
    """What the request says of its body's length; what cannot be read as a number is left to a2wsgi and Django."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else sys.maxsize
    return 0
