"""The least that such a chain can cost: who keeps an event and its result in PostgreSQL, and does nothing else.

Python without a framework: a socket, one INSERT, a list in Redis, a claim, `subprocess`, one UPDATE. No rules, no
rights, no signatures, no audit, no limits, no log, no launcher, no masks, no history. What share of the bare command it
reaches on this machine is what nobody can surpass who keeps both in this way.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
import redis

from benchmarks.load import chain_rate, yardstick
from benchmarks.table import Figure, Table
from tests.services import free_port

ROUNDS = 3
THREADS = 8  # commands at a time, as many as a worker of Attune runs
TABLE = """CREATE TABLE event (
    id bigserial PRIMARY KEY, payload jsonb, status text, attempt int DEFAULT 0, created timestamptz DEFAULT now(),
    started timestamptz, finished timestamptz, result text, code int)"""
KEPT = "INSERT INTO event (payload, status) VALUES (%s, 'requested') RETURNING id"
CLAIMED = """UPDATE event SET status = 'running', attempt = attempt + 1, started = now()
    WHERE id = %s AND status = 'requested' RETURNING payload"""
ENDED = """UPDATE event SET status = 'completed', finished = now(), result = %s, code = %s
    WHERE id = %s AND status = 'running'"""


class Floor:
    """That chain, driven as Attune is."""

    def __init__(self, database: str, port: int) -> None:
        self.port = port
        self._looking = psycopg.connect(database, autocommit=True)

    def newest(self) -> int:
        return self._count("SELECT coalesce(max(id), 0) FROM event")

    def finished(self, *, after: int) -> int:
        return self._count(f"SELECT count(*) FROM event WHERE status = 'completed' AND id > {after}")

    def _count(self, sql: str) -> int:
        row = self._looking.execute(sql.encode()).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._looking.close()


def compare(table: Table, commands: Mapping[str, Sequence[Any]]) -> None:
    """Its share of each bare command (`[argv, what it reads, how many events]`): the median of three."""
    for name, (argv, document, events) in commands.items():
        with floor(argv, document) as chain:
            chain_rate(chain, "/", events=40)
            shares = []
            for _ in range(ROUNDS):
                bare = yardstick(argv, document, seconds=3)
                shares.append(chain_rate(chain, "/", events=events) / bare)
                print(f"   {name}, kept and nothing else: {shares[-1]:.3f} of {bare:.0f}/s bare", flush=True)
            table.add(Figure("server", f"{name}: kept and nothing else", statistics.median(shares)))


@contextlib.contextmanager
def floor(argv: Sequence[str], document: bytes) -> Iterator[Floor]:
    """Its two processes on a database of their own; gone afterwards."""
    server = os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    queue = f"attune_bench_{uuid.uuid4().hex[:8]}"
    database, port = f"{server.rpartition('/')[0]}/{queue}", free_port()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {queue}".encode())
    processes = []
    try:
        with psycopg.connect(database) as connection:
            connection.execute(TABLE)
            connection.execute("CREATE INDEX ON event (status, id)")
        for part in (["web", str(port)], ["worker", json.dumps(argv), document.decode()]):
            command = [sys.executable, "-m", "benchmarks.floor", database, queue, *part]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert processes[-1].stdout and processes[-1].stdout.readline() == "ready\n"
        with contextlib.closing(Floor(database, port)) as chain:
            yield chain
    finally:
        for process in processes:
            process.kill()
            process.wait()
        _redis().delete(queue)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {queue} WITH (FORCE)".encode())


def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9"))


def web(database: str, queue: str, port: str) -> None:
    """A thread for each connection: keeps what is posted, rings, answers."""
    listening = socket.create_server(("127.0.0.1", int(port)))
    print("ready", flush=True)
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_take, args=(connection, database, queue), daemon=True).start()


def _take(connection: socket.socket, database: str, queue: str) -> None:
    kept, bell = psycopg.connect(database, autocommit=True), _redis()
    for body in _bodies(connection):
        json.loads(body)
        [number] = kept.execute(KEPT, (body.decode(),), prepare=True).fetchone()  # type: ignore[misc]
        bell.lpush(queue, number)
        answer = b'{"event_id": %d}' % number
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


def _bodies(connection: socket.socket) -> Iterator[bytes]:
    data = b""
    while part := connection.recv(65536):
        data += part
        head, found, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if found and len(body) >= length:
            data = body[length:]
            yield body[:length]


def worker(database: str, queue: str, argv: str, document: str) -> None:
    """Threads that claim, run the command and keep what it printed."""
    print("ready", flush=True)
    for _ in range(THREADS):
        threading.Thread(target=_run, args=(database, queue, json.loads(argv), document.encode())).start()


def _run(database: str, queue: str, argv: list[str], document: bytes) -> None:
    kept, bell = psycopg.connect(database, autocommit=True), _redis()
    while True:
        number = int(bell.brpop([queue])[1])  # type: ignore[index]
        kept.execute(CLAIMED, (number,), prepare=True).fetchone()
        ended = subprocess.run(argv, input=document, capture_output=True, check=False)
        kept.execute(ENDED, (ended.stdout.decode(), ended.returncode, number), prepare=True)


PARTS: dict[str, Callable[..., None]] = {"web": web, "worker": worker}

if __name__ == "__main__":
    _, database, queue, part, *more = sys.argv
    PARTS[part](database, queue, *more)
