"""What `manage.py check` says about Attune itself."""

from __future__ import annotations

import shutil
from typing import Any

from django.core.checks import CheckMessage, Warning, register

TOOLS = {"bash": "bash", "jq": "jq", "curl": "curl"}


@register("attune")
def tools_are_there(**_: Any) -> list[CheckMessage]:
    """The programs the core pack's shell actions call."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if not missing:
        return []
    names = " ".join(TOOLS[tool] for tool in missing)
    return [
        Warning(
            f"Not found on the PATH: {', '.join(missing)}. Actions of the core pack need them.",
            hint=f"Debian, Ubuntu: apt-get install {names}; macOS: brew install {names}",
            id="attune.W001",
        )
    ]
