"""Attune as many real processes on a PostgreSQL and a Redis of their own, every part of which may be hurt."""

from __future__ import annotations

import http.client
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos import pack
from tests.chaos.ledger import Ledger
from tests.live import ROOT, Live, children_of, running, wait
from tests.servers import OwnPostgres, OwnRedis
from tests.services import free_port

LEASE = 5.0  # seconds
DATABASE = "attune"
PATIENCE = 120.0  # seconds until a wait is given up; generous, since machines may be busy
SETTINGS = {
    "ATTUNE_MODE": "server",
    "ATTUNE_LEASE": str(LEASE),
    "ATTUNE_SWEEP": "1",
    "ATTUNE_WORKERS": "4",
    "ATTUNE_KILL_GRACE": "1",
    "ATTUNE_BROKER_NAMESPACE": "chaos",
}


@dataclass
class Member:
    """One process of ours, and the file that has what it said."""

    role: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def is_ready(self) -> bool:
        return "is ready" in self.log.read_text()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Patient(Live):
    """Asks again while it is told to come again: a connection that was cut is found out by the first who uses it."""

    def authorized(self) -> str:
        """The administrator's token."""
        if not self.token:
            self.call("GET", "/auth/me")
        return self.token

    def call(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        def answer() -> list[Any]:
            with suppress(OSError, http.client.HTTPException):
                try:
                    return [super(Patient, self).call(method, path, body, expect=expect)]
                except AssertionError as error:
                    if " 503 " not in str(error):
                        raise
            return []

        return wait(answer, f"an answer to {method} {path}", PATIENCE)[0]


class Town:
    """An installation whose web servers, workers and sensor hosts come and go."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attune-chaos-"))
        self.data = self.folder / "data"
        self.data.mkdir()
        self.ledger = Ledger(self.folder / "ledger")
        self.redis, self.postgres = OwnRedis(self.folder), OwnPostgres()
        self.redis.start()
        self.postgres.start()
        with psycopg.connect(self.postgres.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        address = self.postgres.address(DATABASE)
        redis = f"redis://127.0.0.1:{self.redis.port}/0"
        self.live = Patient(self.data, DATABASE_URL=address, REDIS_URL=redis, **SETTINGS)
        self.members: list[Member] = []
        self.lock = threading.RLock()
        self.told: list[int] = []  # what the report counted so far
        self.live.manage("prepare")
        self.live.manage("load_pack", str(pack.write(self.folder, self.ledger.path)))

    # Processes --------------------------------------------------------------------------------------------------------
    def hire(self, role: str, *arguments: str, **env: str) -> Member:
        """Start a process and wait until it is ready. Like systemd, try again if it ends before."""
        for _ in range(20):
            member = self.begin(role, *arguments, **env)
            if self.until_ready(member):
                with self.lock:
                    self.members.append(member)
                return member
        raise AssertionError(f"{role} does not start:\n{member.log.read_text()}")

    def until_ready(self, member: Member) -> bool:
        """Wait until it is, or is dead: then False."""
        wait(lambda: member.is_ready or not member.is_alive, f"{member.role} to be ready", PATIENCE)
        return member.is_ready

    def begin(self, role: str, *arguments: str, **env: str) -> Member:
        """Start a process that is no member yet, and may die as it likes."""
        port = self.live.port if not any(m.port == self.live.port for m in self.members) else free_port()
        own = {"ATTUNE_PORT": str(port)} if role == "web" else {}
        handle, path = tempfile.mkstemp(prefix=f"{role}-", suffix=".log", dir=self.folder)
        with open(handle, "wb") as log:  # noqa: PTH123 (a number, not a path)
            process = subprocess.Popen(
                [sys.executable, "manage.py", role, *arguments],
                cwd=ROOT,
                env=self.live.env | own | env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Member(role, process, Path(path), port if role == "web" else 0)

    def of(self, role: str) -> list[Member]:
        with self.lock:
            return [member for member in self.members if member.role == role]

    @property
    def ports(self) -> list[int]:
        return [member.port for member in self.of("web")]

    def staff(self, **wanted: int) -> None:
        """Bring it to so many processes of each role, all well: `staff(web=1, worker=2)`."""
        self.redis.heal()
        self.postgres.heal()
        for member in list(self.members):
            member.send(signal.SIGCONT)
            if not member.is_alive:
                self.members.remove(member)
        for role in ("web", "worker", "sensors"):
            for member in self.of(role)[wanted.get(role, 0) :]:
                self.dismiss(member)
        hires = [role for role, count in wanted.items() for _ in range(count - len(self.of(role)))]
        threads = [threading.Thread(target=self.hire, args=(role,)) for role in hires if role != "web"]
        for thread in threads:
            thread.start()
        for role in hires:
            if role == "web":
                self.hire(role)
        for thread in threads:
            thread.join()

    def dismiss(self, member: Member, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and wait for it; its exit code."""
        with self.lock:
            self.members.remove(member)
        member.send(number)
        return member.process.wait(timeout=PATIENCE)

    def kill_one(self, role: str, choice: random.Random) -> None:
        """SIGKILL a random one, and hire another in its place."""
        with self.lock:
            victim = choice.choice(self.of(role))
            self.members.remove(victim)
        victim.kill()
        self.hire(role)

    def all_are_alive(self) -> bool:
        return all(member.is_alive for member in self.members)

    # What it has done -------------------------------------------------------------------------------------------------
    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.live.env["DATABASE_URL"]) as connection:
            return connection.execute(sql, values).fetchall()

    def status(self, execution: int) -> str:
        return self.rows("SELECT status FROM executions_execution WHERE id = %s", execution)[0][0]

    def execute(self, action: str, *, timeout: int | None = None, **parameters: Any) -> int:
        """Ask for a run by the API; its number."""
        body = {"action_ref": f"chaos.{action}", "parameters": parameters}
        body |= {} if timeout is None else {"timeout": timeout}
        return self.live.call("POST", "/api/v1/executions/execute", body)["id"]

    def undone(self) -> list[tuple[Any, ...]]:
        """Events that wait for a decision, and executions that are not over."""
        events = "SELECT 'event', id, trigger_ref, '' FROM rules_event WHERE processed_at IS NULL"
        runs = "SELECT 'execution', id, status, worker FROM executions_execution WHERE finished_at IS NULL"
        return self.rows(f"{events} UNION ALL {runs} LIMIT 10")

    def drain(self, seconds: float = PATIENCE) -> None:
        """Wait until all that was asked for is done."""
        try:
            wait(lambda: not self.undone(), "the end of it all", seconds)
        except AssertionError:
            raise AssertionError(f"Not done after {seconds:g} s: {self.undone()}\n{self.complaints()}") from None

    def complaints(self) -> str:
        """The last words of each process, for the message of a test that failed."""
        return "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log")))

    # The end ----------------------------------------------------------------------------------------------------------
    def remove(self) -> None:
        for member in self.members:
            for pid in [*children_of(member.pid), member.pid]:
                if running(pid):
                    subprocess.run(["kill", "-KILL", str(pid)], check=False, stderr=subprocess.DEVNULL)
            member.process.wait()
        self.redis.send(signal.SIGCONT)
        self.redis.send(signal.SIGKILL)
        self.postgres.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
