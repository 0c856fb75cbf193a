"""Make an archive of a pack's folder: the same files give the same bytes, wherever and whenever it is made."""

from __future__ import annotations

import gzip
import stat
import tarfile
from pathlib import Path

_LEVEL = 9


def write_archive(folder: Path, file: Path, *, root: str) -> None:
    """Write a new tar.gz of all files in a folder that nobody else writes to, below one folder `root`."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    with (
        file.open("xb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=_LEVEL, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in names:
            member, facts = tarfile.TarInfo(f"{root}/{name}"), (folder / name).stat()  # nobody's, of 1970
            member.size, member.mode = facts.st_size, 0o755 if facts.st_mode & stat.S_IXUSR else 0o644
            with (folder / name).open("rb") as content:
                archive.addfile(member, content)
