"""Packs that call attune-sdk as other releases are called read and create their keys, whichever is installed."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings

from apps.packs import environments
from apps.packs.environments import Wanted, sdk
from tests.conftest import write_pack
from tests.live import Live, wait
from tests.packs.conftest import Write

pytestmark = pytest.mark.embedded_only

RELEASES = ("0.5.4", "0.4.0", "0.3.0")
KEY = {
    "id": 1, "ref": "pack.demo.credentials", "local_ref": "credentials", "name": "Credentials", "owner_type": "pack",
    "owner_pack_ref": "demo", "encrypted": True, "value": {"token": "t"}, "created": "2026-01-01T00:00:00+00:00",
    "updated": "2026-01-01T00:00:00+00:00",
}  # fmt: skip
PAGES = {"page": 1, "page_size": 1, "has_next": False, "has_previous": False, "total_items": 0, "total_pages": 0}
HEAD = """
import json, sys
import attune
from attune.api_client.api.secrets import create_key, delete_key, get_key, list_keys, update_key
client = attune.context.client
"""
CREATE = """
from attune.api_client.models.create_key_request import CreateKeyRequest
from attune.api_client.models.owner_type import OwnerType

body = CreateKeyRequest(ref="vault_credentials", name="V", owner_type=OwnerType.PACK, owner_pack_ref="demo", value="x")
"""


class Server:
    """Answers every request about keys with one, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, list[str]], Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                server.asked.append((self.command, parts.path, parse_qs(parts.query), json.loads(body or b"null")))
                answer = {"data": KEY, "items": [], "pagination": PAGES, "message": "", "success": True}
                data = json.dumps(answer).encode()
                self.send_response(201 if self.command == "POST" else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sdk")


@pytest.fixture(autouse=True)
def own_environments(settings: Any, folder: Path) -> None:
    """Kept for all tests of this file: an environment for each release is enough."""
    settings.ATTUNE_DATA_DIR = folder
    settings.ATTUNE_ENVS_DIR = folder / "environments"
    settings.ATTUNE_TMP_DIR = folder / "tmp"


def python_with(release: str, **wishes: Any) -> Path:
    folder = settings.ATTUNE_DATA_DIR / "demo"
    folder.mkdir(exist_ok=True)
    wanted = Wanted(ref="demo", folder=folder, packages=(f"attune-sdk=={release}",), **wishes)
    return environments.ensure_python(wanted).interpreter


def run(python: Path, script: str, server: Server | None = None, **env: str) -> str:
    variables = {"ATTUNE_API_URL": server.url if server else "http://127.0.0.1:1", "ATTUNE_API_TOKEN": "t", **env}
    done = subprocess.run(
        [python, "-c", script], cwd=python.parent, capture_output=True, text=True, timeout=120, env=variables
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# As public packs call it: datadog, jira and rabbitmq the first way; jenkins, servicenow and zabbix the second.
CALLS = [
    ("get_key.sync_detailed('demo.credentials', client=client, decrypt=True)", {"decrypt": ["true"]}),
    ("get_key.sync_detailed(client=client, key_ref='demo.credentials')", {}),
    ("get_key.sync_detailed(client=client, key_ref='demo.credentials', decrypt=True)", {"decrypt": ["true"]}),
    ("get_key.sync_detailed('demo.credentials', client=client)", {}),
    ("get_key.sync_detailed(client=client, ref='demo.credentials')", {}),
]


@pytest.mark.parametrize("release", RELEASES)
def test_a_key_is_read_however_it_is_asked_for(server: Server, release: str) -> None:
    reads = "".join(f"print(json.dumps({call}.parsed.data.value))\n" for call, _ in CALLS)
    values = run(python_with(release), HEAD + reads, server).splitlines()
    assert [json.loads(value) for value in values] == [{"token": "t"}] * len(CALLS)
    for (call, query), (method, path, asked, _) in zip(CALLS, server.asked, strict=True):
        assert (method, path, asked) == ("GET", "/api/v1/keys/demo.credentials", query), call


@pytest.mark.parametrize("release", RELEASES)
def test_every_way_to_call_takes_the_older_names(server: Server, release: str) -> None:
    script = f"""{HEAD}
import asyncio
from attune.api_client.models.update_key_request import UpdateKeyRequest
assert get_key.sync(key_ref="a", client=client, decrypt=True).data.value
asyncio.run(get_key.asyncio(key_ref="b", client=client, decrypt=True))
asyncio.run(get_key.asyncio_detailed(key_ref="c", client=client))
update_key.sync_detailed(key_ref="d", client=client, body=UpdateKeyRequest(value="x"), decrypt=True)
delete_key.sync_detailed(key_ref="e", client=client)
list_keys.sync_detailed(client=client, decrypt=True, page=2)
"""
    run(python_with(release), script, server)
    asked = [(method, path.rpartition("/")[2], query) for method, path, query, _ in server.asked]
    decrypt = {"decrypt": ["true"]}
    assert asked[:3] == [("GET", "a", decrypt), ("GET", "b", decrypt), ("GET", "c", {})]
    assert asked[3:5] == [("PUT", "d", decrypt), ("DELETE", "e", {})]
    assert asked[5] == ("GET", "keys", decrypt | {"page": ["2"]})


@pytest.mark.parametrize("release", RELEASES)
def test_a_key_is_created_by_its_ref(server: Server, release: str) -> None:
    run(python_with(release), f"{HEAD}{CREATE}create_key.sync_detailed(client=client, body=body)", server)
    (method, path, _, body) = server.asked[0]
    assert (method, path) == ("POST", "/api/v1/keys")
    assert body["ref"] == "vault_credentials"
    assert "local_ref" not in body
    assert (body["owner_pack_ref"], body["value"]) == ("demo", "x")


def test_the_calls_of_today_are_as_they_were(server: Server) -> None:
    script = f"""{HEAD}
from attune.api_client.models import CreateKeyRequest, OwnerType
body = CreateKeyRequest(local_ref="token", name="T", owner_type=OwnerType.PACK, value="x")
create_key.sync_detailed(client=client, body=body)
again = CreateKeyRequest.from_dict(body.to_dict())
assert again == body
for wrong in (lambda: get_key.sync_detailed(client=client), lambda: CreateKeyRequest(name="T", value="x"),
              lambda: get_key.sync_detailed("a", client=client, other=1)):
    try:
        wrong()
    except TypeError:
        continue
    raise SystemExit("a wrong call was taken")
"""
    run(python_with("0.5.4"), script, server)
    assert server.asked[0][3]["local_ref"] == "token"
    assert "ref" not in server.asked[0][3]


def test_nothing_is_loaded_until_the_sdk_is(server: Server) -> None:
    script = "import sys; print(sorted(n for n in sys.modules if n in ('attune', 'functools', 'inspect', 'httpx')))"
    assert run(python_with("0.5.4"), script, PYTHONNOUSERSITE="1") == "[]"


@pytest.mark.parametrize("way", ["setting", "pack"])
def test_it_can_be_switched_off_and_that_is_another_environment(settings: Any, server: Server, way: str) -> None:
    usual = python_with("0.5.4")
    if way == "setting":
        settings.ATTUNE_SDK_COMPATIBILITY = False
        plain = python_with("0.5.4")
    else:
        plain = python_with("0.5.4", sdk_compatibility=False)
    assert plain != usual
    script = (
        f"{HEAD}\ntry:\n    get_key.sync_detailed(key_ref='a', client=client)\nexcept TypeError: print('as upstream')"
    )
    assert run(plain, script, server) == "as upstream"
    assert server.asked == []


def test_an_sdk_that_is_not_recognised_is_left_alone(tmp_path: Path, server: Server) -> None:
    secrets = tmp_path / "attune" / "api_client" / "api" / "secrets"
    models = tmp_path / "attune" / "api_client" / "models"
    for folder in (secrets, models):
        folder.mkdir(parents=True)
    for package in (secrets, models, secrets.parent, models.parent, models.parent.parent):
        (package / "__init__.py").touch()
    (secrets / "get_key.py").write_text("def sync_detailed(path): return path\n")
    (secrets / "list_keys.py").write_text("X = 1\n")
    (models / "create_key_request.py").write_text("class CreateKeyRequest: pass\n")
    script = (
        "from attune.api_client.api.secrets import get_key, list_keys\n"
        "from attune.api_client.models.create_key_request import CreateKeyRequest\n"
        "import inspect\n"
        "print(get_key.sync_detailed('a'), list_keys.X, CreateKeyRequest.__init__ is object.__init__)\n"
        "print(inspect.getsource(get_key))"
    )
    said = run(python_with("0.5.4"), script, PYTHONPATH=str(tmp_path))
    assert said == "a 1 True\ndef sync_detailed(path): return path"


def test_environments_without_the_sdk_have_no_hook(write: Write, folder: Path) -> None:
    built = environments.ensure_python(Wanted(ref="demo", folder=write(), packages=("idna",)))
    assert not list(built.folder.rglob("*attune*"))


def test_an_older_hook_is_replaced_when_the_environment_is_asked_for(server: Server) -> None:
    python = python_with("0.5.4")
    (module,) = python.parent.parent.glob("lib/*/site-packages/_attune_sdk_compatibility.py")
    module.write_text("raise SystemExit('an old one')\n")
    assert python_with("0.5.4") == python
    assert run(python, "print(1)") == "1"


def test_the_source_cannot_be_imported_by_the_server() -> None:
    source = Path(sdk.__file__).with_name("attune-sdk-compatibility.py")
    assert source.is_file()
    assert not source.stem.isidentifier()
    assert os.access(source, os.R_OK)


# Whole ---------------------------------------------------------------------------------------------------------------
ACTION = """
import attune
from attune.api_client.api.secrets import get_key

def main(ref):
    client = attune.context.client
    asked = [get_key.sync_detailed(ref, client=client, decrypt=True), get_key.sync_detailed(client=client, key_ref=ref)]
    return {"found": [answer.parsed.data.value for answer in asked]}

attune.run_action(main)
"""


@pytest.mark.timeout(300)
def test_a_pack_left_as_it_is_keeps_its_keys_with_the_server(tmp_path: Path, live: Live) -> None:
    definition = {
        "runner_type": "python", "entry_point": "keep.py", "parameter_delivery": "stdin", "parameter_format": "json",
        "output_format": "json", "parameters": {"ref": {"type": "string", "required": True}},
        "default_execution_permission_set_refs": ["standard"],
    }  # fmt: skip
    files = {f"actions/{way}.yaml": {"ref": f"demo.{way}", "runner": way, **definition} for way in ("cold", "warm")}
    folder = write_pack(
        tmp_path / "packs" / "demo", "demo", {"requirements.txt": "attune-sdk\n", "actions/keep.py": ACTION, **files}
    )
    live.start_all()
    live.manage("load_pack", str(folder))
    live.call("GET", "/auth/me")  # signs in
    (package,) = tmp_path.rglob("site-packages/attune/__init__.py")
    access = {"ATTUNE_API_URL": live.env["ATTUNE_API_URL"], "ATTUNE_API_TOKEN": live.token}
    run(package.parents[4] / "bin/python", f"{HEAD}{CREATE}assert create_key.sync(client=client, body=body)", **access)
    for way in ("cold", "warm"):
        asked = {"action_ref": f"demo.{way}", "parameters": {"ref": "vault_credentials"}}
        number = live.call("POST", "/api/v1/executions/execute", asked)["id"]
        end = wait(lambda number=number: ended(live, number), "the end of the action")
        assert end["status"] == "completed", end["error"]
        assert end["result"]["data"]["found"] == ["x", "x"]


def ended(live: Live, number: int) -> dict[str, Any] | None:
    row = live.call("GET", f"/api/v1/executions/{number}")["data"]
    return row if row["finished_at"] else None
