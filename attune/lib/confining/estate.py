"""Divide the data folder between Attune and the account of its programs: whose is what, and who may look at what."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from attune.lib.confining.account import Account
from attune.lib.errors import AttuneError

THEIRS = ("home", "artifacts", "pycache", "pycache-sandboxed")  # programs write there
SEEN = ("packs", "environments", "tmp", "sensors")  # and pass through there, or read


class AccountShutOut(AttuneError):
    """The account of programs cannot get at what they need."""

    status_code, code = 500, "account_shut_out"


def divide(data: Path, account: Account) -> None:
    """Give the account what is its own, and close the rest to it.

    Raises AccountShutOut if it cannot get at its folders, with the remedy.
    """
    for name in (*THEIRS, *SEEN):
        (data / name).mkdir(exist_ok=True)
    data.chmod(0o711)
    for path in data.iterdir():
        with suppress(FileNotFoundError):
            if path.name in THEIRS:
                account.take(path)
                path.chmod(0o700)
            elif path.name in SEEN:
                path.chmod(path.stat().st_mode | 0o055 if path.name not in ("tmp", "sensors") else 0o711)
            elif not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
    if not reaches(account, "-w", data / "artifacts"):
        closed = next((p for p in reversed(data.parents) if not reaches(account, "-x", p)), data)
        raise AccountShutOut(
            f"The user {account.name}, as which ATTUNE_RUN_AS wants actions to run, may not enter {closed}; "
            f"run: chmod o+x {closed}, or put ATTUNE_DATA_DIR elsewhere."
        )


def reaches(account: Account, how: str, path: Path) -> bool:
    """Whether the account may do that (as `test` says it: -r, -w, -x) with a path."""
    return subprocess.run([*account.command, "test", how, str(path)], env={}).returncode == 0
