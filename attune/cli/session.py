"""What one run of the command has: who one is and where, the API, and how to answer."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING

from attune.cli import profile
from attune.cli.output import Format, Output

if TYPE_CHECKING:
    from attune.cli.client import Client


class Session:
    """Nothing is read and nothing imported before it is needed: commands that work offline need neither."""

    def __init__(self, *, profile_name: str | None = None, format: Format = "table") -> None:
        self.profile_name = profile_name
        self.output = Output(format)

    @cached_property
    def who(self) -> profile.Profile:
        return profile.chosen(self.profile_name)

    @cached_property
    def api(self) -> Client:
        from attune.cli.client import Client

        return Client(self.who)

    def agrees(self, question: str, *, yes: bool) -> bool:
        """Ask whoever sits at a terminal; a script has said what it wants by calling the command."""
        if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return True
        import typer

        return typer.confirm(question, err=True)
