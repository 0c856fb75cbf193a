"""Pack a folder for the journey: a tar.gz that is the same bytes for the same files, with plain files only."""

from __future__ import annotations

import gzip
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from attune.cli.errors import CommandError, Misused

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip", ".tar.bz2", ".tar.xz")
MANIFEST = "pack.yaml"
_SKIPPED = {"__pycache__", "node_modules"}  # and every folder that begins with a dot, as the server's loader has it


def is_here(source: str) -> bool:
    """Whether a source means something on this machine: a path, or a file that is an archive."""
    if source.startswith((".", "/", "~")):
        return True
    return source.endswith(ARCHIVES) and "://" not in source and Path(source).is_file()


def is_folder(source: str) -> bool:
    """Whether a name that is none of a path would be one with `./` before it."""
    return "://" not in source and Path(source).is_dir()


def opened(source: str) -> tuple[str, IO[bytes]]:
    """The archive to send for a folder or an archive on this machine, and its name. Raises: CommandError."""
    path = Path(source).expanduser().resolve()
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise Misused(f"{path} is no pack: {MANIFEST} is not in it.", hint="Make one: attune pack create NAME")
        return f"{path.name}.tar.gz", _packed(path)
    try:
        return path.name, path.open("rb")
    except OSError as error:
        raise Misused(f"{path} cannot be read: {error.strerror}.") from None


def _packed(folder: Path) -> IO[bytes]:
    """A temporary file with everything in the folder."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  (whoever sends it closes it)
    try:
        with (
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in _files(folder):
                _add(archive, folder, path)
    except OSError as error:
        file.close()
        raise CommandError(f"{error.filename or folder} cannot be read: {error.strerror}.") from None
    return file


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            if not path.name.startswith(".") and path.name not in _SKIPPED:
                yield from _files(path)
        elif stat.S_ISREG(mode):
            yield path
        else:
            kind = "a link" if stat.S_ISLNK(mode) else "no plain file"
            raise CommandError(f"{path} is {kind}; a pack holds plain files and folders only. Take it out, or copy it.")


def _add(archive: tarfile.TarFile, folder: Path, path: Path) -> None:
    """Without what belongs to this machine: owner, moment, and mode but for "can be run"."""
    with path.open("rb") as content:
        about = path.stat()
        member = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
        member.size = about.st_size
        member.mode = 0o755 if about.st_mode & stat.S_IXUSR else 0o644
        archive.addfile(member, content)
