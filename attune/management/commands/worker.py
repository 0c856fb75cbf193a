"""`manage.py worker`: decides on events and runs actions; start as many as wanted, on as many machines."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from attune.process import Process


class Command(BaseCommand):
    help = "Decide on events and run actions (server mode)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--drain", type=float, default=30.0, help="seconds running actions have to end after SIGTERM (30)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        process = Process(actions=True, drain=options["drain"])
        process.run(ready=f"Attune's worker is ready, {settings.ATTUNE_WORKERS} actions at a time.")
