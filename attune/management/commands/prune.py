"""`manage.py prune`: delete at once what the retention would delete within the hour."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.access import audit
from apps.executions import retention as executions
from attune.lib.retention import old
from attune.retention import kinds, prune_rows


class Command(BaseCommand):
    help = "Delete what is older than the ATTUNE_KEEP_… settings say, and files of this data folder that nobody needs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *args: Any, **options: Any) -> None:
        known = kinds()
        if options["dry_run"]:
            for kind in known:
                self._tell("Would delete", old(kind), kind.name, kind.days)
            self.stdout.write(f"Would remove {sum(1 for _ in executions.orphans())} files and folders without a row.")
            return
        done = prune_rows()
        for kind, one in zip(known, done, strict=True):
            self._tell("Deleted", one.count, kind.name, kind.days)
        removed = executions.remove_orphans()
        self.stdout.write(f"Removed {removed} files and folders without a row.")
        longest = max(one.longest for one in done)
        self.stdout.write(f"The longest transaction took {1000 * longest:.0f} ms.")
        if removed or any(one.count for one in done):
            counts = {one.name: one.count for one in done if one.count}
            audit.record("command", "retention.prune", "", after=counts | {"files": removed})

    def _tell(self, verb: str, count: int, name: str, days: int) -> None:
        kept = f"kept {days} day{'s' if days != 1 else ''}" if days else "kept for ever"
        self.stdout.write(f"{verb} {count} {name} ({kept}).")
