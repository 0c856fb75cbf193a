"""The two checksums of a pack: of its files, whatever way they came, and of the bytes of an archive."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from apps.packs.errors import ChecksumMismatch, SourceInvalid

_MARK = b"attune-pack-file-v1"
_WRITTEN = re.compile(r"(sha256:)?([0-9a-f]{64})\Z", re.IGNORECASE)
_CHUNK = 1 << 20


def tree_checksum(folder: Path) -> str:
    """`sha256:…` over every file of a folder but `.git`, in the order of their whole paths.

    Modes, times and empty folders do not count. A link or a special file is an error.
    """
    whole = hashlib.sha256()
    for name, path in sorted(_files(folder, "")):
        try:
            spelled = name.encode()
        except UnicodeEncodeError:
            raise SourceInvalid(f"The name {name!r} in {folder} is not UTF-8; rename the file.") from None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            whole.update(_MARK + len(spelled).to_bytes(8, "big") + spelled + length.to_bytes(8, "big"))
            read = 0
            while chunk := file.read(_CHUNK):
                whole.update(chunk)
                read += len(chunk)
        if read != length:
            raise SourceInvalid(f"{name} in {folder} is being written to; try again when that is over.")
    return f"sha256:{whole.hexdigest()}"


def file_checksum(path: Path) -> str:
    """`sha256:…` over the bytes of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def normal(checksum: str) -> str:
    """A checksum as it is written here, or empty; the 64 digits may stand alone. SourceInvalid for any other kind."""
    checksum = checksum.strip()
    if not checksum:
        return ""
    written = _WRITTEN.match(checksum)
    if not written:
        raise SourceInvalid(f"{checksum[:100]!r} is no checksum that can be verified; write sha256: and 64 hex digits.")
    return f"sha256:{written[2].lower()}"


def verify(found: str, expected: str, what: str) -> None:
    """Raises ChecksumMismatch where something was promised and something else came."""
    promised = normal(expected)
    if promised and found != promised:
        raise ChecksumMismatch(
            f"What came from {what} is not what was promised: its checksum is {found}, and should be {promised}. "
            "Do not use it; ask its author, or whoever keeps the index, which of the two is right.",
            details={"found": found, "expected": promised},
        )


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as found:
        for entry in found:
            name, mode = prefix + entry.name, entry.stat(follow_symlinks=False).st_mode
            if entry.name == ".git":
                continue
            if stat.S_ISDIR(mode):
                yield from _files(Path(entry.path), f"{name}/")
            elif stat.S_ISREG(mode):
                yield name, Path(entry.path)
            else:
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
                raise SourceInvalid(f"{name} in {folder} is {kind}; a pack holds plain files and folders only.")
