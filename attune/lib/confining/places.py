"""What of this machine a sandboxed program must be shown so that it runs at all: the system, and its interpreter."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/run/current-system")
ETC = (
    *("passwd", "group", "hosts", "host.conf", "resolv.conf", "nsswitch.conf", "gai.conf", "services", "protocols"),
    *("ld.so.cache", "localtime", "timezone", "os-release", "mime.types", "alternatives", "fonts", "krb5.conf"),
    *("ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf", "ca-certificates", "ssh/ssh_known_hosts"),
    *("pki/ca-trust", "pki/tls/certs", "pki/tls/openssl.cnf", "crypto-policies", "static"),
)
MOST_LINKS = 40  # from an interpreter's name to its file


@cache
def system() -> dict[str, tuple[str, ...]]:
    """What every program is shown of this machine, each with the arguments that show it."""
    found: dict[str, tuple[str, ...]] = {}
    for path in map(Path, (*SYSTEM, *(f"/etc/{name}" for name in ETC))):
        if str(path) in SYSTEM and path.is_symlink():
            found[str(path)] = ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            found[str(path)] = ("--ro-bind-try", str(path), str(path))  # it may be gone by then
    return found


@cache
def kernel() -> tuple[str, ...]:
    """What in /proc root may write to and what is no process: to be shown read-only to programs that root runs."""
    if os.geteuid():
        return ()
    names = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "driver", "mtrr", "dynamic_debug", "pressure")
    return tuple(path for name in names if os.access(path := f"/proc/{name}", os.F_OK))


@cache
def of_interpreter(program: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """What an interpreter needs beside the system: links, by where they are, and folders or files."""
    links: dict[str, str] = {}
    shown: list[str] = []
    path = Path(program)
    for _ in range(MOST_LINKS):
        prefix = path.parent.parent
        if _is_home(prefix):
            shown.append(str(prefix))
        elif not path.is_symlink():
            shown.append(str(path))
        if not path.is_symlink():
            break
        target = Path(os.path.normpath(path.parent / path.readlink()))
        if not _is_home(prefix):
            links[str(path)] = str(target)
        path = target
    seen = system()
    return (
        {path: target for path, target in links.items() if not lies_in(path, seen)},
        tuple(path for path in dict.fromkeys(shown) if path not in seen and not lies_in(path, seen)),
    )


def _is_home(prefix: Path) -> bool:
    """Whether an interpreter and its libraries have this folder to themselves."""
    signs = (prefix / "pyvenv.cfg", prefix / "include" / "node", *(prefix / "lib").glob("python3.*/os.py"))
    return any(sign.exists() for sign in signs)


def lies_in(path: str, roots: Iterable[str]) -> bool:
    return any(path.startswith(root + os.sep) for root in roots)
