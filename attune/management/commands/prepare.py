"""`manage.py prepare`: what a first start or an upgrade needs, once for an installation with several processes."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from attune import setup


class Command(BaseCommand):
    help = "Migrate, load the system packs, detect runtimes, make the first administrator."
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        setup.prepare(self.stdout.write)
        self.stdout.write("Attune is prepared.")
