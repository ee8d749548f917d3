"""Binding UDP and TCP to one port.

Source: hashicorp/memberlist v0.2.2, net_transport.go, NewNetTransport, setUDPRecvBuf;
memberlist.go, newMemberlist (the tries for port 0); Go 1.21, net/ipsock_posix.go,
favoriteAddrFamily (one socket for both families).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from ipaddress import IPv6Address, ip_address

from .. import _attrs as attrs
from ..abc import Address
from .addresses import SockAddr, zone_number

PORT_TRIES = 10
"""Ports tried when any free one will do."""
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes asked of the system for datagrams that wait to be read.

Linux grants at most ``net.core.rmem_max``, by default 208 kB: some 180 full packets, what a busy
node gets in a fraction of a second.
"""
_SO_MEMINFO = 55
"""Linux: nine numbers about the memory of a socket; see ``include/uapi/linux/sock_diag.h``."""
_MEMINFO_DROPS = 8
_TCP_BACKLOG = 1024
_ADVICE = {
    errno.EADDRINUSE: "take another port, or port 0 for any free one",
    errno.EADDRNOTAVAIL: "bind to an address of this machine, or 0.0.0.0 for all of them",
    errno.EACCES: "take a port of 1024 or more, or port 0 for any free one",
}


@attrs.frozen
class BoundPair:
    """A datagram socket and a listening socket on one port.

    Args:
      udp, tcp: not blocking; ``tcp`` listens.
      family: of both.
      address: the bound address as the user wrote it, and the port.
      receive_buffer: bytes that the system granted to ``udp``.
    """

    udp: socket.socket
    tcp: socket.socket
    family: socket.AddressFamily
    address: Address
    receive_buffer: int


def bind_pair(host: str, port: int) -> BoundPair:
    """Bind both sockets.

    Args:
      host: an IP address.  ``0.0.0.0`` and ``::`` both mean every address of both
        families where the system can do that, as in Go.
      port: 0 for any that is free for both.

    Raises:
      OSError: cannot be bound; the text names the address and what to do.
      ValueError: ``host`` is no IP address.
    """
    tries_left = PORT_TRIES if port == 0 else 1
    while True:
        tries_left -= 1
        try:
            return _bind_once(host, port)
        except OSError as error:
            # With port 0 the free TCP port may be taken for UDP: try another pair.
            if error.errno != errno.EADDRINUSE or not tries_left:
                raise _explained(error, Address(host, port)) from error


def _explained(error: OSError, address: Address) -> OSError:
    number = error.errno or 0
    reason = os.strerror(number) if number else str(error)
    advice = _ADVICE.get(number)
    text = f"cannot bind UDP and TCP to {address}: {reason}"
    return OSError(number, f"{text}; {advice}" if advice else text)


def _bind_once(host: str, port: int) -> BoundPair:
    ip = ip_address(host.partition("%")[0])
    # Go opens one socket for both families for either wildcard, so a Go cluster
    # bound to 0.0.0.0 uses IPv6 too; without IPv6 on the machine IPv4 alone must do.
    if ip.is_unspecified and socket.has_ipv6:
        try:
            return _bind_family(socket.AF_INET6, host, ("::", port, 0, 0), port)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES) or isinstance(ip, IPv6Address):
                raise
    if isinstance(ip, IPv6Address):
        zone = zone_number(host.partition("%")[2])
        return _bind_family(socket.AF_INET6, host, (str(ip), port, 0, zone), port)
    return _bind_family(socket.AF_INET, host, (str(ip), port), port)


def _bind_family(
    family: socket.AddressFamily, host: str, sockaddr: SockAddr, port: int
) -> BoundPair:
    udp, tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
    try:
        for sock in (udp, tcp):
            sock.setblocking(False)
            if family == socket.AF_INET6:
                both_families = sockaddr[0] == "::"
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both_families)
        if os.name == "posix":
            # A restart must not wait until the connections of the last run have faded out.
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(sockaddr)
        port = tcp.getsockname()[1]
        udp.bind((sockaddr[0], port, *sockaddr[2:]))
        tcp.listen(_TCP_BACKLOG)
        granted = _ask_receive_buffer(udp)
    except BaseException:
        udp.close()
        tcp.close()
        raise
    return BoundPair(udp, tcp, family, Address(host, port), granted)


def dropped_datagrams(udp: socket.socket) -> int | None:
    """Datagrams that found the receive buffer full so far; None where the system does not say."""
    if sys.platform != "linux":
        return None
    try:
        found = udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_MEMINFO_DROPS + 1))
    except OSError:
        return None
    numbers = struct.unpack(f"={len(found) // 4}I", found)
    return numbers[_MEMINFO_DROPS] if len(numbers) > _MEMINFO_DROPS else None


def _ask_receive_buffer(udp: socket.socket) -> int:
    """Ask for a large receive buffer, for half of it if refused, and so on."""
    size = RECEIVE_BUFFER
    while size > 0:
        try:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            break
        except OSError:
            size //= 2
    return udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
