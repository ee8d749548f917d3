"""Refusals as Linux reports them, on real sockets of loopback, and forged ones."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from ipaddress import ip_address
from typing import Any

import pytest
import trio

from trioserf._net import error_queue
from trioserf._net.error_queue import (
    AT_ONCE,
    ERRORS_A_SECOND,
    HINT_INTERVAL,
    HINTS_A_SECOND,
    WAITING,
    RefusalReporter,
    read_errors,
    refused_by,
    report_errors,
)
from trioserf._net.udp_tcp import NetTransport, _connect
from trioserf.abc import Address, DialRefused, Packet

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has an error queue")

LOOPBACKS = [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")]
"""What a transport is bound to, and where the closed port is."""


def closed_port(host: str) -> Address:
    """A port of this machine that nobody has open, for UDP or TCP."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as udp:
        udp.bind((host, 0))
        return Address(host, udp.getsockname()[1])


@asynccontextmanager
async def opened(bind: str = "127.0.0.1") -> AsyncIterator[NetTransport]:
    transport = NetTransport(bind, 0)
    await transport.open()
    try:
        yield transport
    finally:
        transport.close()


@asynccontextmanager
async def reading(
    transport: NetTransport,
) -> AsyncIterator[tuple[trio.MemoryReceiveChannel[Address], trio.MemoryReceiveChannel[Packet]]]:
    """A transport that reads, and whose refusals are wanted: these, and its packets."""
    refusals = transport.refusals()
    assert refusals is not None
    sending, packets = trio.open_memory_channel[Packet](100)
    async with trio.open_nursery() as nursery:
        await nursery.start(transport.receive_packets, sending.send_nowait)
        with trio.fail_after(5):
            yield refusals, packets
        nursery.cancel_scope.cancel()


def waiting(refusals: trio.MemoryReceiveChannel[Address]) -> list[Address]:
    found = []
    while True:
        try:
            found.append(refusals.receive_nowait())
        except trio.WouldBlock:
            return found


@linux
@pytest.mark.parametrize(("bind", "host"), LOOPBACKS)
async def test_a_refused_datagram_names_whom_it_went_to(bind: str, host: str) -> None:
    async with opened(bind) as transport, reading(transport) as (refusals, _):
        closed = closed_port(host)
        transport.send_packet(b"ping", closed)
        assert closed == await refusals.receive()


@linux
async def test_the_next_datagram_to_an_innocent_peer_arrives_and_blames_nobody() -> None:
    async with (
        opened() as transport,
        opened() as peer,
        reading(transport) as (refusals, _),
        reading(peer) as (_, packets),
    ):
        closed = closed_port("127.0.0.1")
        for number in range(20):  # with no checkpoint, so that every error is still pending
            transport.send_packet(b"ping", closed)
            transport.send_packet(b"%d" % number, peer.local_address)
        assert closed == await refusals.receive()
        assert [b"%d" % n for n in range(20)] == [(await packets.receive()).data for _ in range(20)]
        assert [] == waiting(refusals)
        assert 0 == transport.statistics().send_errors
        assert 40 == transport.statistics().packets_sent


@linux
async def test_an_error_between_two_datagrams_hides_neither_and_is_no_receive_error() -> None:
    async with opened() as transport, opened() as peer:
        refusals = transport.refusals()
        assert refusals is not None
        peer.send_packet(b"before", transport.local_address)
        transport.send_packet(b"ping", closed_port("127.0.0.1"))
        peer.send_packet(b"after", transport.local_address)
        got: list[Packet] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.receive_packets, got.append)
            with trio.fail_after(5):
                await refusals.receive()
            nursery.cancel_scope.cancel()
        assert [b"before", b"after"] == [packet.data for packet in got]
        assert 0 == transport.statistics().receive_errors


@linux
async def test_the_receiver_sleeps_again_once_the_queue_is_read() -> None:
    async with opened() as transport, reading(transport) as (refusals, _):
        transport.send_packet(b"ping", closed_port("127.0.0.1"))
        await refusals.receive()
        before = transport.statistics().wake_ups
        await trio.sleep(0.1)
        assert transport.statistics().wake_ups <= before + 1


@linux
async def test_an_error_that_no_call_has_raised_is_read_too() -> None:
    """Else the receiver would wake up for it for ever."""
    async with opened() as transport, reading(transport) as (refusals, _):
        transport.send_packet(b"ping", closed := closed_port("127.0.0.1"))
        pending = transport._check_open().udp.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert errno.ECONNREFUSED == pending  # and now it is no longer
        assert closed == await refusals.receive()


