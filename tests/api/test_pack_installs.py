"""Packs come and go over the API: by the official SDK, by the four batch operations, and by the core pack's actions."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.executions.models import Status
from apps.packs import configs, services
from apps.packs.models import Action, Pack
from tests.api.runs import running_execution
from tests.conftest import write_pack
from tests.packs.test_installing import greeter

Sdk = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _a_store_of_its_own(settings: Any, tmp_path: Path, known_runtimes: None) -> None:
    settings.ATTUNE_VERSIONS_DIR = tmp_path / "versions"


def archive_of(folder: Path) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        archive.add(folder, folder.name)
    return whole.getvalue()


def test_the_sdk_installs_tests_and_uninstalls_a_pack(sdk: Sdk, workers: Any, tmp_path: Path) -> None:
    testing = {"enabled": True, "runners": {"all": {"type": "script", "entry_point": "tests/run.sh"}}}
    source = greeter(tmp_path / "one", **{"tests/run.sh": "echo 'ok 1 - it greets'"})
    write_pack(source, "greeter", {}, version="1.0.0", testing=testing)
    (tmp_path / "greeter.tar.gz").write_bytes(archive_of(greeter(tmp_path / "greeter", "1.1.0")))
    got = sdk(
        f"""
from attune.api_client.api.packs import (
    delete_pack, get_pack_install, get_pack_latest_install, get_pack_latest_test, get_pack_test_history, install_pack,
    register_pack, test_pack, upload_pack)
from attune.api_client.types import File
one = install_pack.sync(client=client, body=models.InstallPackRequest(source={str(source)!r})).data
latest = get_pack_latest_install.sync("greeter", client=client).data
tested = test_pack.sync("greeter", client=client).data
test = get_pack_latest_test.sync("greeter", client=client).data
history = get_pack_test_history.sync("greeter", client=client)
with open({str(tmp_path / "greeter.tar.gz")!r}, "rb") as file:
    body = models.PackUploadForm(pack=File(payload=file, file_name="greeter.tar.gz"))
    two = upload_pack.sync(client=client, body=body).data
