"""Which addresses of the network the server may be sent to: those anybody can reach, and hosts that are trusted.

Otherwise whoever may name a URL could have the server ask what only the server can reach.
"""

from __future__ import annotations

import ipaddress
import socket
import urllib.request
from collections.abc import Callable

from apps.packs.errors import FetchFailed, SourceInvalid

Resolve = Callable[[str, int], list[str]]  # a host's addresses; OSError if there are none

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",
        "168.63.129.16/32",  # what a cloud tells its machines, at an address like any other
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "64:ff9b:1::/48",
        "fec0::/10",
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


def resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether anybody can reach this address; of one that wraps an IPv4 address, that one decides."""
    try:
        ip: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64 or ip in _COMPATIBLE:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    if any(ip.version == network.version and ip in network for network in _NOT_PUBLIC):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


def is_trusted(host: str, port: int, trusted_hosts: frozenset[str]) -> bool:
    """Whether a host is among those trusted, alone or with just this port (`intranet`, `127.0.0.1:8080`)."""
    name = host.strip("[]").rstrip(".").lower()
    return name in trusted_hosts or f"{name}:{port}" in trusted_hosts


def allowed(host: str, port: int, *, trusted_hosts: frozenset[str], resolve: Resolve = resolve) -> list[str]:
    """The addresses to connect to, and to no others. SourceInvalid if one of them is not for everybody."""
    try:
        found = resolve(host.strip("[]"), port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name of a host"
        raise FetchFailed(f"The host {host} is not known: {reason}. Check its spelling and the network.") from None
    if is_trusted(host, port, trusted_hosts):
        return found
    for address in found:
        if not is_public(address):
            raise SourceInvalid(
                f"The host {host} is at {address}, which is not an address of the public network, so the server will "
                "not ask it. If that is the right host, let an administrator add it to the trusted hosts."
            )
    if not found:
        raise FetchFailed(f"The host {host} has no address. Check its spelling.")
    return found


def proxy_for(scheme: str, host: str) -> str:
    """The proxy that the server's environment names for a host (HTTPS_PROXY, NO_PROXY, …); empty for none."""
    proxy = urllib.request.getproxies_environment().get(scheme, "")
    return "" if urllib.request.proxy_bypass(host) else proxy
