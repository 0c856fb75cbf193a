"""Make a user for a program: without a password, with a role, and with a token that is shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access import services
from apps.access.principals import Role
from attune.lib.errors import AttuneError


class Command(BaseCommand):
    help = "Make a user for a program: it has no password, and its token is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", required=True, choices=[role.group for role in Role])
        parser.add_argument(
            "--pack",
            action="append",
            default=[],
            metavar="REF[=ROLE]",
            help="limit it to this pack (aws* for all that begin so, * for every), with a role there; may be repeated",
        )
        parser.add_argument("--days", type=int, help="until the token ends; without it never does")

    def handle(self, *args: Any, name: str, role: str, pack: list[str], days: int | None, **options: Any) -> None:
        if days is not None and not 1 <= days <= 3650:
            raise CommandError(f"--days is {days}; give a number from 1 to 3650.")
        try:
            text, _ = services.create_service_account(
                name,
                role=Role[role.upper()],
                packs={ref: held for ref, _, held in (each.partition("=") for each in pack)},
                lifetime=timedelta(days=days) if days else None,
                actor="command",
            )
        except AttuneError as error:
            raise CommandError(error.message) from None
        self.stderr.write(f"User {name} made, with the role {role}. Its token, which is not shown again:")
        self.stdout.write(text)
