"""What is kept encrypted: AES-256-GCM, with a key made of ATTUNE_ENCRYPTION_KEY, bound to the place it belongs to."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import transaction
from django.db.models import Model

from apps.packs.errors import KeyUnreadable
from apps.packs.models import Installation, Key, Pack, PackIndex, Trigger

SIGN = "s1."  # how a sealed text begins: which way of sealing this is
_NONCE = 12  # bytes; random, good for four thousand million sealed values under one key


def seal(value: Any, *, about: str) -> str:
    """Any JSON value, encrypted with the present key.

    `about` names the place that it is kept for, like `key system.token`: moved to another place it cannot be opened.
    """
    nonce = os.urandom(_NONCE)
    clear = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    sealed = _ciphers()[0].encrypt(nonce, clear, about.encode())
    return SIGN + base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(text: str, *, about: str) -> Any:
    """The value that was sealed for this place, with the present key or a former one. Raises KeyUnreadable."""
    try:
        if not text.startswith(SIGN):
            raise ValueError
        raw = base64.b64decode(text[len(SIGN) :].encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise _unreadable(about) from None
    for cipher in _ciphers():
        try:
            return json.loads(
                cipher.decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode("utf-8", "surrogatepass")
            )
        except (InvalidTag, ValueError):
            continue
    raise _unreadable(about)


def _unreadable(about: str) -> KeyUnreadable:
    return KeyUnreadable(
        f"What is stored for {about} cannot be decrypted with the present ATTUNE_ENCRYPTION_KEY. Put the key it was "
        "stored with into ATTUNE_ENCRYPTION_KEY_FALLBACKS; if that is there, the stored text was changed or moved."
    )


def _ciphers() -> list[AESGCM]:
    return _ciphers_of((settings.ATTUNE_ENCRYPTION_KEY, *settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _ciphers_of(secrets: tuple[str, ...]) -> list[AESGCM]:
    """The operator's keys may be any text; AES-256 wants 32 bytes, which HKDF (RFC 5869) makes of it."""
    return [
        AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=b"attune sealing").derive(secret.encode()))
        for secret in secrets
    ]


# What each place is called -------------------------------------------------------------------------------------------
INDEX = "the headers of a pack index"
INSTALLATION = "the source of an installation"


def key(ref: str) -> str:
    """The value of a key."""
    return f"key {ref}"


def config(pack_ref: str) -> str:
    """The operator's configuration of a pack."""
    return f"the configuration of pack {pack_ref}"


def payload(trigger_ref: str) -> str:
    """The payload of an event."""
    return f"the payload of an event of {trigger_ref}"


def webhook(trigger_ref: str) -> str:
    """The secret that senders sign with."""
    return f"the webhook of {trigger_ref}"


# Every column of this room that holds what `seal` made, and for what place.
SEALED: tuple[tuple[type[Model], str, Callable[[Any], str]], ...] = (
    (Key, "sealed", lambda row: key(row.ref)),
    (Trigger, "webhook_secret", lambda row: webhook(row.ref)),
    (Pack, "sealed_config", lambda row: config(row.ref)),
    (PackIndex, "sealed_headers", lambda row: INDEX),
    (Installation, "sealed_source", lambda row: INSTALLATION),
)


_others: list[Callable[[], int]] = []


def register(reseal: Callable[[], int]) -> None:
    """A room to the left keeps something sealed, too: `reseal` encrypts it anew and says how much it was."""
    if reseal not in _others:
        _others.append(reseal)


@transaction.atomic
def reseal_all() -> int:
    """Encrypt every stored secret anew with the present key, so that the former ones can go. Returns how many."""
    count = sum(reseal() for reseal in _others)
    for model, column, place in SEALED:
        rows = model._default_manager.select_for_update().exclude(**{column: ""}).order_by("pk")
        for row in rows:
            about = place(row)
            sealed = seal(unseal(getattr(row, column), about=about), about=about)
            count += model._default_manager.filter(pk=row.pk).update(**{column: sealed})
    return count