@linux
@pytest.mark.parametrize("raised_by", ["sending", "receiving"])
async def test_errors_are_read_although_datagrams_never_cease(raised_by: str) -> None:
    async with opened() as transport, opened() as peer:
        refusals = transport.refusals()
        assert refusals is not None
        closed = closed_port("127.0.0.1")

        def again(_packet: Packet) -> None:
            peer.send_packet(b"more", transport.local_address)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.receive_packets, again)
            peer.send_packet(b"first", transport.local_address)
            transport.send_packet(b"ping", closed)
            if raised_by == "sending":
                # This takes the pending error away; only the queue still knows.
                transport.send_packet(b"pong", peer.local_address)
            with trio.fail_after(5):
                assert closed == await refusals.receive()
            nursery.cancel_scope.cancel()


async def test_nobody_who_does_not_ask_has_anything_reported() -> None:
    async with opened() as transport:
        closed = closed_port("127.0.0.1")
        for _ in range(3):
            transport.send_packet(b"ping", closed)  # raises nothing, as ever on Linux
        bound = transport._check_open()
        if sys.platform == "linux":
            assert (0, []) == read_errors(bound.udp)


async def test_where_the_system_has_no_error_queue_nothing_is_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(error_queue, "AVAILABLE", False)
    async with opened() as transport:
        assert transport.refusals() is None
        transport.send_packet(b"ping", closed_port("127.0.0.1"))


@linux
async def test_refusals_may_be_asked_for_at_any_time_and_end_with_the_transport() -> None:
    transport = NetTransport("127.0.0.1", 0)
    refusals = transport.refusals()
    assert refusals is not None
    await transport.open()
    async with reading(transport) as (same, _):
        assert refusals is same
        transport.send_packet(b"ping", closed := closed_port("127.0.0.1"))
        assert closed == await refusals.receive()
        transport.close()
    assert refusals is transport.refusals()
    with pytest.raises(trio.EndOfChannel):
        await refusals.receive()
    never_open = NetTransport("127.0.0.1", 0)
    never_open.close()
    last = never_open.refusals()
    assert last is not None
    with pytest.raises(trio.EndOfChannel):
        await last.receive()


@linux
async def test_a_reader_that_went_away_stops_nothing() -> None:
    async with opened() as transport, opened() as peer, reading(transport) as (refusals, packets):
        refusals.close()
        transport.send_packet(b"ping", closed_port("127.0.0.1"))
        await trio.sleep(0.01)
        peer.send_packet(b"hello", transport.local_address)
        assert b"hello" == (await packets.receive()).data


@linux
async def test_a_datagram_that_cannot_be_sent_is_an_error_as_before() -> None:
    async with opened() as transport, reading(transport):
        with pytest.raises(trio.BrokenResourceError, match="too long"):
            transport.send_packet(bytes(70_000), closed_port("127.0.0.1"))
        assert 1 == transport.statistics().send_errors


# --- what is no refusal, and floods -----------------------------------------------------------


def message(origin: int, kind: int, code: int, sender: str = "10.0.0.1") -> bytes:
    """A ``struct sock_extended_err``, and the socket address of who sent the message."""
    ip = ip_address(sender)
    head = struct.pack("=I4B2I", errno.ECONNREFUSED, origin, kind, code, 0, 0, 0)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    return head + struct.pack("=HH", family, 0) + bytes(4 if ip.version == 6 else 0) + ip.packed


