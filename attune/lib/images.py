"""The names of container images: strict, so that a name is never taken for an option, a path or a transport. Pure."""

from __future__ import annotations

import re

_WORD = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?P<name>{_WORD}(?::[0-9]{{1,5}}(?=/))?(?:/{_WORD})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?\Z"
)
LONGEST = 400  # characters
# What podman reads as a place to take an image from, such as `dir:x`, and not as a name and its tag.
_TRANSPORTS = frozenset(
    [
        *("atomic", "containers-storage", "dir", "docker-archive", "docker-daemon", "oci", "oci-archive", "ostree"),
        *("sif", "tarball"),
    ]
)


def fault_of(image: str) -> str:
    """What is wrong with the name of an image, and the remedy; empty if it is sound."""
    match = IMAGE.match(image) if len(image) <= LONGEST else None
    if not match or match["name"] in _TRANSPORTS:
        return f"{image[:100]!r} is not the name of an image; write it like registry.example.org/team/tool:1.2"
    if not match["tag"] and not match["digest"]:
        return f"{image!r} says neither a tag nor a digest; write {image}:1.2, or {image}@sha256:…"
    return ""
