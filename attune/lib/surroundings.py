"""What every program of a pack finds in its environment, action or sensor: nothing of the server's own."""

from __future__ import annotations

import getpass
import os
import sys
from functools import cache
from pathlib import Path

from django.conf import settings

from attune.lib.confining import estate
from attune.lib.processes import SYSTEM_PATH


@cache
def base_environment() -> dict[str, str]:
    """PATH without our own virtual environment, a home of its own, UTF-8; the folders that programs use are made.

    Raises AccountShutOut where programs have an account of their own that cannot get at them.
    """
    own = str(Path(sys.prefix) / "bin")
    given = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part and part != own]
    home = settings.ATTUNE_DATA_DIR / "home"
    for folder in (home, settings.ATTUNE_ARTIFACTS_DIR, settings.ATTUNE_TMP_DIR):
        folder.mkdir(parents=True, exist_ok=True)
    account = settings.ATTUNE_ACCOUNT
    if account:
        estate.divide(settings.ATTUNE_DATA_DIR, account)
    return {
        "PATH": os.pathsep.join(given) or SYSTEM_PATH,
        "HOME": str(home),
        "USER": account.name if account else getpass.getuser(),
        "LANG": "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8",
    }