class Queue:
    """A socket whose error queue holds these."""

    family = socket.AF_INET

    def __init__(self, *errors: tuple[object, bytes]) -> None:
        self.errors = list(errors)
        self.options: list[int] = []

    def recvmsg(self, *_: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        if not self.errors:
            raise BlockingIOError
        target, data = self.errors.pop(0)
        level = (41, 25) if isinstance(target, tuple) and ":" in target[0] else (0, 11)
        return b"", [(*level, data)], 0, target

    def setsockopt(self, _level: int, _option: int, value: int) -> None:
        self.options.append(value)
        if not value:
            self.errors.clear()


def target(number: int) -> tuple[str, int]:
    return f"10.0.{number >> 8}.{number & 255}", 7946


def refused(number: int) -> tuple[tuple[str, int], bytes]:
    host, port = target(number)
    return (host, port), message(2, 3, 3, host)


class Reading:
    """A reporter, and what it passed on."""

    def __init__(self, *errors: tuple[object, bytes]) -> None:
        self.queue = Queue(*errors)
        sending, self.refusals = trio.open_memory_channel[Address](WAITING)
        self.reporter = RefusalReporter(sending)
        self.reporter.begin(self.queue)  # type: ignore[arg-type]
        self.queue.options.clear()

    def read(self, now: float) -> list[Address]:
        """All that is there at this time, by as many readings as it takes."""
        found = []
        while self.reporter.read(now):
            found += waiting(self.refusals)
        return found + waiting(self.refusals)


@pytest.mark.parametrize(
    "error",
    [
        (target(1), message(2, 3, 1)),  # host unreachable
        (target(1), message(2, 3, 13)),  # prohibited
        (target(1), message(2, 11, 0)),  # time to live exceeded
        (target(1), message(3, 1, 3)),  # ICMPv6: address unreachable
        (target(1), message(1, 3, 3)),  # of this machine's own
        (target(1), message(2, 3, 3, "10.0.0.254")),  # by a router
        (target(1), message(2, 3, 3)[:16]),  # cut off
        (None, message(2, 3, 3)),  # whom it went to is not known
    ],
)
def test_only_port_unreachable_of_the_network_is_a_refusal(error: tuple[object, bytes]) -> None:
    reading = Reading(error, refused(2))
    assert [Address(*target(2))] == reading.read(0.0)
    assert 2 == reading.reporter.errors_read


def test_a_zone_and_a_mapped_address_are_as_elsewhere() -> None:
    mapped = ("::ffff:10.0.0.1", 7946, 0, 0), message(2, 3, 3, "::ffff:10.0.0.1")
    plain = ("fd00::1", 7946, 0, 0), message(3, 1, 4, "fd00::1")
    zoned = ("fe80::1%lo", 7946, 0, 1), message(3, 1, 4, "fe80::1")
    hosts = [address.host for address in Reading(mapped, plain, zoned).read(0.0)]
    assert ["10.0.0.1", "fd00::1", "fe80::1%lo"] == hosts


def test_one_wake_up_reads_a_limited_number_of_errors() -> None:
    reading = Reading(*[refused(1)] * (AT_ONCE + 1))
    assert reading.reporter.read(0.0)
    assert 1 == len(reading.queue.errors)
    assert not reading.reporter.read(0.0)


def test_a_peer_is_passed_on_once_in_an_interval() -> None:
    reading = Reading()
    passed = []
    for step in range(10):
        reading.queue.errors = [refused(1), refused(2)]
        passed.append(len(reading.read(step * HINT_INTERVAL / 2 * 1.01)))
    assert [2, 0] * 5 == passed


def test_peers_together_are_passed_on_at_a_bounded_rate() -> None:
    reading = Reading()
    passed = 0
    for step in range(100):
        reading.queue.errors = [refused(4 * step + n) for n in range(4)]
        passed += len(reading.read(step * 0.0099))
    assert HINTS_A_SECOND == passed
    reading.queue.errors = [refused(1)]
    assert 1 == len(reading.read(1.0))


def test_a_reader_that_is_late_finds_a_bounded_number() -> None:
    reading = Reading()
    for second in range(3):
        reading.queue.errors = [refused(100 * second + n) for n in range(50)]
        reading.reporter.read(float(second))
    assert WAITING == len(waiting(reading.refusals))


def test_a_flood_turns_reporting_off_until_the_second_is_over() -> None:
    reading = Reading(*[refused(1)] * 10 * ERRORS_A_SECOND)
    reading.read(0.0)
    assert reading.reporter.errors_read <= ERRORS_A_SECOND + AT_ONCE
    assert [0] == reading.queue.options  # which also empties the queue
    assert [] == reading.queue.errors
    assert [] == reading.read(0.9)
    assert [0] == reading.queue.options
    reading.queue.errors = [refused(1)]
    assert [Address(*target(1))] == reading.read(1.0)
    assert [0, 1] == reading.queue.options


@linux
async def test_after_a_flood_the_transport_reads_on_and_reports_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(error_queue, "ERRORS_A_SECOND", 8)
    async with opened() as transport, opened() as peer, reading(transport) as (refusals, packets):
        closed = closed_port("127.0.0.1")
        for _ in range(30):
            transport.send_packet(b"ping", closed)
        await trio.sleep(0.02)
        reporter = transport._reporter
        assert reporter is not None
        read = reporter.errors_read
        transport.send_packet(b"ping", closed)
        await trio.sleep(0.02)
        assert read == reporter.errors_read  # off
        reporter._second -= 1.0  # the second is over; any packet makes the transport look
        reporter.due -= 1.0
        waiting(refusals)
        peer.send_packet(b"hello", transport.local_address)
        assert b"hello" == (await packets.receive()).data
        await trio.sleep(HINT_INTERVAL)
        transport.send_packet(b"ping", closed)
        assert closed == await refusals.receive()


def test_a_system_that_refuses_the_option_has_none() -> None:
    class Old:
        family = socket.AF_INET6

        def setsockopt(self, *_: int) -> None:
            raise OSError(errno.ENOPROTOOPT, "no such option")

    assert not report_errors(Old())  # type: ignore[arg-type]


# --- streams ----------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize(("bind", "host"), [*LOOPBACKS, ("::", "::ffff:127.0.0.1")])
async def test_a_dial_to_a_closed_port_is_refused_by_a_reset(bind: str, host: str) -> None:
    async with opened(bind) as transport:
        closed = closed_port(host)
        with pytest.raises(DialRefused) as caught:
            await transport.connect_stream(closed)
        assert (closed, "rst") == (caught.value.address, caught.value.source)
        assert errno.ECONNREFUSED == caught.value.errno
        assert 1 == transport.statistics().dial_errors


@linux
async def test_where_errors_cannot_be_distinguished_a_refusal_is_no_evidence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened() as transport:
        for name, value in (("AVAILABLE", False), ("_SEGMENTS_IN", 0x1000)):
            with monkeypatch.context() as patch:
                patch.setattr(error_queue, name, value)
                with pytest.raises(ConnectionRefusedError) as caught:
                    await transport.connect_stream(closed_port("127.0.0.1"))
                assert not isinstance(caught.value, DialRefused)


class Dialled:
    """A socket whose connect failed."""

    def __init__(self, queued: list[Exception | None], segments: int | Exception) -> None:
        self.queued = queued
        self.segments = segments

    def recvmsg(self, *_: int) -> None:
        if (error := self.queued.pop(0)) is not None:
            raise error

    def getsockopt(self, *_: int) -> bytes:
        if isinstance(self.segments, Exception):
            raise self.segments
        return bytes(140) + struct.pack("=I", self.segments)


@pytest.mark.parametrize(
    ("queued", "segments", "source"),
    [
        (BlockingIOError(), 1, "rst"),
        (BlockingIOError(), 0, None),  # a kernel that queues nothing for a connect
        (BlockingIOError(), OSError(errno.ENOPROTOOPT, "no such option"), None),
        (OSError(errno.EINVAL, "no error queue"), 1, None),
        (None, 0, "icmp"),
        (None, 1, "icmp"),  # both: a firewall has a part in it
    ],
)
def test_a_refusal_is_a_reset_only_if_nothing_speaks_against_it(
    queued: Exception | None, segments: int | Exception, source: str | None
) -> None:
    assert source == refused_by(Dialled([queued], segments))  # type: ignore[arg-type]


@linux
async def test_a_stream_ends_by_no_icmp_error() -> None:
    """A forged one could end it; TCP by itself tries again."""
    async with (
        opened("::1") as transport,
        opened("::1") as peer,
        await transport.connect_stream(peer.local_address) as stream,
    ):
        assert isinstance(stream, trio.SocketStream)
        for level, option in ((socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)):
            assert 0 == stream.socket.getsockopt(level, option)


class Connecting:
    """A socket that connects to itself."""

    family = socket.AF_INET

    def setsockopt(self, *_: int) -> None: ...

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 40000

    getpeername = getsockname

    async def connect(self, _to: object) -> None: ...


async def test_a_connection_with_itself_is_none() -> None:
    """That happens where a closed port is one of those that the system chooses from."""
    to = Address("127.0.0.1", 40000)
    both: Any = Connecting()
    with pytest.raises(ConnectionRefusedError, match="itself") as caught:
        await _connect(both, both, tuple(to), to)
    assert not isinstance(caught.value, DialRefused)


@pytest.mark.parametrize(
    ("level", "kind", "data"),
    [
        (0, 11, message(2, 3, 3)[:15]),  # cut short
        (0, 12, message(2, 3, 3)),  # something else of the socket
        (1, 11, message(2, 3, 3)),
    ],
)
def test_what_is_no_extended_error_is_no_refusal(level: int, kind: int, data: bytes) -> None:
    there = ("10.0.0.1", 7946)
    assert error_queue._refused_by_itself(there, (0, 11, message(2, 3, 3)))
    assert not error_queue._refused_by_itself(there, (level, kind, data))
