"""A real server on a real port, people with tokens, and the official SDK as a client in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from django.db import connections
from rest_framework.test import APIClient

from apps.access import tokens
from apps.access.models import ApiToken
from tests.conftest import ROOT, until

SDK_VENV = ROOT / ".venv-sdk"


@pytest.fixture
def token_of(people: Callable[[str], Any]) -> Callable[[str], str]:
    """A personal token of a person of that role."""
    return lambda role: tokens.issue(people(role), ApiToken.Kind.PERSONAL)[0]


@pytest.fixture
def api(token_of: Callable[[str], str]) -> Callable[[str], APIClient]:
    """Django's test client, signed in by token as a person of that role; an empty role for nobody."""

    def client(role: str = "admin", *, token: str = "") -> APIClient:
        made = APIClient()
        text = token or (token_of(role) if role else "")
        if text:
            made.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        made.default_format = "json"
        return made

    return client


@pytest.fixture(scope="session")
def _server(django_db_setup: None) -> Iterator[str]:
    """The real ASGI application on uvicorn, in a thread of the tests' process so that they share its database."""
    from attune.asgi import application

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until(lambda: server.started, "the server to start")
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    _close_pools()


def _close_pools() -> None:
    """The server's threads hold database connections, and the tests' database cannot be dropped under them."""
    from attune import asgi, streams

    bridges = (asgi._pages, *asgi._aside.values())
    for pool in (*(pool for bridge in bridges for pool in bridge.pools), streams._readers):
        all_here = threading.Barrier(pool._max_workers)

        def close(all_here: threading.Barrier = all_here) -> None:
            all_here.wait(10)  # so that each thread takes one of these
            connections.close_all()

        wait([pool.submit(close) for _ in range(pool._max_workers)])
        pool.shutdown()


@pytest.fixture
def server(_server: str, transactional_db: None) -> str:
    """The address of a running server that sees what the test commits."""
    return _server


@pytest.fixture
def http(server: str, token_of: Callable[[str], str]) -> Iterator[Callable[..., httpx.Client]]:
    """A plain HTTP client of the running server, signed in as a person of that role."""
    opened: list[httpx.Client] = []

    def client(role: str = "admin", *, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token or token_of(role)}"} if token or role else {}
        opened.append(httpx.Client(base_url=server, headers=headers, timeout=30, trust_env=False))
        return opened[-1]

    yield client
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def _sdk_python() -> Path:
    """The Python of the SDK's own virtual environment, made when it is missing; its import name is ours, too."""
    python = SDK_VENV / "bin" / "python"
    if not list(SDK_VENV.glob("lib/python3*/site-packages/attune/api_client")):
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, SDK_VENV], check=True)
        requirements = ROOT / "requirements-sdk.txt"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "-r", requirements], check=True)
    return python


PRELUDE = """
import datetime, json, os, sys
from attune.api_client import AuthenticatedClient, Client
from attune.api_client import models
from attune.api_client.types import UNSET
client = AuthenticatedClient(base_url=os.environ["ATTUNE_API_URL"], token=os.environ["ATTUNE_API_TOKEN"])
nobody = Client(base_url=os.environ["ATTUNE_API_URL"])
def show(**values):
    print(json.dumps(values, default=lambda each: each.to_dict() if hasattr(each, "to_dict") else str(each)))
"""


@pytest.fixture
def sdk(server: str, token_of: Callable[[str], str], _sdk_python: Path) -> Callable[..., dict[str, Any]]:
    """Run a script with the official SDK against the running server; what it gives to `show(…)` comes back."""

    def run(script: str, *, role: str = "admin", token: str = "") -> dict[str, Any]:
        environment = {
            "PATH": os.environ["PATH"],
            "ATTUNE_API_URL": server,
            "ATTUNE_API_TOKEN": token or token_of(role),
            "NO_PROXY": "*",
        }
        command = [_sdk_python, "-I", "-c", PRELUDE + script]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd="/")
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
        return json.loads(ended.stdout)

    return run
