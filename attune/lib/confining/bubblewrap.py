"""The command line of bubblewrap: a program that sees little but what it is shown. Pure, but for the trial.

What a sandboxed program finds: the system's programs and libraries, the part of /etc that is no secret, a /proc of its
own processes, a small /dev, and the `View` it is given. All of that is read-only but the view's writable folders. It
cannot gain privileges, and nothing of it outlives bubblewrap.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from attune.lib.confining.places import kernel, lies_in, system

NEEDED = (0, 8)  # the version that brought `--disable-userns`
SHARED_MEMORY = 256 * 1024 * 1024  # bytes of /dev/shm


@dataclass(frozen=True)
class View:
    """What one program is shown beside the system. Paths are absolute."""

    cwd: str
    scratch: str  # its folder for anything: there, as /tmp, and under the names of `homes`
    homes: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    writable: Mapping[str, str] = field(default_factory=dict)  # where it finds it -> what that is
    links: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()  # what is not to be seen, though it lies in something else that is
    network: bool = True


def command(bwrap: str, view: View) -> list[str]:
    """What stands before a command line, so that it is run with this view."""
    argv = [bwrap, "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    argv += ["--unshare-cgroup-try", *([] if view.network else ["--unshare-net"])]
    argv += ["--cap-drop", "ALL", "--die-with-parent", "--new-session"]
    argv += ["--proc", "/proc", *(part for path in kernel() for part in ("--ro-bind", path, path))]
    argv += ["--dev", "/dev", "--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    mounts: dict[str, tuple[str, ...]] = {"/tmp": ("--bind", view.scratch, "/tmp")}
    mounts |= {path: ("--symlink", "/tmp", path) for path in ("/var/tmp", view.scratch, *view.homes)}
    mounts |= {path: ("--symlink", target, path) for path, target in view.links.items()}
    mounts |= {path: ("--ro-bind", path, path) for path in view.readable}
    mounts |= {path: ("--bind", source, path) for path, source in view.writable.items()}
    roots = {**system(), **mounts}
    hidden = [path for path in view.hidden if lies_in(path, roots)]
    ordered = {**roots, **{path: ("--tmpfs", path) for path in hidden}}
    for path in sorted(ordered):  # so that what lies in something comes after it
        argv += ordered[path]
    for path in (*hidden, "/dev", "/"):
        argv += ["--remount-ro", path]
    return [*argv, "--chdir", view.cwd, "--"]


def trial(bwrap: str, *, before: Sequence[str], scratch: str) -> str:
    """Try it on this machine. Empty if it works, else why not, as the end of a sentence."""
    try:
        said = subprocess.run([bwrap, "--version"], capture_output=True, text=True, timeout=20, env={}).stdout
        version = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
        if version < NEEDED:
            return f"bubblewrap is {said.split()[-1] if said else 'too old'}, and 0.8 or later is needed"
        argv = [*before, *command(bwrap, View(cwd="/tmp", scratch=scratch)), "/bin/sh", "-c", "echo > /tmp/trial"]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=20, env={"PATH": "/usr/bin:/bin"})
    except (OSError, subprocess.SubprocessError) as error:
        return f"bubblewrap cannot be run ({error})"
    if ran.returncode:
        return f"bubblewrap does not work here ({' '.join(ran.stderr.split())[:300] or f'exit code {ran.returncode}'})"
    return ""
