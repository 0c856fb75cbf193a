"""A pack comes from any source into its folder, verified, or nothing does."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.packs.errors import ArchiveRefused, ChecksumMismatch, FetchFailed, SourceInvalid
from apps.packs.sources import checksums, fetching
from apps.packs.sources.copying import LEFT_OUT
from apps.packs.sources.fetching import Fetched
from apps.packs.sources.spec import from_index, parse
from attune.lib.errors import AttuneError
from tests.packs.sources.conftest import FILES, LOOPBACK, Repository, Web, files_of, soon, tar_of, write, zip_of

pytestmark = pytest.mark.embedded_only

WANTED = {name: content.encode() for name, content in FILES.items()}


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., Fetched]:
    """Fetch to `tmp_path/in/pack`; what fails leaves nothing there. `fetch.lines` is what was said."""
    lines: list[str] = []

    def do(text: str, *, subdirectory: str = "", **more: Any) -> Fetched:
        home = tmp_path / "in"
        given = {"say": lines.append, "deadline": soon(), "allow_local": True, "trusted_hosts": LOOPBACK} | more
        try:
            source = parse(text, allow_local=True, subdirectory=subdirectory)
            fetched = fetching.fetch(source, home / "pack", **given)
        except AttuneError:
            assert not home.exists() or list(home.iterdir()) == [], "something was left behind"
            raise
        assert [path.name for path in home.iterdir()] == ["pack"]
        return fetched

    do.lines = lines  # type: ignore[attr-defined]
    return do


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "mine", FILES)


def test_the_same_files_have_the_same_checksum_whatever_way_they_came(
    fetch: Any, repository: Repository, web: Web, tmp_path: Path, folder: Path
) -> None:
    """Also as git's own archive has them, which is what forges hand out."""
    commit = repository.git("rev-parse", "HEAD")
    web.folder = tmp_path / "served"
    write(web.folder, {"x.tar.gz": tar_of(FILES), "x.zip": zip_of(FILES, top="")})
    prefix = f"--prefix=demo-{commit}/"
    repository.git("archive", "--format=tar.gz", f"--output={web.folder}/by-git", prefix, "HEAD")
    repository.git("update-server-info")
    subprocess.run(["cp", "-r", repository.folder / ".git", web.folder / "x.git"], check=True)
    came = {}
    for text in (
        f"git+{repository.folder}",
        f"git+file://{repository.folder}@main",
        f"git+{web.url}/x.git@{commit}",
        f"{web.url}/x.tar.gz",
        f"{web.url}/by-git",
        f"{web.folder}/x.zip",
        str(folder),
    ):
        came[text] = fetch(text)
        assert files_of(came[text].folder) == WANTED
        came[text].folder.rename(tmp_path / f"kept-{len(came)}")
        (tmp_path / "in").rmdir()
    assert {fetched.tree for fetched in came.values()} == {checksums.tree_checksum(tmp_path / "kept-1")}
    assert [fetched.source_type for fetched in came.values()] == ["git"] * 3 + ["archive"] * 3 + ["local"]
    assert [fetched.git_commit for fetched in came.values()] == [commit] * 3 + [""] * 4
    for text, fetched in came.items():
        if fetched.source_type == "archive":
            bytes_of = (web.folder / text.rpartition("/")[2]).read_bytes()
            assert fetched.checksum == f"sha256:{hashlib.sha256(bytes_of).hexdigest()}"
        else:
            assert fetched.checksum == fetched.tree
    assert came[f"{web.url}/x.tar.gz"].final_url == f"{web.url}/x.tar.gz"


def test_what_an_index_promises_is_verified(fetch: Any, repository: Repository, web: Web, tmp_path: Path) -> None:
    """Of a git source the files, of an archive the bytes; never the one for the other."""
    content = tar_of(FILES)
    write(tmp_path / "served", {"x.tar.gz": content})
    web.folder = tmp_path / "served"
    tree = checksums.tree_checksum(write(tmp_path / "by-hand", FILES))
    of_bytes = f"sha256:{hashlib.sha256(content).hexdigest()}"
    archive, git = f"{web.url}/x.tar.gz", f"git+{repository.folder}"
    for source, right, wrong in (
        (archive, of_bytes, tree),
        (git, tree, of_bytes),
        (str(tmp_path / "by-hand"), tree, of_bytes),
    ):
        with pytest.raises(ChecksumMismatch) as mismatch:
            fetch(source, expected_checksum=wrong)
        assert mismatch.value.details == {"found": right, "expected": wrong}
        assert fetch(source, expected_checksum=right.upper().replace("SHA256", "sha256")).checksum == right
        assert fetch.lines[-1] == f"Verified: {right}"
        subprocess.run(["rm", "-r", tmp_path / "in"], check=True)
    with pytest.raises(SourceInvalid, match="no checksum"):
        fetch(git, expected_checksum="md5:0")


