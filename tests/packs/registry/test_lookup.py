"""A name leads to the newest version that will do, in the first index that has the pack; words lead to many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import Http404

from apps.packs.models import Pack, PackIndex
from apps.packs.registry import dependencies, indices, lookup
from apps.packs.registry.dependencies import Need
from apps.packs.registry.errors import NotInAnyIndex
from attune.lib.errors import InvalidInput
from tests.packs.registry.conftest import entry, index

pytestmark = pytest.mark.django_db
Add = Callable[..., PackIndex]


@pytest.fixture
def add(file: Callable[..., Path]) -> Add:
    """`add("name", entry(), …)`: an index in a file, behind those before."""

    def made(name: str, *packs: Any, **more: Any) -> PackIndex:
        return indices.create_index(url=str(file(index(*packs), f"{name}.json")), name=name, actor="test", **more)

    return made


def test_the_first_index_that_has_the_pack_wins_even_with_an_older_version(add: Add) -> None:
    add("ours", entry("slack", "1.0.0"))
    add("theirs", entry("slack", "9.0.0"), entry("jira"))
    found = lookup.find("slack")
    assert (str(found.entry), found.index.name, found.position) == ("slack@1.0.0", "ours", 0)
    assert (lookup.find("jira").index.name, lookup.find("jira").position) == ("theirs", 1)
    with pytest.raises(NotInAnyIndex, match=r"ours has no version of slack that meets >=2; there is 1.0.0"):
        lookup.find("slack", ">=2")


@pytest.mark.parametrize(
    ("constraint", "version"),
    [
        ("", "1.10.0"),
        ("*", "1.10.0"),
        ("1.2.0", "1.2.0"),
        ("<1.10", "1.2.0"),
        ("^1.2", "1.10.0"),
        ("2.0.0-rc.1", "2.0.0-rc.1"),
    ],
)
def test_the_newest_version_that_will_do_is_taken(add: Add, constraint: str, version: str) -> None:
    add("ours", *[entry("slack", each) for each in ("1.2.0", "1.10.0", "2.0.0-rc.1", "1.0.0")])
    assert lookup.find("slack", constraint).entry.version == version


def test_what_has_only_pre_releases_is_found_by_their_names_only(add: Add) -> None:
    add("ours", entry("slack", "1.0.0-rc.1"))
    with pytest.raises(NotInAnyIndex, match=r"only pre-releases of slack.*slack@1\.0\.0-rc\.1"):
        lookup.find("slack")
    assert lookup.search("slack")[0].entry.version == "1.0.0-rc.1"


def test_a_name_that_is_nowhere_is_answered_with_who_was_asked_and_what_comes_near(add: Add, tmp_path: Path) -> None:
    add("ours", entry("slack"), entry("slack_enterprise"))
    indices.create_index(url=str(tmp_path / "gone.json"), name="gone", actor="test")
    with pytest.raises(NotInAnyIndex) as caught:
        lookup.find("slakc")
    assert "There is no pack slakc in ours, gone; did you mean slack" in caught.value.message
    assert "gone could not be read" in caught.value.message


def test_without_an_index_the_remedy_is_to_add_one() -> None:
    with pytest.raises(NotInAnyIndex, match="no index to look for slack in"):
        lookup.find("slack")


def test_what_is_no_constraint_is_refused(add: Add) -> None:
    add("ours", entry())
    with pytest.raises(InvalidInput, match="no range of versions"):
        lookup.find("slack", ">>1")


def test_only_enabled_indices_are_asked_unless_one_is_named(add: Add) -> None:
    off = add("off", entry("hidden"), enabled=False)
    add("on", entry("slack"))
    assert [found.entry.ref for found in lookup.search()] == ["slack"]
    assert [found.entry.ref for found in lookup.search(indices=lookup.chosen(include_disabled=True))] == [
        "hidden",
        "slack",
    ]
    assert lookup.find("hidden", indices=lookup.chosen(off.pk)).index == off
    with pytest.raises(Http404):
        lookup.chosen(999_999)


def test_an_index_that_has_no_row_is_read_too(file: Callable[..., Path]) -> None:
    row = PackIndex(url=str(file(index(entry()))))
    assert lookup.find("slack", indices=[row]).entry.version == "1.0.0"
    assert not PackIndex.objects.exists()


def test_the_best_match_comes_first_and_all_words_must_fit(add: Add) -> None:
    add(
        "ours",
        entry("vault", description="Secrets, also for slack"),
        entry("slack_admin"),
        entry("slack"),
        entry("chat", label="Chat", keywords=["slack"]),
        entry("jira", contents={"actions": [{"name": "tell_slack", "description": ""}]}),
        entry("unrelated", description="Nothing to see"),
    )
    names = [found.entry.ref for found in lookup.search("SLACK")]
    assert names == ["slack", "slack_admin", "chat", "vault", "jira"]
    assert [found.entry.ref for found in lookup.search("slack secrets")] == ["vault"]
    assert lookup.search("nothing_like_it") == []
    assert len(lookup.search("   ")) == 6


def test_a_pack_of_a_later_index_is_hidden_by_its_namesake(add: Add) -> None:
    add("ours", entry("slack", description="plain"))
    add("theirs", entry("slack", description="special"))
    assert lookup.search("special") == []
    assert [found.index.name for found in lookup.search("plain")] == ["ours"]


def test_the_preferred_kind_of_source_is_tried_first(add: Add) -> None:
    add("ours", entry())
    found = lookup.find("slack")
    assert [source.type for source in lookup.sources_of(found)] == ["archive", "git"]
    assert [source.type for source in lookup.sources_of(found, prefer="git")] == ["git", "archive"]


def test_what_is_installed_is_older_the_same_or_newer(add: Add) -> None:
    add("ours", entry("slack", "1.10.0"))
    found = lookup.find("slack")
    assert found.is_newer_than("1.9.0") and found.is_newer_than("1.10.0-rc.1")
    assert not found.is_newer_than("1.10.0") and not found.is_newer_than("2.0.0")
    assert not found.is_newer_than(None) and not found.is_newer_than("odd")


def test_dependencies_are_resolved_from_the_indices(add: Add) -> None:
    Pack.objects.create(ref="core", label="Core", version="1.0.0")
    add(
        "ours",
        entry("a", dependencies=["core", "b@^1"]),
        entry("b", "1.5.0", dependencies=["nowhere"]),
        entry("b", "2.0.0"),
    )
    plan = dependencies.resolve(
        Need("a"), installed=dependencies.installed_versions(), available=dependencies.from_indices()
    )
    assert [str(need) for need in plan.missing] == ["b needs nowhere"]
    assert [f"{one.ref}@{one.version}" for one in plan.install] == ["b@1.5.0", "a@1.0.0"]
