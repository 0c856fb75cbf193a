"""A pack's configuration: its secrets are encrypted beside it, and masked in it, so that showing it shows none."""

from __future__ import annotations

from typing import Any

from apps.packs import sealing
from apps.packs.models import Pack
from attune.lib import schemas


def put(pack: Pack, config: dict[str, Any]) -> list[str]:
    """Make this the operator's configuration, not saved yet. Returns the columns to save."""
    shown = schemas.mask(config, pack.conf_schema)
    pack.config = shown
    pack.sealed_config = sealing.seal(config, about=sealing.config(pack.ref)) if shown != config else ""
    return ["config", "sealed_config"]


def open_config(pack: Pack) -> dict[str, Any]:
    """The operator's configuration in clear. Raises KeyUnreadable."""
    if not pack.sealed_config:
        return pack.config or {}
    return sealing.unseal(pack.sealed_config, about=sealing.config(pack.ref))


def open_effective(pack: Pack) -> dict[str, Any]:
    """With defaults, in clear: for code that is handed it. Raises KeyUnreadable."""
    return pack.effective_config | open_config(pack)


def secret_places(pack: Pack) -> list[tuple[str | int, ...]]:
    """Where the operator's secrets are, as they stand in `config`."""
    return schemas.secret_places(pack.config, pack.conf_schema) if pack.sealed_config else []
