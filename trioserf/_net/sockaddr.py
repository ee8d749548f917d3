"""Between `Address` and what the socket calls take and give.

A socket bound to every address takes IPv4 and IPv6 at once; on such a socket an IPv4
address is written as ``::ffff:a.b.c.d``.  That form is not seen outside of this module.
Everything is cached: a node sends to, and receives from, the same few thousand addresses.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from ..abc import Address

SockAddr: TypeAlias = "tuple[str, int] | tuple[str, int, int, int]"
"""What ``bind``, ``connect``, ``sendto`` take."""

_MAPPED = "::ffff:"


@lru_cache(maxsize=16384)
def to_sockaddr(address: Address, family: socket.AddressFamily) -> SockAddr:
    """What a socket of ``family`` needs to reach ``address``.  Never asks a resolver.

    Raises:
      ValueError: no IP address, an impossible port, an unknown zone, or IPv6 from an
        IPv4 socket.
    """
    host, port = address
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port")
    plain, _, zone = host.partition("%")
    ip = ip_address(plain)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if family == socket.AF_INET:
        if isinstance(ip, IPv6Address):
            raise ValueError("an IPv4 socket cannot reach an IPv6 address")
        return str(ip), port
    if isinstance(ip, IPv4Address):
        return f"{_MAPPED}{ip}", port, 0, 0
    return str(ip), port, 0, zone_number(zone)


def zone_number(zone: str) -> int:
    """The number of the interface that a zone names; 0 without a zone.

    Raises:
      ValueError: there is no such interface.
    """
    if not zone:
        return 0
    if zone.isascii() and zone.isdigit():
        return int(zone)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        raise ValueError(f"there is no interface {zone!r}") from None


@lru_cache(maxsize=16384)
def from_sockaddr(sockaddr: SockAddr) -> Address:
    """The address that ``recvfrom``, ``accept`` or ``getsockname`` gave."""
    host, port = sockaddr[0], sockaddr[1]
    if host.startswith(_MAPPED) and "." in host:
        return Address(host.removeprefix(_MAPPED), port)
    if len(sockaddr) == 4 and sockaddr[3] and "%" not in host:
        return Address(f"{host}%{_zone_name(sockaddr[3])}", port)
    return Address(host, port)


def _zone_name(number: int) -> str:
    try:
        return socket.if_indextoname(number)
    except OSError:
        return str(number)


def family_of(address: Address) -> socket.AddressFamily:
    """The family of a socket that is to connect to ``address``.

    Raises:
      ValueError: no IP address.
    """
    ip = ip_address(address.host.partition("%")[0])
    if isinstance(ip, IPv4Address) or ip.ipv4_mapped is not None:
        return socket.AF_INET
    return socket.AF_INET6
