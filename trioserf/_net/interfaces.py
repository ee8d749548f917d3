"""The addresses of this machine, with the standard library alone.

Two questions are asked of the system: which address would be used towards the rest of the
world (a datagram socket is connected, which sends nothing, and asked for its local address), and
which addresses the interfaces have: all of them, since a private one may well be the second on
its interface.  ``getifaddrs`` of the C library answers that on Linux, BSD and macOS.  Where it is
missing, or Python has no ``ctypes``, the names of the host stand in for it: on Windows they give
the addresses of all interfaces, too.

Source: hashicorp/go-sockaddr v1.0.0, ifaddrs.go: GetAllInterfaces, GetDefaultInterfaces.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, TypeAlias

from .. import _attrs as attrs

IPAddress: TypeAlias = IPv4Address | IPv6Address

_ELSEWHERE = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation: on no local network, so the default route leads there."""
_UP: Final = 0x1
"""Flag of an interface that is in use (IFF_UP, the same number everywhere)."""
_HAS_LENGTH: Final = sys.platform != "linux"
"""Whether a socket address begins with its length, as on BSD and macOS."""
_PLACES: Final = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}
"""Where the IP address is in a socket address of each family, and its length (bytes)."""


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


def interface_addresses(name: str) -> list[IPAddress]:
    """The addresses of the interface of this name; none where the system cannot be asked.

    Raises:
      OSError: there is no such interface.
    """
    socket.if_nametoindex(name)
    return [ip for ip, _prefix, interface in _interface_addresses() if interface == name]


def _default_addresses() -> Iterator[IPAddress]:
    for family, elsewhere in _ELSEWHERE.items():
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((elsewhere, 9))
            yield ip_address(sock.getsockname()[0].partition("%")[0])


def _interface_addresses() -> Iterator[tuple[IPAddress, int, str]]:
    found = _of_interfaces()
    if found is not None:
        yield from found
        return
    with suppress(OSError):
        for *_, sockaddr in socket.getaddrinfo(socket.gethostname(), None):
            ip = ip_address(str(sockaddr[0]).partition("%")[0])
            yield ip, ip.max_prefixlen, ""


def _of_interfaces() -> list[tuple[IPAddress, int, str]] | None:
    """Address, prefix and interface of all that are up; None where the system cannot be asked."""
    try:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        get, free = library.getifaddrs, library.freeifaddrs
    except (ImportError, OSError, TypeError, AttributeError):
        return None

    class Entry(ctypes.Structure):
        """``struct ifaddrs``, as far as it is the same everywhere."""

    Entry._fields_ = [
        ("next", ctypes.POINTER(Entry)),
        ("name", ctypes.c_char_p),
        ("flags", ctypes.c_uint),
        ("address", ctypes.c_void_p),
        ("netmask", ctypes.c_void_p),
    ]
    first = ctypes.POINTER(Entry)()
    get.argtypes, free.argtypes = [ctypes.POINTER(ctypes.POINTER(Entry))], [ctypes.POINTER(Entry)]
    if get(ctypes.byref(first)) != 0:
        return None
    try:
        return list(_read_entries(ctypes, first))
    finally:
        free(first)


def _read_entries(ctypes: Any, entry: Any) -> Iterator[tuple[IPAddress, int, str]]:
    while entry:
        one = entry.contents
        if one.flags & _UP and one.address:
            family, raw = _ip_bytes(ctypes, one.address, None)
            if raw:
                ip, mask = ip_address(raw), b"\xff" * len(raw)
                if one.netmask:
                    mask = _ip_bytes(ctypes, one.netmask, family)[1]
                prefix = int.from_bytes(mask, "big").bit_count()
                yield ip, prefix, one.name.decode("utf-8", "surrogateescape")
        entry = one.next


def _ip_bytes(ctypes: Any, where: int, family: int | None) -> tuple[int, bytes]:
    """Family and IP address of the socket address there; no bytes of another family.

    Args:
      family: of a netmask, which on BSD has none of its own, and whose end may be left out.
    """
    head = ctypes.string_at(where, 2)
    known = head[1] if _HAS_LENGTH else int.from_bytes(head, sys.byteorder)
    family = known if family is None else family
    if family not in _PLACES:
        return family, b""
    start, length = _PLACES[socket.AddressFamily(family)]
    there = max(0, min(length, head[0] - start)) if _HAS_LENGTH else length
    return family, ctypes.string_at(where + start, there).ljust(length, b"\0")
