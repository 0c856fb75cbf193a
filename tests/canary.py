"""A marked secret, and the places where it could have stayed: whoever finds it there has found a leak."""

from __future__ import annotations

import base64
import contextlib
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis

CORE = secrets.token_hex(16)  # survives every escaping
SECRET = f"Kan\"/+&é'x-{CORE}-%z"
PEM = f"-----BEGIN BIRD-----\nline one {CORE}\nline two {CORE[::-1]}{CORE}\n-----END BIRD-----\n"
IN_ADDRESS = quote(SECRET, safe="")


def _forms() -> list[bytes]:
    """The core as it is, and in every encoding, wherever in a longer text it stood."""
    raw = CORE.encode()
    found = {raw, raw.upper(), raw.hex().encode(), raw.hex().upper().encode()}
    for before, first in ((0, 0), (1, 2), (2, 3)):
        found.add(base64.b64encode(bytes(before) + raw)[first : (before + len(raw)) * 8 // 6])
    return list(found)


FORMS = _forms()


def spots(data: bytes) -> list[str]:
    """What stands around each place where the secret is found."""
    found = []
    for form in FORMS:
        at = data.find(form)
        while at >= 0:
            found.append(repr(data[max(0, at - 150) : at + 60]))
            at = data.find(form, at + len(form))
    return found[:5]


def on_disk(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; of a database in it also the pages that nobody uses any more."""
    found = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def in_database(address: str | Path) -> dict[str, bytes]:
    """Every row of every table, as a dump has it."""
    if isinstance(address, Path):
        with contextlib.closing(sqlite3.connect(f"file:{address}?mode=ro", uri=True)) as connection:
            return {"dump": "\n".join(connection.iterdump()).encode("utf-8", "surrogatepass")}
    found = {}
    with psycopg.connect(address) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f'copy "{table}" to stdout') as copy:
                found[table] = b"".join(bytes(part) for part in copy)
    return found


def in_redis(address: str) -> dict[str, bytes]:
    """Every key and what it holds."""
    found = {}
    with contextlib.closing(redis.Redis.from_url(address)) as client:
        for name in client.scan_iter():
            kind = client.type(name)
            read = {
                b"string": lambda: client.get(name),  # noqa: B023
                b"list": lambda: client.lrange(name, 0, -1),  # noqa: B023
                b"set": lambda: client.smembers(name),  # noqa: B023
                b"zset": lambda: client.zrange(name, 0, -1, withscores=True),  # noqa: B023
                b"hash": lambda: client.hgetall(name),  # noqa: B023
                b"stream": lambda: client.xrange(name),  # noqa: B023
            }[kind]
            found[name.decode()] = name + repr(read()).encode()
    return found


class ProcessWatch(threading.Thread):
    """Looks at the command lines and environments of all processes below these, again and again, until it is told to
    stop. A sensor has its pack's settings in its environment, since that is how it gets them; nothing else in there may
    hold one."""

    SETTING = b"ATTUNE_SENSOR_PASSWORD="

    def __init__(self, parents: list[int]) -> None:
        super().__init__(name="process watch", daemon=True)
        self.parents, self.over = parents, threading.Event()
        self.found: list[str] = []
        self.seen: set[int] = set()

    def run(self) -> None:
        while not self.over.wait(0.05):
            for pid in self._below():
                self.seen.add(pid)
                line, environment = (_read(pid, name) for name in ("cmdline", "environ"))
                others = b"\0".join(each for each in environment.split(b"\0") if not each.startswith(self.SETTING))
                if spots(line) or spots(others):
                    self.found.append(f"{pid}: {line!r} {others!r}")

    def stop(self) -> None:
        self.over.set()
        self.join(10)

    def _below(self) -> Iterator[int]:
        children: dict[int, list[int]] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, IndexError):
                parent = int(path.read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(path.parent.name))
        waiting = list(self.parents)
        while waiting:
            pid = waiting.pop()
            yield pid
            waiting += children.get(pid, [])


def _read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes()
    return b""


def hangs_up(seconds: float = 0.5) -> tuple[int, threading.Thread]:
    """A server that takes connections and ends them after a while; its port."""
    import socket

    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError), listening:
            while True:
                connection, _ = listening.accept()
                time.sleep(seconds)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listening.getsockname()[1], thread
