"""The load: webhook deliveries over connections that stay open, and the yardstick they are compared with."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.installation import Installation

CONNECTIONS = 4
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
IN_FLIGHT = 150  # events posted but not finished, at most: a queue that is never empty and never long


@dataclass(frozen=True)
class Post:
    """One delivery: when it was answered (seconds of the wall clock), and the event's number."""

    answered_at: float
    event_id: int


class Driven(Protocol):
    """What takes deliveries, starts a command for each, and says how many have come to their end."""

    port: int

    def newest(self) -> int:
        """A mark: what comes to its end from now on is counted from here."""

    def finished(self, *, after: int) -> int:
        """How many have come to their end since that mark."""


def yardstick(argv: Sequence[str], document: bytes, *, seconds: float) -> float:
    """How many of a command Python's subprocess starts and reaps a second, in two threads."""
    counts, deadline = [0, 0], time.monotonic() + seconds

    def work(place: int) -> None:
        while time.monotonic() < deadline:
            subprocess.run(argv, input=document, capture_output=True, check=True)
            counts[place] += 1

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


class Sender:
    """Posts JSON over one connection, with as little work as can be, since it runs on the same machine."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (path.encode(), port)
        self._head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    def send(self, body: bytes) -> None:
        """Raises RuntimeError if the answer is not 202."""
        self._socket.sendall(self._head % len(body) + body)
        answer = b""
        while not self._is_whole(answer):
            part = self._socket.recv(65536)
            if not part:
                raise RuntimeError(f"The webhook hung up after {answer!r}.")
            answer += part
        if not answer.startswith(b"HTTP/1.1 202 "):
            raise RuntimeError(f"The webhook answered {answer!r}.")

    @staticmethod
    def _is_whole(answer: bytes) -> bool:
        head, found, body = answer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        return bool(found) and length is not None and len(body) >= int(length[1])


def chain_rate(attune: Driven, path: str, *, events: int, kinds: int = 1) -> float:
    """Events a second from POST to stored result, all inclusive; `kinds`: how many values of `payload.k` there are."""
    newest = attune.newest()
    posted, lock = [0], threading.Lock()
    room = threading.Semaphore(IN_FLIGHT)

    def post() -> None:
        sender = Sender(attune.port, path)
        while True:
            room.acquire()
            with lock:
                if posted[0] >= events:
                    room.release()
                    return
                posted[0] += 1
                number = posted[0]
            sender.send(b'{"n": %d, "k": %d}' % (number, number % kinds))

    began = time.monotonic()
    threads = [threading.Thread(target=post, daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    done = 0
    while done < events:
        time.sleep(0.05)
        now = attune.finished(after=newest)
        for _ in range(now - done):
            room.release()
        done = now
        if time.monotonic() - began > 300:
            raise RuntimeError(f"Only {done} of {events} came to their end.")
    return events / (time.monotonic() - began)


def start_latencies(attune: Installation, path: str, *, events: int, pause: float) -> list[float]:
    """Milliseconds from the POST's answer to the action's own first act, one event at a time on an idle system."""
    posts = []
    connection = http.client.HTTPConnection("127.0.0.1", attune.port, timeout=60)
    for number in range(events):
        connection.request("POST", path, b'{"n": %d}' % number, {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read()
        posts.append((time.time(), body))
        time.sleep(pause)
    deadline = time.monotonic() + 60
    while attune.unfinished() and time.monotonic() < deadline:
        time.sleep(0.05)
    started = dict(
        attune.query(
            "select event_id, result from executions_execution"
            " where action_ref = 'bench.started' and status = 'completed'"
        )
    )
    found = []
    for answered_at, body in posts:
        value = started[json.loads(body)["data"]["event_id"]]
        found.append(max(0.0, (float(value) - answered_at) * 1000))
    return sorted(found)