gone = delete_pack.sync_detailed("greeter", client=client)
show(one=one, latest=latest, tested=tested, test=test, history=history, two=two, gone=gone.status_code)
"""
    )
    assert got["one"]["pack"]["version"] == "1.0.0" and got["one"]["install_status"] == "completed"
    assert got["one"]["provenance"]["artifact_type"] == "local"
    assert got["one"]["test_result"]["passRate"] == 1.0 and not got["one"]["tests_skipped"]
    assert (got["latest"]["status"], got["latest"]["trigger_reason"]) == ("completed", "install")
    assert got["tested"]["test_result"]["status"] == got["test"]["result"]["status"]
    assert [row["triggerReason"] for row in got["history"]["items"]] == ["manual", "install"]
    assert got["two"]["pack"]["version"] == "1.1.0" and got["two"]["provenance"]["artifact_type"] == "upload"
    assert got["gone"] == 200 and not Pack.objects.filter(ref="greeter").exists()


def test_who_does_not_wait_gets_a_stream_to_listen_to(server: str, token_of: Any, workers: Any, tmp_path: Path) -> None:
    client = httpx.Client(base_url=server, headers={"Authorization": f"Bearer {token_of('admin')}"}, timeout=60)
    body = {"source": str(greeter(tmp_path / "one")), "wait": False}
    asked = client.post("/api/v1/packs/install", json=body)
    assert asked.status_code == 202
    told: dict[str, list[Any]] = {"": []}
    with client.stream("GET", asked.json()["data"]["stream"]) as stream:
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                told.setdefault(name, []).append(json.loads(line[6:]))
            elif not line:
                name = ""
    assert told["end"][0]["status"] == "completed" and told["progress"][-1]["percent"] == 100
    assert "".join(part["text"] for part in told[""]) == told["end"][0]["log"]


def test_a_failed_install_says_what_is_wrong_and_where(api: Any, workers: Any, tmp_path: Path) -> None:
    bad = greeter(tmp_path / "one", **{"actions/bad.yaml": "ref: other.bad\n"})
    answer = api().post("/api/v1/packs/install", {"source": str(bad)})
    assert answer.status_code == 422 and answer.json()["error"] == "pack_invalid"
    assert answer.json()["details"]["step"] == "analyse"
    assert any(fault["file"] == "actions/bad.yaml" for fault in answer.json()["details"]["faults"])
    answer = api().post("/api/v1/packs/install", {"source": "file:///etc"})
    assert answer.status_code == 422 and "plain path" in answer.json()["message"]


def test_only_administrators_install_and_everybody_may_look(api: Any, db: None) -> None:
    for path in ("install", "greeter/update", "greeter/rollback", "greeter/test", "greeter/reload", "download"):
        assert api("editor").post(f"/api/v1/packs/{path}", {}).status_code == 403
    assert api("viewer").get("/api/v1/packs/install").status_code == 200


def test_a_pack_is_configured_and_its_secrets_stay_masked(api: Any, make_pack: Any) -> None:
    schema = {"url": {"type": "string", "required": True}, "token": {"type": "string", "secret": True}}
    make_pack("demo", conf_schema=schema)
    verdict = api().post("/api/v1/packs/demo/config/validate", {"config": {"url": 1, "colour": "red"}}).json()["data"]
    assert not verdict["valid"] and {fault["path"] for fault in verdict["faults"]} >= {"url"}
    kept = api().put("/api/v1/packs/demo/config", {"config": {"url": "http://x", "token": "s3cret"}})
    assert kept.json()["data"]["config"] == {"url": "http://x", "token": "********"}
    api().put("/api/v1/packs/demo/config", {"config": {"url": "http://y", "token": "********"}})
    assert configs.open_config(Pack.objects.get(ref="demo")) == {"url": "http://y", "token": "s3cret"}


# The four operations -------------------------------------------------------------------------------------------------
def test_packs_are_downloaded_analysed_built_and_registered_and_a_bad_one_fails_none(
    api: Any, workers: Any, tmp_path: Path
) -> None:
    needy = write_pack(tmp_path / "needy", "needy", {"requirements.txt": ""}, dependencies=["greeter@>=1.0", "nowhere"])
    downloaded = api().post(
        "/api/v1/packs/download", {"packs": [str(greeter(tmp_path / "one")), "/nowhere", str(needy)]}
    )
    data = downloaded.json()["data"]
    assert (data["total_count"], data["success_count"], data["failure_count"]) == (3, 2, 1)
    assert data["failed_packs"][0]["source"] == "/nowhere" and "no folder" in data["failed_packs"][0]["error"]
    paths = [pack["pack_path"] for pack in data["downloaded_packs"]]
    assert [pack["pack_ref"] for pack in data["downloaded_packs"]] == ["greeter", "needy"]

    found = api().post("/api/v1/packs/dependencies", {"pack_paths": [*paths, "/nowhere"]}).json()["data"]
    assert found["dependencies"][0] == {
        "pack_ref": "greeter",
        "version_spec": ">=1.0",
        "required_by": "needy",
        "already_installed": False,
    }
    assert [need["pack_ref"] for need in found["missing_dependencies"]] == ["nowhere"]
    assert found["runtime_requirements"]["needy"]["python"] == {"requirements_file": "requirements.txt"}
    assert [error["pack_path"] for error in found["errors"]] == ["/nowhere"]

    built = api().post("/api/v1/packs/build-envs", {"pack_paths": [*paths, "/nowhere"]}).json()["data"]
    assert (built["summary"]["success_count"], built["summary"]["failure_count"]) == (2, 1)
    assert Path(built["built_environments"][0]["environments"]["python"]["virtualenv_path"]).is_dir()

    body = {"pack_paths": [*paths, "/nowhere"], "skip_tests": True}
    registered = api().post("/api/v1/packs/register-batch", body).json()["data"]
    assert [pack["pack_ref"] for pack in registered["registered_packs"]] == ["greeter"]
    assert registered["registered_packs"][0]["components_registered"]["actions"] == 1
    stages = {failed["pack_ref"]: failed["error_stage"] for failed in registered["failed_packs"]}
    assert stages == {"needy": "analyse", "": "fetch"}
    assert registered["summary"]["total_packs"] == 3


def test_downloads_go_nowhere_but_where_packs_may_be_put(api: Any, tmp_path: Path, db: None) -> None:
    body = {"packs": [str(greeter(tmp_path / "one"))], "destination_dir": "/etc/attune"}
    answer = api().post("/api/v1/packs/download", body).json()["data"]
    assert "no place for downloads" in answer["failed_packs"][0]["error"] and not Path("/etc/attune").exists()


def test_the_core_actions_install_a_pack_one_after_another(
    server: str, settings: Any, run: Any, people: Any, tmp_path: Path
) -> None:
    settings.ATTUNE_API_URL = server
    services.load_system_packs()
    admin = people("admin")

    def do(name: str, **parameters: Any) -> dict[str, Any]:
        over = run(Action.objects.get(ref=f"core.{name}"), parameters, requested_by=admin)
        assert over.status == Status.COMPLETED, (over.error, over.stdout)
        return over.result

    [brought] = do("download_packs", packs=[str(greeter(tmp_path / "one"))])["downloaded_packs"]
    paths = [brought["pack_path"]]
    assert do("get_pack_dependencies", pack_paths=paths)["missing_dependencies"] == []
    assert do("build_pack_envs", pack_paths=paths)["summary"]["success_count"] == 1
    assert do("register_packs", pack_paths=paths)["registered_packs"][0]["pack_ref"] == "greeter"
    assert run(Action.objects.get(ref="greeter.greet")).stdout == "hello\n"


def test_the_token_of_a_core_action_carries_nothing_but_its_persons_right(
    api: Any, people: Any, settings: Any, db: None
) -> None:
    settings.ATTUNE_INSTALL_BEGIN = 0.0
    body = {"pack_paths": ["/nowhere"]}

    def status(**fields: Any) -> int:
        given = {"action_ref": "core.register_packs", "pack_ref": "core"} | fields
        return api(token=running_execution(**given)[1]).post("/api/v1/packs/register-batch", body).status_code

    assert status(requested_by=people("admin")) == 200
    assert status(requested_by=people("editor")) == 403
    assert status() == 403
    assert status(requested_by=people("admin"), action_ref="mine.act", pack_ref="mine") == 403
    parent, _ = running_execution()
    assert status(requested_by=people("admin"), parent=parent) == 403
