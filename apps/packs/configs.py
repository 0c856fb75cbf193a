"""A pack's configuration: its secrets are encrypted beside it, and masked in it, so that showing it shows none."""

from __future__ import annotations

from typing import Any

from apps.packs import sealing
from apps.packs.models import Pack
from attune.lib import schemas
from attune.lib.schemas import MASK


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


def unmasked(pack: Pack, config: Any) -> Any:
    """A configuration that was shown masked and is sent back: a mask stands for the present value, if there is one.

    Raises KeyUnreadable.
    """
    return _in_place_of_masks(config, open_config(pack))


def _in_place_of_masks(new: Any, old: Any) -> Any:
    if isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        kept = {name: value for name, value in new.items() if value != MASK or name in before}
        return {name: _in_place_of_masks(value, before.get(name)) for name, value in kept.items()}
    if isinstance(new, list):
        items = old if isinstance(old, list) else []
        return [_in_place_of_masks(item, items[n] if n < len(items) else None) for n, item in enumerate(new)]
    return old if new == MASK else new


def open_effective(pack: Pack) -> dict[str, Any]:
    """With defaults, in clear: for code that is handed it. Raises KeyUnreadable."""
    return pack.effective_config | open_config(pack)


def secret_places(pack: Pack) -> list[tuple[str | int, ...]]:
    """Where the operator's secrets are, as they stand in `config`."""
    return schemas.secret_places(pack.config, pack.conf_schema) if pack.sealed_config else []
