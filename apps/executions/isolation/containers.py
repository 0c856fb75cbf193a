"""The command line that runs an action in a container, by podman or docker. Pure.

The container is read-only but for the run's own folder and a small /tmp, has no capabilities, cannot gain privileges,
is never root, and is given its pack's folder to read. Both folders are found where they are on the machine, so the
variables that name them are right in there too, and the run's processes carry the mark by which they are ended. What
would weaken this cannot be said: there is no place for options of an action's own.

Values of variables are never on the command line. Those that Attune makes (`ATTUNE_…`) are taken by name from the
client's own environment; a caller's could mean something to the client there, so they are read from a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from apps.executions.errors import EnvironmentRefused, IsolationUnavailable
from attune.lib import images

OURS = "ATTUNE_"
PROCESSES = 512  # where no limit says otherwise
TMP_BYTES = 64 * 1024 * 1024
_MOUNTABLE = re.compile(r'[^,"\s\0]+\Z')
_PRIVATE = ("PATH", "HOME", "USER", "PWD", "TMPDIR", "ATTUNE_ARTIFACTS_DIR")  # the image's, or said anew


@dataclass(frozen=True)
class Engine:
    """The program that runs containers here."""

    kind: str  # podman or docker
    program: str
    ceilings: Mapping[str, int]  # what podman, which is no server, may not exceed, by the names of limits
    keeps_id: bool = False  # podman of a user who is not root: users in there are the same as outside


@dataclass(frozen=True)
class Box:
    """One run: what is to run in which image, as whom, with what."""

    name: str
    image: str
    script: str
    pack: str  # its folder, to be read
    scratch: str  # the run's own folder, to be written to
    user: tuple[int, int]
    limits: Mapping[str, int]
    network: str  # empty: none
    pull: str  # never or missing


@dataclass(frozen=True)
class Variables:
    """The variables of a run, by the way they go in."""

    inherited: dict[str, str]  # through the client's environment, by name
    filed: str  # lines of a file


def variables(env: Mapping[str, str]) -> Variables:
    """Part the environment of a run. Raises EnvironmentRefused for a value that cannot be handed over."""
    given = {name: value for name, value in env.items() if name not in _PRIVATE}
    filed = {name: value for name, value in given.items() if not name.startswith(OURS)}
    for name, value in filed.items():
        if "\n" in value or "\r" in value:
            raise EnvironmentRefused(
                f"{name} has more than one line, which cannot be handed to a container; make it a parameter."
            )
    return Variables(
        {name: value for name, value in given.items() if name.startswith(OURS)},
        "".join(f"{name}={value}\n" for name, value in filed.items()),
    )


def command(engine: Engine, box: Box, *, names: list[str], variables_file: str) -> list[str]:
    """The whole command line. Raises IsolationUnavailable where it could be misread."""
    if fault := images.fault_of(box.image):
        raise IsolationUnavailable(f"It cannot run in a container: {fault}.")
    for path in (box.pack, box.scratch):
        if not _MOUNTABLE.match(path):
            raise IsolationUnavailable(
                f"{path} cannot be shown to a container; use a path without commas, quotes and spaces."
            )
    uid, gid = box.user
    argv = [engine.program, "run", "--rm", "-i", f"--name={box.name}", "--init", f"--pull={box.pull}"]
    argv += ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--log-driver=none"]
    argv += [f"--user={uid}:{gid}", *(["--userns=keep-id"] if engine.keeps_id else [])]
    argv += [f"--network={box.network or 'none'}", *_limits(engine, box.limits)]
    argv += [f"--tmpfs=/tmp:rw,nosuid,nodev,mode=1777,size={TMP_BYTES}"]
    argv += [f"--mount=type=bind,source={box.pack},target={box.pack},readonly"]
    argv += [f"--mount=type=bind,source={box.scratch},target={box.scratch}", f"--workdir={box.pack}"]
    argv += [f"--env={name}={box.scratch}" for name in ("TMPDIR", "HOME")]
    argv += [f"--env-file={variables_file}", *(f"--env={name}" for name in sorted(names))]
    return [*argv, f"--entrypoint={box.script}", box.image]


def _limits(engine: Engine, limits: Mapping[str, int]) -> list[str]:
    """Memory and processes are those of the whole container, the others of each process in it."""
    options = [f"--pids-limit={limits.get('processes') or PROCESSES}"]
    if memory := limits.get("memory_mb"):
        options += [f"--memory={memory}m", f"--memory-swap={memory}m"]
    each = {"nofile": limits.get("open_files"), "cpu": limits.get("cpu_seconds")}
    each["fsize"] = limits.get("file_size_mb", 0) * 1024 * 1024
    for name, ceiling in engine.ceilings.items():
        each[name] = min(each.get(name) or ceiling, ceiling)
    return [*options, *(f"--ulimit={name}={value}:{value}" for name, value in each.items() if value)]
