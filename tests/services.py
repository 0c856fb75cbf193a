"""PostgreSQL and Redis for the tests: those that answer, else started in a temporary folder, else missing."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis as redis_client


@contextmanager
def postgres(notes: list[str]) -> Iterator[str | None]:
    """The address of a PostgreSQL server we may create databases on, or None with a note."""
    given = os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    if postgres_answers(given):
        yield given
        return
    programs = postgres_programs()
    if programs is None:
        notes.append(f"server mode: no PostgreSQL answers at {given}, and initdb and postgres are not installed")
        yield None
        return
    with _own_postgres(programs) as address:
        yield address


@contextmanager
def redis(notes: list[str]) -> Iterator[str | None]:
    """The address of a Redis server, or None with a note."""
    given = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9")
    if _redis_answers(given):
        yield given
        return
    program = shutil.which("redis-server")
    if program is None:
        notes.append(f"server mode: no Redis answers at {given}, and redis-server is not installed")
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--dir", folder, "--save", "", "--appendonly", "no"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            address = f"redis://127.0.0.1:{port}/0"
            _wait(lambda: _redis_answers(address))
            yield address
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _own_postgres(programs: Path) -> Iterator[str]:
    """A server of our own; started as another user when we are root, since PostgreSQL refuses to run as root."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust"],
            user=user,
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        command = [programs / "postgres", "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1"]
        process = subprocess.Popen(command, user=user, cwd=folder, stderr=subprocess.DEVNULL)
        try:
            address = f"postgres://postgres@127.0.0.1:{port}/postgres"
            _wait(lambda: postgres_answers(address))
            yield address
        finally:
            process.terminate()
            process.wait()


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres, if they are installed."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


def postgres_answers(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


def _redis_answers(address: str) -> bool:
    try:
        return bool(redis_client.Redis.from_url(address, socket_connect_timeout=2).ping())
    except redis_client.RedisError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(condition: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise RuntimeError("A service that the tests started did not answer in time.")
        time.sleep(0.1)
