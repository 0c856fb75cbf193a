"""Load packs from their folders, say what was found, and build what their code needs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError

from apps.packs import services
from apps.packs.loading import LoadReport
from apps.packs.models import Pack
from attune.lib.errors import AttuneError


class Command(BaseCommand):
    help = "Load packs into Attune: folders, names of folders below ATTUNE_PACKS_DIR, or packs that are loaded already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("packs", nargs="+", metavar="PATH|REF")
        parser.add_argument("--check", action="store_true", help="only say what a load would do")
        parser.add_argument("--no-environments", action="store_true", help="do not build what the packs' code needs")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            failed = [
                name for name in options["packs"] if not self._load(name, options["check"], options["no_environments"])
            ]
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(f"The database says: {error}. Is it there and up to date? Run: manage.py up") from None
        if failed:
            raise CommandError(f"Not loaded, or not completely: {', '.join(failed)}.")

    def _load(self, name: str, check: bool, no_environments: bool) -> bool:
        try:
            report = services.load_pack(name, check_only=check)
        except AttuneError as error:
            self.stderr.write(self.style.ERROR(error.message))
            return False
        self._print(report)
        if report.pack is None or no_environments:
            return report.ok
        return self._build(report.pack)

    def _build(self, pack: Pack) -> bool:
        try:
            environment = services.build_environment(pack)
        except AttuneError as error:
            self.stderr.write(self.style.ERROR(error.message))
            return False
        for built in filter(None, (environment.python, environment.nodejs)):
            said = "built" if built.fresh else "is there"
            self.stdout.write(f"  environment: {built.kind} {built.version} {said}, {built.package_count} packages")
        return True

    def _print(self, report: LoadReport) -> None:
        title = f"{report.ref or report.path} {report.version}".strip()
        if report.faults:
            self.stdout.write(self.style.ERROR(f"{title}: {_count(report.faults, 'fault')}, nothing was changed"))
        else:
            done = "would be loaded" if report.checked_only else "loaded"
            self.stdout.write(self.style.SUCCESS(f"{title}: {done}, pack {report.pack_change}"))
        for finding in report.faults:
            self.stdout.write(f"  {finding}")
        for finding in report.warnings:
            self.stdout.write(self.style.WARNING(f"  warning: {finding}"))
        for finding in report.not_loaded:
            self.stdout.write(f"  {finding}")
        for kind, changes in report.changes.items() if report.ok else ():
            counts = {
                "added": len(changes.added),
                "changed": len(changes.changed),
                "removed": len(changes.removed),
                "unchanged": len(changes.unchanged),
            }
            if any(counts.values()):
                self.stdout.write(f"  {kind}: " + ", ".join(f"{n} {word}" for word, n in counts.items() if n))


def _count(things: list[Any], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
