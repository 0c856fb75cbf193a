"""How much processor time an installation has used: its processes, what they started, and their database's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks.installation import Installation
from benchmarks.memory import tree

_TICKS = os.sysconf("SC_CLK_TCK")


class Running(Protocol):
    """What has processes of its own."""

    processes: list[subprocess.Popen[str]]


def spent(attune: Running, work: Callable[[], object]) -> float:
    """Seconds that the work cost, all inclusive. What a connection cost that ended meanwhile is lost."""
    before = _used(attune)
    work()
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in _used(attune).items())


def _used(attune: Running) -> dict[int, float]:
    """Seconds so far of each process, those of programs that ended and were waited for included."""
    processes = {pid for process in attune.processes for pid in tree(process.pid)}
    if isinstance(attune, Installation) and attune.mode == "server":
        rows = attune.query("select pid from pg_stat_activity where datname = current_database()")
        processes |= {row[0] for row in rows}
    return {pid: _seconds(pid) for pid in processes}


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICKS
