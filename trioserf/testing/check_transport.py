"""The laws of `abc.Transport`, as functions that check any transport.

Each law takes ``make``: a plain function that gives a new transport, not yet opened, whose
`open` binds a free port on an address that the other transports of the same ``make`` reach.
A law raises ``AssertionError`` if the transport breaks it.  `check_transport` runs them all;
``TRANSPORT_LAWS`` lists them, for one test each::

    @pytest.mark.parametrize("law", TRANSPORT_LAWS, ids=lambda law: law.__name__)
    async def test_my_transport(law):
        await law(make_my_transport)

A transport that keeps the laws loses no packet while its buffers have room.  The laws work with
the real clock and with a jumping one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from typing import TypeAlias

import trio

from .. import _attrs as attrs
from ..abc import Address, DialRefused, Packet, Transport

MakeTransport: TypeAlias = Callable[[], Transport]
"""Gives a new transport that was not opened."""

TransportLaw: TypeAlias = Callable[[MakeTransport], Coroutine[object, object, None]]
"""One law."""

_TIME_LIMIT = 10.0
"""Seconds after which something that should happen counts as not happening."""
_LARGEST = 65507
"""Most bytes of a datagram over IPv4."""


async def check_transport(make: MakeTransport) -> None:
    """Check a transport against every law.

    Raises:
      AssertionError: it breaks one.
    """
    for check in TRANSPORT_LAWS:
        await check(make)


# --- what the laws are written with -----------------------------------------------------


def _law(check: TransportLaw) -> TransportLaw:
    """Let a law raise its ``AssertionError`` bare, not in the groups of its nurseries."""

    @wraps(check)
    async def checked(make: MakeTransport) -> None:
        try:
            await check(make)
        except BaseExceptionGroup as group:
            failures = group.subgroup(AssertionError)
            if failures is None:
                raise
            raise _first(failures) from group

    return checked


def _first(group: BaseExceptionGroup[AssertionError]) -> AssertionError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@attrs.define(eq=False)
class _Inbox:
    """A handler that keeps packets, and waits for them."""

    packets: list[Packet] = attrs.field(factory=list)
    _came: trio.Event = attrs.field(factory=trio.Event)

    def __call__(self, packet: Packet) -> None:
        self.packets.append(packet)
        self._came.set()
        self._came = trio.Event()

    @property
    def data(self) -> list[bytes]:
        """The bytes of each packet."""
        return [packet.data for packet in self.packets]

    async def wait(self, count: int) -> list[bytes]:
        """The first ``count`` packets, once they are there."""
        with trio.move_on_after(_TIME_LIMIT):
            while len(self.packets) < count:
                await self._came.wait()
        got = len(self.packets)
        assert got >= count, f"of {count} packets, {got} arrived within {_TIME_LIMIT} s"
        return self.data[:count]


@asynccontextmanager
async def _opened(make: MakeTransport, count: int) -> AsyncIterator[list[Transport]]:
    """So many transports, opened, and closed at the end."""
    transports = [make() for _ in range(count)]
    try:
        for transport in transports:
            await transport.open()
        yield transports
    finally:
        for transport in transports:
            transport.close()


@asynccontextmanager
async def _receiving(transport: Transport, inbox: _Inbox) -> AsyncIterator[None]:
    """While the block runs, the transport's packets go to the inbox."""
    async with trio.open_nursery() as nursery:
        await nursery.start(_receive, transport, inbox)
        yield
        nursery.cancel_scope.cancel()


