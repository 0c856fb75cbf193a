"""The keys that a program has read over the API so far, so that they are hidden in what it prints afterwards."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import Any

from django import db
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.packs import keys
from apps.packs.errors import KeyUnreadable
from apps.packs.models import Key, KeyGrant

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds between two looks at which packs have keys at all
_NAMES = frozenset(
    {"user", "username", "login", "email", "account", "name", "project", "database", "tenant", "organization"}
)
_holders: frozenset[str] = frozenset()
_looked_at = float("-inf")
_lock = threading.Lock()


class KeyReads:
    """What one program, as the audit log calls it, has read. `of` are the refs whose keys it may read.

    The log is written before the program has the value, so a look at it is never too late. Where nobody of `of` has a
    key, there is no look.
    """

    def __init__(self, reader: str, of: set[str]) -> None:
        self._reader, self._of = reader, of
        self._last = 0  # entry of the log
        self._since = timezone.now() - timedelta(hours=1)  # what it read again since then has no line of its own

    def new(self) -> list[Any]:
        """The values that it read since the last time this was asked."""
        if self._of.isdisjoint(_those_with_keys()):
            return []
        lines = AuditEntry.objects.filter(actor=self._reader, id__gt=self._last, action=keys.READ, at__gte=self._since)
        found = dict(lines.filter(outcome=AuditEntry.Outcome.SUCCESS).values_list("target", "id"))
        if not found:
            return []
        self._last = max(found.values())
        values = []
        for key in Key.objects.filter(ref__in=found):
            try:
                values.append(_secret_parts(keys.value_of(key)))
            except KeyUnreadable:
                logger.warning("Key %s cannot be decrypted, so it cannot be hidden either.", key.ref)
        return values


def _secret_parts(value: Any) -> Any:
    """The value without what says who one is rather than proves it: that is in results for a reason."""
    if not isinstance(value, dict):
        return value
    return {name: _secret_parts(part) for name, part in value.items() if name.lower() not in _NAMES}


def _those_with_keys() -> frozenset[str]:
    """Every ref that owns a key or was granted one; of the system's as the empty text."""
    global _holders, _looked_at
    with _lock:
        if time.monotonic() - _looked_at >= LOOK_EVERY:
            owners = Key.objects.values_list("owner_ref", flat=True).distinct()
            _holders = frozenset([*owners, *KeyGrant.objects.values_list("grantee", flat=True).distinct()])
            _looked_at = time.monotonic()
        return _holders


def new_of(reads: KeyReads) -> list[Any]:
    """As `reads.new()`; while the database is away nothing can be read either."""
    try:
        return reads.new()
    except db.Error as error:
        logger.warning("The log of key reads could not be asked: %s", " ".join(str(error).split())[:200])
        if not db.connection.in_atomic_block:
            db.connection.close()
        return []