def test_a_mismatch_is_found_before_an_archive_is_opened(fetch: Any, tmp_path: Path) -> None:
    write(tmp_path, {"bomb.zip": b"PK\3\4 whatever"})
    with pytest.raises(ChecksumMismatch):
        fetch(f"{tmp_path}/bomb.zip", expected_checksum="0" * 64)


def test_the_pack_may_be_in_a_subdirectory(fetch: Any, repository: Repository, web: Web, tmp_path: Path) -> None:
    files = {f"packs/demo/{name}": content for name, content in FILES.items()} | {"README": "x", "packs/pack.yaml": "y"}
    write(tmp_path / "mono", files)
    repository.commit(files)
    web.routes["/x.zip"] = (200, {}, zip_of(files))
    trees = set()
    for text in (f"git+{repository.folder}#packs/demo", f"{web.url}/x.zip#subdirectory=packs/demo"):
        fetched = fetch(text)
        assert files_of(fetched.folder) == WANTED
        trees.add(fetched.tree)
        subprocess.run(["rm", "-r", tmp_path / "in"], check=True)
    trees.add(fetch(str(tmp_path / "mono"), subdirectory="packs/demo").tree)
    assert len(trees) == 1


def test_a_source_without_a_pack_says_what_it_holds_and_where_packs_are(
    fetch: Any, repository: Repository, web: Web, tmp_path: Path
) -> None:
    files = {"packs/slack/pack.yaml": "x", "packs/jira/pack.yaml": "x", "README": "x"}
    web.routes["/x.zip"] = (200, {}, zip_of(files))
    for text in (f"{web.url}/x.zip", str(write(tmp_path / "none", files))):
        with pytest.raises(SourceInvalid, match=r"holds no pack\.yaml; it holds README, packs/") as refused:
            fetch(text)
        assert "Name the subdirectory: packs/jira, packs/slack." in str(refused.value)
    with pytest.raises(SourceInvalid, match="no folder 'nowhere'; it holds README, packs/"):
        fetch(f"{web.url}/x.zip#nowhere")
    with pytest.raises(SourceInvalid, match="no folder 'nowhere'"):
        fetch(str(tmp_path / "none"), subdirectory="nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceInvalid, match="it holds nothing"):
        fetch(str(tmp_path / "empty"))


def test_what_is_on_the_server_is_used_only_where_that_is_allowed(
    fetch: Any, repository: Repository, folder: Path, tmp_path: Path
) -> None:
    write(tmp_path, {"x.zip": zip_of(FILES)})
    for text in (str(folder), f"{tmp_path}/x.zip", f"git+{repository.folder}", f"file://{folder}", "/etc"):
        with pytest.raises(SourceInvalid, match="on the server itself"):
            fetch(text, allow_local=False)


def test_a_name_is_not_fetched_and_a_place_that_is_not_there_is_told(fetch: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match="look it up"):
        fetch("slack")
    for text in (f"{tmp_path}/nowhere", f"{tmp_path}/nowhere.zip"):
        with pytest.raises(SourceInvalid, match="no folder and no archive"):
            fetch(text)


def test_an_archive_is_one_by_its_content_whatever_it_is_called(fetch: Any, tmp_path: Path) -> None:
    write(tmp_path, {"upload-1": zip_of(FILES)})
    assert fetch(f"{tmp_path}/upload-1").source_type == "archive"


def test_a_page_in_place_of_an_archive_is_told(fetch: Any, web: Web) -> None:
    web.routes["/o/x"] = (200, {}, b"<!DOCTYPE html>")
    with pytest.raises(ArchiveRefused, match="a web page"):
        fetch(f"{web.url}/o/x")


def test_a_folder_is_copied_without_what_work_leaves_in_it(fetch: Any, folder: Path) -> None:
    write(folder, {f"{name}/x": "y" for name in LEFT_OUT} | {f"lib/{name}/x": "y" for name in LEFT_OUT})
    (folder / "actions/hello.sh").chmod(0o700)
    fetched = fetch(str(folder))
    assert files_of(fetched.folder) == WANTED
    assert (fetched.folder / "actions/hello.sh").stat().st_mode & 0o777 == 0o755
    write(folder, {"lib.txt": "edited later"})
    assert files_of(fetched.folder) == WANTED


def test_a_folder_may_be_named_by_a_link_but_hold_none(fetch: Any, folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "secret", {"key": "s3cret"})
    (tmp_path / "current").symlink_to(folder)
    assert files_of(fetch(str(tmp_path / "current")).folder) == WANTED
    subprocess.run(["rm", "-r", tmp_path / "in"], check=True)

    def refused(what: str, **more: Any) -> None:
        with pytest.raises(SourceInvalid, match=what):
            fetch(str(folder), **more)

    (folder / "odd").symlink_to(tmp_path / "secret/key")
    refused("odd is a symbolic link")
    (folder / "odd").unlink()
    (folder / "odd").symlink_to(tmp_path / "secret")
    refused("odd is a symbolic link")
    refused("no folder 'odd'", subdirectory="odd")
    (folder / "odd").unlink()
    os.mkfifo(folder / "odd")
    refused("odd is a special file")
    (folder / "odd").unlink()
    (folder / "odd").hardlink_to(tmp_path / "secret/key")
    refused("odd is a special file or has another name")
    (folder / "odd").unlink()
    write(folder, {"LIB.txt": "x"})
    refused("one name to some systems")


def test_a_folder_around_what_is_installed_is_not_copied_into_itself(fetch: Any, tmp_path: Path) -> None:
    write(tmp_path, FILES)
    with pytest.raises(SourceInvalid, match="kept inside it"):
        fetch(str(tmp_path))


def test_names_that_cannot_be_shown_are_refused_and_listed(fetch: Any, folder: Path) -> None:
    write(folder, {"lib/a\x1b[31m": "x"})
    with pytest.raises(SourceInvalid):
        fetch(str(folder))


def test_nothing_is_fetched_over_what_is_there(fetch: Any, folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "in/pack", {"mine": "x"})
    with pytest.raises(FileExistsError):
        fetch(str(folder))
    assert files_of(tmp_path / "in") == {"pack/mine": b"x"}


def test_a_failure_leaves_nothing_and_says_no_credentials(fetch: Any, web: Web) -> None:
    web.routes["/x.zip?token=s3cret"] = (200, {}, zip_of({"../escaped": "x"}))
    for text in (
        f"http://user:s3cret@127.0.0.1:{web.port}/x.zip?token=s3cret",
        f"http://user:s3cret@127.0.0.1:{web.port}/nowhere.zip",
        f"git+http://user:s3cret@127.0.0.1:{web.port}/nowhere.git",
    ):
        with pytest.raises((ArchiveRefused, FetchFailed)) as failed:
            fetch(text)
        assert "s3cret" not in f"{failed.value} {failed.value.details} {fetch.lines}"


def test_a_source_of_an_index_on_a_private_network_needs_trust(fetch: Any, web: Web, tmp_path: Path) -> None:
    web.routes["/x.zip"] = (200, {}, zip_of(FILES))
    source = from_index({"type": "archive", "url": f"{web.url}/x.zip"})
    with pytest.raises(SourceInvalid, match="not an address of the public network"):
        fetching.fetch(source, tmp_path / "pack", say=print, deadline=soon(), allow_local=False)
    fetched = fetching.fetch(
        source, tmp_path / "pack", say=print, deadline=soon(), allow_local=False, trusted_hosts=frozenset({source.host})
    )
    assert files_of(fetched.folder) == WANTED


def test_each_step_is_told_and_headers_go_with_a_download(fetch: Any, web: Web, repository: Repository) -> None:
    web.routes["/x.zip"] = (200, {}, zip_of(FILES))
    steps: list[str] = []
    fetched = fetch(f"{web.url}/x.zip", step=steps.append, headers={"Private-Token": "t0ken"})
    assert steps == ["verify", "unpack"]
    assert web.asked[0][1]["Private-Token"] == "t0ken"
    fetched.folder.rename(fetched.folder.parent.with_name("kept"))
    fetch(f"git+{repository.folder}", step=steps.append)
    assert steps == ["verify", "unpack", "verify"]
