"""The addresses of the admin's pages; imports nothing of the admin, so that template tags may use it."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse


def page_url(model: str, key: Any) -> str:
    """The page of a thing: `page_url("packs.action", "core.echo")`; by number or by ref."""
    app, name = model.split(".")
    return reverse(f"admin:{app}_{name}_change", args=[quote(str(key))])


def list_url(model: str, query: str = "") -> str:
    app, name = model.split(".")
    return reverse(f"admin:{app}_{name}_changelist") + (f"?{query}" if query else "")
