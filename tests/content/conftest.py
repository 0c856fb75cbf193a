"""Run the programs of the shipped packs as real child processes, and give them a real web server to talk to."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PACKS = Path(__file__).resolve().parents[2] / "packs"
CORE = PACKS / "core"
sys.path.insert(0, str(CORE / "lib"))

RunAction = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_action(tmp_path: Path) -> RunAction:
    """Run an action of the core pack with these parameters; its temporary files lie in ``tmp_path``."""

    def run(name: str, parameters: object, **environment: str) -> subprocess.CompletedProcess[str]:
        given = parameters if isinstance(parameters, str) else json.dumps(parameters) + "\n"
        return subprocess.run(
            ["bash", str(CORE / "actions" / f"{name}.sh")],
            input=given,
            capture_output=True,
            encoding="utf-8",
            cwd=CORE,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), **environment},
            timeout=60,
            check=False,
        )

    return run


class Website:
    """A local web server that keeps every request, and answers as the test says by path."""

    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                seen = {"method": self.command, "path": self.path, "headers": self.headers, "body": body}
                site.requests.append(seen)
                reply = site.answers.get(path)
                if reply:
                    reply(self)
                else:
                    site.send(self, 200, b'{"ok": true}', {"Content-Type": "application/json"})

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    def on(self, path: str, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Answer this path so; header names are written with ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = lambda handler: self.send(handler, status, body, named)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def website() -> Iterator[Website]:
    site = Website()
    yield site
    site.close()


@pytest.fixture
def other_website() -> Iterator[Website]:
    site = Website()
    yield site
    site.close()
