"""Real places to get a pack from: git repositories, archives, and a web server that does as a test tells it."""

from __future__ import annotations

import io
import os
import ssl
import subprocess
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FILES = {
    "pack.yaml": "ref: demo\nlabel: Demo\ndescription: A test's pack\nversion: 1.0.0\n",
    "lib.txt": "beside the folder lib\n",
    "lib/x.py": "X = 1\n",
    "actions/hello.sh": "echo hello\n",
    ".github/ci.yml": "on: push\n",
    "ünï/ärger.txt": "not ASCII\n",
    "empty": "",
}
LOOPBACK = frozenset({"127.0.0.1"})


def soon() -> float:
    """A deadline that nothing here needs."""
    return time.monotonic() + 60


def quiet(line: str) -> None:
    """Nobody listens."""


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, with its content; None would be a folder, so an empty one is not seen."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Repository:
    """A git repository with a person's settings that nobody else has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "test@test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=env, input=stdin, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | bytes] | None = None) -> str:
        write(self.folder, files or {})
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message=a change")
        return self.git("rev-parse", "HEAD")

    def commit_entry(self, mode: str, name: str, content: bytes = b"", *, oid: str = "") -> str:
        """Add what `git add` would not: an entry of any mode and name."""
        oid = oid or self.git("hash-object", "-w", "--stdin", stdin=content)
        self.git("update-index", "--add", "--cacheinfo", f"{mode},{oid},{name}")
        self.git("commit", "--quiet", "--message=an entry")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "origin")
    made.commit(FILES)
    return made


class Web:
    """A web server on loopback. `routes` say what to answer; `asked` is what it was asked, with the headers."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.routes: dict[str, tuple[int, dict[str, str], bytes] | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.folder: Path | None = None  # its files are served, too
        self.over = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append((self.path, dict(self.headers)))
                route = web.routes.get(self.path)
                file = web.folder / self.path.partition("?")[0].lstrip("/") if web.folder else None
                if callable(route):
                    route(self)
                elif route is not None:
                    self.answer(*route)
                elif file is not None and file.is_file():
                    self.answer(200, {}, file.read_bytes())
                else:
                    self.answer(404, {}, b"nothing here")

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that hangs up is what many tests are about."""

        self._server = Server((address, 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://{address}:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


@pytest.fixture
def elsewhere() -> Iterator[Web]:
    """Another host of this machine, which nobody trusts."""
    made = Web("127.0.0.2")
    yield made
    made.close()


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz", form: int = tarfile.GNU_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def tar_of(files: Mapping[str, str | bytes], *, top: str = "demo-1.0/", **more: Any) -> bytes:
    pieces = {name: content if isinstance(content, bytes) else content.encode() for name, content in files.items()}
    return tar(*(member(top + name, content) for name, content in pieces.items()), **more)


def zip_of(files: Mapping[str, str | bytes], *, top: str = "demo-1.0/", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return made.getvalue()
