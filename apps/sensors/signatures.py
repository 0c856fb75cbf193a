"""Is this webhook's body signed with the secret we share? Five schemes, one question. Pure: the clock is handed in.

| scheme  | header                                          | signed text               | proof                       |
|---------|-------------------------------------------------|---------------------------|-----------------------------|
| github  | X-Hub-Signature-256                             | the raw body              | sha256=<hex>                |
| generic | X-Hub-Signature-256, or the one configured      | the raw body              | sha256=<hex> or <hex>       |
| attune  | X-Webhook-Signature                             | the raw body              | sha256=<hex> or <hex>       |
| stripe  | Stripe-Signature                                | <t>.<raw body>            | t=<seconds>,v1=<hex>[,v1=…] |
| slack   | X-Slack-Signature and X-Slack-Request-Timestamp | v0:<timestamp>:<raw body> | v0=<hex>                    |

All are HMAC-SHA256 in hexadecimal, compared in constant time. Sources: GitHub's "Validating webhook deliveries",
Stripe's "Verify webhook signatures manually", Slack's "Verifying requests from Slack".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

from apps.sensors.errors import SignatureRefused

TOLERANCE = 300  # seconds that a signed timestamp may be away from our clock: Stripe's and Slack's own figure
_MOST_PROOFS = 10  # of one header; Stripe sends as many as there are live secrets
_LONGEST_HEADER = 4096

Headers = Mapping[str, str]  # names in lower case


def check(
    scheme: str,
    *,
    secret: bytes,
    headers: Headers,
    body: bytes,
    now: float,
    header: str = "",
    tolerance: float = TOLERANCE,
) -> str:
    """Return when the body is signed; `header` is the name configured for `generic`, `now` seconds since the epoch.

    What comes back is the same for the same signed time and body, so that one who heard a delivery cannot send it again
    while its time is still good; empty where no time is signed, for there two equal bodies may be two deliveries.
    Raises: SignatureRefused saying what is wrong, never what would have been right.
    """
    if not secret:
        raise SignatureRefused("This webhook checks signatures, but has no secret; set one on its trigger.")
    if scheme not in SCHEMES:
        raise SignatureRefused(f"The webhook's scheme {scheme!r} is unknown; choose one of {', '.join(SCHEMES)}.")
    return SCHEMES[scheme](secret, headers, body, now, header, tolerance)


def signature(secret: bytes, *parts: bytes) -> str:
    """The HMAC-SHA256 of the parts put together, in hexadecimal."""
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _body_alone(default_header: str, *, bare: bool, configurable: bool) -> Callable[..., str]:
    def checked(secret: bytes, headers: Headers, body: bytes, now: float, header: str, tolerance: float) -> str:
        name = (header if configurable and header else default_header).lower()
        given = _header(headers, name)
        prefix, equals, proof = given.partition("=")
        if not equals and bare:
            proof = given
        elif prefix.strip().lower() != "sha256":
            raise SignatureRefused(f"The header {name} must be sha256=<hexadecimal>.")
        _compare(signature(secret, body), [proof])
        return ""

    return checked


def _stripe(secret: bytes, headers: Headers, body: bytes, now: float, header: str, tolerance: float) -> str:
    pairs = [part.strip().partition("=") for part in _header(headers, "stripe-signature").split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    proofs = [value for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not proofs:
        raise SignatureRefused("The header stripe-signature must be t=<seconds>,v1=<hexadecimal>.")
    _in_time(times[0], now, tolerance)
    _compare(signature(secret, times[0].encode(), b".", body), proofs)
    return _mark(times[0], body)


def _slack(secret: bytes, headers: Headers, body: bytes, now: float, header: str, tolerance: float) -> str:
    stamp = _header(headers, "x-slack-request-timestamp")
    version, _, proof = _header(headers, "x-slack-signature").partition("=")
    if version != "v0":
        raise SignatureRefused("The header x-slack-signature must be v0=<hexadecimal>.")
    _in_time(stamp, now, tolerance)
    _compare(signature(secret, b"v0:", stamp.encode(), b":", body), [proof])
    return _mark(stamp, body)


SCHEMES: dict[str, Callable[..., str]] = {
    "generic": _body_alone("X-Hub-Signature-256", bare=True, configurable=True),
    "github": _body_alone("X-Hub-Signature-256", bare=False, configurable=False),
    "stripe": _stripe,
    "slack": _slack,
    "attune": _body_alone("X-Webhook-Signature", bare=True, configurable=False),
}


def _header(headers: Headers, name: str) -> str:
    given = headers.get(name, "").strip()
    if not given:
        raise SignatureRefused(f"The header {name} is missing.")
    if len(given) > _LONGEST_HEADER:
        raise SignatureRefused(f"The header {name} is too long.")
    return given


def _in_time(stamp: str, now: float, tolerance: float) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise SignatureRefused("The signed timestamp is not a number of seconds.")
    if abs(now - int(stamp)) > tolerance:
        raise SignatureRefused(
            f"The signed timestamp is more than {tolerance:g} seconds away from this server's clock."
        )


def _mark(stamp: str, body: bytes) -> str:
    return "signed:" + hashlib.sha256(stamp.encode() + b"." + body).hexdigest()


def _compare(right: str, given: list[str]) -> None:
    """Constant in time for each proof given; what is not ASCII cannot be right."""
    matches = [
        hmac.compare_digest(right.encode(), proof.strip().lower().encode("utf-8", "replace"))
        for proof in given[:_MOST_PROOFS]
    ]
    if not any(matches):
        raise SignatureRefused("The signature does not fit this body and secret.")
