"""Indices are read leniently where nobody is hurt, and strictly where an install relies on them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.packs.registry.documents import MAX_BYTES, MOST_NAMED, MOST_NOTES, read_index
from apps.packs.registry.errors import IndexUnreadable
from tests.packs.registry.conftest import CHECKSUM, entry, index

pytestmark = pytest.mark.embedded_only
WEB = "https://registry.example.com/packs/index.json"
LOOPBACK = "http://127.0.0.1:8123/packs/index.json"
FILE = "/srv/registry/index.json"


def archive(url: str, checksum: str = CHECKSUM) -> list[dict[str, str]]:
    return [{"type": "archive", "url": url, "checksum": checksum}]


def git(**more: Any) -> list[dict[str, Any]]:
    given = {"type": "git", "url": "https://example.com/x.git", "ref": "v1", "checksum": CHECKSUM}
    return [{name: value for name, value in (given | more).items() if value is not None}]


def test_a_good_index_comes_back_as_it_was() -> None:
    document = index(
        entry("slack", homepage="https://example.com", email="a@example.com", dependencies={"packs": ["core@>=1.0"]}),
        entry("slack", "0.9.0"),
        entry("jira", dependencies=["core", "slack@^1"]),
    )
    read = read_index(json.dumps(document).encode(), where=WEB)
    assert (read.name, read.version, read.faults, read.warnings) == ("Test", "1.0", (), ())
    assert [str(one) for one in read.entries] == ["slack@1.0.0", "slack@0.9.0", "jira@1.0.0"]
    assert read.entries[0].as_dict() == document["packs"][0]
    assert list(read.entries[1].as_dict()) == list(document["packs"][1])
    assert read.entries[2].dependencies == {"packs": ["core", "slack@^1"]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "must be a JSON object"),
        (b"{}", "no list `packs`"),
        (b'{"packs": {"slack": 1}}', "no list `packs`"),
        (b'{"packs": [' + b"[" * 50 + b"]" * 50 + b"]}", "nested more than 32"),
        (b'{"packs": [], "x": 1e999}', "too large"),
        (b'{"packs": [], "x": "\\u0000"}', "NUL"),
        (b" " * (MAX_BYTES + 1), "at most 16,777,216"),
        (b"<!doctype html><title>Not found</title>", "is not JSON"),
    ],
)
def test_what_is_no_index_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(IndexUnreadable, match=reason):
        read_index(data, where=WEB)


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [
        (None, "must be an object"),
        ("slack", "must be an object"),
        (entry(ref=None), "`ref` is missing"),
        (entry(ref=["a"]), "`ref` must be text"),
        (entry(ref="../etc"), "not a pack's ref"),
        (entry(ref="Slack"), "not a pack's ref"),
        (entry(ref="ſlack"), "not a pack's ref"),
        (entry(ref="a" * 101), "longer than 100"),
        (entry(version="1.0"), "not a semantic version"),
        (entry(version=1.0), "`version` must be text"),
        (entry(version="1.0.0\n"), "not a semantic version"),
        (entry(install_sources=None), "must be a list"),
        (entry(install_sources=[]), "cannot be installed"),
        (entry(install_sources=["https://example.com/x.tar.gz"]), "a source must be an object"),
        (entry(install_sources=[{"type": "oci", "url": "x"}]), "cannot be installed"),
        (entry(install_sources=archive("https://example.com/x.tar.gz", "")), "`checksum` is missing"),
        (entry(install_sources=archive("https://example.com/x.tar.gz", "md5:" + "a" * 32)), "must be `sha256:`"),
        (entry(install_sources=archive("https://example.com/x.tar.gz", "a" * 64)), "must be `sha256:`"),
        (entry(install_sources=archive("http://example.com/x.tar.gz")), "plain http"),
        (entry(install_sources=archive("ftp://example.com/x.tar.gz")), "not an https address"),
        (entry(install_sources=archive("file:///etc/passwd")), "not an https address"),
        (entry(install_sources=archive("/etc/passwd")), "not an https address"),
        (entry(install_sources=archive("https://me:secret@example.com/x.tar.gz")), "holds credentials"),
        (entry(install_sources=archive("https://example.com/x\n.tar.gz")), "control characters"),
        (entry(install_sources=archive("https:///x.tar.gz")), "not an https address"),
        (entry(install_sources=archive("https://[::1/x.tar.gz")), "not an https address"),
        (entry(install_sources=git(url="ext::sh -c 'touch x'")), "blanks"),
        (entry(install_sources=git(url="ext::sh")), "not an https address"),
        (entry(install_sources=git(url="--upload-pack=x")), "not an https address"),
        (entry(install_sources=git(url="git@example.com:x.git")), "not an https address"),
        (entry(install_sources=git(ref=None)), "`ref` is missing"),
        (entry(install_sources=git(ref="--upload-pack=x")), "no name of a branch"),
        (entry(install_sources=git(ref="a..b")), "no name of a branch"),
        (entry(install_sources=git(ref="main\n")), "no name of a branch"),
        (entry(dependencies=[7]), "it needs 7"),
        (entry(dependencies={"packs": ["core@>>1"]}), "it needs 'core@>>1'"),
        (entry(dependencies={"packs": "core"}), "list `packs`"),
        (entry(dependencies={"python_version": 3}), "version constraint"),
    ],
)
def test_a_faulty_entry_is_left_out_and_named_and_the_others_stay(faulty: Any, reason: str) -> None:
    read = read_index(index(entry("jira"), faulty, entry("vault")), where=WEB)
    assert [one.ref for one in read.entries] == ["jira", "vault"]
    assert len(read.faults) == 1
    assert read.faults[0].startswith("packs[1]") and reason in read.faults[0]


@pytest.mark.parametrize("where", [LOOPBACK, FILE, "http://localhost/index.json", "http://[::1]:8/index.json"])
def test_plain_http_is_for_indices_on_this_machine(where: str) -> None:
    document = index(entry(install_sources=archive("http://127.0.0.1:9/x.tar.gz")))
    assert read_index(document, where=where).entries
    assert not read_index(document, where=WEB).entries


@pytest.mark.parametrize(
    ("where", "url", "found"),
    [
        (WEB, "slack-1.0.0.tar.gz", "https://registry.example.com/packs/slack-1.0.0.tar.gz"),
        (WEB, "../old/slack.tar.gz", "https://registry.example.com/old/slack.tar.gz"),
        (LOOPBACK, "slack.tar.gz", "http://127.0.0.1:8123/packs/slack.tar.gz"),
        (FILE, "archives/slack%2B1.tar.gz", "/srv/registry/archives/slack+1.tar.gz"),
        (FILE, "../../etc/passwd", ""),
        (FILE, "%2e%2e/passwd", ""),
        (FILE, "file:etc/passwd", ""),
    ],
)
def test_an_archive_may_be_named_relative_to_its_index(where: str, url: str, found: str) -> None:
    read = read_index(index(entry(install_sources=archive(url))), where=where)
    assert [source.url for one in read.entries for source in one.install_sources] == ([found] if found else [])


def test_a_version_is_listed_once_and_a_pack_as_often_as_it_has_versions() -> None:
    read = read_index(index(entry(), entry("slack", "1.1.0"), entry(description="another one")), where=WEB)
    assert [str(one) for one in read.entries] == ["slack@1.0.0", "slack@1.1.0"]
    assert read.entries[0].description == "What slack does"
    assert "listed before" in read.faults[0]


def test_what_nobody_relies_on_is_warned_of_and_ignored() -> None:
    odd = entry(
        label=7,
        keywords=["good", 7, ""],
        runtime_deps="python",
        contents={"actions": [{"name": "post"}, {"name": 5}, "x"], "queues": [], "rules": "none"},
        meta=[1],
        homepage="javascript:alert(1)",
        stars=5,
    )
    odd["install_sources"].append({"type": "oci", "url": "oci://example.com/x"})
    read = read_index(index(odd, extra=1), where=WEB)
    (found,) = read.entries
    assert (found.label, found.keywords, found.runtime_deps, found.meta, found.homepage) == (
        "Slack",
        ("good",),
        (),
        {},
        "",
    )
    assert [one.name for one in found.contents["actions"]] == ["post"]
    for named in ("`extra`", "`label`", "`keywords`", "`runtime_deps`", "`queues`", "`meta`", "`homepage`", "`stars`"):
        assert any(named in warning for warning in read.warnings), named
    assert any("'oci'" in warning for warning in read.warnings)


def test_lists_without_end_are_cut_and_so_are_complaints() -> None:
    many = [{"name": f"a{number}", "description": "x" * 10_000} for number in range(MOST_NAMED + 5)]
    read = read_index(index(entry(contents={"actions": many}), *[None] * 500), where=WEB)
    actions = read.entries[0].contents["actions"]
    assert len(actions) == MOST_NAMED and len(actions[0].description) == 2000
    assert len(read.faults) == MOST_NOTES + 1 and read.faults[-1] == "and 400 more"
