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

from apps.access.origin import is_trusted
from attune.bodies import BrokenOff, Crowded, TooLarge
from attune.bridge import Bridge, Message, Receive, Send
from attune.headers import ALONE

THREADS = 12
ASIDE = {"/health": 4, "/metrics": 2}  # threads of their own: the others may all be waiting for the database
STREAM = re.compile(r"/api/v1/.*/stream\Z")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")

wsgi = get_wsgi_application()
_streams = get_asgi_application()
_pages = Bridge(wsgi, threads=THREADS)
_aside = {prefix: Bridge(wsgi, threads=threads) for prefix, threads in ASIDE.items()}


async def application(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await _pages(scope, receive, send)  # lifespan, and no to websockets
        return
    scope = _plain(scope)
    path = scope["path"]
    if STREAM.match(path):
        await _streams(scope, receive, send)  # type: ignore[arg-type]
        return
    aside = next((bridge for prefix, bridge in _aside.items() if path.startswith(prefix)), None)
    try:
        await (aside or _pages)(scope, receive, send, most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    except TooLarge:
        await _refuse(send, 413, "")
    except Crowded:
        await _refuse(send, 503, "So many large requests are coming in that there is no room; try again in a moment.")
    except BrokenOff:
        await _refuse(send, 408, "The request broke off before its end; send it again.")


def _plain(scope: Message) -> Message:
    """Without headers that pass for others once `-` and `_` are the same, and with a query string of ASCII.

    That it came by HTTPS is believed of a trusted proxy alone.
    """
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if b"_" not in name and (name != b"x-forwarded-proto" or is_trusted((scope.get("client") or ("",))[0]))
    ]
    query = _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], scope["query_string"])
    return {**scope, "headers": headers, "query_string": query}


async def _refuse(send: Send, status: int, message: str) -> None:
    from attune.lib.api import problem, too_large  # not before Django is ready

    message = message or too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    body = json.dumps(problem(status, message)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in ALONE.items()]
    headers += [(b"retry-after", b"5")] if status == 503 else []
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
