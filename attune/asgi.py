"""The server's entry: streams are served asynchronously, everything else by Django's WSGI handler in a pool of threads.

Synchronous Django under pure ASGI costs a new thread and a new database connection for each request; in a fixed pool
the connections stay (CONN_MAX_AGE). Only what waits for long, the live streams, runs on the event loop.
"""

from __future__ import annotations

import json
import os
import re

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

from attune.bridge import Bridge, Message, Receive, Send

THREADS = 12
ASIDE = {"/health": 4, "/metrics": 2}  # threads of their own: the others may all be waiting for the database
DRAINED = 8  # times the limit
STREAM = re.compile(r"/api/v1/.*/stream\Z")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")

wsgi = get_wsgi_application()
_streams = get_asgi_application()
_pages = Bridge(wsgi, threads=THREADS)
_aside = {prefix: Bridge(wsgi, threads=threads) for prefix, threads in ASIDE.items()}


class TooLarge(Exception):
    pass


async def application(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await _pages(scope, receive, send)  # lifespan, and no to websockets
    elif STREAM.match(scope["path"]):
        await _streams(scope, receive, send)  # type: ignore[arg-type]
    else:
        try:
            scope, receive = await _with_length(_plain(scope), receive)
        except TooLarge:
            await _refuse(send)
        else:
            path = scope["path"]
            aside = next((bridge for prefix, bridge in _aside.items() if path.startswith(prefix)), None)
            await (aside or _pages)(scope, receive, send)


def _plain(scope: Message) -> Message:
    """Without headers that pass for others once `-` and `_` are the same, and with a query string of ASCII."""
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    query = _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], scope["query_string"])
    return {**scope, "headers": headers, "query_string": query}


async def _with_length(scope: Message, receive: Receive) -> tuple[Message, Receive]:
    """A chunked body has no length, and WSGI would take it for empty: read it here and say how long it is.

    Raises: TooLarge beyond DATA_UPLOAD_MAX_MEMORY_SIZE.
    """
    names = {name for name, _ in scope["headers"]}
    if b"transfer-encoding" not in names or b"content-length" in names:
        return scope, receive
    body, read, limit = bytearray(), 0, settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    more = True
    while (
        more and read <= DRAINED * limit
    ):  # what is too much is read on and dropped: a sender hears us when it is done
        message = await receive()
        part = message.get("body", b"")
        read += len(part)
        if read <= limit:
            body += part
        more = message.get("more_body", False)
    if read > limit:
        raise TooLarge
    headers = [(name, value) for name, value in scope["headers"] if name != b"transfer-encoding"]
    headers.append((b"content-length", str(len(body)).encode()))
    parts = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def whole() -> Message:
        return parts.pop() if parts else await receive()

    return {**scope, "headers": headers}, whole


async def _refuse(send: Send) -> None:
    from attune.lib.api import problem, too_large

    body = json.dumps(problem(413, too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE))).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
