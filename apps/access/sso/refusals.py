"""Whoever is not let in by a provider's word is in the audit log, with the reason; of a flood of them only some."""

from __future__ import annotations

import logging

from apps.access import audit
from apps.access.sso.errors import NotAdmitted, SignOnFailed
from attune.lib.errors import AttuneError
from attune.lib.floods import Flood

logger = logging.getLogger(__name__)

ACTION = "auth.login_failed"
flood = Flood(3)  # a second of a kind, in each process: strangers cause them without being made to wait


def note(error: AttuneError, *, provider: str, origin: str) -> None:
    """`denied` is somebody whom the provider knows; the rest is `failure`."""
    reason = error.reason if isinstance(error, SignOnFailed) else error.message
    reason = "".join(letter if letter.isprintable() else "?" for letter in reason)[:500]  # parts of it are strangers'
    logger.warning("Signing in by %s was refused: %s", provider, reason)
    left_out = flood.left_out((provider, error.status_code))
    if left_out is None:
        return
    audit.record(
        "",
        ACTION,
        provider,
        after={"reason": reason} | ({"more_like_it": left_out} if left_out else {}),
        origin=origin,
        outcome=audit.Outcome.DENIED if isinstance(error, NotAdmitted) else audit.Outcome.FAILURE,
        http_status=error.status_code,
    )
