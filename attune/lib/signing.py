"""Signatures of what we hand out ourselves: Django's `salted_hmac` with SHA-256, whose key is made once and kept."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache


def signature(salt: str, text: str, *, secret: str) -> str:
    """The HMAC of a text, as hex. Each `salt` has a key of its own, made of it and the secret."""
    return hmac.digest(_key(salt, secret), text.encode(), "sha256").hex()


@lru_cache(maxsize=32)
def _key(salt: str, secret: str) -> bytes:
    return hashlib.sha256((salt + secret).encode()).digest()
