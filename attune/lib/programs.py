"""Programs that are started by a launcher: a process of its own that is their parent and survives ours.

What the launcher does is said in `launcher.py`. Here is our end of its socket. It is started when first needed; if it
dies, its programs are lost to us, and another one is started for the next.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from attune.lib.confining.account import Account
from attune.lib.launcher import HEADER, clock

PROGRAM = str(Path(__file__).with_name("launcher.py"))


class Program:
    """One program under the launcher. Its outputs and `status` are file descriptors for us to read, and to close."""

    def __init__(
        self, launcher: Launcher, name: str, path: str, marker: str, stdout: int, stderr: int, status: int
    ) -> None:
        self._launcher, self.name, self.path, self.marker = launcher, name, path, marker
        self.stdout, self.stderr, self.status = stdout, stderr, status
        self.returncode: int | None = None
        self.is_lost = False  # the launcher took us for dead and writes down how it ended
        self.is_orphan = False  # the launcher itself is gone, and nobody writes that down
        self.is_signalled = False  # by us: then its end was not its own
        self.is_unstarted = False  # it was not ours to start any more
        self._told = b""

    def listen(self) -> bool:
        """Read what the launcher says of it; True when it is over or lost. Raises OSError if it never started."""
        data = os.read(self.status, 1024)
        if not data:
            self.is_lost = self.is_orphan = True
        self._told += data
        *lines, self._told = self._told.split(b"\n")
        for line in lines:
            if line[:1] == b"x":
                self.returncode = int(line[1:])
            elif line[:1] == b"e":
                self.returncode = -1
                raise OSError(int(line[1:]), os.strerror(int(line[1:])), self.path)
            else:
                self.is_lost, self.is_unstarted = True, line[:1] == b"n"
        return self.is_lost or self.returncode is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, if it is not over."""
        self.is_signalled = True
        self._launcher.send({"do": "signal", "run": self.name, "number": int(number)})

    def is_ours(self) -> bool:
        """Whether its end may be written down by us: until now nobody took us for dead."""
        os.set_blocking(self.status, False)
        with contextlib.suppress(BlockingIOError):
            self.listen()
        return not self.is_lost

    def forget(self) -> None:
        """Its end is written down, by us or by others: nobody reads of it any more."""
        for fd in (self.stdout, self.stderr, self.status):
            os.close(fd)
        if not self.is_lost:
            self._launcher.send({"do": "done", "run": self.name})


class Launcher:
    """Our end of the launcher."""

    def __init__(self) -> None:
        self._spool = Path(tempfile.gettempdir()) / f"attune-{os.getpid()}"  # for who starts nothing that is kept
        self.plan: Mapping[str, Any] = {}  # what it does to itself first; see `confining/oneself.py`
        self.owner: Account | None = None  # whose the outputs of programs are, if not ours
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._owner = 0
        self._guarded: dict[int, str] = {}
        self._lease_until = 0.0

    @property
    def spool(self) -> Path:
        """The folder for what the launcher has to write down when we are gone. Set it before anything runs."""
        return self._spool

    @spool.setter
    def spool(self, folder: Path) -> None:
        with self._lock:
            self._spool = folder
            if self._socket is not None:  # the launcher there is has another one, and ends
                self._socket.close()
                self._socket = None

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: IO[Any] | None,
        marker: str,
        since: float,
        keep: Mapping[str, Any],
        warm: Mapping[str, Any] | None = None,
        sandboxed: bool = False,
    ) -> Program:
        """Start a program in a session of its own with just this environment.

        `marker` is a `NAME=value` that stands in its environment and nobody else's, `keep` what the spool shall say of
        it, `since` when (by `launcher.clock`) it was found to be ours to start. Whether it could be started is told by
        `Program.listen`. `warm`, if it is a Python script that may be forked from a warm Python: interpreter and
        script (`argv`, if the command is another), what makes the interpreter another user's (`before`), its variables
        (`env`), the seconds after which one that nobody needs is ended (`idle`), and the limits that the run has of its
        own (`limits`). `sandboxed`: the command is a sandbox in which the program runs.
        """
        ours: list[int] = []
        theirs: list[int] = []
        nothing = os.open(os.devnull, os.O_RDONLY) if stdin is None else None
        try:
            for _ in ("stdout", "stderr", "status"):
                reading, writing = os.pipe()
                ours.append(reading)
                theirs.append(writing)
            if self.owner is not None:
                for fd in theirs[:2]:
                    self.owner.take(fd)  # else it could not open /dev/stderr
            given = stdin.fileno() if stdin is not None else nothing
            self.send(
                {
                    "do": "start",
                    "run": name,
                    "since": since,
                    "argv": list(argv),
                    "cwd": str(cwd),
                    "env": dict(env),
                    "keep": {**keep, "marker": marker},
                    **({"warm": dict(warm)} if warm else {}),
                    **({"sandboxed": True} if sandboxed else {}),
                },
                [given, theirs[0], theirs[1], ours[0], ours[1], theirs[2]],  # type: ignore[list-item]
            )
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
            if nothing is not None:
                os.close(nothing)
        return Program(self, name, argv[0], marker, *ours)

    def lease(self, seconds: float | None) -> None:
        """We are known to be alive for so long; what we started is ended when nothing is heard of us until then.

        None: no longer watch over us.
        """
        self._lease_until = clock() + (seconds or 0.0)
        if self._socket is not None and self._owner == os.getpid():
            self.send({"do": "lease", "seconds": seconds})

    def guard(self, pid: int, marker: str = "") -> None:
        """A group that we started ourselves: it is killed when we are gone, or our lease is over."""
        self._guarded[pid] = marker
        self.send({"do": "guard", "pid": pid, "marker": marker})

    def release(self, pid: int) -> None:
        """That group is over."""
        if self._guarded.pop(pid, None) is not None:
            self.send({"do": "release", "pid": pid})

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        data = json.dumps(message).encode("utf-8", "surrogateescape")
        with self._lock:
            if self._socket is None or self._owner != os.getpid():
                self._begin()
            try:
                self._send(data, fds)
            except OSError:  # it is gone: what it ran is lost, what comes is another one's
                self._begin()
                self._send(data, fds)

    def _send(self, data: bytes, fds: Sequence[int]) -> None:
        ancillary: list[Any] = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        parts = HEADER.pack(len(data), len(fds)) + data
        sent = self._socket.sendmsg([parts], ancillary)  # type: ignore[union-attr]
        if sent < len(parts):
            self._socket.sendall(memoryview(parts)[sent:])  # type: ignore[union-attr]

    def _begin(self) -> None:
        """Start a launcher, and tell it what the one before knew."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        ours, its = socket.socketpair()
        with its:
            subprocess.Popen(
                [sys.executable, "-I", "-S", PROGRAM, str(self._spool), json.dumps(self.plan)],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={},
            )
        self._socket, self._owner = ours, os.getpid()
        for pid, marker in self._guarded.items():
            self._send(json.dumps({"do": "guard", "pid": pid, "marker": marker}).encode(), ())
        left = self._lease_until - clock()
        if left > 0:
            self._send(json.dumps({"do": "lease", "seconds": left}).encode(), ())


launcher = Launcher()
