"""The account that programs of packs have where Attune itself is root: who it is, and how to become it."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Account:
    """A user of this machine, and the beginning of a command line that becomes it."""

    name: str
    uid: int
    gid: int
    command: tuple[str, ...]

    def take(self, path: Path | str | int) -> None:
        """Make a file or folder (or what a descriptor stands for) its own."""
        os.chown(path, self.uid, self.gid)


def find(name: str) -> Account | None:
    """The account of that name; None if nobody is named, or we are that user. Raises ValueError with the remedy."""
    if not name:
        return None
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise ValueError(f"there is no user {name!r} on this machine; make one: useradd --system {name}") from None
    if user.pw_uid == 0:
        raise ValueError(f"{name!r} is root, which is what programs are not to be; name another user")
    if user.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise ValueError(f"only root may start programs as {name!r}; start Attune as root, or as {name!r} itself")
    setpriv = shutil.which("setpriv")
    if not setpriv:
        raise ValueError(f"`setpriv`, which starts programs as {name!r}, is not on the PATH; install util-linux")
    groups = sorted({user.pw_gid, *(group.gr_gid for group in grp.getgrall() if name in group.gr_mem)})
    return Account(
        name,
        user.pw_uid,
        user.pw_gid,
        (
            setpriv,
            f"--reuid={user.pw_uid}",
            f"--regid={user.pw_gid}",
            f"--groups={','.join(map(str, groups))}",
            "--inh-caps=-all",
            "--",
        ),
    )
