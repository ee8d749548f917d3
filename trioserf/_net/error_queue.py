"""Refusals that the system reports: the error queue of Linux, for UDP and for TCP.

A datagram to a port that nobody has open brings back an ICMP message, "port unreachable".  A
socket that serves many peers learns of it only where it asks to, with ``IP_RECVERR`` or
``IPV6_RECVERR``: the message then waits in the *error queue* of the socket, with the address that
the datagram went to.  Two more things happen, which a program has to live with:

* The error is also *pending*: it is raised, once, by whatever call on the socket comes next, such
  as a ``sendto`` to somebody else, whose datagram is then not sent.  So an error of ``sendto``
  says nothing about the peer it is raised for, and that datagram is sent again.
* The socket counts as readable until the queue is empty, so that who waits for datagrams must
  also read the queue.

All kinds of ICMP errors come this way, but only "port unreachable" is a refusal.  Nobody checks
that a datagram went to the address that the message names: who knows the port of this node can
forge such messages.  A refusal read here is therefore a reason to check, and no evidence;
`RefusalReporter` bounds what it can cost.

For TCP ``connect`` fails with the same ``ECONNREFUSED`` after a RST of the peer's system and after
an ICMP message of any router or packet filter.  `refused_by` tells them apart.

Source: Linux, net/ipv4/ip_sockglue.c: ip_icmp_error, ip_recv_error; net/core/skbuff.c:
sock_dequeue_err_skb; net/ipv4/udp.c: __udp4_lib_err; net/ipv4/tcp_ipv4.c: tcp_v4_err; man 7 ip,
IP_RECVERR.  hashicorp/memberlist v0.2.2 knows nothing of this.
"""

from __future__ import annotations

import errno
import math
import socket
import struct
import sys
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

import trio

from .. import _attrs as attrs
from ..abc import Address
from .addresses import SockAddr, from_sockaddr

AVAILABLE = sys.platform in ("linux", "android")
"""Whether the system has error queues."""
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_MSG_ERRQUEUE = 0x2000
_TCP_INFO = 11
_SEGMENTS_IN = 140
"""Where ``tcpi_segs_in`` is in ``struct tcp_info`` (bytes); a uint32, since Linux 4.2."""
_EXTENDED_ERROR = struct.Struct("=I4B2I")
"""``struct sock_extended_err``: errno, origin, type, code, padding, info, data."""
_PORT_UNREACHABLE = ((2, 3, 3), (3, 1, 4))
"""Origin, type and code of the refusal, of ICMP and of ICMPv6."""
_REPORTS = ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR))
_OFFENDER = {socket.IPPROTO_IP: slice(20, 24), socket.IPPROTO_IPV6: slice(24, 40)}
"""Where the IP address of who sent the message is, by the family of the socket."""
_ANCILLARY = 512
_PENDING = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENONET", "ENOPROTOOPT"),
        *("EOPNOTSUPP", "EPROTO", "EACCES", "EMSGSIZE"),
    )
    if hasattr(errno, name)
)

AT_ONCE = 64
"""Errors read for one wake-up."""
ERRORS_A_SECOND = 512
"""More of them in a second, and none is reported for the rest of it."""
HINTS_A_SECOND = 64
"""Refusals that are passed on in a second, of all peers together."""
HINT_INTERVAL = 0.1
"""Seconds in which a further refusal of the same peer is not passed on."""
WAITING = 64
"""Refusals that wait to be checked; to check late is of no use, so there need not be many."""


def report_errors(sock: socket.socket, wanted: bool = True) -> bool:
    """Have errors queued for this socket, or no longer; whether the system can do that.

    To end it empties the queue.
    """
    if not AVAILABLE:
        return False
    options = [(socket.IPPROTO_IP, _IP_RECVERR)]
    if sock.family == socket.AF_INET6:
        options.append((socket.IPPROTO_IPV6, _IPV6_RECVERR))
    try:
        for level, option in options:
            sock.setsockopt(level, option, int(wanted))
    except OSError:
        return False
    return True


def may_be_pending(error: OSError) -> bool:
    """Whether an error of ``sendto`` may be that of an earlier datagram, to whomever it went."""
    return error.errno in _PENDING


