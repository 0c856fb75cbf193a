"""Labels of workers, and what an action asks of them: `gpu=yes,zone=dmz` as text, a mapping to work with. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}\Z")
LONGEST = 500  # characters of the text


def read(text: str) -> dict[str, str]:
    """The labels of a text like `zone=dmz,gpu=yes`. Raises ValueError with what is wrong and the remedy."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name.strip() in found:
            raise ValueError(f"the label {name.strip()!r} stands there twice; keep one")
        found[name.strip()] = value.strip()
    fault = fault_of(found)
    if fault:
        raise ValueError(fault)
    return found


def write(labels: Mapping[str, str]) -> str:
    """The text of these labels, the same for the same labels."""
    return ",".join(f"{name}={labels[name]}" for name in sorted(labels))


def meets(labels: Mapping[str, str], selector: str) -> bool:
    """Whether somebody with these labels has every one that the selector, a text as `write` makes it, asks for."""
    return read(selector).items() <= labels.items()


def fault_of(labels: Mapping[Any, Any]) -> str:
    """What is wrong with these labels, and the remedy; empty when they are sound."""
    for name, value in labels.items():
        for part in (name, value):
            if not isinstance(part, str) or not _PART.match(part):
                return (
                    f"{name!r}: {value!r} is no label; write a name and a value of letters, digits, `.`, `_`, `/` "
                    "and `-`, such as zone=dmz"
                )
    if len(write(labels)) > LONGEST:
        return f"these labels are longer than {LONGEST} characters; use fewer"
    return ""
