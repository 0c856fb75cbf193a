"""Start other people's programs in groups of their own, and end every one of them for certain.

Each program gets a session of its own, so that a signal reaches all it started. The launcher that stands beside each
process of ours (`programs.py`) guards the group: when we die, however suddenly, it kills what we left running.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from attune.lib.launcher import kill_marked
from attune.lib.programs import launcher

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin"


def open_private(path: Path, *, exclusive: bool = False) -> IO[str]:
    """Open a text file for writing that only we may read (0600). FileExistsError if `exclusive` and it is there."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if exclusive else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, 0o600), "w")


def document(content: bytes) -> IO[bytes]:
    """A nameless file at its beginning, to be a program's stdin: never blocks us, never touches the disk on Linux."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("attune", os.MFD_CLOEXEC), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    file.write(content)
    file.seek(0)
    return file


def start(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.PIPE,
    stderr: int | IO[Any] = subprocess.PIPE,
    marker: str = "",
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own with just this environment, under the launcher's eye.

    `marker` is a `NAME=value` that stands in its environment and nobody else's. Raises OSError as `subprocess.Popen`
    does. The caller says `release(process.pid)` when the group is over.
    """
    process = subprocess.Popen(
        list(argv), cwd=cwd, env=dict(env), stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True, bufsize=0
    )
    launcher.guard(process.pid, marker)
    return process


def release(pid: int) -> None:
    """The group is over; the launcher may forget it."""
    launcher.release(pid)


def signal_group(pid: int, number: signal.Signals) -> bool:
    """Send a signal to a whole group; False if nobody is left in it."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_group(process: subprocess.Popen[bytes], *, grace: float, marker: str = "") -> None:
    """End a program and all it started: TERM, `grace` seconds, KILL to the group, then whoever carries the marker."""
    signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    signal_group(process.pid, signal.SIGKILL)
    process.wait()
    kill_marked([marker])
