"""Refs, the names of things: `<pack>` and `<pack>.<component>`."""

from __future__ import annotations

import re

PACK_REF = re.compile(r"[a-z][a-z0-9_-]*\Z")
COMPONENT_REF = re.compile(r"[a-z][a-z0-9_-]*\.[a-z0-9_-]+\Z")
ADHOC_TRIGGER_REF = re.compile(r"[a-z][a-z0-9_-]*\.[a-z0-9_-]+(\.[a-z0-9_-]+)*\Z")


def pack_of(ref: str) -> str:
    """The pack's part of a component's ref: all before the first dot."""
    return ref.partition(".")[0]


def name_of(ref: str) -> str:
    """The component's own part of its ref: all after the first dot."""
    return ref.partition(".")[2]


def title_of(name: str) -> str:
    """A label for people from a component's name: `send_message` gives "Send Message"."""
    return re.sub(r"[_\-.]+", " ", name).strip().title()
