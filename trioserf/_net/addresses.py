"""Addresses as users write them, as socket calls take them, and the one that a node advertises.

Source: hashicorp/memberlist v0.2.2, util.go: hasPort; net_transport.go: FinalAdvertiseAddr;
memberlist.go: setAlive.  hashicorp/go-sockaddr v1.0.0, ifaddrs.go: GetPrivateInterfaces; rfc.go:
KnownRFCs.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple, TypeAlias

from .._config import MemberlistConfig
from .._exceptions import ConfigError
from .._text import port_from_text, short_repr
from ..abc import Address
from .interfaces import InterfaceAddress, IPAddress, machine_addresses

# --- strings ------------------------------------------------------------------------------


class ParsedAddress(NamedTuple):
    """An address string taken apart.

    Args:
      name: the node name before the last ``/``; "" without one.
      host: IP address or host name, without brackets, as written.
      port: the port given, or the default.
    """

    name: str
    host: str
    port: int


def parse_address(text: str, default_port: int) -> ParsedAddress:
    """Take apart ``[node/]host[:port]``; IPv6 with a port needs brackets.

    DIFFERS: Go takes the first ``/``, so that a node whose name has one cannot be joined by it.
    No host has one.  Test: test_a_name_with_a_slash_can_be_joined.

    Raises:
      ValueError: a node name that is empty, or a port that is no number up to 65535.
    """
    name, slash, rest = text.rpartition("/")
    if slash and not name:
        raise ValueError(f"{short_repr(text)}: expected a node name before the '/'")
    host, port = _split_port(text, rest)
    return ParsedAddress(name, host, default_port if port is None else port)


def _split_port(text: str, rest: str) -> tuple[str, int | None]:
    if rest.startswith("["):
        host, bracket, port = rest[1:].rpartition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError(
                f"{short_repr(text)}: expected '[' address ']', then ':' and a port or nothing"
            )
        if not port:
            return host, None
        return host, _port(text, port[1:])
    if rest.count(":") == 1:
        host, _, port = rest.partition(":")
        return host, _port(text, port)
    return rest.strip("[]"), None


def _port(text: str, port: str) -> int:
    try:
        return port_from_text(port)
    except ValueError:
        raise ValueError(
            f"{short_repr(text)}: expected a port from 0 to 65535 after the ':'"
        ) from None


# --- what socket calls take and give ------------------------------------------------------

# A socket bound to every address takes IPv4 and IPv6 at once; on such a socket an IPv4 address is
# written as ``::ffff:a.b.c.d``.  That form is not seen outside of these functions.  They are
# cached: a node sends to, and receives from, the same few thousand addresses.

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


# --- what to advertise --------------------------------------------------------------------

_SPECIAL = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 "
    "192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 "
    "240.0.0.0/4 ::1/128 ::/128 64:ff9b::/96 ::ffff:0:0/96 100::/64 2001::/16 2002::/16 "
    "fc00::/7 fe80::/10"
)
"""RFC 6890 as go-sockaddr lists it."""
_NOT_FORWARDED = (
    "0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 "
    "203.0.113.0/24 240.0.0.0/4 ::1/128 ::/128 ::ffff:0:0/96 2001:db8::/32 2001:10::/28 fe80::/10"
)
"""What routers do not pass on, likewise."""
_SPECIAL_NETWORKS = tuple(map(ip_network, _SPECIAL.split()))
_NOT_FORWARDED_NETWORKS = tuple(map(ip_network, _NOT_FORWARDED.split()))


def is_private(ip: IPAddress) -> bool:
    """Whether Go takes the address for a private one that others can reach.

    This is not ``ip.is_private``: that includes networks for documentation, but not
    100.64.0.0/10, which carriers and overlay networks use.
    """
    return any(ip in network for network in _SPECIAL_NETWORKS) and not any(
        ip in network for network in _NOT_FORWARDED_NETWORKS
    )


def choose_advertised(candidates: Iterable[InterfaceAddress], *, ipv6_first: bool) -> IPAddress:
    """The best private address: of the default interface, of the family, in a large network.

    Raises:
      ValueError: none is private.
    """
    private = [candidate for candidate in candidates if is_private(candidate.ip)]
    if not private:
        raise ValueError("this machine has no private one, so give the one to advertise")

    def rank(candidate: InterfaceAddress) -> tuple[bool, bool, float]:
        wrong_family = ipv6_first == isinstance(candidate.ip, IPv4Address)
        return not candidate.default, wrong_family, candidate.prefix / candidate.ip.max_prefixlen

    return min(private, key=rank).ip


def pick_advertise(bind_addr: str) -> bytes:
    """The address to advertise when bound to ``bind_addr``: 4 or 16 bytes.

    A node that is bound to every address advertises its best private one.

    DIFFERS: Go writes the IPv4 address chosen here in 16 bytes; this has 4, the form of every
    other case.  Bound to ``::`` Go advertises ``::``, which no peer can use; here the address is
    chosen as for ``0.0.0.0``, IPv6 first
    (test_bound_to_every_ipv6_address_a_real_one_is_chosen).

    Raises:
      ValueError: no IP address, or bound to every address and none is private.
      OSError: the addresses of this machine cannot be read.
    """
    ip = ip_address(bind_addr.partition("%")[0])
    if not ip.is_unspecified:
        return ip.packed
    chosen = choose_advertised(machine_addresses(), ipv6_first=isinstance(ip, IPv6Address))
    return chosen.packed


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet may reach the address."""
    return ip_address(address.host.partition("%")[0]).is_global


def advertised_address(config: MemberlistConfig, bound: Address) -> Address:
    """The address to advertise: as configured, else as bound, else a private one.

    Args:
      config: ``advertise_addr`` and ``advertise_port``.
      bound: what the transport is bound to.

    Raises:
      ConfigError: bound to all addresses, there is no private one to choose.
    """
    port = config.advertise_port or bound.port
    if config.advertise_addr:
        host = config.advertise_addr.partition("%")[0]
        return Address.from_bytes(ip_address(host).packed, port)
    if not ip_address(bound.host.partition("%")[0]).is_unspecified:
        return Address(bound.host, port)
    try:
        return Address.from_bytes(pick_advertise(bound.host), port)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "bind_addr", bound.host, f"an address that peers can reach, or advertise_addr: {error}"
        ) from error
