"""Registry indices over the API: who may change them, what is shown of them, and the official SDK's own calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.packs.models import Pack, PackIndex
from tests.packs.registry.conftest import entry, index, registry  # noqa: F401  (a fixture)

Api = Callable[..., APIClient]
ADDRESS = "/api/v1/pack-indices"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An index in a file: two versions of slack, and jira, which needs it."""
    path = tmp_path / "index.json"
    path.write_text(
        json.dumps(index(entry("slack", "1.10.0"), entry("slack", "1.9.0"), entry("jira", keywords=["chat"])))
    )
    return path


@pytest.mark.django_db
def test_an_index_is_added_shown_changed_and_removed(api: Api, file: Path) -> None:
    admin = api()
    headers = {"Authorization": "Bearer It-is-a-secret"}
    made = admin.post(ADDRESS, {"url": str(file), "name": "Ours", "headers": headers})
    assert made.status_code == 201
    row = made.json()["data"]
    assert (row["url"], row["name"], row["position"], row["enabled"]) == (str(file), "Ours", 0, True)
    assert row["headers"] == {"Authorization": "********"}
    assert row["created"].endswith("+00:00") and row["read_at"] is None and row["problem"] is None
    one = f"{ADDRESS}/{row['id']}"
    changed = admin.put(one, {"headers": None, "position": 5, "name": None}).json()["data"]
    assert (changed["name"], changed["position"], changed["headers"]) == ("Ours", 5, row["headers"])
    read = admin.post(f"{one}/refresh").json()["data"]
    assert read["read_at"] and read["problem"] is None
    assert admin.get(ADDRESS).json()["data"] == [admin.get(one).json()["data"]] == [read]
    assert "secret" not in admin.get(ADDRESS).content.decode()
    assert admin.delete(one).json() == {"message": "Index Ours is removed.", "success": True}
    assert admin.get(one).status_code == 404


@pytest.mark.django_db
def test_only_administrators_change_indices(api: Api, file: Path) -> None:
    row = PackIndex.objects.create(url=str(file))
    one = f"{ADDRESS}/{row.pk}"
    editor, viewer = api("editor"), api("viewer")
    for ask in (
        lambda: editor.post(ADDRESS, {"url": "https://example.com/i"}),
        lambda: editor.put(one, {"enabled": False}),
        lambda: editor.delete(one),
        lambda: editor.post(f"{one}/refresh"),
    ):
        assert ask().status_code == 403
    assert PackIndex.objects.get().enabled
    for path in (ADDRESS, one, f"{ADDRESS}/packs", f"{ADDRESS}/packs/slack"):
        assert viewer.get(path).status_code == 200, path
        assert api("").get(path).status_code == 401, path


@pytest.mark.django_db
def test_packs_are_found_by_words_with_how_they_stand_here(api: Api, file: Path) -> None:
    PackIndex.objects.create(url=str(file), name="Ours", position=3)
    Pack.objects.create(ref="slack", label="Slack", version="1.9.0")
    viewer = api("viewer")
    found = viewer.get(f"{ADDRESS}/packs", {"q": "chat"}).json()["data"]
    assert [one["pack"]["ref"] for one in found] == ["jira"]
    assert (found[0]["installed_version"], found[0]["update_available"]) == (None, False)
    slack = viewer.get(f"{ADDRESS}/packs/slack").json()["data"]
    assert slack["pack"] == entry("slack", "1.10.0")
    assert slack["registry"] == {"id": PackIndex.objects.get().pk, "name": "Ours", "url": str(file), "position": 3}
    assert slack["versions"] == ["1.10.0", "1.9.0"]
    assert (slack["installed_version"], slack["update_available"]) == ("1.9.0", True)
    assert len(viewer.get(f"{ADDRESS}/packs").json()["data"]) == 2
    assert len(viewer.get(f"{ADDRESS}/packs", {"limit": 1}).json()["data"]) == 1


@pytest.mark.django_db
def test_disabled_indices_are_looked_into_only_when_that_is_said(api: Api, file: Path) -> None:
    row = PackIndex.objects.create(url=str(file), enabled=False)
    viewer = api("viewer")
    assert viewer.get(f"{ADDRESS}/packs").json()["data"] == []
    assert len(viewer.get(f"{ADDRESS}/packs", {"include_disabled": "true"}).json()["data"]) == 2
    assert len(viewer.get(f"{ADDRESS}/packs", {"registry_id": row.pk}).json()["data"]) == 2
    assert viewer.get(f"{ADDRESS}/packs", {"registry_id": 999_999}).status_code == 404


