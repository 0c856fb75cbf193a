"""A folder of packs becomes an index with archives; put on any file server, that is a registry."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.packs.errors import PackInvalid, SourceInvalid
from apps.packs.registry import indices, lookup
from apps.packs.registry.building import as_bytes, build_index
from apps.packs.registry.documents import read_index
from apps.packs.registry.errors import AlreadyPublished
from apps.packs.sources import fetching, spec
from apps.packs.sources.checksums import file_checksum, tree_checksum
from attune.lib.errors import InvalidInput

pytestmark = pytest.mark.embedded_only

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
WHERE = "https://registry.example.com/index.json"
Write = Callable[..., Path]


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    folder = tmp_path / "packs"
    folder.mkdir()
    return folder


@pytest.fixture
def write(packs: Path) -> Write:
    """`write("slack", {"actions/post.yaml": {…}}, version="1.0.0")`: a pack in the folder of packs."""

    def put(ref: str = "slack", files: dict[str, Any] | None = None, **manifest: Any) -> Path:
        about = {"ref": ref, "label": ref.title(), "description": f"What {ref} does", "version": "1.0.0"} | manifest
        for name, content in ({"pack.yaml": about} | (files or {})).items():
            path = packs / ref / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return packs / ref

    return put


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder as Python's own web server does; its address."""
    servers: list[ThreadingHTTPServer] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *named, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


ACTION = {"ref": "slack.post", "description": "Posts", "entry_point": "post.sh", "runner_type": "shell"}
GRAPH = {"ref": "slack.flow", "description": "Flows", "workflow_file": "workflows/flow.workflow.yaml"}


# What it says --------------------------------------------------------------------------------------------------------
def test_an_entry_says_what_the_files_say(packs: Path, write: Write) -> None:
    write(
        "slack",
        {
            "actions/zeta.yaml": ACTION | {"ref": "slack.zeta"},
            "actions/post.yaml": ACTION,
            "actions/flow.yaml": GRAPH,
            "triggers/said.yaml": {"ref": "slack.said", "description": "Somebody spoke\n"},
            "sensors/ear.yaml": {
                "ref": "slack.ear",
                "description": "Listens",
                "entry_point": "ear.py",
                "trigger_types": ["slack.said"],
            },
            "rules/answer.yaml": {"ref": "slack.answer", "trigger_ref": "slack.said", "action_ref": "slack.post"},
        },
        author="Ada",
        email="ada@example.com",
        tags=["talk", "chat"],
        runtime_deps=["shell"],
        dependencies=["core@>=1.0"],
        meta={"category": "chat", "repository_url": "https://example.com/slack", "license": "MIT", "other": 1},
    )
    index = build_index(packs, name="Ours", url="https://example.com", archives_to=packs.parent / "out")
    assert list(index) == ["registry_name", "registry_url", "version", "last_updated", "packs"]
    (pack,) = index["packs"]
    (source,) = pack.pop("install_sources")
    assert pack == {
        "ref": "slack",
        "label": "Slack",
        "description": "What slack does",
        "version": "1.0.0",
        "author": "Ada",
        "license": "MIT",
        "keywords": ["chat", "talk"],
        "runtime_deps": ["shell"],
        "contents": {
            "actions": [{"name": "post", "description": "Posts"}, {"name": "zeta", "description": "Posts"}],
            "sensors": [{"name": "ear", "description": "Listens"}],
            "triggers": [{"name": "said", "description": "Somebody spoke"}],
            "rules": [{"name": "answer", "description": ""}],
            "workflows": [{"name": "flow", "description": "Flows"}],
        },
        "meta": {"category": "chat"},
        "repository": "https://example.com/slack",
        "email": "ada@example.com",
        "dependencies": {"packs": ["core@>=1.0"]},
    }
    assert source["url"] == "slack-1.0.0.tar.gz"


def test_packs_of_the_public_registry_are_described_as_that_describes_them(tmp_path: Path) -> None:
    public = {pack["ref"]: pack for pack in json.loads((SAMPLES / "index.json").read_bytes())["packs"]}
    index = build_index(SAMPLES / "packs", name="Ours", archives_to=tmp_path / "out")
    otherwise = {"license", "install_sources", "meta"}  # known only to who looks at the repository
    moved = {"nodejs_example": {"repository"}}  # since its manifest was written
    assert [pack["ref"] for pack in index["packs"]] == sorted(pack["ref"] for pack in index["packs"])
    for pack in index["packs"]:
        theirs = public[pack["ref"]]
        for field in pack.keys() - otherwise - moved.get(pack["ref"], set()):
            assert pack[field] == theirs[field], f"{field} of {pack['ref']}"
        assert [key for key in pack if key in theirs] == [key for key in theirs if key in pack], "in the same order"


def test_the_public_index_is_read_without_a_complaint() -> None:
    read = read_index((SAMPLES / "index.json").read_bytes(), where=WHERE)
    assert (read.faults, read.warnings) == ((), ())
    documents = json.loads((SAMPLES / "index.json").read_bytes())["packs"]
    assert [{**one.as_dict()} for one in read.entries] == [
        document | {"contents": stripped(document["contents"])} for document in documents
    ]


