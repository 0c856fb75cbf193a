"""Limits of a program: how much processor, memory, files and processes it may use, each process of it. Pure.

Linux counts memory as what a process may write to and shares with nobody (RLIMIT_DATA): interpreters that merely
reserve addresses, as Node.js and Java do, are not hurt.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NEVER = 2**31 - 1
LAST_SECONDS = 5  # of processor time after SIGXCPU, then it is killed


@dataclass(frozen=True)
class Kind:
    """One limit: the system's number for it, its unit, `prlimit`'s option, what it is called, and how it shows."""

    number: int
    unit: int
    option: str
    words: str  # with the limit in it
    signals: tuple[signal.Signals, ...] = ()
    traces: tuple[str, ...] = ()  # in what a program says that hit it


KINDS: dict[str, Kind] = {
    "cpu_seconds": Kind(
        resource.RLIMIT_CPU, 1, "cpu", "{} s of processor time", (signal.SIGXCPU,), ("CPU time limit exceeded",)
    ),
    "memory_mb": Kind(
        resource.RLIMIT_DATA,
        1024 * 1024,
        "data",
        "{} MB of memory",
        traces=("MemoryError", "Cannot allocate memory", "cannot allocate", "out of memory", "ENOMEM", "bad_alloc"),
    ),
    "open_files": Kind(resource.RLIMIT_NOFILE, 1, "nofile", "{} open files", traces=("Too many open files", "EMFILE")),
    "processes": Kind(
        resource.RLIMIT_NPROC,
        1,
        "nproc",
        "{} processes",
        traces=("Resource temporarily unavailable", "can't start new thread", "EAGAIN", "Cannot fork"),
    ),
    "file_size_mb": Kind(
        resource.RLIMIT_FSIZE,
        1024 * 1024,
        "fsize",
        "{} MB in one file",
        (signal.SIGXFSZ,),
        ("File too large", "EFBIG", "File size limit exceeded"),
    ),
}

Limits = Mapping[str, int]  # by the names above; 0 or absent: none


def fault_of(given: Mapping[Any, Any]) -> dict[str, str]:
    """What is wrong with each of these limits, and the remedy; empty when they are sound."""
    faults = {}
    for name, value in given.items():
        if name not in KINDS:
            faults[str(name)] = f"{name!r} is no limit; there are {', '.join(KINDS)}"
        elif not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= NEVER // 1024:
            faults[name] = f"`{name}` must be a whole number of at least 1, not {value!r}; leave it out for no limit"
    return faults


def stricter(limits: Limits, own: Limits) -> dict[str, int]:
    """Of each limit the smaller one."""
    return {
        name: min(given) for name in KINDS if (given := [each[name] for each in (limits, own) if each.get(name, 0) > 0])
    }


def bounds(limits: Limits) -> list[tuple[int, int, int]]:
    """As the system wants them: its number, the soft bound, the hard one."""
    return [
        (
            kind.number,
            limits[name] * kind.unit,
            limits[name] * kind.unit + (LAST_SECONDS if kind.option == "cpu" else 0),
        )
        for name, kind in KINDS.items()
        if limits.get(name, 0) > 0
    ]


def command(prlimit: str, limits: Limits) -> list[str]:
    """What stands before a command line, so that it runs below these limits; nothing where there are none."""
    options = {kind.number: kind.option for kind in KINDS.values()}
    wanted = [f"--{options[number]}={soft}:{hard}" for number, soft, hard in bounds(limits)]
    return [prlimit, *wanted, "--"] if wanted else []


def hit(limits: Limits, *, exit_code: int, said: Sequence[str]) -> str:
    """Which limit a failed program has hit, as a sentence; empty if none shows in its exit code and last words."""
    for name, kind in KINDS.items():
        if limits.get(name, 0) > 0 and exit_code in [128 + number for number in kind.signals]:
            return f"It hit its limit of {kind.words.format(limits[name])} (`{name}`)."
    for name, kind in KINDS.items():
        if limits.get(name, 0) > 0 and any(trace in line for trace in kind.traces for line in said):
            return f"It seems to have hit its limit of {kind.words.format(limits[name])} (`{name}`)."
    return ""


def hold() -> bool:
    """Whether this system can put one program below limits of its own."""
    return sys.platform == "linux"
