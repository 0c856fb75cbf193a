"""Unpack an archive into a new folder, whole or not at all. What kind it is, its content says."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import shutil
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from apps.packs.errors import ArchiveRefused
from apps.packs.sources import tars, zips
from apps.packs.sources.members import LIMITS, Limits
from apps.packs.sources.placing import Tree

_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, struct.error, ValueError, NotImplementedError)
_OVERHEAD = 16 << 20  # bytes of headers and padding that a tar may have beside its content


def unpack(file: Path, target: Path, *, limits: Limits = LIMITS, name: str = "") -> None:
    """Unpack a tar (plain, gzip, bzip2, xz) or zip. `target` must be new; a single folder at the top is left out.

    Raises ArchiveRefused for whatever is not a plain file or folder inside, for too much of it, and for damage;
    nothing is left behind then. `name` is what people know the archive by.
    """
    name = name or file.name
    if target.exists() or target.is_symlink():
        raise FileExistsError(errno.EEXIST, "the folder to unpack into is there already", str(target))
    work = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        _unpack(file, work / "tree", limits, name)
        top = list((work / "tree").iterdir())
        (top[0] if len(top) == 1 and top[0].is_dir() else work / "tree").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _unpack(file: Path, root: Path, limits: Limits, name: str) -> None:
    def refusal(reason: str) -> ArchiveRefused:
        return ArchiveRefused(f"The archive {name} was refused: {reason}.")

    tree = Tree(root, limits, refusal)
    try:
        with file.open("rb") as opened:
            beginning = opened.read(tars.BLOCK)
            opened.seek(0)
            if beginning.startswith((b"PK\3\4", b"PK\5\6")):
                zips.unpack(opened, tree, limits, refusal)
                return
            stream = _decompressed(opened, beginning)
            if stream is None:
                raise refusal(f"it is {_looks_like(beginning)}, neither tar nor zip; {_remedy(beginning)}")
            with stream:
                tars.unpack(stream, tree, most=limits.size + _OVERHEAD, refusal=refusal)
    except _DAMAGED as error:
        raise refusal(f"it is damaged ({error}); download or make it anew") from None
    except MemoryError:
        raise refusal("it needs more memory than an archive of a pack should; make it anew") from None
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # what gzip and bzip2 raise for bad data, zip for a bad position
            raise refusal(f"it is damaged ({error}); download or make it anew") from None
        raise


def _decompressed(file: IO[bytes], beginning: bytes) -> IO[bytes] | None:
    if beginning.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if beginning.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if beginning.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(file)
    return file if tars.is_header(beginning) else None


def _looks_like(beginning: bytes) -> str:
    if not beginning:
        return "empty"
    return "a web page" if _is_page(beginning) else "something else"


def _remedy(beginning: bytes) -> str:
    if _is_page(beginning):
        return "give the address of the archive itself, or git+https://… for a repository"
    return "give a .tar.gz or a .zip"


def _is_page(beginning: bytes) -> bool:
    return beginning.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml"))
