"""Attune as real processes of its own, driven over HTTP: for what only a whole installation can show."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.services import free_port

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "Live-Test-Password-1"


class Live:
    """An installation in a folder of its own; `start` and `kill` its processes at will."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.port = free_port()
        self.env = os.environ | {
            "ATTUNE_DATA_DIR": str(folder),
            "ATTUNE_PORT": str(self.port),
            "ATTUNE_API_URL": f"http://127.0.0.1:{self.port}",
            "ATTUNE_ADMIN_PASSWORD": PASSWORD,
            **env,
        }
        self.env.pop("ATTUNE_BROKER_NAMESPACE", None)
        self.env |= env
        self.processes: list[subprocess.Popen[str]] = []
        self.token = ""

    def manage(self, *arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def start(self, *command: str) -> str:
        """Start a command, wait until it says that it is ready; all it said until then."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        said = ""
        for line in process.stdout or ():
            said += line
            if "is ready" in line:
                return said
        raise AssertionError(f"manage.py {' '.join(command)} ended with {process.wait()}:\n{said}")

    def start_all(self) -> None:
        """Start everything that this mode has, ready to be used."""
        if self.env.get("ATTUNE_MODE") != "server":
            self.start("up")
            return
        self.manage("prepare")
        for command in ("web", "worker", "sensors"):
            self.start(command)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> list[int]:
        """Send a signal to each process (not to its children), wait for their ends; their exit codes."""
        for process in self.processes:
            process.send_signal(number)
        codes = [process.wait(timeout=60) for process in self.processes]
        for process, code in zip(self.processes, codes, strict=True):
            if code not in (0, -number) and process.stdout:
                print(f"{process.args} ended with {code}:\n{process.stdout.read()}")
        self.processes.clear()
        return codes

    def call(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        """One API call as the administrator, who is logged in with the first."""
        if not self.token and path != "/auth/login":
            answer = self.call("POST", "/auth/login", {"login": "admin", "password": PASSWORD})
            self.token = answer["data"]["access_token"]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        if expect is not None:
            assert response.status == expect, text
        else:
            assert response.status < 300, f"{method} {path}: {response.status} {text!r}"
        return json.loads(text) if text else None

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        """POST these very bytes, as a stranger; the status and the JSON that came back."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def events(self, **filters: str) -> list[dict[str, Any]]:
        """All events, newest first."""
        return self._all("events", filters)

    def executions(self, **filters: str) -> list[dict[str, Any]]:
        """All executions, newest first."""
        return self._all("executions", filters)

    def _all(self, things: str, filters: dict[str, str]) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={value}" for name, value in ({"page_size": "100"} | filters).items())
        found, page = [], 1
        while True:
            answer = self.call("GET", f"/api/v1/{things}?{query}&page={page}")
            found += answer["items"]
            if not answer["pagination"]["has_next"]:
                return found
            page += 1

    def every_second(self, name: str = "tick") -> None:
        """A rule that echoes the time each second."""
        self.call(
            "POST",
            "/api/v1/rules",
            {
                "ref": f"core.{name}",
                "pack_ref": "core",
                "label": "Every second",
                "trigger_ref": "core.intervaltimer",
                "trigger_params": {"unit": "seconds", "interval": 1, "misfire": "fire_all"},
                "action_ref": "core.echo",
                "action_params": {"message": "{{ payload.scheduled_at }}"},
            },
        )


def children_of(pid: int) -> list[int]:
    """All processes below that one (Linux)."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found += [int(stat.parent.name), *children_of(int(stat.parent.name))]
    return found


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait(condition: Any, what: str, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"Waited {seconds:g} s in vain for {what}.")
