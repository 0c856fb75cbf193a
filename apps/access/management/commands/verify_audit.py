"""Say whether the audit log is as it was written."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access import audit_seals

SHOWN = 50  # faults


class Command(BaseCommand):
    help = (
        "Compare the audit log with its seals: entries that were changed, taken away or put in by another way than "
        "Attune's are named, and the command ends with 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--last", default="", help="The last seal as it was told before; it must still be there.")

    def handle(self, *args: Any, last: str = "", **options: Any) -> None:
        verdict = audit_seals.verify()
        faults = verdict.faults
        if last and not audit_seals.is_there(last):
            faults = [*faults, "the seal that you name is not there: the end of the log was cut off, or changed"]
        if faults:
            more = f"\n… and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
            raise CommandError("The audit log is not as it was written:\n" + "\n".join(faults[:SHOWN]) + more)
        self.stdout.write(f"The audit log is as it was written: {verdict.entries} entries below {verdict.seals} seals.")
        self.stdout.write(f"The last seal: {verdict.last or 'none yet'}")
