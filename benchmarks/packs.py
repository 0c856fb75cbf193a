"""Packs: check and load many actions, install again with the same requirements. Beside what Python needs to start."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.installation import ROOT, Installation
from benchmarks.table import Figure, Table

REQUIREMENTS = "attune-sdk==0.5.4\nrequests==2.32.5\n"  # what packs of the ecosystem ask for


def packs(attune: Installation, table: Table, *, size: float = 1.0) -> None:
    """Everything about packs; `size` makes them smaller."""
    many, few = round(1000 * size), round(100 * size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_many(table, _pack(folder / "few", "few", actions=few), few)
        load_many(attune, table, _pack(folder / "many", "many", actions=many), many)
        install_again(attune, table, folder)


def check_many(table: Table, pack: Path, actions: int) -> None:
    """`attune pack check`, the command as it is typed, against a bare start of the same Python."""
    bare = _median(lambda: _timed(sys.executable, "-c", "pass"))
    check = _median(lambda: _timed(sys.executable, "-m", "attune.cli", "pack", "check", str(pack)))
    command = _median(lambda: _timed(sys.executable, "-m", "attune.cli", "--help"))
    table.add(Figure("client", f"pack check of {actions} actions", check, " s", most=1))
    table.add(Figure("client", f"pack check of {actions} actions, against a bare start of Python", check / bare))
    table.add(Figure("client", "attune --help", 1000 * command, " ms", most=250))


def load_many(attune: Installation, table: Table, pack: Path, actions: int) -> None:
    """A load, and one again where nothing has changed, both over the API so that no start is in it."""
    seconds = []
    for _ in range(2):
        began = time.monotonic()
        attune.call("POST", "/api/v1/packs/register", {"path": str(pack)})
        seconds.append(time.monotonic() - began)
    table.add(Figure(attune.mode, f"load {actions} actions", seconds[0], " s", most=5))
    table.add(Figure(attune.mode, "load them again, unchanged", seconds[1], " s", most=2))


def install_again(attune: Installation, table: Table, folder: Path) -> None:
    """Two packs with the same requirements: the second has its environment already."""
    seconds = []
    for ref in ("first", "second"):
        pack = _pack(folder / ref, ref, actions=1)
        (pack / "requirements.txt").write_text(REQUIREMENTS)
        began = time.monotonic()
        attune.call("POST", "/api/v1/packs/install", {"source": str(pack)})
        seconds.append(time.monotonic() - began)
    print(f"   install: {seconds[0]:.2f} s, again with the same requirements {seconds[1]:.2f} s", flush=True)
    ratio = seconds[0] / seconds[1]
    table.add(Figure(attune.mode, "install, first against one with the same requirements", ratio, least=5))


def _pack(folder: Path, ref: str, *, actions: int) -> Path:
    (folder / "actions").mkdir(parents=True)
    manifest = {"ref": ref, "label": ref.title(), "description": "Made to be measured", "version": "1.0.0"}
    (folder / "pack.yaml").write_text(yaml.safe_dump(manifest))
    (folder / "actions/act.sh").write_text("cat\n")
    for number in range(actions):
        action: dict[str, Any] = {
            "ref": f"{ref}.act{number}",
            "label": f"Act {number}",
            "description": "One of many",
            "runner_type": "shell",
            "entry_point": "act.sh",
            "parameter_delivery": "stdin",
            "parameters": {
                "name": {"type": "string", "required": True, "description": "Whom"},
                "count": {"type": "integer", "default": 1, "minimum": 0},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
        }
        (folder / f"actions/act{number}.yaml").write_text(yaml.safe_dump(action))
    return folder


def _timed(*command: str) -> float:
    began = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.monotonic() - began


def _median(measure: Any) -> float:
    return statistics.median(measure() for _ in range(5))
