"""How fast the launcher by itself runs a small Python script, cold or warm."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from attune.lib import processes
from attune.lib.launcher import clock
from attune.lib.programs import Launcher

SCRIPT = Path(__file__).with_name("pack") / "actions" / "small.py"
BASE = getattr(sys, "_base_executable", "") or sys.executable  # what the environments of packs are made from
ENV = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def script_rate(*, warm: bool, seconds: float) -> float:
    """Runs a second, two at a time, each from its start to its end with its output read."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([BASE, "-m", "venv", "--without-pip", f"{folder}/environment"], check=True)
        launcher = Launcher()
        launcher.spool = Path(folder) / "spool"
        counts = [0, 0]
        _run(launcher, "first", folder, warm)
        deadline = time.monotonic() + seconds

        def work(place: int) -> None:
            while time.monotonic() < deadline:
                _run(launcher, f"{place}-{counts[place]}", folder, warm)
                counts[place] += 1

        began = time.monotonic()
        threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        launcher.spool = Path(folder) / "other"  # ends the launcher
        return sum(counts) / took


def _run(launcher: Launcher, name: str, folder: str, warm: bool) -> None:
    marker = f"TMPDIR={folder}/{name}"
    with processes.document(b'{"text": "a few words"}\n') as stdin:
        program = launcher.start(
            name,
            [f"{folder}/environment/bin/python", str(SCRIPT)],
            cwd=Path(folder),
            env={**ENV, "TMPDIR": f"{folder}/{name}"},
            stdin=stdin,
            marker=marker,
            since=clock(),
            keep={},
            warm={"env": ENV, "idle": 60.0} if warm else None,
        )
    while select.select([program.status], [], []) and not program.listen():
        pass
    if program.returncode != 0 or os.read(program.stdout, 100) != b'{"words": 3}\n':
        raise RuntimeError(f"The script ended with {program.returncode}.")
    program.forget()
