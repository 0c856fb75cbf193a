"""One running sensor: its process and its pipes, read without ever waiting, and its end, which is certain.

The host's loop owns the selector; a child registers what it wants to hear of and is called back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from typing import IO

from apps.sensors.lines import LineBuffer
from apps.sensors.protocol import MAX_LINE
from apps.sensors.sensorlog import SensorLog
from attune.lib import processes
from attune.lib.launcher import kill_marked
from attune.lib.masks import Mask

CHUNK = 64 * 1024  # bytes of one read
LONGEST_LOG_LINE = 16 * 1024
MOST_UNREAD = 1024 * 1024  # bytes of control lines that a sensor may leave unread

Pipe = IO[bytes] | None


def marker_of(token: str) -> str:
    """What is in the environment of the sensor with this token, of its children, and of no other process."""
    return f"ATTUNE_API_TOKEN={token}"


class Child:
    """A sensor's process, from its start until everything it printed has been used up.

    `next_line()` gives what it printed, as fast as we can use it and no faster: its pipe fills up meanwhile, and it
    waits. `stop()` and `kill()` end it; `exited` and then `is_over` say how far that is.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        selector: BaseSelector,
        log: SensorLog,
        token: str,
        grace: float,
        hidden: Iterable[str] = (),
    ) -> None:
        self.process = process
        self.log = log
        self.started = time.monotonic()
        self.exited = False
        self.end_asked = ""  # why we ended it; empty when it ended by itself
        self._selector = selector
        self._marker = marker_of(token)
        self._mask = Mask([token, *hidden])  # whoever may see an event must not get hold of the sensor's rights
        self._grace = grace
        self._kill_at: float | None = None
        self._said, self._wrote = LineBuffer(MAX_LINE), LineBuffer(LONGEST_LOG_LINE)
        self._stdout: Pipe = process.stdout
        self._stderr: Pipe = process.stderr
        self._unread = bytearray()  # control lines not yet written
        self._pidfd = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else -1
        for pipe in (process.stdin, self._stdout, self._stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
        self._listening: set[int] = set()
        self._listen(self._stdout, self._read_stdout)
        self._listen(self._stderr, self._read_stderr)
        if self._pidfd >= 0:
            selector.register(self._pidfd, EVENT_READ, self._reap)

    # What it says -----------------------------------------------------------------------------------------------------
    @property
    def has_line(self) -> bool:
        return self._said.has_line

    def next_line(self) -> bytes | None:
        """The next line it printed, its own token and long secrets masked; None when there is no whole one now."""
        line = self._said.pop()
        if line is not None and len(line) <= MAX_LINE:
            line = self._mask.raw(line)
        if not self._said.has_line:
            self._listen(self._stdout, self._read_stdout)
        return line

    def take_half_line(self) -> bytes:
        """What it was about to print when it ended; there is no more to come."""
        return self._said.rest()

    def tell(self, data: bytes) -> bool:
        """Write control lines to its stdin, as it reads them; False when it does not read them, or not any more."""
        if self.process.stdin is None or len(self._unread) + len(data) > MOST_UNREAD:
            return False
        waiting = bool(self._unread)
        self._unread += data
        return waiting or self._write_stdin()

    # How it ends ------------------------------------------------------------------------------------------------------
    def stop(self, why: str) -> None:
        """Ask it and all it started to end; after the grace period `check` kills them."""
        if not self.end_asked and not self.exited:
            self.end_asked = why
            self._kill_at = time.monotonic() + self._grace
            processes.signal_group(self.process.pid, signal.SIGTERM)

    def kill(self, why: str) -> None:
        """End it now. May be called from another thread than the loop's."""
        if not self.exited:
            self.end_asked = self.end_asked or why
            processes.signal_group(self.process.pid, signal.SIGKILL)

    def check(self) -> None:
        """What time alone brings about; the loop calls this every so often."""
        if not self.exited and self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._kill_at = None
            self.log.note(f"It did not end within {self._grace:g} s of SIGTERM and was killed.")
            processes.signal_group(self.process.pid, signal.SIGKILL)
        if not self.exited and self._pidfd < 0 and self.process.poll() is not None:
            self._reap()
        if self.exited:
            self._read_stdout()
            self._read_stderr()

    @property
    def is_over(self) -> bool:
        """It has ended, and all it printed has been used up."""
        return self.exited and self._stdout is None and self._stderr is None and not self._said.has_line

    @property
    def how_it_ended(self) -> str:
        code = self.process.returncode
        if code is None:
            return "has not ended"
        return f"exited with code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"

    def close(self) -> None:
        """Forget it: for one that is over, or that we may not wait for any longer."""
        if not self.exited:
            self.kill("forgotten")
            self._reap()
        self._close(self._stdout)
        self._close(self._stderr)
        self._stdout = self._stderr = None
        self.log.close()

    def _reap(self, _mask: int = 0) -> None:
        processes.signal_group(self.process.pid, signal.SIGKILL)  # before it is reaped its number is still its own
        self.process.wait()
        self.exited = True
        kill_marked([self._marker])
        processes.release(self.process.pid)
        if self._pidfd >= 0:
            self._selector.unregister(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if self.process.stdin is not None:
            self._close(self.process.stdin)
            self.process.stdin = None

    # Pipes ------------------------------------------------------------------------------------------------------------
    def _read_stdout(self, _mask: int = 0) -> None:
        if self._said.has_line:
            self._unlisten(self._stdout)  # its lines are not used up yet; next_line() listens again
            return
        if (data := self._read(self._stdout)) is None:
            self._close(self._stdout)
            self._stdout = None
        else:
            self._said.feed(data)

    def _read_stderr(self, _mask: int = 0) -> None:
        data = self._read(self._stderr)
        self._wrote.feed(data or b"")
        while (line := self._wrote.pop()) is not None:
            self.log.write(line)
        if data is None and self._stderr is not None:
            if rest := self._wrote.rest():
                self.log.write(rest)
            self._close(self._stderr)
            self._stderr = None

    def _read(self, pipe: Pipe) -> bytes | None:
        """What is there to read; None at the end, which for an ended process is when nothing more is there."""
        if pipe is None:
            return None
        try:
            return os.read(pipe.fileno(), CHUNK) or None
        except BlockingIOError:
            return None if self.exited else b""
        except OSError:
            return None

    def _write_stdin(self, _mask: int = 0) -> bool:
        pipe = self.process.stdin
        if pipe is None:
            return False
        try:
            while self._unread:
                del self._unread[: os.write(pipe.fileno(), self._unread)]
        except BlockingIOError:
            self._listen(pipe, self._write_stdin, EVENT_WRITE)
            return True
        except OSError:  # it has closed its end
            self._close(pipe)
            self.process.stdin = None
            return False
        self._unlisten(pipe)
        return True

    def _listen(self, pipe: Pipe, callback: Callable[[int], object], events: int = EVENT_READ) -> None:
        if pipe is not None and (fd := pipe.fileno()) not in self._listening:
            self._selector.register(fd, events, callback)
            self._listening.add(fd)

    def _unlisten(self, pipe: Pipe) -> None:
        if pipe is not None and (fd := pipe.fileno()) in self._listening:
            self._selector.unregister(fd)
            self._listening.discard(fd)

    def _close(self, pipe: Pipe) -> None:
        if pipe is not None:
            self._unlisten(pipe)
            with contextlib.suppress(OSError):
                pipe.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
