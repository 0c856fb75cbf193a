"""Whether a pack's folder is a git checkout that others can have from the same repository, at the same commit."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from apps.packs.registry.addresses import source_address
from apps.packs.registry.documents import GIT, InstallSource
from apps.packs.sources import fetching
from apps.packs.sources.spec import Source
from attune.lib.errors import AttuneError

PATIENCE = 60.0  # seconds
_HTTPS_ONLY = "https://"


def source_of(folder: Path, checksum: str, room: Path) -> InstallSource | None:
    """The checkout's commit as a source; None where its files are not those of the folder, or nobody can reach it.

    The commit is taken out of the repository anew, so nothing of what the folder's git would run is run. That it has
    been pushed cannot be seen from here.
    """
    origin = _origin(folder / ".git" / "config")
    if not origin:
        return None
    source = Source("git", str(folder.resolve()), text=f"git+{folder}")
    try:
        found = fetching.fetch(
            source, room / "commit", say=_silently, deadline=time.monotonic() + PATIENCE, allow_local=True
        )
    except AttuneError:  # no commit yet, another's repository, no git here, what no pack may hold
        return None
    return InstallSource(GIT, origin, checksum, found.git_commit) if found.tree == checksum else None


def _origin(config: Path) -> str:
    """Where the checkout came from, if that is an address an index may name."""
    if not config.is_file():
        return ""
    command = ["git", "config", "--file", str(config), "--get", "remote.origin.url"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        url = source_address(answer.stdout.strip(), _HTTPS_ONLY, beside=False)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return ""
    return url


def _silently(line: str) -> None:
    """Nobody watches the commit being taken out."""
