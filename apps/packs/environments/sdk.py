"""The compatibility hook for attune-sdk: put into environments that have the SDK, unless it is switched off.

Its source, `attune-sdk-compatibility.py` beside this file, has a name that nobody can import: it is never part of the
server, only copied. The `.pth` file has the interpreter import the copy when it starts.
"""

from __future__ import annotations

from pathlib import Path

from apps.packs.buildlogs import Log
from apps.packs.environments.virtualenvs import site_packages

_SOURCE = Path(__file__).with_name("attune-sdk-compatibility.py")
_MODULE = "_attune_sdk_compatibility"


def place(target: Path, log: Log, *, wanted: bool) -> None:
    """Put it into an environment that was just built, if that has the SDK in it."""
    if not _has_sdk(target):
        return
    if not wanted:
        log.write("attune-sdk is left as it is: its compatibility hook is switched off.")
        return
    refresh(target)
    log.write("attune-sdk accepts the calls of its other releases, by Attune's compatibility hook.")


def refresh(target: Path) -> None:
    """The same for one that was built before, perhaps by an Attune with an older hook."""
    if _has_sdk(target):
        _write(site_packages(target) / f"{_MODULE}.py", _SOURCE.read_bytes())
        _write(site_packages(target) / f"{_MODULE}.pth", f"import {_MODULE}\n".encode())


def _has_sdk(target: Path) -> bool:
    return any(site_packages(target).glob("attune_sdk-*.dist-info"))


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(content)
        new.replace(path)
