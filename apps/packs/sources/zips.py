"""Read a zip archive member by member: plain files and folders, stored or deflated, as most programs write them."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable, Iterator
from typing import IO

from apps.packs.sources.members import Limits
from apps.packs.sources.placing import Tree
from attune.lib.errors import AttuneError

_CHUNK = 256 << 10
_END, _END_OF_LARGE = b"PK\5\6", b"PK\6\7"
_END_SIZE, _LOCATOR_SIZE, _COMMENT = 22, 20, 1 << 16
_ENTRY = 46 + 1_200  # bytes in the directory for one member, with a long name
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpack(file: IO[bytes], tree: Tree, limits: Limits, refusal: Callable[[str], AttuneError]) -> None:
    _check_directory(file, limits, refusal)
    with zipfile.ZipFile(file) as archive:
        if len(archive.infolist()) > limits.files:
            raise _too_many(limits, refusal)
        for info in archive.infolist():
            name, mode = info.orig_filename, info.external_attr >> 16
            if info.flag_bits & 1:
                raise refusal(f"{name!r} is encrypted; make the archive without a password")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                what = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
                raise refusal(f"{name!r} is {what}; a pack holds plain files and folders only")
            if name.endswith("/"):
                tree.folder(name)
            elif stat.S_ISDIR(mode):
                raise refusal(f"{name!r} is both a file and a folder; make the archive anew")
            elif info.compress_type not in _METHODS:
                raise refusal(f"{name!r} is compressed in an unusual way; make the archive with `zip -r`")
            elif info.file_size > limits.size:
                raise refusal(f"{name!r} alone is larger than {limits.size >> 20} MiB; leave it out")
            else:
                tree.file(name, _content(archive, info), executable=bool(mode & 0o111))


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """As many bytes as the member is said to have; what is less, or does not meet its checksum, is an error."""
    length = 0
    with archive.open(info) as member:
        while chunk := member.read(_CHUNK):
            length += len(chunk)
            yield chunk
    if length != info.file_size:
        raise zipfile.BadZipFile(f"{info.orig_filename!r} is not as long as it says")


def _check_directory(file: IO[bytes], limits: Limits, refusal: Callable[[str], AttuneError]) -> None:
    """Refuse a directory that is too large to be that of a pack, before it is read into memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _COMMENT - _END_SIZE - _LOCATOR_SIZE))
    tail = file.read()
    end = len(tail) - _END_SIZE
    if tail[end : end + 4] != _END or tail[-2:] != b"\0\0":
        end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_SIZE:
        raise refusal("it is cut off or damaged: it has no directory; download or make it anew")
    is_large = tail[max(0, end - _LOCATOR_SIZE) : end][:4] == _END_OF_LARGE
    if is_large or int.from_bytes(tail[end + 12 : end + 16], "little") > limits.files * _ENTRY:
        raise _too_many(limits, refusal)


def _too_many(limits: Limits, refusal: Callable[[str], AttuneError]) -> AttuneError:
    return refusal(f"it has more than {limits.files:,} files and folders; leave out what a pack does not need")
