"""Peer addresses as gRPC writes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import unquote

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_IPV6_SITE = 64


def host_of(peer: str) -> str:
    """`192.0.2.1` of `ipv4:192.0.2.1:4711`, `::1` of `ipv6:%5B::1%5D:4711`; what is neither stays as it is."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return peer
    return rest.rpartition(":")[0].strip("[]")


def machine(host: str) -> str:
    """What requests of nobody in particular are counted by.

    An IPv6 host counts as its network of 64 bits: whoever has one such address has 2**64 of them.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"peer:{host[:128]}"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv6Address):
        return f"ipv6:{ipaddress.ip_network((address, _IPV6_SITE), strict=False)}"
    return f"ipv4:{address}"


def in_networks(peer: str, networks: Sequence[Network]) -> bool:
    """Whether a peer's address lies in one of these."""
    try:
        address = ipaddress.ip_address(host_of(peer))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
