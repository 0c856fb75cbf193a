"""Indices to read, web servers on loopback that serve them, and an index of a few packs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

CHECKSUM = "sha256:" + "a" * 64


def entry(ref: str = "slack", version: str = "1.0.0", /, **more: Any) -> dict[str, Any]:
    """An entry as a registry has it."""
    archive = {"type": "archive", "url": f"https://example.com/{ref}-{version}.tar.gz", "checksum": CHECKSUM}
    git = {"type": "git", "url": f"https://example.com/{ref}.git", "ref": f"v{version}", "checksum": CHECKSUM}
    return {
        "ref": ref,
        "label": ref.title(),
        "description": f"What {ref} does",
        "version": version,
        "author": "Somebody",
        "license": "Apache-2.0",
        "keywords": [ref, "test"],
        "runtime_deps": ["python3"],
        "install_sources": [git, archive],
        "contents": {
            "actions": [{"name": "post", "description": "Posts"}],
            "sensors": [],
            "triggers": [],
            "rules": [],
            "workflows": [],
        },
        "meta": {"category": "chat"},
    } | more


def index(*packs: Any, **more: Any) -> dict[str, Any]:
    return {
        "registry_name": "Test",
        "registry_url": "https://example.com",
        "version": "1.0",
        "last_updated": "2026-01-01T00:00:00Z",
        "packs": list(packs),
    } | more


@dataclass
class Registry:
    """A web server that answers as a test wants it, and remembers what it was asked."""

    url: str = ""
    body: bytes = b"{}"
    status: int = 200
    etag: str = ""
    location: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None

    def serve(self, document: Any) -> None:
        self.body = document if isinstance(document, bytes) else json.dumps(document).encode()


@pytest.fixture
def registry() -> Iterator[Callable[..., Registry]]:
    """`registry(document)`: a server on loopback, and what it serves at whatever path."""
    running: list[Registry] = []

    def start(document: Any = None, **more: Any) -> Registry:
        made = Registry(**more)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                made.asked.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
                known = made.etag and self.headers.get("If-None-Match") == made.etag
                status = 304 if known else made.status
                self.send_response(status)
                if made.etag:
                    self.send_header("ETag", made.etag)
                if made.location:
                    self.send_header("Location", made.location)
                body = b"" if known else made.body
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_address[1]}/index.json"
        made.serve(index(entry()) if document is None else document)

        def stop() -> None:
            server.shutdown()
            server.server_close()

        made.stop = stop
        running.append(made)
        return made

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """`file(document)`: an index in a file."""

    def write(document: Any, name: str = "index.json") -> Path:
        path = tmp_path / name
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return path

    return write
