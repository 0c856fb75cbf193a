"""Run git's commands: with a clean environment, nothing of anybody's settings, one protocol, and a certain end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from apps.packs.errors import FetchFailed
from attune.lib import processes

_PASSED = re.compile(r"PATH|TMPDIR|(HTTP|HTTPS|ALL|NO)_PROXY|(http|https|all|no)_proxy")
_TELL_EVERY = 2.0  # seconds
_LOOK_EVERY = 0.1
_MEMORY = 256 << 20  # bytes, beside what the repository takes
_SLACK = 64 << 10

# An end to single files and to memory, before git has begun to ask anybody. What varies is never part of the script.
_LIMITED = 'ulimit -f "$1"; ulimit -v "$2" 2>/dev/null; shift 2; exec git "$@"'

# Nothing that is run, followed or asked for besides the one transfer.
_OPTIONS = {
    "protocol.allow": "never",
    "core.hooksPath": "/dev/null",
    "core.symlinks": "false",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "core.bigFileThreshold": "8m",  # larger ones are not held in memory
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "filter.lfs.smudge": "",
    "filter.lfs.process": "",
    "filter.lfs.required": "false",
    "http.followRedirects": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "pack.threads": "1",
}


class Failed(Exception):
    """A command ended with an error; the message is what it said."""


class Git:
    """Git's commands in one bare repository of ours, `folder`; `output` holds what the last one printed."""

    def __init__(
        self,
        work: Path,
        *,
        protocol: str,
        settings: Mapping[str, str],
        environment: Mapping[str, str],
        header: str = "",
        deadline: float,
        most: int,
    ) -> None:
        self.most = most  # bytes that the repository may have
        self.folder, self.output = work / "repository", work / "output"
        self._errors, self._home, self._deadline = work / "errors", work / "home", deadline
        if shutil.which("git") is None:
            raise FetchFailed("git is not installed on this machine; install it, or give an archive instead.")
        self._home.mkdir()
        options = {**_OPTIONS, f"protocol.{protocol}.allow": "always", **settings}
        self._options = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._environment = {
            **{name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)},
            **environment,
            "HOME": str(self._home),  # no .netrc, no settings, no credentials that are not given
            "XDG_CONFIG_HOME": str(self._home),
            "LC_ALL": "C",  # its messages are read here
            "GIT_DIR": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": self._settings_with(header) if header else os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": protocol,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        }

    def _settings_with(self, header: str) -> str:
        """A file for the header with credentials, which lives as long as the work: an environment can be looked at."""
        path = self._home / "settings"
        with processes.open_private(path, exclusive=True) as file:
            file.write(f'[http]\n\textraHeader = "{header}"\n')
        return str(path)

    def run(
        self,
        *arguments: str,
        most: int = 32 << 20,
        watched: Path | None = None,
        stdin: bytes = b"",
        tell: Callable[[int], None] | None = None,
    ) -> None:
        """Run one command. Raises Failed if it fails, FetchFailed if it takes too long or `watched` grows too large.

        Watched is the output, if nothing else is named; `tell` hears of its size now and then.
        """
        watched = watched or self.output
        with self.output.open("wb") as output, self._errors.open("wb") as errors, processes.document(stdin) as given:
            limits = [str((most + _SLACK) // 512), str((_MEMORY + 3 * self.most) // 1024)]
            argv = ["/bin/sh", "-c", _LIMITED, "git", *limits, *self._options, *arguments]
            process = processes.start(
                argv, cwd=self._home, env=self._environment, stdin=given, stdout=output, stderr=errors
            )
            try:
                code = self._wait(process, watched, most, tell)
            finally:
                processes.end_group(process, grace=0.0)
                processes.release(process.pid)
        if _size(watched) > most:
            raise _too_large(most)
        if code != 0:
            with self._errors.open("rb") as said:
                raise Failed(said.read(64 << 10).decode(errors="replace").strip() or f"git ended with code {code}")

    def answer(self, *arguments: str) -> str:
        """What a command prints, without the blanks around it."""
        self.run(*arguments)
        return self.output.read_text(errors="replace").strip()

    def _wait(
        self, process: subprocess.Popen[bytes], watched: Path, most: int, tell: Callable[[int], None] | None
    ) -> int:
        tell_at = time.monotonic() + _TELL_EVERY
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_EVERY)
            now, size = time.monotonic(), _size(watched)
            if size > most:
                raise _too_large(most)
            if now > self._deadline:
                raise FetchFailed(
                    "git took longer than it was given, and was stopped; try again, or give it more time."
                )
            if tell and now > tell_at:
                tell_at = now + _TELL_EVERY
                tell(size)


def _size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder that may be changing while we look."""
    total = 0
    with suppress(OSError):
        if not path.is_dir():
            return path.stat().st_size
        for entry in os.scandir(path):
            with suppress(OSError):
                is_folder = entry.is_dir(follow_symlinks=False)
                total += _size(Path(entry.path)) if is_folder else entry.stat(follow_symlinks=False).st_size
    return total


def _too_large(most: int) -> FetchFailed:
    return FetchFailed(
        f"The repository sends more than {most >> 20} MiB; a pack should be far smaller. Name a branch or tag with "
        "less history, or give an archive instead."
    )
