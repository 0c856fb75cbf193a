"""Archives are unpacked whole or not at all, and nothing of them gets out of its folder."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.packs.errors import ArchiveRefused
from apps.packs.sources import archives
from apps.packs.sources.members import LIMITS, Limits
from tests.packs.sources.conftest import FILES, files_of, member, tar, tar_of, write, zip_of

pytestmark = pytest.mark.embedded_only

WANTED = {name: content.encode() for name, content in FILES.items()}
SMALL = Limits(files=20, size=1 << 20)


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[..., Path]:
    """Unpack these bytes below `tmp_path/in`; beside the archive and the result nothing may be there afterwards."""
    outside = write(tmp_path / "outside", {"marker": "untouched"})

    def do(content: bytes, *, limits: Limits = LIMITS) -> Path:
        home = tmp_path / "in"
        home.mkdir(exist_ok=True)
        (home / "archive").write_bytes(content)
        try:
            archives.unpack(home / "archive", home / "target", limits=limits)
        except ArchiveRefused:
            assert [path.name for path in home.iterdir()] == ["archive"], "something was left behind"
            raise
        finally:
            assert files_of(outside) == {"marker": b"untouched"}
            assert {path.name for path in tmp_path.iterdir()} == {"outside", "in"}
        return home / "target"

    return do


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("top", ["demo-1.0/", "./", ""])
def test_a_tar_of_any_kind_is_unpacked(unpack: Callable[..., Path], mode: str, form: int, top: str) -> None:
    assert files_of(unpack(tar_of(FILES, mode=mode, form=form, top=top))) == WANTED


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("top", ["demo-1.0/", ""])
def test_a_zip_is_unpacked(unpack: Callable[..., Path], method: int, top: str) -> None:
    assert files_of(unpack(zip_of(FILES, method=method, top=top))) == WANTED


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read(unpack: Callable[..., Path], form: int) -> None:
    files = {f"{'a' * 90}/{'ö' * 100}/{'c' * 99}.txt": "far down", "x": "short"}
    assert files_of(unpack(tar_of(files, form=form))) == {name: text.encode() for name, text in files.items()}


def test_what_gits_own_archive_writes_is_read(unpack: Callable[..., Path], tmp_path: Path) -> None:
    """A header for all members that holds the commit, which is no file."""
    info, content = member("demo/pack.yaml", b"ref: demo")
    made = io.BytesIO()
    with tarfile.open(
        fileobj=made, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "0" * 40}
    ) as archive:
        archive.addfile(info, io.BytesIO(content))
    assert files_of(unpack(made.getvalue())) == {"pack.yaml": b"ref: demo"}


def test_modes_are_those_of_plain_files(unpack: Callable[..., Path]) -> None:
    odd = tar(
        member("d", type=tarfile.DIRTYPE, mode=0), member("d/run", b"#!", mode=0o6777), member("plain", mode=0o000)
    )
    target = unpack(odd)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [target, *target.rglob("*")]}
    assert modes == {"target": 0o755, "d": 0o755, "run": 0o755, "plain": 0o644}


def test_only_a_folder_that_is_alone_at_the_top_is_left_out(unpack: Callable[..., Path]) -> None:
    assert files_of(unpack(zip_of({"demo/pack.yaml": "x", "README": "y"}, top=""))) == {
        "demo/pack.yaml": b"x",
        "README": b"y",
    }


def test_what_a_mac_and_git_leave_in_archives_is_left_out(unpack: Callable[..., Path]) -> None:
    more = {"__MACOSX/demo/._pack.yaml": "x", "demo/.git/config": "x", "demo/sub/.GIT/hooks/post-checkout": "x"}
    assert files_of(unpack(zip_of({"demo/pack.yaml": "x", **more}, top=""))) == {"pack.yaml": b"x"}


def test_an_archive_in_an_archive_stays_one(unpack: Callable[..., Path]) -> None:
    inner = zip_of(FILES)
    assert files_of(unpack(zip_of({"inner.zip": inner}))) == {"inner.zip": inner}


ESCAPES = [
    "../outside/marker",
    "a/../../outside/marker",
    "/tmp/marker",
    "//tmp/marker",
    "./../outside/marker",
    "a/b/../../../outside/marker",
    "..",
    "..\\outside\\marker",
    "a\\..\\..\\x",
    "C:\\x",
    "c:/x",
    "C:x",
    "a\nb",
    "a\x1b[31mb",
    "a/\u202ecod.sh",
    "x" * 256,
    "/".join("d" * 33),
    "/".join(["long" * 50] * 6),
]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_leads_outside_or_to_nowhere_is_refused(unpack: Callable[..., Path], name: str) -> None:
    for content in (
        tar_of({"pack.yaml": "x", name: "escaped"}, top=""),
        tar_of({name: "escaped"}, top="", form=tarfile.PAX_FORMAT),
        zip_of({"pack.yaml": "x", name: "escaped"}, top=""),
        tar(member(name, type=tarfile.DIRTYPE)),
        zip_of({f"{name}/": ""}, top=""),
    ):
        with pytest.raises(ArchiveRefused) as refused:
            unpack(content)
        assert refused.value.status_code == 422


def test_nul_in_a_name_of_a_zip_is_refused(unpack: Callable[..., Path]) -> None:
    with pytest.raises(ArchiveRefused):
        unpack(zip_of({"pack.yamlXevil": "x"}, top="").replace(b"pack.yamlX", b"pack.yaml\0"))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (tarfile.GNUTYPE_SPARSE, "sparse"),
        (b"V", "kind"),
        (b"M", "kind"),
        (b"K", "kind"),
    ],
)
def test_only_files_and_folders_are_taken_from_a_tar(unpack: Callable[..., Path], kind: bytes, what: str) -> None:
    with pytest.raises(ArchiveRefused, match=what):
        unpack(tar(member("pack.yaml", b"x"), member("odd", type=kind, linkname="../outside")))


def test_a_file_behind_a_link_never_gets_there(unpack: Callable[..., Path]) -> None:
    with pytest.raises(ArchiveRefused, match="'a' is a symbolic link"):
        unpack(tar(member("a", type=tarfile.SYMTYPE, linkname="../../outside"), member("a/marker", b"escaped")))


def test_links_in_a_zip_are_refused(unpack: Callable[..., Path]) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo("a")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "../../outside")
        archive.writestr("a/marker", "escaped")
    with pytest.raises(ArchiveRefused, match="symbolic link"):
        unpack(made.getvalue())


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["a", "a"], "twice"),
        (["a/x", "a/x"], "twice"),
        (["Readme", "README"], "one name to some systems"),
        (["Lib/x", "lib/y"], "one name to some systems"),
        (["straße", "STRASSE"], "one name to some systems"),
        (["é", "e\u0301"], "one name to some systems"),
        (["a", "a/x"], "both a file and a folder"),
        (["a/x", "a"], "both a file and a folder"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_get_in_each_others_way_are_refused(
    unpack: Callable[..., Path], names: list[str], what: str
) -> None:
    members = [member(f"top/{name}", b"x") for name in names]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(f"top/{name}", "x")
    for content in (tar(*members), made.getvalue()):
        with pytest.raises(ArchiveRefused, match=what):
            unpack(content)


def test_too_many_files_are_refused(unpack: Callable[..., Path]) -> None:
    many = {f"{number}": "" for number in range(10_000)}
    for content in (tar_of(many), zip_of(many), zip_of({f"{name}/": "" for name in many}, top="")):
        with pytest.raises(ArchiveRefused, match="more than 5,000 files and folders"):
            unpack(content)


def test_a_directory_of_a_zip_too_large_to_be_read_is_refused_before_it_is(unpack: Callable[..., Path]) -> None:
    with pytest.raises(ArchiveRefused, match="more than 20 files"):
        unpack(zip_of({f"{number}/{'x' * 200}": "" for number in range(200)}), limits=SMALL)


def test_bombs_are_stopped_when_they_pass_the_limit(unpack: Callable[..., Path]) -> None:
    zeros = b"\0" * (3 << 20)
    bombs = [
        *(tar_of({"bomb": zeros}, mode=f"w:{mode}") for mode in ("gz", "bz2", "xz")),
        zip_of({"bomb": zeros}),
        zip_of({f"{number}": zeros[: 1 << 18] for number in range(8)}),
        tar_of({f"{number}": zeros[: 1 << 18] for number in range(8)}),
        zip_of({f".git/{number}": zeros[: 1 << 18] for number in range(8)}),
    ]
    for bomb in bombs:
        with pytest.raises(ArchiveRefused, match="larger than 1 MiB"):
            unpack(bomb, limits=SMALL)


def test_what_never_ends_behind_the_end_mark_is_stopped(unpack: Callable[..., Path]) -> None:
    endless = gzip.compress(tar_of({"pack.yaml": "x"}, mode="w") + b"\0" * (40 << 20))
    with pytest.raises(ArchiveRefused, match="grows beyond"):
        unpack(endless, limits=SMALL)


def test_members_of_a_zip_that_share_their_bytes_are_counted_each(unpack: Callable[..., Path]) -> None:
    """Fifteen names in the directory for one compressed member: small outside, large inside."""
    content = zip_of({"0": b"\0" * (200 << 10)}, top="")
    start = content.rindex(b"PK\1\2")
    end = content.rindex(b"PK\5\6")
    entries = b"".join(content[start:end][:-1] + bytes([97 + number]) for number in range(15))
    tail = bytearray(content[end:])
    tail[8:10] = tail[10:12] = (15).to_bytes(2, "little")
    tail[12:16] = len(entries).to_bytes(4, "little")
    with pytest.raises(ArchiveRefused):
        unpack(content[:start] + entries + bytes(tail), limits=SMALL)


@pytest.mark.parametrize("size", [0, 1, 100, 1 << 31, (1 << 32) - 1])
def test_a_member_of_a_zip_that_lies_about_its_size_is_refused(unpack: Callable[..., Path], size: int) -> None:
    content = bytearray(zip_of({"f": "x" * 50}, top=""))
    directory = content.rindex(b"PK\1\2")
    content[directory + 24 : directory + 28] = size.to_bytes(4, "little")
    content[22:26] = size.to_bytes(4, "little")
    with pytest.raises(ArchiveRefused):
        unpack(bytes(content))


def header(**fields: bytes) -> bytes:
    """A header of a tar with these fields, and a checksum that is right."""
    block = bytearray(tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT))
    places = {"size": (124, 136), "kind": (156, 157), "mode": (100, 108)}
    for name, value in fields.items():
        start, end = places[name]
        block[start:end] = value.ljust(end - start, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "content",
    [
        header(size=b"77777777777"),
        header(size=b"\x80" + b"\xff" * 11),
        header(size=b"\xff" * 12),
        header(size=b"-0000000001"),
        header(size=b"abc"),
        header(size=b"1"),
        header(kind=b"L", size=b"77777777777"),
        header(kind=b"L", size=b"10"),
        header(kind=b"x", size=b"77777777777"),
        header(kind=b"x", size=b"12") + b"99 path=x\n".ljust(512, b"\0"),
        header(kind=b"x", size=b"12") + b"10 path=x".ljust(512, b"\0"),
        header(kind=b"x", size=b"12") + b"0 path=xx\n".ljust(512, b"\0"),
        header(kind=b"x", size=b"13") + b"11 path=\xff\xff\n".ljust(512, b"\0"),
        header(kind=b"x", size=b"30") + b"24 GNU.sparse.major=1.0\n".ljust(512, b"\0"),
        header(kind=b"g", size=b"15") + b"13 path=/etc\n".ljust(512, b"\0"),
        header(kind=b"x", size=b"24") + b"20 size=99999999999\n".ljust(512, b"\0") + header(),
        header(kind=b"x", size=b"15") + b"13 path=../x\n".ljust(512, b"\0") + header() + b"\0" * 1024,
        header(kind=b"5", size=b"10") + b"\0" * 1024,
        header()[:-1] + b"x" + b"\0" * 1024,
        header(),
    ],
)
def test_headers_of_a_tar_that_lie_are_refused(unpack: Callable[..., Path], content: bytes) -> None:
    for packed in (content, gzip.compress(content, mtime=0)):
        with pytest.raises(ArchiveRefused):
            unpack(packed)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_tar_that_is_cut_off_is_refused(unpack: Callable[..., Path], mode: str, share: float) -> None:
    content = tar_of({"pack.yaml": "x", "noise": bytes(range(256)) * 400}, mode=mode)
    with pytest.raises(ArchiveRefused):
        unpack(content[: int(len(content) * share)])


def test_a_tar_whose_end_mark_is_cut_off_is_refused(unpack: Callable[..., Path]) -> None:
    whole = tar_of({"a": "1", "b": "2"}, mode="w")
    with pytest.raises(ArchiveRefused, match="cut off"):
        unpack(whole[:1024])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_zip_that_is_cut_off_is_refused(unpack: Callable[..., Path], share: float) -> None:
    content = zip_of({"pack.yaml": "x", "noise": bytes(range(256)) * 400}, method=zipfile.ZIP_STORED)
    with pytest.raises(ArchiveRefused):
        unpack(content[: int(len(content) * share)])


def test_damage_is_found(unpack: Callable[..., Path]) -> None:
    for whole in (tar_of({"f": "x" * 5000}), zip_of({"f": "x" * 5000})):
        broken = bytearray(whole)
        broken[len(whole) // 3] ^= 0xFF
        with pytest.raises(ArchiveRefused):
            unpack(bytes(broken))
    wrong_sum = bytearray(tar_of({"f": "x"}))
    wrong_sum[-6] ^= 0xFF  # gzip's own
    with pytest.raises(ArchiveRefused, match="damaged"):
        unpack(bytes(wrong_sum))


def test_an_encrypted_or_unusual_zip_is_refused(unpack: Callable[..., Path]) -> None:
    content = bytearray(zip_of({"f": "x"}, top=""))
    for place in (6, content.rindex(b"PK\1\2") + 8):
        content[place] |= 1
    with pytest.raises(ArchiveRefused, match="encrypted"):
        unpack(bytes(content))
    with pytest.raises(ArchiveRefused, match="unusual way"):
        unpack(zip_of({"f": "x"}, method=zipfile.ZIP_LZMA))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>sign in", "a web page"),
        (b"\n<html>", "a web page"),
        (b"just text", "something else"),
        (b"\0" * 10240, "something else"),
        (gzip.compress(b"just text", mtime=0), "cut off"),
        (gzip.compress(b"t" * 2000, mtime=0), "damaged"),
        (bz2.compress(b""), "cut off"),
        (lzma.compress(b""), "cut off"),
        (b"\x1f\x8bnonsense", "damaged"),
        (b"BZhnonsense", "damaged"),
        (b"\xfd7zXZ\0nonsense", "damaged"),
        (b"PK\3\4nonsense", "no directory"),
        (b"PK\5\6", "no directory"),
        (b"(\xb5/\xfd", "something else"),
    ],
)
def test_what_is_no_archive_is_named(unpack: Callable[..., Path], content: bytes, what: str) -> None:
    with pytest.raises(ArchiveRefused, match=what):
        unpack(content)


def test_a_folder_that_is_there_is_not_unpacked_into(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of(FILES))
    (tmp_path / "target").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        archives.unpack(tmp_path / "a.zip", tmp_path / "target")
    assert not (tmp_path / "elsewhere").exists()
