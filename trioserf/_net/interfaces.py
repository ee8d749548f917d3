"""The addresses of this machine, with the standard library alone.

Two questions are asked of the system: which address would be used towards the rest of the
world (a datagram socket is connected, which sends nothing, and asked for its local address), and,
on Linux, which addresses the interfaces have.  Elsewhere the names of the host stand in for
the second.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeAlias

from .. import _attrs as attrs

IPAddress: TypeAlias = IPv4Address | IPv6Address

_ELSEWHERE = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation: on no local network, so the default route leads there."""
_ON_LINUX: bool = sys.platform == "linux"
_SIOCGIFFLAGS = 0x8913
_SIOCGIFADDR = 0x8915
_SIOCGIFNETMASK = 0x891B
_IFF_UP = 0x1
_IF_INET6 = Path("/proc/net/if_inet6")


@attrs.frozen
class InterfaceAddress:
    """One address of this machine.

    Args:
      ip: the address.
      prefix: length of its network's prefix (bits); the full length where unknown.
      default: whether its interface leads to the rest of the world.
    """

    ip: IPAddress
    prefix: int
    default: bool


def machine_addresses() -> list[InterfaceAddress]:
    """Every address of this machine that can be found out, each once."""
    defaults = list(_default_addresses())
    found: dict[IPAddress, tuple[int, str]] = {}
    for ip, prefix, interface in _interface_addresses():
        found.setdefault(ip, (prefix, interface))
    for ip in defaults:
        found.setdefault(ip, (ip.max_prefixlen, ""))
    leading = {found[ip][1] for ip in defaults} - {""}
    return [
        InterfaceAddress(ip, prefix, ip in defaults or interface in leading)
        for ip, (prefix, interface) in found.items()
    ]


def _default_addresses() -> Iterator[IPAddress]:
    for family, elsewhere in _ELSEWHERE.items():
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((elsewhere, 9))
            yield ip_address(sock.getsockname()[0].partition("%")[0])


def _interface_addresses() -> Iterator[tuple[IPAddress, int, str]]:
    if _ON_LINUX:
        yield from _linux_ipv4()
        yield from _linux_ipv6()
        return
    with suppress(OSError):
        for *_, sockaddr in socket.getaddrinfo(socket.gethostname(), None):
            ip = ip_address(str(sockaddr[0]).partition("%")[0])
            yield ip, ip.max_prefixlen, ""


def _linux_ipv4() -> Iterator[tuple[IPAddress, int, str]]:
    """The first IPv4 address of each interface that is up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without an IPv4 address
                [flags] = struct.unpack_from("H", _ask(sock, _SIOCGIFFLAGS, name), 16)
                if flags & _IFF_UP:
                    ip = IPv4Address(_ask(sock, _SIOCGIFADDR, name)[20:24])
                    mask = int.from_bytes(_ask(sock, _SIOCGIFNETMASK, name)[20:24], "big")
                    yield ip, mask.bit_count(), name


def _ask(sock: socket.socket, question: int, name: str) -> bytes:
    import fcntl

    return fcntl.ioctl(sock, question, struct.pack("256s", name.encode()[:15]))


def _linux_ipv6() -> Iterator[tuple[IPAddress, int, str]]:
    """Each line of the kernel's table: address, number, prefix, scope, flags, interface."""
    try:
        lines = _IF_INET6.read_text("ascii", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError):
            text, _, prefix, _, _, name = line.split()
            yield IPv6Address(bytes.fromhex(text)), int(prefix, 16), name
