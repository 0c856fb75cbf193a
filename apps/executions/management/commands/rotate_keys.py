"""Encrypt everything stored anew with the present ATTUNE_ENCRYPTION_KEY, so that former ones can be taken away."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.access import audit, audit_seals
from apps.executions import secrets
from apps.packs import sealing
from attune.lib.errors import AttuneError


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret and secret parameter anew with ATTUNE_ENCRYPTION_KEY. Put the former key "
        "into ATTUNE_ENCRYPTION_KEY_FALLBACKS before, and take it out afterwards."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            kept, parameters = sealing.reseal_all(), secrets.reseal_all()
            seals = audit_seals.sign_anew()
        except AttuneError as error:
            raise CommandError(error.message) from None
        audit.record("command", "key.rotate", "", after={"secrets": kept, "executions": parameters, "seals": seals})
        self.stdout.write(
            f"Encrypted anew: {kept} stored secrets, the parameters of {parameters} executions. "
            "ATTUNE_ENCRYPTION_KEY_FALLBACKS can be emptied."
        )
