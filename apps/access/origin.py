"""Where a request comes from, believing only the proxies that the operator trusts."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The client's address: the peer's, or if that is a trusted proxy the last untrusted one in `X-Forwarded-For`."""
    address = _plain(str(request.META.get("REMOTE_ADDR", "") or ""))
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    while forwarded and is_trusted(address):
        candidate = _plain(forwarded.pop())
        if not _is_address(candidate):
            break
        address = candidate
    return address


def is_trusted(address: str) -> bool:
    """Whether what the proxy at this address says of a request is believed."""
    networks = _networks(tuple(settings.ATTUNE_TRUSTED_PROXIES))
    address = _plain(address)
    return bool(networks) and _is_address(address) and any(ip_address(address) in network for network in networks)


def _plain(address: str) -> str:
    """An IPv4 address as such, also where a listener for both kinds gives it as one of IPv6."""
    if not address.lower().startswith("::ffff:") or not _is_address(address):
        return address
    return str(getattr(ip_address(address), "ipv4_mapped", None) or address)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)
