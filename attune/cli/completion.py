"""Refs of the running server for the shell's completion: quickly, or not at all, and never with an error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import typer

from attune.cli.output import dig

TIMEOUT = 1.0  # seconds
MOST = 100


def refs_of(things: str, *, field: str = "ref", label: str = "label") -> Callable[..., list[tuple[str, str]]]:
    """A completer for the things of that list of the API."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        # The shell's line is being edited: whatever goes wrong, it must not be written over.
        with suppress(BaseException):
            return [(str(dig(row, field)), str(dig(row, label) or "")) for row in _rows(ctx, things, incomplete)]
        return []

    return complete


def _rows(ctx: typer.Context, things: str, incomplete: str) -> list[dict[str, Any]]:
    from attune.cli import profile
    from attune.cli.client import Client

    name = ctx.params.get("profile") or ctx.find_root().params.get("profile")
    api = Client(profile.chosen(name), timeout=TIMEOUT, times=1)
    asked = {"q": incomplete} if things not in ("keys", "executions", "events") and incomplete else {}
    return api.rows(things, limit=MOST, **asked)
