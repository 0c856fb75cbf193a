"""The real command as a process of its own, against a real server that all these tests share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, write_pack
from tests.content.conftest import Website
from tests.live import PASSWORD, Live


@dataclass(frozen=True)
class Said:
    """What a run of the command came to."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its answer, where it was asked for JSON."""
        return json.loads(self.out)


class Command:
    """`attune` with a profile file of its own: `attune("pack", "list")`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.config = folder / "config.toml"
        left_out = ("ATTUNE_", "NO_COLOR")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        self.env |= {"ATTUNE_CONFIG": str(self.config), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    def __call__(self, *arguments: str, stdin: str = "", code: int | None = 0, **env: str) -> Said:
        done = subprocess.run(
            self.line(*arguments),
            cwd=self.folder,
            env=self.env | env,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in said.err, said.err
        assert code is None or said.code == code, said
        return said

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "attune.cli", *arguments]

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Let it run; whoever starts it ends it."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            self.line(*arguments), cwd=self.folder, env=self.env | env, encoding="utf-8", bufsize=1, **pipes
        )

    @property
    def token(self) -> str:
        return str(tomllib.loads(self.config.read_text())["profiles"]["default"]["access_token"])

    def json(self, *arguments: str, **more: Any) -> Any:
        return self(*arguments, "-o", "json", **more).data

    def sign_in(self, **more: Any) -> Said:
        return self("auth", "login", "--url", self.url, "--login", "admin", "--password-stdin", stdin=PASSWORD, **more)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    installation = Live(tmp_path_factory.mktemp("server"))
    installation.start_all()
    yield installation
    installation.kill()


@pytest.fixture
def stranger(server: Live, tmp_path: Path) -> Command:
    """Nobody has signed in yet."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Command(folder, f"http://127.0.0.1:{server.port}")


@pytest.fixture(scope="session")
def _session(server: Live, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The profile file of somebody who has signed in as the administrator."""
    command = Command(tmp_path_factory.mktemp("session"), f"http://127.0.0.1:{server.port}")
    command.sign_in()
    return command.config.read_text()


@pytest.fixture
def attune(stranger: Command, _session: str) -> Command:
    """Signed in as the administrator, in a session that all tests share."""
    stranger.config.write_text(_session)
    return stranger


@pytest.fixture
def offline(tmp_path: Path) -> Command:
    """With no server anywhere."""
    return Command(tmp_path, "http://127.0.0.1:1")


@pytest.fixture
def website() -> Iterator[Website]:
    """A web server that answers as the test says."""
    site = Website()
    yield site
    site.close()


@pytest.fixture
def other_website() -> Iterator[Website]:
    site = Website()
    yield site
    site.close()


@pytest.fixture
def installed(server: Live, tmp_path: Path) -> Callable[..., str]:
    """`installed("demo", {"actions/say.yaml": …})`: a pack of those files, loaded by the server; its ref."""

    def load(ref: str, files: dict[str, Any], **manifest: Any) -> str:
        server.manage("load_pack", str(write_pack(tmp_path / ref, ref, files, **manifest)))
        return ref

    return load


def script(name: str, text: str, ref: str, **fields: Any) -> dict[str, Any]:
    """The two files of a shell action, for `installed`."""
    about = {"ref": f"{ref}.{name}", "entry_point": f"{name}.sh", "parameter_delivery": "stdin"}
    return {f"actions/{name}.yaml": about | fields, f"actions/{name}.sh": text}