def stripped(contents: dict[str, Any]) -> dict[str, Any]:
    return {
        kind: [{"name": one["name"], "description": one["description"].strip()} for one in named]
        for kind, named in contents.items()
    }


# Archives ------------------------------------------------------------------------------------------------------------
def test_the_same_folder_gives_the_same_bytes(packs: Path, write: Write, tmp_path: Path) -> None:
    post = write("slack", {"actions/post.yaml": ACTION, "actions/post.sh": "echo\n", "lib.txt": "", "lib/x": "ü"})
    (post / "actions" / "post.sh").chmod(0o755)
    first = build_index(packs, name="Ours", archives_to=tmp_path / "one")
    copy = tmp_path / "copy"
    shutil.copytree(packs, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    (copy / "slack" / "actions" / "post.sh").chmod(0o777)
    second = build_index(copy, name="Ours", archives_to=tmp_path / "two")
    one, two = tmp_path / "one" / "slack-1.0.0.tar.gz", tmp_path / "two" / "slack-1.0.0.tar.gz"
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes()[:9] == b"\x1f\x8b\x08\0\0\0\0\0\x02", "no name and no time"
    assert first | {"last_updated": ""} == second | {"last_updated": ""}
    assert as_bytes(first | {"last_updated": ""}) == as_bytes(second | {"last_updated": ""})
    with tarfile.open(one) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}
    assert {member.name: member.mode for member in members if member.mode != 0o644} == {
        "slack-1.0.0/actions/post.sh": 0o755
    }


def test_when_it_was_updated_changes_only_with_the_rest(packs: Path, write: Write, tmp_path: Path) -> None:
    write()
    out = tmp_path / "out"
    before = build_index(packs, name="Ours", archives_to=out) | {"last_updated": "2020-01-01T00:00:00Z"}
    assert build_index(packs, name="Ours", archives_to=out, previous=before) == before
    write("jira")
    after = build_index(packs, name="Ours", archives_to=out, previous=before)
    assert after["last_updated"] > "2025"
    assert build_index(packs, name="Ours", archives_to=out, previous={"odd": True})["packs"] == after["packs"]


