"""Watch over one running program: drain what it prints, keep its time, end it when asked, never be held up by it."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from attune.lib.launcher import kill_marked
from attune.lib.programs import Program

CHUNK = 64 * 1024  # bytes of one read
CHECK = 1.0  # seconds between two looks whether the run is still wanted
DRAIN = 4 * 1024 * 1024  # bytes read at most after the program has ended, from what others still write into its pipes
LIVE_AFTER = 0.5  # seconds
PLENTY = 16 * 1024  # bytes in a pipe that are read at once
HURRY = 3.0  # seconds of grace at most when we are stopped ourselves

Ended = Literal["", "timeout", "cancel", "stop"]


@dataclass(frozen=True)
class End:
    """How it ended: Python's return code, and whether we ended it, and why."""

    returncode: int
    ended_by: Ended


class Lost(Exception):
    """How the program ended is not ours to say. `is_untold`: nor is anybody else going to; `is_unstarted`: it did not
    even begin.
    """

    def __init__(self, program: Program) -> None:
        self.is_unstarted = program.is_unstarted
        self.is_untold = program.is_orphan
        super().__init__("its launcher died" if self.is_untold else "it was taken for dead")


def watch(
    program: Program,
    *,
    take: Callable[[str, bytes], None],
    timeout: float,
    grace: float,
    ask: Callable[[], Ended],
    go_live: Callable[[], None],
) -> End:
    """Stay with a program until it and its whole group are gone.

    `take(stream, data)` gets its output: at the end, or from the moment on when it has run so long that somebody may be
    watching, or printed plenty. Until then it stays in the pipe, where the launcher finds it if we die; `go_live()` is
    called at that moment. `ask()` is called every second and says "" or why to end it; at `timeout` seconds it is ended
    too: TERM to the group, `grace` seconds, KILL. The program's own end counts, not the end of its pipes: a background
    child that holds them is killed with the group. Raises OSError if it could not be started, Lost.
    """
    outputs = {program.stdout: "stdout", program.stderr: "stderr"}
    for fd in outputs:
        os.set_blocking(fd, False)
    bell = _Bell(program.status, outputs)
    now = time.monotonic()
    deadline, check_at, live_at = now + timeout, now + CHECK, now + LIVE_AFTER
    ended_by: Ended = ""
    is_live = False
    try:
        while True:
            ready = bell.wait(max(0.0, min(deadline, check_at, live_at) - now))
            if program.status in ready and program.listen():
                break
            now = time.monotonic()
            if not is_live and (now >= live_at or any(_waiting(fd) >= PLENTY for fd in ready if fd in outputs)):
                is_live, live_at = True, math.inf
                go_live()
                bell.ring_on(list(outputs))
                ready = list(outputs)
            if is_live:
                for fd in [fd for fd in ready if fd in outputs]:
                    if not _read_all(fd, outputs[fd], take, most=DRAIN):
                        bell.forget(fd)
                        del outputs[fd]
            if now >= deadline:
                program.signal(signal.SIGKILL if ended_by else signal.SIGTERM)
                ended_by = ended_by or "timeout"
                deadline = now + grace
            elif now >= check_at:
                check_at = now + CHECK
                if not ended_by and (ended_by := ask()):
                    deadline = now + (min(grace, HURRY) if ended_by == "stop" else grace)
                    program.signal(signal.SIGTERM)
        if ended_by or program.is_lost:
            kill_marked([program.marker])
        if program.is_lost or program.returncode is None:
            raise Lost(program)
        for fd, stream in outputs.items():
            _read_all(fd, stream, take, most=DRAIN)
    finally:
        bell.close()
    return End(program.returncode, ended_by)


class _Bell:
    """Tells when there is news of a program: once for each piece that it prints, where the system can do that."""

    def __init__(self, status: int, outputs: dict[int, str]) -> None:
        if hasattr(select, "epoll"):
            self._poll: Any = select.epoll()
            for fd in outputs:
                self._poll.register(fd, select.EPOLLIN | select.EPOLLET)
            self._poll.register(status, select.EPOLLIN)
            self._unit = 1.0
        else:
            self._poll = select.poll()
            for fd in (status, *outputs):
                self._poll.register(fd, select.POLLIN)
            self._unit = 1000.0

    def wait(self, seconds: float) -> list[int]:
        return [fd for fd, _ in self._poll.poll(seconds * self._unit)]

    def ring_on(self, outputs: list[int]) -> None:
        """From now on, as long as there is something to read."""
        for fd in outputs if hasattr(select, "epoll") else ():
            self._poll.modify(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        self._poll.unregister(fd)

    def close(self) -> None:
        if hasattr(self._poll, "close"):
            self._poll.close()


def _waiting(fd: int) -> int:
    """How many bytes wait in a pipe; where they are told of again and again, they are plenty."""
    if not hasattr(select, "epoll"):
        return PLENTY
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0]


def _read_all(fd: int, stream: str, take: Callable[[str, bytes], None], *, most: int) -> bool:
    """Take what is there, `most` bytes; False at the end of the stream."""
    with contextlib.suppress(BlockingIOError):
        while most > 0:
            data = os.read(fd, CHUNK)
            if not data:
                return False
            take(stream, data)
            most -= len(data)
    return True
