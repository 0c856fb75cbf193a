"""The checksum of a pack's files, by the bytes that go into it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from apps.packs.errors import ChecksumMismatch, SourceInvalid
from apps.packs.sources import checksums
from tests.packs.sources.conftest import FILES, write

pytestmark = pytest.mark.embedded_only


def by_hand(*files: tuple[str, bytes]) -> str:
    pieces = [
        b"attune-pack-file-v1"
        + len(name.encode()).to_bytes(8, "big")
        + name.encode()
        + len(content).to_bytes(8, "big")
        + content
        for name, content in files
    ]
    return f"sha256:{hashlib.sha256(b''.join(pieces)).hexdigest()}"


def test_it_is_one_hash_over_marks_lengths_names_and_contents(tmp_path: Path) -> None:
    write(tmp_path, {"b": "two", "a/x": b"\0\xff", "c": ""})
    assert checksums.tree_checksum(tmp_path) == by_hand(("a/x", b"\0\xff"), ("b", b"two"), ("c", b""))
    assert (
        checksums.tree_checksum(tmp_path) == "sha256:214a9a7d4d46b402d25c234bb4cedeba36f7852fc28c531a415d979e9e27e413"
    )


def test_files_are_in_the_order_of_their_whole_paths_not_of_their_parts(tmp_path: Path) -> None:
    """`lib.txt` is before `lib/x`, since . is before /; part by part the folder `lib` would be first."""
    write(tmp_path, {"lib/x": "1", "lib.txt": "2", "lib-a/y": "3", "lib0": "4", "ä": "5", "Z": "6"})
    in_order = [("Z", b"6"), ("lib-a/y", b"3"), ("lib.txt", b"2"), ("lib/x", b"1"), ("lib0", b"4"), ("ä", b"5")]
    assert checksums.tree_checksum(tmp_path) == by_hand(*in_order)


def test_git_folders_modes_times_and_empty_folders_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    before = checksums.tree_checksum(tmp_path)
    write(tmp_path, {".git/config": "x"})
    (tmp_path / "nothing/in/here").mkdir(parents=True)
    (tmp_path / "lib.txt").chmod(0o755)
    os.utime(tmp_path / "lib.txt", (0, 0))
    assert checksums.tree_checksum(tmp_path) == before
    write(tmp_path, {".gitignore": ""})
    assert checksums.tree_checksum(tmp_path) != before


@pytest.mark.parametrize(("first", "second"), [({"ab": "c"}, {"a": "bc"}), ({"a": "", "b": ""}, {"ab": ""})])
def test_names_and_contents_cannot_be_shifted_into_each_other(tmp_path: Path, first: dict, second: dict) -> None:
    write(tmp_path / "1", first)
    write(tmp_path / "2", second)
    assert checksums.tree_checksum(tmp_path / "1") != checksums.tree_checksum(tmp_path / "2")


def test_a_link_or_special_file_has_no_checksum(tmp_path: Path) -> None:
    write(tmp_path / "secret", {"key": "x"})
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "link").symlink_to("../secret/key")
    with pytest.raises(SourceInvalid, match="is a symbolic link"):
        checksums.tree_checksum(tmp_path / "pack")
    (tmp_path / "pack" / "link").unlink()
    (tmp_path / "pack" / "folder").symlink_to("../secret")
    with pytest.raises(SourceInvalid, match="symbolic link"):
        checksums.tree_checksum(tmp_path / "pack")
    (tmp_path / "pack" / "folder").unlink()
    os.mkfifo(tmp_path / "pack" / "pipe")
    with pytest.raises(SourceInvalid, match="special file"):
        checksums.tree_checksum(tmp_path / "pack")


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).write_text("x")
    with pytest.raises(SourceInvalid, match="not UTF-8"):
        checksums.tree_checksum(tmp_path)


def test_a_checksum_is_written_in_one_way_and_read_in_two() -> None:
    digits = hashlib.sha256(b"").hexdigest()
    assert checksums.normal(digits.upper()) == checksums.normal(f" SHA256:{digits} ") == f"sha256:{digits}"
    assert checksums.normal("") == ""
    for wrong in ("md5:0", "sha256:", f"sha512:{digits}", digits[:-1], f"{digits}0", f"sha256:{digits[:-1]}g"):
        with pytest.raises(SourceInvalid, match="no checksum"):
            checksums.normal(wrong)


def test_what_is_not_as_promised_is_refused_and_both_are_told(tmp_path: Path) -> None:
    file = write(tmp_path, {"f": "x"}) / "f"
    found = checksums.file_checksum(file)
    assert found == f"sha256:{hashlib.sha256(b'x').hexdigest()}"
    checksums.verify(found, found.upper(), "here")
    checksums.verify(found, "", "here")
    with pytest.raises(ChecksumMismatch) as mismatch:
        checksums.verify(found, "0" * 64, "https://h.example/x.zip")
    assert mismatch.value.status_code == 409
    assert mismatch.value.details == {"found": found, "expected": f"sha256:{'0' * 64}"}
    assert found in mismatch.value.message and "https://h.example/x.zip" in mismatch.value.message
