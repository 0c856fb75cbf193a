"""What a pack's own files ask for, as bytes to hash: requirements.txt with what it includes, package.json and lock."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from apps.packs.errors import EnvironmentBroken

REQUIREMENTS = "requirements.txt"
_INCLUDE = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]\s*(\S+)", re.MULTILINE)
_EDITABLE = re.compile(r"^\s*(?:-e|--editable)[ =]\s*", re.MULTILINE)
_NAMED = re.compile(r"^[\w.-]+(?:\[[^]]*\])?\s*@\s*")
_MOST_FILES = 2000  # that a folder in requirements.txt is looked through


def requirements(folder: Path) -> bytes:
    """All that requirements.txt depends on; empty where it asks for nothing."""
    main = _read(folder / REQUIREMENTS)
    if not any(line.split("#")[0].strip() for line in main.decode(errors="replace").splitlines()):
        return b""
    return b"\0".join(_with_included(folder, folder / REQUIREMENTS, seen=set()))


def _with_included(folder: Path, path: Path, *, seen: set[Path]) -> Iterator[bytes]:
    """This file, and what it includes or names of the pack's own files: the same lines may then mean something else."""
    if path in seen or len(seen) > 50:
        return
    seen.add(path)
    content = _read(path)
    yield content
    text = content.decode(errors="replace")
    for name in _INCLUDE.findall(text):
        yield from _with_included(folder, path.parent / name, seen=seen)
    for line in text.splitlines():
        if name := _path_in(line):
            yield from _local(folder / name)
    if _EDITABLE.search(text):
        yield str(folder).encode()  # it will point to this very folder


def _path_in(line: str) -> str:
    """The file or folder that a line of requirements names; empty where it names a package or an address."""
    wanted = _NAMED.sub("", _EDITABLE.sub("", line.split(" #")[0].strip())).split(";")[0].split("[")[0].strip()
    is_path = wanted.startswith((".", "/", "file:")) or ("/" in wanted and "://" not in wanted)
    return wanted.removeprefix("file:").removeprefix("//") if is_path and not wanted.startswith("-") else ""


def _local(path: Path) -> Iterator[bytes]:
    with contextlib.suppress(OSError, ValueError):
        files = [path] if path.is_file() else sorted(path.rglob("*"))[:_MOST_FILES] if path.is_dir() else []
        for file in files:
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as opened:
                    yield hashlib.file_digest(opened, "sha256").digest()


def node_files(folder: Path) -> dict[str, bytes]:
    """package.json and its lock by name; none where it asks for nothing. EnvironmentBroken if it is not JSON."""
    manifest = _read(folder / "package.json")
    try:
        data = json.loads(manifest or b"{}")
    except ValueError as error:
        raise EnvironmentBroken(f"{folder / 'package.json'} is not JSON: {error}") from None
    if not isinstance(data, dict) or not (data.get("dependencies") or data.get("optionalDependencies")):
        return {}
    locks = {name: _read(folder / name) for name in ("package-lock.json", "npm-shrinkwrap.json")}
    return {"package.json": manifest} | {name: content for name, content in locks.items() if content}


def _read(path: Path) -> bytes:
    """The content of a plain file; empty where there is none, and for a link, which a pack may not have."""
    with contextlib.suppress(OSError, ValueError):
        if not path.is_symlink():
            return path.read_bytes()
    return b""
