"""Addresses of the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote


def place(template: str, **parts: Any) -> str:
    """An address with its parts filled in, whatever they hold: `place("packs/{ref}", ref="core")`."""
    return template.format(**{name: quote(str(part), safe="") for name, part in parts.items()})


def whole(path: str) -> str:
    """From the server's root: `packs` is below `/api/v1`, `/auth/me` is where it says."""
    return path if path.startswith("/") else f"/api/v1/{path}"
