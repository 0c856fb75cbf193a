"""A trigger's webhook as facts on its row: the address's key, how a sender proves who it is, and its limits."""

from __future__ import annotations

import ipaddress
import re
import secrets
from typing import Any

from attune.lib.errors import InvalidInput

SCHEMES = ("generic", "github", "stripe", "slack", "attune")
TIMED = ("stripe", "slack")  # which sign the time
_NAME = re.compile(r"[A-Za-z0-9-]{1,100}\Z")  # of an HTTP header
_WHOLE = {"tolerance": (0, 86_400), "rate_limit": (1, 1_000_000), "max_bytes": (1, 64 * 1024 * 1024)}


def new_key() -> str:
    """The secret part of a webhook's address: `wh_` and 32 hexadecimal digits."""
    return f"wh_{secrets.token_hex(16)}"


def checked(options: dict[str, Any]) -> dict[str, Any]:
    """Webhook options that can be used; what is null is left out. Raises InvalidInput naming every one that cannot be.

    scheme: generic | github | stripe | slack | attune; header, dedup_header: names of HTTP headers; tolerance: seconds;
    networks: list of networks in CIDR notation; rate_limit: requests a minute; max_bytes: bytes.
    """
    faults: list[dict[str, str]] = []
    result: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        message = ""
        if name == "scheme":
            message = "" if value in SCHEMES else f"choose one of {', '.join(SCHEMES)}"
        elif name in ("header", "dedup_header"):
            message = (
                "" if isinstance(value, str) and (not value or _NAME.match(value)) else "give an HTTP header's name"
            )
        elif name in _WHOLE:
            least, most = _WHOLE[name]
            whole = isinstance(value, int) and not isinstance(value, bool)
            message = "" if whole and least <= value <= most else f"give a whole number from {least} to {most}"
        elif name == "networks":
            value, message = _networks(value)
        else:
            message = f"there is no such option; known: scheme, header, dedup_header, networks, {', '.join(_WHOLE)}"
        if message:
            faults.append({"path": name, "message": f"{name}: {message}"})
        else:
            result[name] = value
    if result.get("scheme") in TIMED and result.get("dedup_header"):
        message = f"no header is signed by {result['scheme']}, so none says what is the same delivery; leave it empty"
        faults.append({"path": "dedup_header", "message": f"dedup_header: {message}"})
    if faults:
        raise InvalidInput("; ".join(fault["message"] for fault in faults), details={"faults": faults})
    return result


def _networks(value: Any) -> tuple[list[str], str]:
    networks: list[str] = []
    for item in value if isinstance(value, list) else [value]:
        try:
            if not isinstance(item, str):
                raise ValueError
            networks.append(str(ipaddress.ip_network(item.strip(), strict=False)))
        except ValueError:
            return [], f"{item!r} is not a network; write it like 10.0.0.0/8 or 192.0.2.7"
    return networks, ""
