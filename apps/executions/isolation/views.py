"""What one run is shown of this machine in its sandbox: its pack, what that was built with, a place to write."""

from __future__ import annotations

import os.path
from pathlib import Path

from django.conf import settings

from apps.packs.models import Action
from apps.packs.runtimes import Command
from attune.lib.confining import here, places
from attune.lib.confining.bubblewrap import View

COMPILED = "PYTHONPYCACHEPREFIX"  # where Python keeps what it compiled


def view_of(action: Action, command: Command, *, scratch: Path) -> View:
    """The view of one run. `scratch` is its own folder, which is gone afterwards: its /tmp, its home, its TMPDIR."""
    links, homes = places.of_interpreter(command.argv[0])
    built = (str(Path(mark).parent) for mark in command.environments)
    artifacts = str(settings.ATTUNE_ARTIFACTS_DIR)
    writable = {artifacts: artifacts, **{path: path for path in settings.ATTUNE_SANDBOX_WRITE}}
    if compiled := command.env.get(COMPILED):
        writable[compiled] = _compiled(action.pack.ref)
    return View(
        cwd=str(command.cwd),
        scratch=str(scratch),
        homes=(str(settings.ATTUNE_DATA_DIR / "home"),),
        readable=tuple(
            dict.fromkeys([str(command.cwd), *built, *homes, *filter(os.path.exists, settings.ATTUNE_SANDBOX_READ)])
        ),
        writable=writable,
        links=links,
        hidden=(str(settings.ATTUNE_DATA_DIR), str(settings.BASE_DIR)),
        network=action.network,
    )


def _compiled(pack: str) -> str:
    """What sandboxed runs of a pack compiled: of no use to others, so that none can slip code to another pack's."""
    folder = settings.ATTUNE_DATA_DIR / "pycache-sandboxed" / pack
    folder.mkdir(parents=True, exist_ok=True)
    here.hand_over(folder)
    return str(folder)
