"""The real transport: packets over UDP, streams over TCP, one port for both.

Datagrams are read and sent on the bare socket: after one wait for readability up to 64 are
taken without waiting, and sending never waits.  Under load that costs a sixth of a wait for
each packet, and no other task starves, because there is a checkpoint between two rounds.

Linux does not report to a socket that serves many peers that one of them refused a datagram,
unless it is asked to (`NetTransport.refusals`, and `error_queue` for what follows from that); other
systems raise it from the next call, and do not say who refused.  Either way the loop goes on and
counts.

Source: hashicorp/memberlist v0.2.2, net_transport.go.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from operator import itemgetter
from typing import Any, final

import trio

from .. import _attrs as attrs
from ..abc import Address, DialRefused, Packet, Transport, TransportStatistics
from . import error_queue
from .addresses import SockAddr, family_of, from_sockaddr, to_sockaddr
from .binding import BoundPair, bind_pair, dropped_datagrams
from .error_queue import RefusalReporter, may_be_pending, refused_by, report_errors
from .interfaces import IPAddress, machine_addresses

DRAIN = 64
"""Datagrams read for one wake-up."""
TURN = 0.004
"""Seconds of handling them after which other tasks get their turn: some take a millisecond."""
_LONGEST = 65536
_ERROR_PAUSE = 0.05
"""Seconds of rest after the system refused to read: it may refuse for a while."""
_SENDS_AGAIN = 3
"""Times that a datagram is sent again after an error that may be that of an earlier one."""


def _ip(host: str) -> IPAddress:
    ip = ip_address(host.partition("%")[0])
    return getattr(ip, "ipv4_mapped", None) or ip


@attrs.define(eq=False)
class _Counts:
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_lost: int = 0
    send_errors: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    receive_errors: int = 0
    wake_ups: int = 0
    streams_dialled: int = 0
    streams_accepted: int = 0
    dial_errors: int = 0


@final
class NetTransport(Transport):
    """UDP and TCP on one port.

    Args:
      bind_addr: an IP address; ``0.0.0.0`` or ``::`` for all of this machine.
      bind_port: 0 takes a port that is free for both.
    """

    def __init__(self, bind_addr: str, bind_port: int) -> None:
        self._wanted = Address(bind_addr, bind_port)
        self._bound: BoundPair | None = None
        self._listener: trio.SocketListener | None = None
        self._closed = False
        self._receiving = False
        self._dialling: set[trio.socket.SocketType] = set()
        self._counts = _Counts()
        self._dropped: int | None = None
        self._refusals: trio.MemoryReceiveChannel[Address] | None = None
        self._reporter: RefusalReporter | None = None
        self._errors_wait = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._bound else "new"
        return f"<NetTransport {self._bound.address if self._bound else self._wanted} {state}>"

    # --- life -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Bind both sockets; see `bind_pair` for what it raises."""
        if self._closed:
            raise trio.ClosedResourceError("this transport was closed")
        if self._bound is not None:
            raise trio.BusyResourceError("this transport is open already")
        await trio.lowlevel.checkpoint()
        self._bound = bind_pair(*self._wanted)
        if self._reporter is not None:
            self._reporter.begin(self._bound.udp)
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._bound.tcp))

    @property
    def local_address(self) -> Address:
        """The address that was asked for, and the bound port."""
        return self._wanted if self._bound is None else self._bound.address

    def leads_here(self, address: Address) -> bool:
        """Whether this is the bound port at an address of this machine that is bound."""
        local, port = self.local_address
        if address.port != port:
            return False
        ip, bound = _ip(address.host), _ip(local)
        if ip.is_unspecified:  # which stands for this machine where a stream goes there
            return bound.is_unspecified or bound.is_loopback
        return self.has_address(address.host) if bound.is_unspecified else ip == bound

    def has_address(self, host: str) -> bool:
        """Whether an IP address is one of this machine now."""
        ip = _ip(host)
        return ip.is_loopback or any(ip == one.ip for one in machine_addresses())

    def close(self) -> None:
        """Close both sockets and every dial under way.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._bound is not None and self._listener is not None:
            trio.lowlevel.notify_closing(self._bound.udp)
            self._bound.udp.close()
            self._listener.socket.close()
        if self._reporter is not None:
            self._reporter.refusals.close()
        for dialled in tuple(self._dialling):
            dialled.close()

    def _check_open(self) -> BoundPair:
        if self._closed:
            raise trio.ClosedResourceError("this transport was closed")
        if self._bound is None:
            raise RuntimeError("this transport was not opened yet")
        return self._bound

    def statistics(self) -> TransportStatistics:
        """What was sent, received and lost so far."""
        buffer = 0 if self._bound is None else self._bound.receive_buffer
        counts = attrs.asdict(self._counts)
        if self._bound is not None and not self._closed:  # the last number stays
            self._dropped = dropped_datagrams(self._bound.udp)
        return TransportStatistics(**counts, receive_buffer=buffer, packets_dropped=self._dropped)

    # --- packets --------------------------------------------------------------------------

    def send_packet(self, data: bytes, to: Address) -> None:
        """Send one datagram, at once or never."""
        bound = self._bound
        if bound is None or self._closed:
            bound = self._check_open()
        counts = self._counts
        try:
            bound.udp.sendto(data, to_sockaddr(to, bound.family))
        except BlockingIOError:
            counts.packets_lost += 1
            return
        except (OSError, ValueError) as error:
            if not self._retry_send(bound, data, to, error):
                counts.send_errors += 1
                raise trio.BrokenResourceError(
                    f"cannot send {len(data)} bytes to {to}: {error}"
                ) from error
        counts.packets_sent += 1
        counts.bytes_sent += len(data)

    def _retry_send(self, bound: BoundPair, data: bytes, to: Address, error: Exception) -> bool:
        """Send once more, since the error may be that of an earlier datagram; whether it went out.

        Each try takes one such error away, and hardly ever has a second one come meanwhile.
        """
        if self._reporter is None or not isinstance(error, OSError) or not may_be_pending(error):
            return False
        self._errors_wait = True
        for _ in range(_SENDS_AGAIN):
            with suppress(OSError):
                bound.udp.sendto(data, to_sockaddr(to, bound.family))
                return True
        return False

    def refusals(self) -> trio.MemoryReceiveChannel[Address] | None:
        """Addresses that refuse packets; see `Transport`.  Nothing is reported before it is called.

        None where the system has no error queue.
        """
        if self._refusals is None and error_queue.AVAILABLE:
            sending, self._refusals = trio.open_memory_channel[Address](error_queue.WAITING)
            self._reporter = RefusalReporter(sending)
            if self._closed:
                sending.close()
            elif self._bound is not None:
                self._reporter.begin(self._bound.udp)
        return self._refusals

    async def receive_packets(
        self,
        handler: Callable[[Packet], Any],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Call ``handler`` for every datagram, until cancelled or closed."""
        bound = self._check_open()
        if self._receiving:
            raise trio.BusyResourceError("another task receives from this transport")
        self._receiving = True
        clock = trio.lowlevel.current_clock().current_time  # asked once for each datagram
        try:
            task_status.started()
            while True:
                try:
                    await trio.lowlevel.wait_readable(bound.udp)
                except trio.ClosedResourceError:
                    return
                self._counts.wake_ups += 1
                received_at = clock()
                read = self._read(bound.udp)
                reporter = self._reporter
                # A new error is pending, too, so that either a call has raised it or, after a
                # wake-up, nothing was there to be read: a busy socket is not asked each time.
                if reporter is not None and (
                    self._errors_wait or not read or received_at >= reporter.due
                ):
                    self._errors_wait = reporter.read(received_at)
                if read is None:
                    await trio.sleep(_ERROR_PAUSE)
                until = received_at + TURN
                for data, sockaddr in read or ():
                    if self._closed:  # by the handler, or meanwhile
                        return
                    wait = handler(Packet(data, from_sockaddr(sockaddr), received_at))
                    if wait is not None and callable(wait):
                        await wait()
                        until = clock() + TURN
                    if clock() > until:
                        await trio.lowlevel.checkpoint()
                        until = clock() + TURN
                if self._closed:
                    return
        finally:
            self._receiving = False

    def _read(self, udp: socket.socket) -> list[tuple[bytes, Any]] | None:
        """Read what is there, up to a limit; None after a round of errors alone.

        All is read before the first is handled: the time of arrival of the last does not
        contain the handling of those before it.
        """
        counts, receive = self._counts, udp.recvfrom
        read: list[tuple[bytes, Any]] = []
        failed = False
        for _ in range(DRAIN):
            try:
                read.append(receive(_LONGEST))
            except BlockingIOError:
                break
            except OSError as error:  # some report here that an earlier datagram was refused
                if self._reporter is not None and may_be_pending(error):
                    self._errors_wait = True
                    continue
                counts.receive_errors += 1
                failed = True
        counts.packets_received += len(read)
        counts.bytes_received += sum(map(len, map(itemgetter(0), read)))
        return None if failed and not read else read

    # --- streams --------------------------------------------------------------------------

    async def connect_stream(self, to: Address) -> trio.abc.Stream:
        """Open a TCP connection; see `Transport`."""
        self._check_open()
        try:
            family = family_of(to)
            sockaddr = to_sockaddr(to, family)
        except ValueError as error:
            self._counts.dial_errors += 1
            await trio.lowlevel.checkpoint()
            raise OSError(f"cannot connect to {to}: {error}") from error
        try:
            raw = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no descriptor is left
            self._counts.dial_errors += 1
            await trio.lowlevel.checkpoint()
            raise OSError(error.errno, f"cannot connect to {to}: {error.strerror}") from error
        sock = trio.socket.from_stdlib_socket(raw)
        self._dialling.add(sock)
        try:
            await _connect(raw, sock, sockaddr, to)
            stream = trio.SocketStream(sock)
        except OSError as error:
            self._counts.dial_errors += 1
            sock.close()
            if isinstance(error, DialRefused):
                raise
            # trio puts the address before the reason, which is here already.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise OSError(error.errno, f"cannot connect to {to}: {reason}") from error
        except BaseException:
            sock.close()
            raise
        finally:
            self._dialling.discard(sock)
        self._counts.streams_dialled += 1
        return stream

    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        """Wait for the next TCP connection; see `Transport`."""
        self._check_open()
        assert self._listener is not None, "an open transport listens"
        while True:
            stream = await self._listener.accept()
            try:
                peer = stream.socket.getpeername()
            except OSError:
                # The peer was gone again before anybody looked: not worth an error.
                stream.socket.close()
                continue
            self._counts.streams_accepted += 1
            return stream, from_sockaddr(peer)


async def _connect(
    raw: socket.socket, sock: trio.socket.SocketType, sockaddr: SockAddr, to: Address
) -> None:
    """Connect, and find out who refused if that fails.

    Args:
      raw: the socket within ``sock``.

    Raises:
      DialRefused: refused, by a RST or otherwise.
      OSError: anything else.
    """
    reports = report_errors(raw)
    try:
        await sock.connect(sockaddr)
    except ConnectionRefusedError as error:
        if reports and (source := refused_by(raw)) is not None:
            raise DialRefused(to, source) from error
        raise
    if reports:
        # From here on an ICMP error would end the stream, where TCP by itself tries again.
        report_errors(raw, wanted=False)
    if raw.getsockname() == raw.getpeername():
        # The port was closed, and the system happened to choose the same for this end.
        raise OSError(errno.ECONNREFUSED, "Connected to itself")
