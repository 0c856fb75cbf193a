"""How long this room keeps its rows: how packs were installed, and what their tests said."""

from __future__ import annotations

from django.conf import settings

from apps.packs.models import Installation, PackTest
from attune.lib.retention import Kind


def kinds() -> list[Kind]:
    """What is deleted, and when."""
    return [
        Kind(
            "installations",
            Installation,
            "created",
            settings.ATTUNE_KEEP_INSTALLS,
            may_go=lambda rows, before: rows.filter(finished_at__lt=before),
        ),
        Kind("tests of packs", PackTest, "created", settings.ATTUNE_KEEP_INSTALLS),
    ]
