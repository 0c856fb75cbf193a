"""Which addresses of the network anybody can reach."""

from __future__ import annotations

import pytest

from apps.packs.sources.addresses import is_public

pytestmark = pytest.mark.embedded_only

PUBLIC = """
93.184.216.34
2606:2800:220:1:248:1893:25c8:1946
64:ff9b::5db8:d822
"""
NOT_PUBLIC = """
127.0.0.1 127.9.9.9 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200 192.0.0.192
192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 168.63.129.16
::1 :: ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1
fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fec0::1 ff02::1 2001:db8::1 2002:7f00:1:: 2001:0:1::1
nonsense 1.2.3 0x7f.1
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_what_anybody_can_reach_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_what_only_some_can_reach_is_not(address: str) -> None:
    assert not is_public(address)
