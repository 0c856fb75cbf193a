"""Show how far an installation is: a bar with its step on a terminal, a line for each step everywhere else."""

from __future__ import annotations

import sys
from typing import Any, Protocol

from attune.cli.output import printable, say

STEPS = {
    "fetch": "Fetching",
    "verify": "Verifying",
    "unpack": "Unpacking",
    "analyse": "Analysing",
    "build": "Building environments",
    "test": "Testing",
    "register": "Registering",
    "switch": "Switching",
}


class Progress(Protocol):
    def __enter__(self) -> Progress: ...
    def __exit__(self, *_: object) -> None: ...
    def step(self, name: str, percent: int) -> None: ...
    def log(self, text: str) -> None: ...


def shown(*, verbose: bool) -> Progress:
    return _Bar(verbose) if sys.stderr.isatty() else _Lines(verbose)


class _Lines:
    """For logs and pipes: nothing is ever taken back."""

    def __init__(self, verbose: bool) -> None:
        self._verbose, self._step = verbose, ""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def step(self, name: str, percent: int) -> None:
        if name and name != self._step:
            say(f"{STEPS.get(name, name)} …")
            self._step = name

    def log(self, text: str) -> None:
        if self._verbose:
            sys.stderr.write(printable(text, keep="\n\t"))
            sys.stderr.flush()


class _Bar:
    """For people: one bar at the bottom, the log above it."""

    def __init__(self, verbose: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, highlight=False, emoji=False, markup=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn())
        self._bar = Progress(*columns, TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(), console=console)
        self._task = self._bar.add_task("Waiting for a worker", total=100)
        self._verbose, self._rest = verbose, ""

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.log("\n" if self._rest else "")
        self._bar.stop()

    def step(self, name: str, percent: int) -> None:
        changes: dict[str, Any] = {"completed": percent}
        if name:
            changes["description"] = STEPS.get(name, name)
        self._bar.update(self._task, **changes)

    def log(self, text: str) -> None:
        """Whole lines; the rest waits for what is still to come of it."""
        if not self._verbose:
            return
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._bar.console.print(printable(line, keep="\t"), markup=False, highlight=False, soft_wrap=True)
