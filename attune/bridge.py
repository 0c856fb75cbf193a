"""From uvicorn's event loop to Django's WSGI handler and back: one hop each way.

A hop between the loop and a thread costs more than most of what a request does in between. So a body is read before
the handler is called, and a small answer comes back whole. Only what is larger than any form or JSON goes by a2wsgi.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import IO, Any

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi import build_environ

from attune.bodies import Body, BrokenOff, patiently

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

SMALL = 64 * 1024  # bytes of a body, or an answer, that is held whole
HUGE_THREADS = 3  # those who send more than any form or JSON may have (packs) wait for one another, and hold up nobody


class Bridge:
    """An ASGI application around a WSGI one, which runs in `threads` threads that stay.

    They never wait for a sender: a body of at most `most` bytes is read before one is taken.
    """

    def __init__(self, app: Application, *, threads: int) -> None:
        self.app = app
        self.executor = ThreadPoolExecutor(threads, "WSGI")
        self._huge = WSGIMiddleware(app, workers=HUGE_THREADS)  # type: ignore[arg-type]
        self.pools = (self.executor, self._huge.executor)

    async def __call__(self, scope: Message, receive: Receive, send: Send, *, most: int = 0) -> None:
        """Answer one request. Raises: TooLarge, Crowded, BrokenOff of `bodies`, before anything was answered."""
        if scope["type"] != "http":  # it waits for the server's end
            await self._huge(scope, receive, send)  # type: ignore[arg-type]
            return
        length = _length(scope)
        if length is not None and length <= SMALL:
            body, more = bytearray(), True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            await self._answer(scope, io.BytesIO(body), send)
        elif length is None or length <= most:
            gathered = Body()
            try:
                is_whole = await gathered.gather(receive, most)
                if length is None:
                    if not is_whole:
                        raise BrokenOff
                    scope = _with_length(scope, gathered.size)
                await self._answer(scope, gathered.file, send)
            finally:
                gathered.close()
        else:
            await self._huge(scope, partial(patiently, receive), send)  # type: ignore[arg-type]

    async def _answer(self, scope: Message, body: IO[bytes], send: Send) -> None:
        environ: Any = build_environ(scope, body)  # type: ignore[arg-type]
        answer = _Answer(asyncio.get_running_loop(), send)
        self.executor.submit(answer.make, self.app, environ)
        await answer.made
        await answer.finish()


class _Answer:
    """What the application answers: kept while it is small, sent on as it comes from there on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self._loop, self._send = loop, send
        self._start: Message = {}
        self._held = bytearray()
        self._is_going = False
        self.made = loop.create_future()  # `run_in_executor` would make three of them, and two callbacks

    def make(self, app: Application, environ: dict[str, Any]) -> None:
        """Call the application and take its answer; in a thread. `made` is told when that is done."""
        fault: BaseException | None = None
        try:
            self._take(app, environ)
        except BaseException as error:
            fault = error
        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            self._loop.call_soon_threadsafe(self._tell, fault)

    def _tell(self, fault: BaseException | None) -> None:
        if self.made.done():  # cancelled
            return
        if fault is None:
            self.made.set_result(None)
        else:
            self.made.set_exception(fault)

    def _take(self, app: Application, environ: dict[str, Any]) -> None:
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


def _length(scope: Message) -> int | None:
    """What the request says of its body's length; None for chunks, of which nobody knows how many will come.

    What cannot be read as a number is left to a2wsgi and Django.
    """
    chunked = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 20 else sys.maxsize
        chunked = chunked or name == b"transfer-encoding"
    return None if chunked else 0


def _with_length(scope: Message, size: int) -> Message:
    """WSGI takes a body without a length for an empty one: say how long it was."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"transfer-encoding"]
    return {**scope, "headers": [*headers, (b"content-length", str(size).encode())]}
