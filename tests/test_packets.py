"""What uvicorn writes comes in few packets, and comes whole."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn

from attune.packets import Protocol

LARGE = 12 * 1024 * 1024


@contextmanager
def _served(app: Any) -> Iterator[int]:
    """The application on a port of its own."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = uvicorn.Server(uvicorn.Config(app, http=Protocol, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


async def _small(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def _large(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    for number in range(LARGE // 1024):
        await send({"type": "http.response.body", "body": b"%08d" % number * 128, "more_body": True})
    await send({"type": "http.response.body"})


def test_head_and_body_of_a_small_answer_come_in_one_packet() -> None:
    with _served(_small) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for _ in range(50):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\nhello")


def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    with _served(_small) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        answer = b""
        while answer.count(b"hello") < 3:
            answer += connection.recv(65536)
        assert answer.count(b"HTTP/1.1 200") == 3


def test_who_asks_whether_to_go_on_is_told_before_the_body_is_sent() -> None:
    with _served(_small) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert connection.recv(65536).endswith(b"hello")


def test_a_large_answer_comes_whole_to_a_slow_reader_and_the_connection_ends() -> None:
    with _served(_large) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while part := connection.recv(200_000):
            answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        pieces = body.split(b"\r\n")[1::2]
        assert b"".join(pieces) == b"".join(b"%08d" % number * 128 for number in range(LARGE // 1024))


def test_who_hangs_up_in_the_middle_harms_nobody_else() -> None:
    with _served(_large) as port:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                connection.recv(100)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
