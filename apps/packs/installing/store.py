"""The folders of installed versions, `<data>/packs/<ref>/<version>-<digest>`: put there whole, and never changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

# Below the versions' folder, so that a finished one is moved into place by a rename.
STAGING = ".staging"
UPLOADS = ".uploads"  # files that were sent
DOWNLOADS = ".downloads"  # packs that were brought, but not installed


def staging(name: str) -> Path:
    """A new, empty folder to bring a pack together in; what an earlier try left there goes."""
    folder = settings.ATTUNE_VERSIONS_DIR / STAGING / name
    discard(folder)
    folder.mkdir(parents=True)
    return folder


def place(brought: Path, *, ref: str, version: str, digest: str) -> Path:
    """Move a pack that was brought together to its final place, made read-only; the place, absolute.

    `digest` is its tree checksum, which makes the place unique: what is there already is the same, whole.
    """
    target = settings.ATTUNE_VERSIONS_DIR / ref / f"{version}-{digest.removeprefix('sha256:')[:12]}"
    target = target.resolve()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    _set_writable(brought, False)
    with contextlib.suppress(FileExistsError):
        try:
            brought.chmod(0o755)  # to be renamed, a folder must be writable on some systems
            os.rename(brought, target)  # noqa: PTH104
        except OSError:
            if not target.is_dir():  # somebody else was quicker with the same
                raise
    target.chmod(0o555)
    return target


def discard(folder: Path) -> None:
    """Remove a folder, a read-only one too, or a file; nothing happens if it is not there."""
    if folder.is_file():
        folder.unlink(missing_ok=True)
    elif folder.is_dir() and not folder.is_symlink():
        _set_writable(folder, True)
        shutil.rmtree(folder, ignore_errors=True)


def places() -> Iterator[Path]:
    """Every version's folder there is."""
    root = settings.ATTUNE_VERSIONS_DIR.resolve()
    if root.is_dir():
        for pack in root.iterdir():
            if pack.is_dir() and not pack.name.startswith("."):
                yield from (version for version in pack.iterdir() if version.is_dir())


def leftovers() -> Iterator[Path]:
    """What packs are or were brought together from: staging folders, files that were sent, downloads."""
    for name in (STAGING, UPLOADS, DOWNLOADS):
        root = settings.ATTUNE_VERSIONS_DIR / name
        if root.is_dir():
            yield from root.iterdir()


def is_stored(path: str | Path) -> bool:
    """Whether this is a version's folder rather than one that somebody edits."""
    return Path(path).is_relative_to(settings.ATTUNE_VERSIONS_DIR.resolve())


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file() and not entry.is_symlink())


def _set_writable(folder: Path, writable: bool) -> None:
    for path, _, files in os.walk(folder):
        for name in files:
            file = Path(path, name)
            mode = stat.S_IMODE(file.lstat().st_mode)
            if not file.is_symlink():
                file.chmod(mode | stat.S_IWUSR if writable else mode & ~0o222)
        Path(path).chmod(0o755 if writable else 0o555)
