"""What launchers of this host wrote down for workers that were killed or frozen: a folder for each worker.

The format is the launcher's (`attune/lib/launcher.py`): `<run>.json`, `<run>.stdout`, `<run>.stderr`, and a lock that
it holds as long as it lives.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings


def folder_of(worker: str) -> Path:
    """The spool folder of a worker's launcher."""
    return settings.ATTUNE_DATA_DIR / "spool" / worker


def is_held(worker: str) -> bool:
    """Whether that worker's launcher still lives, and so perhaps what it runs."""
    try:
        with (folder_of(worker) / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@dataclass(frozen=True)
class Record:
    """How one run ended. `killed`: by the launcher, since its worker's lease was over; then it has no result."""

    file: Path
    execution: int
    attempt: int
    returncode: int
    killed: bool
    ended_at: float  # seconds since 1970

    def rest(self, stream: str) -> bytes:
        """What it printed and its worker had not read."""
        with suppress(FileNotFoundError):
            return self.file.with_suffix(f".{stream}").read_bytes()
        return b""

    def remove(self) -> None:
        """Everything that is known of it is in the database now."""
        for suffix in (".stdout", ".stderr", ".json"):
            self.file.with_suffix(suffix).unlink(missing_ok=True)
        with suppress(OSError):
            self.file.parent.rmdir()


def records() -> Iterator[Record]:
    """All that is to be read, oldest runs first. Folders of launchers that are gone, and left nothing, are removed."""
    root = settings.ATTUNE_DATA_DIR / "spool"
    for folder in sorted(root.iterdir()) if root.exists() else ():
        for file in sorted(folder.glob("*.json")):
            with suppress(FileNotFoundError):
                kept = json.loads(file.read_text())
                yield Record(
                    file, kept["execution"], kept["attempt"], kept["returncode"], kept["killed"], kept["ended_at"]
                )
        if _is_old(folder / "lock") and not is_held(folder.name):
            (folder / "lock").unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()


def _is_old(lock: Path) -> bool:
    """Whether it was made some time ago: a launcher that has just begun may not hold its lock yet."""
    with suppress(FileNotFoundError):
        return time.time() - lock.stat().st_mtime > 60
    return True