def test_what_work_with_a_pack_leaves_behind_is_not_published(packs: Path, write: Write, tmp_path: Path) -> None:
    folder = write()
    clean = tree_checksum(folder)
    for name in (".git/config", "__pycache__/x.pyc", "node_modules/x/index.js", "lib/__pycache__/y.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    build_index(packs, name="Ours", archives_to=tmp_path / "out")
    unpacked = fetching.fetch(
        spec.parse(str(tmp_path / "out" / "slack-1.0.0.tar.gz")),
        tmp_path / "unpacked",
        say=print,
        deadline=time.monotonic() + 60,
        allow_local=True,
    )
    assert unpacked.tree == clean


def test_what_was_published_is_never_replaced_and_older_versions_stay(
    packs: Path, write: Write, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write()
    build_index(packs, name="Ours", archives_to=out)
    write("slack", {"README.md": "new"})
    before = file_checksum(out / "slack-1.0.0.tar.gz")
    with pytest.raises(AlreadyPublished, match="raise `version`"):
        build_index(packs, name="Ours", archives_to=out)
    assert file_checksum(out / "slack-1.0.0.tar.gz") == before
    write("slack", {"README.md": "new"}, version="1.10.0")
    build_index(packs, name="Ours", archives_to=out)
    write("slack", {"README.md": "newer"}, version="1.9.0")
    index = build_index(packs, name="Ours", archives_to=out)
    assert [pack["version"] for pack in index["packs"]] == ["1.10.0", "1.9.0", "1.0.0"]


def test_packs_that_are_archives_already_are_taken_as_they_are(packs: Path, write: Write, tmp_path: Path) -> None:
    write("slack")
    write("jira")
    build_index(packs, name="Ours", archives_to=tmp_path / "made")
    given = tmp_path / "given"
    given.mkdir()
    shutil.copy(tmp_path / "made" / "jira-1.0.0.tar.gz", given / "whatever it is.tar.gz")
    index = build_index(given, name="Ours", base_url="https://example.com/files/", archives_to=tmp_path / "out")
    (source,) = index["packs"][0]["install_sources"]
    assert index["packs"][0]["ref"] == "jira"
    assert source["url"] == "https://example.com/files/whatever%20it%20is.tar.gz"
    assert source["checksum"] == file_checksum(tmp_path / "out" / "whatever it is.tar.gz")


# Git -----------------------------------------------------------------------------------------------------------------
def test_a_clean_checkout_is_a_source_of_its_own(packs: Path, write: Write, tmp_path: Path) -> None:
    folder = write("slack", {"lib/x": "x", "lib.txt": "x"})
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", "https://example.com/slack.git")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "One")
    commit = git(folder, "rev-parse", "HEAD")
    (pack,) = build_index(packs, name="Ours", archives_to=tmp_path / "out")["packs"]
    assert pack["install_sources"][0] == {
        "type": "git",
        "url": "https://example.com/slack.git",
        "ref": commit,
        "checksum": tree_checksum(folder),
    }
    assert pack["install_sources"][1]["type"] == "archive"
    assert pack["meta"] == {"commit": commit}
    assert build_index(packs, name="Ours")["packs"][0]["install_sources"] == pack["install_sources"][:1]
    (folder / "not_committed.txt").write_text("x")
    with pytest.raises(InvalidInput, match="could be had from nowhere"):
        build_index(packs, name="Ours")


@pytest.mark.parametrize("url", ["", "git@example.com:slack.git", "http://example.com/x.git", "ext::sh", "/srv/x.git"])
def test_a_checkout_that_others_cannot_have_is_none(packs: Path, write: Write, url: str) -> None:
    folder = write()
    git(folder, "init", "--quiet")
    if url:
        git(folder, "remote", "add", "origin", url)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "One")
    with pytest.raises(InvalidInput, match="could be had from nowhere"):
        build_index(packs, name="Ours")


def test_nothing_that_a_checkout_configures_is_run(packs: Path, write: Write, tmp_path: Path) -> None:
    folder, marker = write("slack", {".gitattributes": "* filter=evil\n"}), tmp_path / "marker"
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", "https://example.com/slack.git")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "One")
    for name in (
        "filter.evil.clean",
        "filter.evil.smudge",
        "core.fsmonitor",
        "core.sshCommand",
        "uploadpack.packObjectsHook",
    ):
        git(folder, "config", name, f"touch {marker}; cat")
    for hook in ("post-checkout", "pre-auto-gc", "reference-transaction"):
        (folder / ".git" / "hooks" / hook).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (folder / ".git" / "hooks" / hook).chmod(0o755)
    assert build_index(packs, name="Ours")["packs"][0]["install_sources"][0]["type"] == "git"
    assert not marker.exists()


# Refusals ------------------------------------------------------------------------------------------------------------
def test_a_folder_without_packs_is_refused(packs: Path, tmp_path: Path) -> None:
    (packs / "no_pack").mkdir()
    (packs / ".hidden").mkdir()
    (packs / ".hidden" / "pack.yaml").write_text("ref: hidden")
    (packs / "link").symlink_to(SAMPLES / "packs" / "vault")
    with pytest.raises(InvalidInput, match="There is no pack"):
        build_index(packs, name="Ours", archives_to=tmp_path / "out")
    with pytest.raises(InvalidInput, match="is no folder"):
        build_index(packs / "gone", name="Ours")


def test_a_faulty_pack_is_named_by_its_folder_with_file_and_line(packs: Path, write: Write, tmp_path: Path) -> None:
    folder = write("slack", {"actions/post.yaml": "ref: slack.post\nentry_point: [1]\n"})
    with pytest.raises(PackInvalid) as caught:
        build_index(packs, name="Ours", archives_to=tmp_path / "out")
    assert str(folder) in caught.value.message and "actions/post.yaml:2" in caught.value.message
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_pack_is_refused(packs: Path, write: Write, tmp_path: Path) -> None:
    (write() / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(SourceInvalid, match="symbolic link"):
        build_index(packs, name="Ours", archives_to=tmp_path / "out")


def test_one_version_in_two_folders_is_refused(packs: Path, write: Write, tmp_path: Path) -> None:
    write("slack")
    shutil.copytree(packs / "slack", packs / "slack_too")
    (packs / "slack_too" / "README.md").write_text("different")
    with pytest.raises(AlreadyPublished):
        build_index(packs, name="Ours", archives_to=tmp_path / "out")


def test_an_address_that_servers_would_not_fetch_from_is_refused(packs: Path, write: Write, tmp_path: Path) -> None:
    write()
    with pytest.raises(InvalidInput, match="plain http"):
        build_index(packs, name="Ours", base_url="http://example.com", archives_to=tmp_path / "out")


# A registry of one's own ---------------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("as_file", [False, True])
def test_what_is_built_and_served_can_be_found_and_fetched(
    tmp_path: Path, serve: Callable[[Path], str], as_file: bool
) -> None:
    site = tmp_path / "site"
    index = build_index(SAMPLES / "packs", name="Ours", archives_to=site)
    (site / "index.json").write_bytes(as_bytes(index))
    where = str(site / "index.json") if as_file else f"{serve(site)}/index.json"
    row = indices.refresh(indices.create_index(url=where, actor="test"))
    assert row.problem == ""
    for pack in index["packs"]:
        found = lookup.find(pack["ref"], pack["version"])
        (source,) = lookup.sources_of(found)
        fetched = fetching.fetch(
            spec.parse(source.url),
            tmp_path / "fetched" / pack["ref"],
            say=print,
            deadline=time.monotonic() + 60,
            allow_local=True,
            trusted_hosts=frozenset({"127.0.0.1"}),
            expected_checksum=source.checksum,
        )
        assert fetched.tree == tree_checksum(SAMPLES / "packs" / pack["ref"])