async def _receive(
    transport: Transport,
    inbox: _Inbox,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    await transport.receive_packets(inbox, task_status=task_status)


@contextmanager
def _must_raise(*expected: type[Exception]) -> Iterator[None]:
    """The block must raise one of these."""
    names = " or ".join(kind.__name__ for kind in expected)
    try:
        yield
    except expected:
        return
    raise AssertionError(f"expected {names}, but nothing was raised")


@contextmanager
def _in_time(what: str) -> Iterator[None]:
    """The block must end within `_TIME_LIMIT`."""
    with trio.move_on_after(_TIME_LIMIT) as scope:
        yield
    assert not scope.cancelled_caught, f"{what} did not happen within {_TIME_LIMIT} s"


async def _stream_pair(
    connecting: Transport, listener: Transport
) -> tuple[trio.abc.Stream, trio.abc.Stream, Address]:
    """A stream from one transport to another: both ends, and the connecting side's address."""
    accepted: list[tuple[trio.abc.Stream, Address]] = []

    async def accept() -> None:
        accepted.append(await listener.accept_stream())

    with _in_time("a stream opening"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            near = await connecting.connect_stream(listener.local_address)
    [(far, source)] = accepted
    return near, far, source


async def _read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything until the end of the stream."""
    pieces = []
    with _in_time("the end of a stream"):
        while piece := await stream.receive_some():
            pieces.append(bytes(piece))
    return b"".join(pieces)


# --- packets ----------------------------------------------------------------------------


@_law
async def check_a_packet_arrives_whole_with_its_source(make: MakeTransport) -> None:
    """What was sent arrives, from the address that the sender is bound to, with its time."""
    async with _opened(make, 2) as (a, b):
        inbox = _Inbox()
        async with _receiving(b, inbox):
            before = trio.current_time()
            a.send_packet(b"hello", b.local_address)
            await inbox.wait(1)
            [packet] = inbox.packets
            assert packet.data == b"hello", packet
            assert type(packet.data) is bytes, type(packet.data)
            assert packet.source == a.local_address, (packet.source, a.local_address)
            assert before <= packet.received_at <= trio.current_time(), packet


@_law
async def check_packets_of_every_length_arrive(make: MakeTransport) -> None:
    """From an empty datagram to the longest one."""
    async with _opened(make, 2) as (a, b):
        inbox = _Inbox()
        async with _receiving(b, inbox):
            for count, size in enumerate((0, 1, 1400, 9000, _LARGEST), start=1):
                a.send_packet(bytes(size), b.local_address)
                await inbox.wait(count)
                assert len(inbox.packets[-1].data) == size, (len(inbox.packets[-1].data), size)


@_law
async def check_a_packet_that_is_too_long_is_refused(make: MakeTransport) -> None:
    """More bytes than a datagram carries are a broken resource, and later sends work."""
    async with _opened(make, 2) as (a, b):
        inbox = _Inbox()
        async with _receiving(b, inbox):
            with _must_raise(trio.BrokenResourceError):
                a.send_packet(bytes(70000), b.local_address)
            a.send_packet(b"fits", b.local_address)
            assert await inbox.wait(1) == [b"fits"]


@_law
async def check_a_burst_arrives_in_order(make: MakeTransport) -> None:
    """More packets than one wake-up handles; over one undisturbed link they keep order."""
    async with _opened(make, 2) as (a, b):
        inbox = _Inbox()
        sent = [b"%03d" % number for number in range(200)]
        async with _receiving(b, inbox):
            for data in sent:
                a.send_packet(data, b.local_address)
            assert await inbox.wait(len(sent)) == sent


@_law
async def check_packets_wait_for_a_receiver(make: MakeTransport) -> None:
    """What arrives between opening and receiving is kept, within reason."""
    async with _opened(make, 2) as (a, b):
        a.send_packet(b"early", b.local_address)
        await trio.sleep(0.01)
        inbox = _Inbox()
        async with _receiving(b, inbox):
            assert await inbox.wait(1) == [b"early"]


@_law
async def check_a_transport_reaches_itself(make: MakeTransport) -> None:
    """Packets and streams to the local address work."""
    async with _opened(make, 1) as (a,):
        inbox = _Inbox()
        async with _receiving(a, inbox):
            a.send_packet(b"self", a.local_address)
            assert await inbox.wait(1) == [b"self"]
        near, far, _ = await _stream_pair(a, a)
        async with near, far:
            await near.send_all(b"self")
            assert await far.receive_some(4) == b"self"


@_law
async def check_sending_to_nobody_is_silent(make: MakeTransport) -> None:
    """A packet to a port without a listener harms neither sender nor later packets."""
    async with _opened(make, 2) as (a, b):
        async with _opened(make, 1) as (gone,):
            unused = gone.local_address
        inbox, own = _Inbox(), _Inbox()
        async with _receiving(b, inbox), _receiving(a, own):
            for number in range(5):
                a.send_packet(b"lost", unused)
                a.send_packet(b"%d" % number, b.local_address)
                await inbox.wait(number + 1)
                b.send_packet(b"%d" % number, a.local_address)
                await own.wait(number + 1)
            assert own.data == inbox.data == [b"0", b"1", b"2", b"3", b"4"]


@_law
async def check_one_receiver_at_a_time(make: MakeTransport) -> None:
    """A second receiver gets an error; the first goes on; after it another may come."""
    async with _opened(make, 2) as (a, b):
        inbox = _Inbox()
        async with _receiving(b, inbox):
            with _must_raise(trio.BusyResourceError):
                await b.receive_packets(_Inbox())
            a.send_packet(b"first", b.local_address)
            assert await inbox.wait(1) == [b"first"]
        again = _Inbox()
        async with _receiving(b, again):
            a.send_packet(b"second", b.local_address)
            assert await again.wait(1) == [b"second"]
        assert inbox.data == [b"first"], inbox.data


@_law
async def check_a_cancelled_receiver_loses_nothing(make: MakeTransport) -> None:
    """Packets that come between two receivers wait for the second."""
    async with _opened(make, 2) as (a, b):
        first, second = _Inbox(), _Inbox()
        with trio.CancelScope() as scope:
            scope.cancel()
            await b.receive_packets(first)
        assert scope.cancelled_caught, "receive_packets is no checkpoint"
        for number in range(3):
            a.send_packet(b"%d" % number, b.local_address)
        async with _receiving(b, second):
            assert await second.wait(3) == [b"0", b"1", b"2"]
        assert first.data == [], first.data


@_law
async def check_closing_in_a_handler_ends_receiving(make: MakeTransport) -> None:
    """A handler that closes the transport is not called again, however much waits."""
    async with _opened(make, 2) as (a, b):
        got: list[bytes] = []

        def close_at_once(packet: Packet) -> None:
            got.append(packet.data)
            b.close()

        for number in range(5):
            a.send_packet(b"%d" % number, b.local_address)
        await trio.sleep(0.01)
        with _in_time("the receiver's end"):
            await b.receive_packets(close_at_once)
        assert got == [b"0"], got


# --- streams ----------------------------------------------------------------------------


@_law
async def check_a_stream_carries_bytes_both_ways(make: MakeTransport) -> None:
    """In order and complete, more than any buffer holds, and to the end of the stream."""
    async with _opened(make, 2) as (a, b):
        near, far, source = await _stream_pair(a, b)
        there, back = bytes(range(256)) * 8192, b"answer" * 1000

        async def answer() -> None:
            got = b""
            while len(got) < len(there):
                got += await far.receive_some(65536)
            assert got == there, "the bytes that arrived are not those that were sent"
            await far.send_all(back)
            await far.aclose()

        assert source.host == a.local_address.host, (source, a.local_address)
        with _in_time("an exchange on a stream"):
            async with near, far, trio.open_nursery() as nursery:
                nursery.start_soon(answer)
                await near.send_all(there)
                assert await _read_all(near) == back


@_law
async def check_half_a_stream_can_be_closed(make: MakeTransport) -> None:
    """After the end of one direction the other still works."""
    async with _opened(make, 2) as (a, b):
        near, far, _ = await _stream_pair(a, b)
        assert isinstance(near, trio.abc.HalfCloseableStream), near
        async with near, far:
            await near.send_all(b"question")
            await near.send_eof()
            assert await _read_all(far) == b"question"
            await far.send_all(b"answer")
            await far.aclose()
            assert await _read_all(near) == b"answer"


@_law
async def check_a_closed_peer_breaks_a_stream(make: MakeTransport) -> None:
    """Sending to a peer that has closed fails soon, though not always at once."""
    async with _opened(make, 2) as (a, b):
        near, far, _ = await _stream_pair(a, b)
        async with near:
            await far.aclose()
            with _in_time("an error from sending"), _must_raise(trio.BrokenResourceError):
                while True:
                    await near.send_all(bytes(1000))
                    await trio.sleep(0.001)


@_law
async def check_unread_bytes_make_closing_a_reset(make: MakeTransport) -> None:
    """A peer that closes without reading is noticed by the reader too."""
    async with _opened(make, 2) as (a, b):
        near, far, _ = await _stream_pair(a, b)
        async with near:
            await near.send_all(b"never read")
            await trio.sleep(0.01)
            await far.aclose()
            with _in_time("an error from reading"), _must_raise(trio.BrokenResourceError):
                await near.receive_some(1)


@_law
async def check_a_refused_stream_is_an_os_error(make: MakeTransport) -> None:
    """Connecting to a port without a listener raises ``OSError``, soon."""
    async with _opened(make, 1) as (a,):
        async with _opened(make, 1) as (gone,):
            unused = gone.local_address
        with _in_time("the refusal of a stream"), _must_raise(OSError):
            await a.connect_stream(unused)


@_law
async def check_refusals_name_the_address_alone(make: MakeTransport) -> None:
    """A port without a process is reported by its address, one with a process is not.

    A transport that learns nothing of this says None, and a plain ``ConnectionRefusedError``.
    """
    async with _opened(make, 2) as (a, b):
        refusals = a.refusals()
        async with _opened(make, 1) as (gone,):
            unused = gone.local_address
        inbox, own = _Inbox(), _Inbox()
        async with _receiving(a, own), _receiving(b, inbox):
            try:
                with _in_time("the refusal of a stream"):
                    await a.connect_stream(unused)
            except DialRefused as error:
                got = error.address, error.source
                assert got == (unused, "rst"), f"{unused} refused a stream: expected rst, not {got}"
            except OSError:
                pass
            else:
                raise AssertionError(f"{unused} took a stream, and nobody is there")
            if refusals is None:
                return
            assert refusals is a.refusals(), "a second call of refusals() gave another channel"
            a.send_packet(b"fine", b.local_address)
            a.send_packet(b"lost", unused)
            a.send_packet(b"fine", b.local_address)
            with _in_time("the refusal of a packet"):
                refused = await refusals.receive()
            assert refused == unused, f"{unused} refused a packet, and {refused} was reported"
            assert await inbox.wait(2) == [b"fine", b"fine"]


@_law
async def check_one_acceptor_at_a_time(make: MakeTransport) -> None:
    """A second acceptor gets an error; a cancelled one takes no stream with it."""
    async with _opened(make, 2) as (a, b):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(b.accept_stream)
            await trio.sleep(0.01)
            with _must_raise(trio.BusyResourceError):
                await b.accept_stream()
            nursery.cancel_scope.cancel()
        near, far, _ = await _stream_pair(a, b)
        await near.aclose()
        await far.aclose()


@_law
async def check_streams_outlive_their_transports(make: MakeTransport) -> None:
    """Closing a transport leaves open the streams that it gave out."""
    async with _opened(make, 2) as (a, b):
        near, far, _ = await _stream_pair(a, b)
        a.close()
        b.close()
        async with near, far:
            await near.send_all(b"still here")
            with _in_time("bytes on a stream"):
                assert await far.receive_some(10) == b"still here"


# --- opening, closing, cancelling -------------------------------------------------------


@_law
async def check_everything_fails_once_closed(make: MakeTransport) -> None:
    """Every call on a closed transport raises ``trio.ClosedResourceError``."""
    async with _opened(make, 2) as (a, b):
        b.close()
        b.close()
        with _must_raise(trio.ClosedResourceError):
            b.send_packet(b"x", a.local_address)
        with _must_raise(trio.ClosedResourceError):
            await b.receive_packets(_Inbox())
        with _must_raise(trio.ClosedResourceError):
            await b.connect_stream(a.local_address)
        with _must_raise(trio.ClosedResourceError):
            await b.accept_stream()
        with _must_raise(trio.ClosedResourceError):
            await b.open()


@_law
async def check_closing_wakes_those_who_wait(make: MakeTransport) -> None:
    """The receiver returns, the acceptor gets an error."""
    async with _opened(make, 1) as (a,):
        ended: list[str] = []

        async def receive() -> None:
            await a.receive_packets(_Inbox())
            ended.append("receiver")

        async def accept() -> None:
            with _must_raise(trio.ClosedResourceError):
                await a.accept_stream()
            ended.append("acceptor")

        with _in_time("waking after close"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                nursery.start_soon(accept)
                await trio.sleep(0.01)
                a.close()
        assert sorted(ended) == ["acceptor", "receiver"], ended


@_law
async def check_a_taken_port_is_refused(make: MakeTransport) -> None:
    """Opening twice is refused; the bound address is real."""
    async with _opened(make, 2) as (a, b):
        assert 0 < a.local_address.port < 65536, a.local_address
        assert a.local_address != b.local_address, a.local_address
        with _must_raise(trio.BusyResourceError):
            await a.open()


@_law
async def check_cancelled_calls_leave_nothing_behind(make: MakeTransport) -> None:
    """Cancelled connects and accepts can be repeated, and later streams are whole."""
    async with _opened(make, 2) as (a, b):
        for _ in range(3):
            with trio.CancelScope() as scope:
                scope.cancel()
                await a.connect_stream(b.local_address)
            assert scope.cancelled_caught, "connect_stream is no checkpoint"
            with trio.CancelScope() as scope:
                scope.cancel()
                await b.accept_stream()
            assert scope.cancelled_caught, "accept_stream is no checkpoint"
        near = await a.connect_stream(b.local_address)
        await near.send_all(b"whole")
        with _in_time("the whole stream"):
            while True:
                far, _ = await b.accept_stream()
                async with far:
                    try:
                        if await far.receive_some(5) == b"whole":
                            break
                    except trio.BrokenResourceError:
                        continue  # what is left of a cancelled connect
        await near.aclose()


TRANSPORT_LAWS: tuple[TransportLaw, ...] = (
    check_a_packet_arrives_whole_with_its_source,
    check_packets_of_every_length_arrive,
    check_a_packet_that_is_too_long_is_refused,
    check_a_burst_arrives_in_order,
    check_packets_wait_for_a_receiver,
    check_a_transport_reaches_itself,
    check_sending_to_nobody_is_silent,
    check_one_receiver_at_a_time,
    check_a_cancelled_receiver_loses_nothing,
    check_closing_in_a_handler_ends_receiving,
    check_a_stream_carries_bytes_both_ways,
    check_half_a_stream_can_be_closed,
    check_a_closed_peer_breaks_a_stream,
    check_unread_bytes_make_closing_a_reset,
    check_a_refused_stream_is_an_os_error,
    check_refusals_name_the_address_alone,
    check_one_acceptor_at_a_time,
    check_streams_outlive_their_transports,
    check_everything_fails_once_closed,
    check_closing_wakes_those_who_wait,
    check_a_taken_port_is_refused,
    check_cancelled_calls_leave_nothing_behind,
)
"""Every law, in the order of this module."""
