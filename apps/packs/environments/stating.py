"""Which versions of Python and Node.js a pack's files ask for, and which of them says so."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from apps.packs.environments.wanting import Wanted
from attune.lib.yamlfiles import MAX_BYTES, InvalidYaml, parse

PYTHON, NODEJS = "python", "nodejs"
_KINDS = {"python": PYTHON, "python3": PYTHON, "nodejs": NODEJS, "node": NODEJS, "javascript": NODEJS}
_FOLDERS = {"actions": "shell", "sensors": "python"}  # with the runner of a component that names none
# Most files say it in one plain line each, which is found a hundred times faster than by reading all of the YAML.
_PLAIN = re.compile(
    r"""^(ref|name|runner_type|runtime_version):[ \t]*("[^"\\\n]*"|'[^'\n]*'|[^\s"'#{\[&*!|>%@`][^\n#]*?)[ \t]*$""",
    re.M,
)
_MENTIONED = re.compile(r"^[ \t{,]*[\"']?(runner_type|runtime_version)\b", re.M)


@dataclass(frozen=True)
class Need:
    """A version that is asked for."""

    kind: str
    constraint: str
    stated_by: str


def needs(wanted: Wanted, kind: str) -> list[Need]:
    """Every constraint on the version of Python or Node.js, the caller's own first."""
    own = wanted.python_version if kind == PYTHON else wanted.nodejs_version
    asked = [Need(kind, own, f"the request to build {wanted.ref}")] if own else []
    stated = _known(wanted.folder, wanted.digest) if wanted.digest else _stated(wanted.folder)
    return asked + [need for need in stated if need.kind == kind]


@lru_cache(maxsize=256)
def _known(folder: Path, _digest: str) -> tuple[Need, ...]:
    return _stated(folder)


def _stated(folder: Path) -> tuple[Need, ...]:
    found = [*_by_manifest(folder), *(need for name in _FOLDERS for need in _by_components(folder / name))]
    first: dict[tuple[str, str], Need] = {}
    for need in found:
        first.setdefault((need.kind, need.constraint), need)
    return tuple(first.values())


def _by_manifest(folder: Path) -> Iterator[Need]:
    dependencies = _data(_text(folder / "pack.yaml")).get("dependencies")
    for kind in (PYTHON, NODEJS):
        wanted = dependencies.get(f"{kind}_version") if isinstance(dependencies, dict) else None
        if isinstance(wanted, str) and wanted.strip():
            yield Need(kind, wanted.strip(), f"pack.yaml (dependencies.{kind}_version)")


def _by_components(folder: Path) -> Iterator[Need]:
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        text = _text(path)
        if "runtime_version" not in text:
            continue
        said = _plain(text) or _data(text)
        kind = _KINDS.get(str(said.get("runner_type") or _FOLDERS[folder.name]).strip())
        version = said.get("runtime_version")
        if kind and isinstance(version, str) and version.strip():
            ref = said.get("ref") or said.get("name")
            yield Need(kind, version.strip(), ref if isinstance(ref, str) else f"{folder.name}/{path.name}")


def _plain(text: str) -> dict[str, str]:
    """The fields of a file that has them as plain lines; empty where it must be read as YAML."""
    found = {name: value.strip("\"'") for name, value in _PLAIN.findall(text)}
    return found if all(name in found for name in _MENTIONED.findall(text)) else {}


def _data(text: str) -> dict[str, Any]:
    with contextlib.suppress(InvalidYaml):
        data = parse(text).data
        return data if isinstance(data, dict) else {}
    return {}


def _text(path: Path) -> str:
    """The text of a plain file; empty where it cannot be read, as a load of the pack reports."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if not path.is_symlink() and path.stat().st_size <= MAX_BYTES:
            return path.read_text("utf-8")
    return ""
