"""Get an index from where it is: a file on the server, or a web server, which is asked only for what is new."""

from __future__ import annotations

import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.packs.registry import addresses
from apps.packs.registry.documents import MAX_BYTES, parse
from apps.packs.registry.errors import IndexUnreadable

PATIENCE = 10.0  # seconds until an index is given up


@dataclass(frozen=True)
class Fetched:
    """What an index says, None where it is what it was at the time of that ETag."""

    document: dict[str, Any] | None
    etag: str = ""


def fetch(where: str, headers: Mapping[str, str], *, etag: str = "") -> Fetched:
    """Read the index at an address or in a file. Raises FetchFailed, SourceInvalid or IndexUnreadable.

    Its own host may be a private one, for an administrator has named it; where it redirects to may not.
    """
    return _from_file(where, etag) if addresses.is_file(where) else _from_web(where, headers, etag)


def _from_web(url: str, headers: Mapping[str, str], etag: str) -> Fetched:
    from apps.packs.sources.downloads import download  # an HTTP client is megabytes, and few processes ever need it

    given = {"Accept": "application/json", **headers, **({"If-None-Match": etag} if etag else {})}
    with tempfile.TemporaryDirectory(prefix="attune-index-") as folder:
        file = Path(folder) / "index.json"
        answer = download(
            url,
            file,
            say=_silently,
            deadline=time.monotonic() + PATIENCE,
            trusted_hosts=frozenset({addresses.host_and_port(url)}),
            headers=given,
            limit=MAX_BYTES,
        )
        if not answer.is_new:
            return Fetched(None, etag)
        return Fetched(parse(file.read_bytes(), where=url), answer.etag)


def _from_file(path: str, etag: str) -> Fetched:
    """A plain file: whatever else has a name, such as a pipe, could keep us waiting for ever."""
    file = Path(path)
    try:
        facts = file.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise IndexUnreadable(f"{path} is not a plain file; name the file that holds the index.")
        found = f"{facts.st_ino}-{facts.st_size}-{facts.st_mtime_ns}"
        if found == etag:
            return Fetched(None, etag)
        with file.open("rb") as opened:
            return Fetched(parse(opened.read(MAX_BYTES + 1), where=path), found)
    except OSError as error:
        raise IndexUnreadable(f"{path} cannot be read: {error.strerror}; check the path.") from None


def _silently(line: str) -> None:
    """Nobody watches an index being read."""
