"""A PostgreSQL and a Redis of a test's own, real ones, which may be hurt."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg
import redis

from tests.live import children_of, wait
from tests.services import free_port, postgres_answers, postgres_programs


class OwnRedis:
    """A Redis server that keeps nothing on disk: who kills it takes all that it held."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.client = redis.Redis(port=self.port, socket_timeout=5)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
        wait(self._answers, "Redis to answer")

    def _answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def heal(self) -> None:
        """Make it answer again, whatever was done to it."""
        assert self.process is not None
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
        else:
            self.start()
        wait(self._answers, "Redis to answer")
        self.client.config_set("maxmemory", 0)


class OwnPostgres:
    """A PostgreSQL server with its usual durability; not run as root, which it refuses."""

    def __init__(self) -> None:
        programs = postgres_programs()
        assert programs is not None, "PostgreSQL's initdb and postgres are not installed."
        self.programs, self.port = programs, free_port()
        self.folder = tempfile.mkdtemp(prefix="attune-chaos-pg-")
        self.user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        self.process: subprocess.Popen[bytes] | None = None
        command = [programs / "initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(command, user=self.user, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def address(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        command = [self.programs / "postgres", "-D", f"{self.folder}/data", "-p", str(self.port), "-k", self.folder]
        command += ["-h", "127.0.0.1", "-c", "max_connections=400"]
        self.process = subprocess.Popen(command, user=self.user, cwd=self.folder, stderr=subprocess.DEVNULL)
        wait(self.answers, "PostgreSQL to answer")

    def answers(self) -> bool:
        return postgres_answers(self.address("postgres"))

    def stop(self, number: signal.Signals) -> None:
        """SIGQUIT is `pg_ctl stop -m immediate`: as after a crash, it recovers at the next start."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()

    def freeze(self) -> None:
        """Every process of it stands still, as on a disk that hangs."""
        for pid in self._all():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._all():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _all(self) -> list[int]:
        if self.process is None or self.process.poll() is not None:
            return []
        return [self.process.pid, *children_of(self.process.pid)]

    def restart_at_once(self) -> None:
        self.stop(signal.SIGQUIT)
        self.start()

    def heal(self) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            self.start()

    def kill_connections(self, database: str) -> int:
        """Cut every connection to that database; how many there were."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
            [[killed]] = connection.execute(sql, [database]).fetchall()
        return killed

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
