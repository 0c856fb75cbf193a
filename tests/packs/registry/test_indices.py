"""Indices are read again when they are old, kept when they do not answer, and keep their headers to themselves."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.packs.models import PackIndex
from apps.packs.registry import indices
from apps.packs.registry.errors import IndexExists
from attune.lib.errors import InvalidInput
from tests.packs.registry.conftest import Registry, entry, index

pytestmark = pytest.mark.django_db
SECRET = "Bearer It-is-a-secret"
Start = Callable[..., Registry]


@pytest.fixture
def add() -> Callable[..., PackIndex]:
    return lambda url, **more: indices.create_index(url=str(url), actor="test", **more)


def refs(row: PackIndex) -> list[str]:
    return [str(one) for one in indices.read(row).entries]


def grow_old(row: PackIndex, **ago: float) -> PackIndex:
    then = timezone.now() - timedelta(**(ago or {"hours": 1}))
    PackIndex.objects.filter(pk=row.pk).update(read_at=row.read_at and then, updated=then)
    return PackIndex.objects.get(pk=row.pk)


def test_an_index_is_read_once_and_again_when_it_is_old(registry: Start, add: Callable[..., PackIndex]) -> None:
    server = registry(index(entry()))
    row = indices.refresh(add(server.url))
    server.serve(index(entry("jira")))
    assert refs(indices.refresh(row)) == ["slack@1.0.0"] and len(server.asked) == 1
    row = indices.refresh(grow_old(row))
    assert refs(row) == ["jira@1.0.0"] and len(server.asked) == 2
    assert refs(PackIndex.objects.get(pk=row.pk)) == ["jira@1.0.0"]


def test_one_that_is_asked_for_is_read_at_once(registry: Start, add: Callable[..., PackIndex]) -> None:
    server = registry(index(entry()))
    row = indices.refresh(add(server.url))
    server.serve(index(entry("jira")))
    assert refs(indices.refresh(row, force=True)) == ["jira@1.0.0"]


def test_what_has_not_changed_is_not_sent_again(registry: Start, add: Callable[..., PackIndex]) -> None:
    server = registry(index(entry()), etag='"one"')
    row = grow_old(indices.refresh(add(server.url)))
    before = row.read_at
    assert refs(indices.refresh(row)) == ["slack@1.0.0"]
    assert server.asked[1]["if-none-match"] == '"one"'
    assert PackIndex.objects.get(pk=row.pk).read_at > before


def test_one_that_does_not_answer_keeps_what_it_said_and_says_so(
    registry: Start, add: Callable[..., PackIndex]
) -> None:
    server = registry(index(entry()))
    row = grow_old(indices.refresh(add(server.url)))
    server.stop()
    row = indices.refresh(row)
    assert refs(row) == ["slack@1.0.0"]
    assert "could not be fetched" in PackIndex.objects.get(pk=row.pk).problem


def test_one_that_does_not_answer_is_left_in_peace_for_a_while(registry: Start, add: Callable[..., PackIndex]) -> None:
    server = registry(b"nonsense")
    row = indices.refresh(add(server.url))
    assert "is not JSON" in row.problem and refs(row) == []
    indices.refresh(PackIndex.objects.get(pk=row.pk))
    assert len(server.asked) == 1
    server.serve(index(entry()))
    row = indices.refresh(grow_old(row, minutes=1))
    assert refs(row) == ["slack@1.0.0"] and row.problem == ""


def test_a_faulty_pack_is_named_and_the_others_are_there(registry: Start, add: Callable[..., PackIndex]) -> None:
    server = registry(index(entry(), entry("jira", "one")), etag='"x"')
    row = indices.refresh(add(server.url))
    assert refs(row) == ["slack@1.0.0"]
    assert "1 pack is left out: packs[1] jira: version 'one'" in row.problem
    row = indices.refresh(grow_old(row))
    assert "1 pack is left out" in row.problem, "not changed, so still left out"
    assert len(server.asked) == 2, "it answered, so it is asked when it is old, no sooner"
    indices.refresh(PackIndex.objects.get(pk=row.pk))
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [404, 401, 500])
def test_an_answer_that_is_no_index_is_a_problem(registry: Start, add: Callable[..., PackIndex], status: int) -> None:
    assert str(status) in indices.refresh(add(registry(status=status).url)).problem


def test_one_without_end_is_not_read_to_the_end(registry: Start, add: Callable[..., PackIndex]) -> None:
    assert "larger than 16 MiB" in indices.refresh(add(registry(b" " * (16 * 2**20 + 1)).url)).problem


def test_a_redirect_to_a_private_address_is_not_followed(registry: Start, add: Callable[..., PackIndex]) -> None:
    inside = registry(index(entry("secret")))
    row = indices.refresh(add(registry(status=302, location=inside.url).url))
    assert refs(row) == [] and inside.asked == []
    assert "not an address of the public network" in row.problem


def test_headers_go_to_the_index_and_are_nowhere_to_be_seen(registry: Start, add: Callable[..., PackIndex]) -> None:
    server = registry()
    row = add(server.url, headers={"Authorization": SECRET, "X-Team": "us"})
    indices.refresh(row)
    assert server.asked[0]["authorization"] == SECRET and server.asked[0]["x-team"] == "us"
    assert "secret" not in row.sealed_headers
    assert indices.masked_headers(row) == {"Authorization": "********", "X-Team": "********"}
    (line,) = AuditEntry.objects.filter(action="index.create")
    assert line.after["headers"] == ["Authorization", "X-Team"] and SECRET not in str(line.after)
    assert indices.headers_for(row, server.url.replace("index.json", "x.tar.gz"))["Authorization"] == SECRET
    assert indices.headers_for(row, "http://127.0.0.1:9/x.tar.gz") == {}
    assert indices.headers_for(row, "https://example.com/x.tar.gz") == {}


def test_headers_that_are_sent_back_masked_stay_as_they_are(registry: Start, add: Callable[..., PackIndex]) -> None:
    row = add(registry().url, headers={"Authorization": SECRET, "X-Team": "us"})
    indices.update_index(row, actor="test", headers={"Authorization": "********"})
    assert indices.headers_of(PackIndex.objects.get(pk=row.pk)) == {"Authorization": SECRET}
    indices.update_index(row, actor="test", name="Ours")
    assert indices.headers_of(row) == {"Authorization": SECRET}
    indices.update_index(row, actor="test", headers={})
    assert row.sealed_headers == ""


def test_another_server_never_sees_the_headers_of_the_first(registry: Start, add: Callable[..., PackIndex]) -> None:
    row, other = add(registry().url, headers={"Authorization": SECRET}), registry()
    with pytest.raises(InvalidInput, match="must not see the headers"):
        indices.update_index(row, actor="test", url=other.url)
    with pytest.raises(InvalidInput, match="one line of text"):
        indices.update_index(
            PackIndex.objects.get(pk=row.pk), actor="test", url=other.url, headers={"Authorization": "********"}
        )
    row = indices.update_index(PackIndex.objects.get(pk=row.pk), actor="test", url=other.url, headers={"X-Team": "us"})
    indices.refresh(row)
    assert "authorization" not in other.asked[0] and other.asked[0]["x-team"] == "us"


@pytest.mark.parametrize(
    "headers",
    [
        {"Bad Name": "x"},
        {"": "x"},
        {"Host": "elsewhere"},
        {"content-length": "5"},
        {"X": "one\r\nTwo: 2"},
        {"X": 5},
        {"X": None},
        {"X": "********"},
        {"X": "ü" * 9000},
        {f"X-{number}": "x" for number in range(30)},
    ],
)
def test_what_is_no_header_is_refused(add: Callable[..., PackIndex], headers: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        add("https://example.com/index.json", headers=headers)
    assert not PackIndex.objects.exists()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "http or https"),
        ("index.json", "http or https"),
        ("ftp://example.com/index.json", "http or https"),
        ("https://me:secret@example.com/index.json", "holds credentials"),
        ("https://example.com/a b", "http or https"),
        ("https://", "http or https"),
        ("http://[::1/", "http or https"),
        ("https://example.com/" + "x" * 2000, "more than 2000"),
    ],
)
def test_what_is_no_address_is_refused(add: Callable[..., PackIndex], url: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        add(url)
    assert "secret" not in caught.value.message


def test_an_address_is_there_once(add: Callable[..., PackIndex], file: Callable[..., Path]) -> None:
    path = file(index())
    add(path)
    with pytest.raises(IndexExists):
        add(f"file://{path}")
    other = add("https://example.com/index.json")
    with pytest.raises(IndexExists):
        indices.update_index(other, actor="test", url=str(path))
    assert indices.update_index(other, actor="test", url=other.url, name="Same") == other


def test_new_ones_are_asked_last_and_every_change_is_in_the_log(add: Callable[..., PackIndex]) -> None:
    first, second = add("https://one.example.com/i"), add("https://two.example.com/i", name=" Two ", enabled=False)
    assert (first.position, second.position, second.name) == (0, 1, "Two")
    indices.update_index(second, actor="test", position=-1, enabled=True)
    assert list(PackIndex.objects.all()) == [second, first]
    indices.delete_index(second, actor="test")
    lines = AuditEntry.objects.filter(action__startswith="index.").order_by("pk")
    assert [line.action for line in lines] == ["index.create", "index.create", "index.update", "index.delete"]
    assert (lines[2].before["enabled"], lines[2].after["enabled"]) == (False, True)


# Files ---------------------------------------------------------------------------------------------------------------
def test_a_file_is_read_when_it_changes(add: Callable[..., PackIndex], file: Callable[..., Path]) -> None:
    row = indices.refresh(add(file(index(entry()))))
    assert refs(row) == ["slack@1.0.0"] and row.problem == ""
    row = indices.refresh(grow_old(row))
    file(index(entry("jira"), entry("vault")))
    assert refs(indices.refresh(grow_old(row))) == ["jira@1.0.0", "vault@1.0.0"]


def test_what_is_no_plain_file_is_not_waited_for(add: Callable[..., PackIndex], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in ((tmp_path / "pipe", "not a plain file"), (tmp_path, "not a plain file"), ("/dev/zero", "not")):
        assert reason in indices.refresh(add(path)).problem
    assert "No such file" in indices.refresh(add(tmp_path / "gone")).problem


# The setting ---------------------------------------------------------------------------------------------------------
def test_the_indices_of_the_setting_are_made_once(settings: LazySettings, add: Callable[..., PackIndex]) -> None:
    add("https://mine.example.com/i", name="Mine")
    settings.ATTUNE_PACK_INDICES = ["https://one.example.com/i", "/srv/index.json", "https://mine.example.com/i"]
    assert [row.url for row in indices.ensure_configured()] == ["https://one.example.com/i", "/srv/index.json"]
    assert indices.ensure_configured() == []
    assert [row.name for row in PackIndex.objects.all()] == ["Mine", "", ""]
    settings.ATTUNE_PACK_INDICES = ["nonsense"]
    with pytest.raises(InvalidInput, match="ATTUNE_PACK_INDICES names 'nonsense'"):
        indices.ensure_configured()


def test_headers_that_nobody_can_decrypt_are_a_problem_and_not_in_the_way(
    registry: Start, add: Callable[..., PackIndex], settings: LazySettings
) -> None:
    server = registry()
    row = add(server.url, headers={"Authorization": SECRET})
    settings.ATTUNE_ENCRYPTION_KEY = "another one"
    assert "cannot be decrypted" in indices.refresh(row).problem and server.asked == []
    assert indices.masked_headers(row) == {}
    indices.delete_index(row, actor="test")


def test_an_address_that_was_changed_meanwhile_is_not_given_the_old_content(
    registry: Start, add: Callable[..., PackIndex]
) -> None:
    server = registry()
    row = add(server.url)
    PackIndex.objects.filter(pk=row.pk).update(url="https://example.com/other")
    indices.refresh(row)
    assert PackIndex.objects.get(pk=row.pk).content == {}