def read_errors(sock: socket.socket) -> tuple[int, list[SockAddr]]:
    """Take errors from the queue: how many there were, and which addresses refused."""
    refused: list[SockAddr] = []
    for number in range(AT_ONCE):
        try:
            _, ancillary, _, target = sock.recvmsg(0, _ANCILLARY, _MSG_ERRQUEUE)
        except OSError:
            return number, refused
        if target and any(_refused_by_itself(target, item) for item in ancillary):
            refused.append(target)
    return AT_ONCE, refused


def _refused_by_itself(target: SockAddr, item: tuple[int, int, bytes]) -> bool:
    """Whether an error is "port unreachable", and from the very address that it is about.

    What a router says in place of the host is not about the process there.
    """
    level, kind, data = item
    if (level, kind) not in _REPORTS or len(data) < _EXTENDED_ERROR.size:
        return False
    _, origin, icmp_type, code, *_ = _EXTENDED_ERROR.unpack_from(data)
    return (origin, icmp_type, code) in _PORT_UNREACHABLE and (
        data[_OFFENDER[level]] == _packed(target[0])
    )


@lru_cache(maxsize=1024)
def _packed(host: str) -> bytes:
    return ip_address(host.partition("%")[0]).packed


def refused_by(sock: socket.socket) -> Literal["rst", "icmp"] | None:
    """What refused a ``connect`` of a socket whose errors are reported; None if nobody can tell.

    Of a RST two things must hold: no ICMP message is queued, and a segment has come in.  Without
    the second a kernel before 5.8, which queues nothing for a ``connect``, would show an ICMP
    message as a RST.
    """
    try:
        sock.recvmsg(0, _ANCILLARY, _MSG_ERRQUEUE)
    except BlockingIOError:
        pass
    except OSError:
        return None
    else:
        return "icmp"
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _SEGMENTS_IN + 4)
    except OSError:
        return None
    return "rst" if any(info[_SEGMENTS_IN : _SEGMENTS_IN + 4]) else None


@attrs.define(eq=False)
class RefusalReporter:
    """Reads the error queue of a datagram socket, and passes refusals on, within bounds.

    The bounds, for each second: `ERRORS_A_SECOND` errors are read, `HINTS_A_SECOND` refusals passed
    on, and of one peer one in `HINT_INTERVAL`.  Beyond the first the option is turned off until the
    second is over: then a flood of forged messages costs what it costs without the option.

    Args:
      refusals: where they go to; those that find it full are not passed on.
    """

    refusals: trio.MemorySendChannel[Address]
    errors_read: int = attrs.field(default=0, init=False)
    due: float = attrs.field(default=math.inf, init=False)
    """When `read` is to be called at the latest: then the option is turned on again (seconds)."""
    _sock: socket.socket | None = attrs.field(default=None, init=False)
    _on: bool = attrs.field(default=False, init=False)
    _second: float = attrs.field(default=float("-inf"), init=False)
    _errors: int = attrs.field(default=0, init=False)
    _hints: int = attrs.field(default=0, init=False)
    _latest: dict[Address, float] = attrs.field(factory=dict, init=False)
    """When each peer was passed on in this second and the last; at most twice the bound."""

    def begin(self, sock: socket.socket) -> None:
        """Have the errors of this socket reported, if it can."""
        if report_errors(sock):
            self._sock, self._on = sock, True

    def read(self, now: float) -> bool:
        """Read the queue; whether more may be there."""
        self._renew(now)
        if self._sock is None or not self._on:
            return False
        number, refused = read_errors(self._sock)
        self.errors_read += number
        self._errors += number
        for target in refused:
            self._pass_on(from_sockaddr(target), now)
        if self._errors > ERRORS_A_SECOND:
            self._on, self.due = False, self._second + 1.0
            report_errors(self._sock, wanted=False)
        return self._on and number == AT_ONCE

    def _renew(self, now: float) -> None:
        """Begin the next second if this one is over."""
        if now - self._second < 1.0:
            return
        self._second, self._errors, self._hints = now, 0, 0
        self._latest = {a: at for a, at in self._latest.items() if now - at < HINT_INTERVAL}
        if self._sock is not None and not self._on:
            self._on = report_errors(self._sock)
            self.due = math.inf if self._on else self._second + 1.0

    def _pass_on(self, peer: Address, now: float) -> None:
        latest = self._latest.get(peer)
        if self._hints >= HINTS_A_SECOND or (latest is not None and now - latest < HINT_INTERVAL):
            return
        try:
            self.refusals.send_nowait(peer)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return
        self._hints += 1
        self._latest[peer] = now
