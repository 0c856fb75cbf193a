"""What runs containers in tests: a stand-in for `docker`, and the real podman where it works."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

IMAGE = "localhost/attune-test:1"
TOOLS = ("sh", "cat", "env", "id", "sleep", "touch", "grep", "ls", "mount", "setsid", "ifconfig")
STAND_IN = """#!/usr/bin/env python3
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(here + "/asked", "a") as file:
    file.write(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)}) + "\\n")
if sys.argv[1] == "info":
    print("1.0")
if sys.argv[1] != "run":
    sys.exit()
if os.path.exists(here + "/refuses"):
    print("no such image", file=sys.stderr)
    sys.exit(125)
options = [part.lstrip("-").split("=", 1) for part in sys.argv[2:-1] if "=" in part]
said = dict(options)
env = {"PATH": os.environ["PATH"]}
for name, value in options:
    if name == "env-file":
        env.update(line.rstrip("\\n").split("=", 1) for line in open(value))
for part in sys.argv[2:-1]:
    if part.startswith("--env="):
        name, is_given, value = part[len("--env="):].partition("=")
        env[name] = value if is_given else os.environ[name]
os.chdir(said["workdir"])
os.execve(said["entrypoint"], [said["entrypoint"]], env)
"""


class StandIn:
    """A program that is asked like docker, writes that down, and runs the script plainly."""

    kind = "docker"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        program = folder / "docker"
        program.write_text(STAND_IN)
        program.chmod(0o755)

    def asked(self, what: str) -> list[dict[str, Any]]:
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [asked for asked in map(json.loads, lines) if asked["argv"][0] == what]

    def left(self) -> list[str]:
        """Containers that are still there: a stand-in has none."""
        return []


class Podman:
    """The real one, with an image made of one static program."""

    kind = "podman"

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def ask(self, *words: str, **more: Any) -> subprocess.CompletedProcess[Any]:
        env = {**os.environ, **self.environment}
        return subprocess.run(["podman", *words], env=env, capture_output=True, timeout=60, **more)

    def left(self) -> list[str]:
        names = self.ask("ps", "--all", "--format={{.Names}}", text=True).stdout.split()
        return [name for name in names if name.startswith("attune-")]


def find_podman() -> Podman | None:
    """Podman, if it can run our image here, with one of the two programs below it."""
    busybox = shutil.which("busybox")
    if not shutil.which("podman") or not busybox:
        return None
    for runtime in ("crun", "runc"):
        conf = Path(tempfile.gettempdir()) / f"attune-test-{os.getuid()}-{runtime}.conf"
        conf.write_text(f'[engine]\nruntime = "{runtime}"\n')
        podman = Podman({"CONTAINERS_CONF": str(conf)})
        try:
            if podman.ask("image", "exists", IMAGE).returncode:
                podman.ask("import", "-", IMAGE, input=_image(Path(busybox)))
            ran = podman.ask(
                *("run", "--rm", "--pull=never", "--network=none", "--init", "--memory=64m"),
                *("--ulimit=nofile=256:256", "--ulimit=nproc=256:256", IMAGE, "sh", "-c", "echo works"),
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if ran.stdout == b"works\n":
            return podman
    return None


def _image(busybox: Path) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(busybox.resolve(), "bin/busybox")
        for tool in TOOLS:
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return data.getvalue()
