"""Run one program of a pack's tests: watched, bounded in time and output, and ended for certain with all it started."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apps.packs.testing.results import Case, Status
from attune.lib import processes
from attune.lib.masks import Mask

Say = Callable[[str], object]

FLOOD = 32 * 1024 * 1024  # bytes of output, beyond which it is stopped
KEPT = 256 * 1024  # bytes of each output's beginning and of its end that are kept
LONGEST_LINE = 1000  # characters that are told of one
MOST_LINES = 5000  # that are told of one program
_GLANCE = 0.2  # seconds between two looks
_LINGER = 2.0  # seconds that outputs are read on after the end


@dataclass
class Stream:
    """One of its outputs: the beginning and the end, and its lines told as they come."""

    say: Callable[[bytes], object]
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    cut: int = 0
    _line: bytes = b""

    def take(self, data: bytes) -> None:
        *lines, rest = (self._line + data).split(b"\n")
        self._line = rest[-2 * LONGEST_LINE :]
        for line in lines:
            self.say(line)
        room = KEPT - len(self.head)
        self.head += data[: max(0, room)]
        self.tail += data[max(0, room) :]
        if len(self.tail) > 2 * KEPT:
            self.cut += len(self.tail) - KEPT
            del self.tail[:-KEPT]

    def close(self) -> None:
        if self._line:
            self.say(self._line)
            self._line = b""

    @property
    def text(self) -> str:
        gap = f"\n… {self.cut:,} bytes left out …\n".encode() if self.cut else b""
        return (bytes(self.head) + gap + bytes(self.tail)).decode("utf-8", "replace")


@dataclass(frozen=True)
class Outcome:
    """How it ended. `problem` is a sentence where it did not end by itself, or could not be started."""

    code: int | None
    stdout: str = ""
    stderr: str = ""
    duration_ms: int = 0
    problem: str = ""

    def as_case(self, name: str, status: Status, message: str = "") -> Case:
        """The whole program as one case."""
        return Case(name, status, self.duration_ms, message, self.stdout, self.stderr)

    @property
    def how(self) -> str:
        """How it ended, in words."""
        if self.problem or self.code is None:
            return self.problem or "It did not run."
        return f"It was ended by signal {-self.code}." if self.code < 0 else f"It exited with code {self.code}."


def run(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], temporary: Path, timeout: float, say: Say, mask: Mask
) -> Outcome:
    """Run it to its end. `temporary` is the folder for temporary files that only it has, and by which it is found."""
    began = time.monotonic()
    marker = f"TMPDIR={temporary}"
    try:
        process = processes.start(argv, cwd=cwd, env={**env, "TMPDIR": str(temporary)}, marker=marker)
    except OSError as error:
        return Outcome(None, problem=f"{argv[0]} could not be started: {error.strerror}.")
    told = _Teller(say, mask)
    streams = {"stdout": Stream(told), "stderr": Stream(told)}
    try:
        problem = _watch(process, streams, began + timeout, timeout)
    finally:
        processes.end_group(process, grace=0.0, marker=marker)
        processes.release(process.pid)
        _drain(process, streams)
    return Outcome(
        code=process.returncode,
        stdout=streams["stdout"].text,
        stderr=streams["stderr"].text,
        duration_ms=int((time.monotonic() - began) * 1000),
        problem=problem,
    )


class _Teller:
    """Tells lines, masked, at most so many."""

    def __init__(self, say: Say, mask: Mask) -> None:
        self._say, self._mask, self._left = say, mask, MOST_LINES

    def __call__(self, line: bytes) -> None:
        self._left -= 1
        if self._left >= 0:
            self._say(self._mask.text(line.decode("utf-8", "replace").rstrip("\r"))[:LONGEST_LINE])
        elif self._left == -1:
            self._say("… the rest of its output is not told …")


def _watch(process: subprocess.Popen[bytes], streams: Mapping[str, Stream], deadline: float, timeout: float) -> str:
    """Read until it has ended; why it must be ended, if it must."""
    with _reading(process, streams) as selector:
        taken = 0
        while process.poll() is None:
            if time.monotonic() > deadline:
                return f"It did not end within {timeout:g} seconds and was stopped."
            taken += _read(selector, _GLANCE)
            if taken > FLOOD:
                return f"It printed more than {FLOOD // 1024 // 1024} MiB and was stopped."
            if not selector.get_map():  # it has closed its outputs, and goes on
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GLANCE)
    return ""


def _drain(process: subprocess.Popen[bytes], streams: Mapping[str, Stream]) -> None:
    """Take what is left in its outputs; who of its group survived may hold them open, and is not waited for long."""
    with _reading(process, streams) as selector:
        until, taken = time.monotonic() + _LINGER, 0
        while selector.get_map() and time.monotonic() < until and taken < FLOOD:
            taken += _read(selector, _GLANCE)
    for name, stream in streams.items():
        stream.close()
        getattr(process, name).close()


def _reading(process: subprocess.Popen[bytes], streams: Mapping[str, Stream]) -> selectors.DefaultSelector:
    selector = selectors.DefaultSelector()
    for name, stream in streams.items():
        file = getattr(process, name)
        os.set_blocking(file.fileno(), False)
        selector.register(file, selectors.EVENT_READ, stream)
    return selector


def _read(selector: selectors.DefaultSelector, wait: float) -> int:
    taken = 0
    for key, _ in selector.select(wait):
        data = os.read(key.fd, 64 * 1024)
        if data:
            key.data.take(data)
        else:
            selector.unregister(key.fileobj)
        taken += len(data)
    return taken