@pytest.mark.django_db
def test_a_pack_that_is_nowhere_is_a_404_with_what_comes_near(api: Api, file: Path) -> None:
    PackIndex.objects.create(url=str(file), name="Ours")
    answer = api("viewer").get(f"{ADDRESS}/packs/slakc")
    assert answer.status_code == 404
    assert answer.json()["message"] == "There is no pack slakc in Ours; did you mean slack?"


@pytest.mark.django_db
def test_an_index_that_cannot_be_read_says_so_and_is_in_nobodys_way(api: Api, file: Path, tmp_path: Path) -> None:
    gone = PackIndex.objects.create(url=str(tmp_path / "gone.json"), position=-1)
    PackIndex.objects.create(url=str(file))
    admin = api()
    assert len(admin.get(f"{ADDRESS}/packs").json()["data"]) == 2
    read = admin.post(f"{ADDRESS}/{gone.pk}/refresh")
    assert read.status_code == 200
    assert "No such file" in read.json()["data"]["problem"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"url": ""}, 422),
        ({"url": 5}, 422),
        ({"url": "nonsense"}, 422),
        ({"url": "https://me:secret@example.com/i"}, 422),
        ({"url": "https://example.com/i", "headers": "X: y"}, 422),
        ({"url": "https://example.com/i", "headers": {"X": ["y"]}}, 422),
        ({"url": "https://example.com/i", "headers": {"X\r\nY": "y"}}, 422),
        ({"url": "https://example.com/i", "position": 2**40}, 422),
        ({"url": "https://example.com/i", "position": "first"}, 422),
        ({"url": "https://example.com/i", "enabled": "perhaps"}, 422),
        ({"url": "https://example.com/i", "name": "x" * 300}, 422),
        ({"url": "https://example.com/" + "i" * 3000}, 422),
        ({"url": "https://example.com/there"}, 409),
    ],
)
def test_what_cannot_be_an_index_is_refused(api: Api, body: Any, status: int) -> None:
    PackIndex.objects.create(url="https://example.com/there")
    answer = api().post(ADDRESS, body)
    assert answer.status_code == status, answer.json()
    assert "secret" not in answer.content.decode()
    assert PackIndex.objects.count() == 1


def test_the_sdk(sdk: Callable[..., dict[str, Any]], registry: Callable[..., Any]) -> None:  # noqa: F811
    packs = [entry("slack", dependencies={"packs": ["core"]}, homepage="https://example.com"), entry("jira")]
    server = registry(index(*packs))
    got = sdk(
        f"""
from attune.api_client.api.packs import browse_indexed_packs, create_pack_index, delete_pack_index, get_indexed_pack
from attune.api_client.api.packs import list_pack_indices, update_pack_index
body = models.CreatePackRegistryIndexRequest.from_dict({{"url": "{server.url}", "name": "Ours",
    "headers": {{"X-Token": "It-is-a-secret"}}}})
made = create_pack_index.sync(client=client, body=body).data
body = models.UpdatePackRegistryIndexRequest.from_dict({{"headers": None, "position": 7}})
changed = update_pack_index.sync(made.id, client=client, body=body).data
show(made=made, changed=changed, listed=list_pack_indices.sync(client=client),
     found=browse_indexed_packs.sync(client=client, q="slack"), here=browse_indexed_packs.sync(client=client,
     registry_id=made.id, include_disabled=True), one=get_indexed_pack.sync("jira", client=client),
     none=get_indexed_pack.sync_detailed("none", client=client).status_code,
     twice=create_pack_index.sync_detailed(client=client, body=models.CreatePackRegistryIndexRequest(
         url="{server.url}")).status_code,
     gone=delete_pack_index.sync(made.id, client=client))
"""
    )
    assert got["made"]["headers"] == {"X-Token": "********"}
    assert (got["changed"]["position"], got["changed"]["headers"]) == (7, {"X-Token": "********"})
    assert [row["name"] for row in got["listed"]["data"]] == ["Ours"]
    assert [one["pack"] for one in got["found"]["data"]] == [packs[0]]
    assert [one["pack"]["ref"] for one in got["here"]["data"]] == ["jira", "slack"]
    assert got["one"]["data"]["registry"]["url"] == server.url
    assert (got["none"], got["twice"]) == (404, 409)
    assert got["gone"]["success"] is True
    assert server.asked[0]["x-token"] == "It-is-a-secret"
