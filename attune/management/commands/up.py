"""`manage.py up`: everything in one process, on SQLite and an in-memory broker; nothing else is needed."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.executions import workers
from attune import setup
from attune.process import Process


class Command(BaseCommand):
    help = "Start Attune on this machine alone: web, workers and sensors in one process."
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.SERVER_MODE:
            raise CommandError("`up` is for ATTUNE_MODE=embedded; in server mode start `web`, `worker` and `sensors`.")
        with _only_one():
            _first_time()
            setup.prepare(self.stdout.write)
            workers.declare_dead_of_this_host()
            process = Process(web=True, actions=True, sensors=True, drain=1.0)
            process.run(ready=f"Attune is ready: {settings.ATTUNE_API_URL}/admin/   (Ctrl-C ends it)")
            self.stdout.write("Attune has ended.")


def _first_time() -> None:
    """Make the tables, if there are none, in a process that ends: it takes memory that is never given back."""
    if Path(settings.DATABASES["default"]["NAME"]).exists():
        return
    if subprocess.run([sys.executable, settings.BASE_DIR / "manage.py", "prepare"], check=False).returncode:
        raise CommandError("The installation could not be made ready; what is above says why.")


@contextmanager
def _only_one() -> Iterator[None]:
    """Hold the data folder's lock: a second process on the same SQLite would take the first one's work for orphaned."""
    with (settings.ATTUNE_DATA_DIR / "attune.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"Attune is already running on {settings.ATTUNE_DATA_DIR}; "
                "stop it first, or give this one another ATTUNE_DATA_DIR and ATTUNE_PORT."
            ) from None
        yield
