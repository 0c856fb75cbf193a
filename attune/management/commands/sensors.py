"""`manage.py sensors`: hosts sensor processes; a second one takes over when the first dies."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from attune.process import Process


class Command(BaseCommand):
    help = "Host the sensors (server mode)."

    def handle(self, *args: Any, **options: Any) -> None:
        Process(sensors=True, drain=0.0).run(ready="Attune's sensor host is ready.")
