"""An installation of its own for a measurement: a temporary folder and database, real processes, the real API."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.services import free_port

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "Bench-Password-1"


class Installation:
    """Attune, prepared and running in one of its modes, with the benchmark's pack loaded."""

    def __init__(self, mode: str, folder: Path, env: dict[str, str], database: str) -> None:
        self.mode, self.folder, self.env, self.database = mode, folder, env, database
        self.port = int(env["ATTUNE_PORT"])
        self.processes: list[subprocess.Popen[str]] = []
        self._token = ""
        self._connection: Any = None

    def manage(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.env, check=True, stdout=subprocess.DEVNULL
        )

    def start(self, *command: str) -> float:
        """Start a command and wait until it says that it is ready; seconds that took."""
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=self.env, stdout=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        for line in process.stdout or ():
            if "ready" in line:
                return time.monotonic() - began
        raise RuntimeError(f"manage.py {' '.join(command)} ended before it was ready.")

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(timeout=60)
        self.processes.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One API call as the administrator."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer}")
        return answer

    def log_in(self) -> None:
        self._token = self.call("POST", "/auth/login", {"login": "admin", "password": PASSWORD})["data"]["access_token"]

    def webhook_to(self, action_ref: str, parameters: dict[str, Any], *, criteria: Any = None) -> str:
        """A new webhook whose events ask for that action; its path."""
        name = f"hook{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(RuntimeError):
            self.call("POST", "/api/v1/packs", {"ref": "bench_adhoc", "label": "Bench", "version": "1.0.0"})
        self.call("POST", "/api/v1/triggers", {"ref": f"bench_adhoc.{name}", "pack_ref": "bench_adhoc", "label": name})
        self.call(
            "POST",
            "/api/v1/rules",
            {
                "ref": f"bench_adhoc.{name}",
                "pack_ref": "bench_adhoc",
                "label": name,
                "trigger_ref": f"bench_adhoc.{name}",
                "action_ref": action_ref,
                "action_params": parameters,
                "conditions": criteria or {"var": "payload.n", ">=": 0},
            },
        )
        answer = self.call("POST", f"/api/v1/triggers/{f'bench_adhoc.{name}'}/webhooks/enable")
        key = (answer.get("data") or answer)["webhook_key"]
        return f"/api/v1/webhooks/{key}"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Look into the database, over one connection that stays open: the look must cost little."""
        if self._connection is None:
            server = self.mode == "server"
            self._connection = (
                psycopg.connect(self.database, autocommit=True)
                if server
                else sqlite3.connect(self.database, timeout=30)
            )
        return self._connection.execute(sql).fetchall()

    def change(self, sql: str) -> None:
        """Write to the database directly, over a connection of its own."""
        server = self.mode == "server"
        connection: Any = (
            psycopg.connect(self.database, autocommit=True)
            if server
            else sqlite3.connect(self.database, timeout=60, isolation_level=None)
        )
        with contextlib.closing(connection):
            connection.execute(sql)

    def newest(self) -> int:
        """The number of the newest execution."""
        return self.query("select coalesce(max(id), 0) from executions_execution")[0][0]

    def finished(self, *, after: int) -> int:
        """How many of the executions after that one are completed; by the index, so that the look costs little."""
        sql = f"select count(*) from executions_execution where status = 'completed' and id > {after}"
        return self.query(sql)[0][0]

    def unfinished(self) -> int:
        return self.query(
            "select (select count(*) from executions_execution where status in ('requested','scheduled','running'))"
            " + (select count(*) from rules_event where processed_at is null)"
        )[0][0]


@contextlib.contextmanager
def installation(mode: str) -> Iterator[Installation]:
    """An empty installation of that mode, prepared, not started; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="attune-bench-") as name:
        folder, port = Path(name), free_port()
        env = os.environ | {
            "ATTUNE_MODE": mode,
            "ATTUNE_DATA_DIR": str(folder),
            "ATTUNE_PORT": str(port),
            "ATTUNE_API_URL": f"http://127.0.0.1:{port}",
            "ATTUNE_ADMIN_PASSWORD": PASSWORD,
            "ATTUNE_LOG_LEVEL": "WARNING",
            "ATTUNE_SANDBOX": os.environ.get("ATTUNE_SANDBOX", "none"),
        }
        if mode == "embedded":
            yield _prepared(Installation(mode, folder, env, str(folder / "attune.sqlite3")))
            return
        server = os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
        database = f"attune_bench_{uuid.uuid4().hex[:8]}"
        address = f"{server.rpartition('/')[0]}/{database}"
        env |= {
            "DATABASE_URL": address,
            "REDIS_URL": os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9"),
            "ATTUNE_BROKER_NAMESPACE": database,
            "SECRET_KEY": "benchmark-" + "x" * 50,
            "ATTUNE_ENCRYPTION_KEY": "benchmark-" + "y" * 50,
        }
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"create database {database}")
        try:
            yield _prepared(Installation(mode, folder, env, address))
        finally:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"drop database {database} with (force)")


def _prepared(made: Installation) -> Installation:
    pack = made.folder / "packs" / "bench"
    shutil.copytree(ROOT / "benchmarks" / "pack", pack)
    shutil.copy(shutil.which("true") or "/bin/true", pack / "actions" / "true")
    made.manage("prepare")
    made.manage("load_pack", str(pack))
    return made
