"""What floods are remembered is forgotten between tests; an OpenID provider and a directory, real ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.access import refusals, services
from apps.access.sso import refusals as sign_on_refusals
from tests.access.oidc_provider import CLIENT_ID, CLIENT_SECRET
from tests.access.slapd import Slapd, programs_are_missing
from tests.admin.conftest import browser  # noqa: F401  (a fixture)
from tests.live import ROOT
from tests.services import free_port


@pytest.fixture(autouse=True)
def no_flood() -> Iterator[None]:
    """What other tests tried in this second does not count here, nor the other way round."""

    def forget() -> None:
        services._flood.clear()
        refusals._flood.clear()
        sign_on_refusals.flood.clear()

    forget()
    yield
    forget()


class OidcProvider:
    """The provider of this run, in a process of its own."""

    client_id, client_secret = CLIENT_ID, CLIENT_SECRET

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}/o"
        command = [sys.executable, "-m", "tests.access.oidc_provider", str(folder), str(self.port)]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", "the provider did not start"

    def switch(self, *, redirect_uris: str = "http://testserver/auth/callback", **how: Any) -> None:
        """What it says of people, and how it lies; whatever was switched before is over."""
        body = json.dumps({"redirect_uris": redirect_uris, **how}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/switch", body, timeout=30).close()

    def asked(self) -> list[str]:
        """The paths that it was asked for since the last switch."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/asked", timeout=30) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="session")
def oidc_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    provider = OidcProvider(tmp_path_factory.mktemp("oidc"))
    yield provider
    provider.process.kill()
    provider.process.wait()


@pytest.fixture
def provider(oidc_process: OidcProvider) -> Callable[..., OidcProvider]:
    """`provider(claims={"groups": ["ops"]})`: the provider, saying that of whoever signs in there."""

    def switched(**how: Any) -> OidcProvider:
        oidc_process.switch(**how)
        return oidc_process

    return switched


@pytest.fixture(scope="session")
def slapd_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """OpenLDAP's server with a few people. Missing, it fails in CI and is skipped elsewhere."""
    if missing := programs_are_missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    server = Slapd(tmp_path_factory.mktemp("ldap"))
    server.start()
    yield server
    server.stop()
