"""What the settings say of the programs of packs, for whoever starts one: whose it is, and how much it may use."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from django.conf import settings

from attune.lib.confining import limits


def hand_over(path: Path | int) -> None:
    """Let the account that programs have, if they have one, do what it likes with a folder, file or pipe."""
    if account := settings.ATTUNE_ACCOUNT:
        account.take(path)


def confined(argv: Sequence[str]) -> list[str]:
    """The command of a program that our launcher guards but does not start, below the limits and as the account."""
    before: list[str] = []
    if settings.ATTUNE_NO_NEW_PRIVILEGES and (setpriv := program("setpriv")):
        before += [setpriv, "--no-new-privs", "--"]
    if limits.hold() and (prlimit := program("prlimit")):
        before += [prlimit, "--core=0", *(limits.command(prlimit, settings.ATTUNE_LIMITS)[1:] or ["--"])]
    if account := settings.ATTUNE_ACCOUNT:
        before = [*before, *account.command]
    return [*before, *argv]


@cache
def program(name: str) -> str:
    """Where it is; empty if it is not there."""
    return shutil.which(name) or ""
