"""Containers on this machine: which program runs them, how a run is put into one, and that none is left behind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.executions.errors import IsolationUnavailable
from apps.executions.isolation.containers import Box, Engine, command, variables
from apps.packs.models import Action
from attune.lib.programs import Program
from attune.lib.surroundings import base_environment

LAST_WORDS = 300  # characters
PATIENCE = 20.0  # seconds for a client to answer
NOBODY = 65534  # who runs in a container where Attune is root and programs have no account
VARIABLES = "variables.env"
# What the clients themselves obey, from Attune's own environment and never from a run's.
_CLIENT = (
    *("PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS"),
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
    *("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"),
)
_ASKING = {"podman": ("info", "--format", "{{.Version.Version}}"), "docker": ("info", "--format", "{{.ServerVersion}}")}
UNSTARTED = (125, 126, 127)  # the client's own exit codes: it failed, or the script could not be run
# Podman would raise these by itself, which it may not everywhere. Processes count for the user, not the container.
_RAISED = {"nofile": (resource.RLIMIT_NOFILE, 65_536), "nproc": (resource.RLIMIT_NPROC, 4096)}
_works: dict[tuple[str, str], Engine] = {}  # what did not work is tried again, in case it was put right


@dataclass(frozen=True)
class Contained:
    """A run's command, the environment of its client, and how to be rid of the container."""

    argv: list[str]
    env: dict[str, str]
    program: str
    name: str

    def leave(self, program: Program) -> None:
        """After its end: where that was not the container's own, see that the container is gone too."""
        if program.returncode is None or program.returncode < 0 or program.is_signalled or program.is_lost:
            for asked in (["kill", self.name], ["rm", "--force", self.name]):
                with contextlib.suppress(OSError, subprocess.SubprocessError):
                    subprocess.run([self.program, *asked], env=_client(), capture_output=True, timeout=PATIENCE)


def contain(action: Action, script: str, *, folder: Path, env: dict[str, str], limits: dict[str, int]) -> Contained:
    """The command that runs a script of a pack in its action's image. Raises IsolationUnavailable with the remedy."""
    engine = engine_for(action)
    given = variables(env)
    user = _user()
    file = folder / VARIABLES
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as lines:
        lines.write(given.filed.encode("utf-8", "surrogateescape"))
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, *user, follow_symlinks=False)
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:8]  # another Attune may number its runs alike
    box = Box(
        name=f"attune-{folder.name.removeprefix('execution-')}-{mark}",
        image=action.image,
        script=script,
        pack=str(action.pack.folder),
        scratch=str(folder),
        user=user,
        limits=limits,
        network=settings.ATTUNE_CONTAINER_NETWORK if action.network else "",
        pull=settings.ATTUNE_CONTAINER_PULL,
    )
    argv = command(engine, box, names=list(given.inherited), variables_file=str(file))
    own = {**given.inherited, **_client(), "TMPDIR": str(folder)}
    return Contained(argv, own, engine.program, box.name)


def engine_for(action: Action) -> Engine:
    """The program that runs containers here. Raises IsolationUnavailable where none does."""
    wanted = settings.ATTUNE_CONTAINERS
    problems = ["ATTUNE_CONTAINERS is none"] if wanted == "none" else []
    for kind in {"auto": ("podman", "docker"), "none": ()}.get(wanted, (wanted,)):
        program = shutil.which(kind)
        if not program:
            problems.append(f"{kind} is not installed")
            continue
        if found := _works.get((kind, program)):
            return found
        if not (problem := _trial(kind, program)):
            return _works.setdefault((kind, program), _engine(kind, program))
        problems.append(problem)
    raise IsolationUnavailable(
        f"{action.ref} cannot run here: it needs a container, and {'; '.join(problems)}. Install podman, or docker and "
        "let Attune's user reach it, and see docs/isolation.md."
    )


def why_not_started(action: Action, columns: dict[str, Any]) -> str:
    """The error of a run whose client says that there was no container, or nothing to run in it."""
    said = " ".join(columns["stderr"].split())[-LAST_WORDS:]
    return (
        f"{columns['error'].rstrip('.')}. The container may not have started{f' ({said})' if said else ''}: see that "
        f"the image {action.image} is on this worker (podman pull or docker pull), that it has what the first line of "
        "the script names, and that the script is executable."
    )


def _trial(kind: str, program: str) -> str:
    """Ask the client, with no more rights than a run has. Empty if it answers, else why not."""
    setpriv = shutil.which("setpriv") if settings.ATTUNE_NO_NEW_PRIVILEGES else None
    argv = [*([setpriv, "--no-new-privs", "--"] if setpriv else []), program, *_ASKING[kind]]
    try:
        said = subprocess.run(argv, env=_client(), capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{kind} cannot be run ({error})"
    if said.returncode or not said.stdout.strip():
        return f"{kind} does not answer ({' '.join(said.stderr.split())[:300] or f'exit code {said.returncode}'})"
    return ""


def _engine(kind: str, program: str) -> Engine:
    if kind == "docker":
        return Engine(kind, program, {})
    ceilings = {}
    for name, (number, most) in _RAISED.items():
        hard = resource.getrlimit(number)[1]
        ceilings[name] = most if hard == resource.RLIM_INFINITY else min(most, hard)
    return Engine(kind, program, ceilings, keeps_id=os.geteuid() != 0)


def _client() -> dict[str, str]:
    own = {name: os.environ[name] for name in _CLIENT if os.environ.get(name)}
    return {"PATH": base_environment()["PATH"], **own}


def _user() -> tuple[int, int]:
    """Whose the program is inside: the account of programs, or whoever we are, but never root."""
    if account := settings.ATTUNE_ACCOUNT:
        return account.uid, account.gid
    return (os.geteuid(), os.getegid()) if os.geteuid() else (NOBODY, NOBODY)
