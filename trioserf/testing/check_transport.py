"""The laws of `abc.Transport`, as functions that any transport can be held to.

Each law takes ``make``: a plain function that gives a new transport, not yet opened, whose
`open` binds a free port on an address that the other transports of the same ``make`` reach.
A law raises ``AssertionError`` if the transport breaks it.  `check_transport` runs them all;
``TRANSPORT_LAWS`` lists them, for one test each::

    @pytest.mark.parametrize("law", TRANSPORT_LAWS, ids=lambda law: law.__name__)
    async def test_my_transport(law):
        await law(make_my_transport)

A lawful transport loses no packet while its buffers have room.  The laws work with the real
clock and with a jumping one.
"""

from __future__ import annotations

import trio

from .law_ground import Inbox, in_time, law, must_raise, opened
from .law_ground import MakeTransport as MakeTransport
from .law_ground import TransportLaw as TransportLaw
from .packet_laws import check_a_burst_arrives_in_order as check_a_burst_arrives_in_order
from .packet_laws import (
    check_a_cancelled_receiver_loses_nothing as check_a_cancelled_receiver_loses_nothing,
)
from .packet_laws import (
    check_a_packet_arrives_whole_with_its_source as check_a_packet_arrives_whole_with_its_source,
)
from .packet_laws import (
    check_a_packet_that_is_too_long_is_refused as check_a_packet_that_is_too_long_is_refused,
)
from .packet_laws import check_a_transport_reaches_itself as check_a_transport_reaches_itself
from .packet_laws import (
    check_closing_in_a_handler_ends_receiving as check_closing_in_a_handler_ends_receiving,
)
from .packet_laws import check_one_receiver_at_a_time as check_one_receiver_at_a_time
from .packet_laws import (
    check_packets_of_every_length_arrive as check_packets_of_every_length_arrive,
)
from .packet_laws import check_packets_wait_for_a_receiver as check_packets_wait_for_a_receiver
from .packet_laws import check_sending_to_nobody_is_silent as check_sending_to_nobody_is_silent
from .stream_laws import check_a_closed_peer_breaks_a_stream as check_a_closed_peer_breaks_a_stream
from .stream_laws import (
    check_a_refused_stream_is_an_os_error as check_a_refused_stream_is_an_os_error,
)
from .stream_laws import (
    check_a_stream_carries_bytes_both_ways as check_a_stream_carries_bytes_both_ways,
)
from .stream_laws import check_half_a_stream_can_be_closed as check_half_a_stream_can_be_closed
from .stream_laws import check_one_acceptor_at_a_time as check_one_acceptor_at_a_time
from .stream_laws import (
    check_streams_outlive_their_transports as check_streams_outlive_their_transports,
)
from .stream_laws import (
    check_unread_bytes_make_closing_a_reset as check_unread_bytes_make_closing_a_reset,
)


async def check_transport(make: MakeTransport) -> None:
    """Hold a transport to every law.

    Raises:
      AssertionError: it breaks one.
    """
    for check in TRANSPORT_LAWS:
        await check(make)


@law
async def check_everything_fails_once_closed(make: MakeTransport) -> None:
    """Every call on a closed transport raises ``trio.ClosedResourceError``."""
    async with opened(make, 2) as (a, b):
        b.close()
        b.close()
        with must_raise(trio.ClosedResourceError):
            b.send_packet(b"x", a.local_address)
        with must_raise(trio.ClosedResourceError):
            await b.receive_packets(Inbox())
        with must_raise(trio.ClosedResourceError):
            await b.connect_stream(a.local_address)
        with must_raise(trio.ClosedResourceError):
            await b.accept_stream()
        with must_raise(trio.ClosedResourceError):
            await b.open()


@law
async def check_closing_wakes_those_who_wait(make: MakeTransport) -> None:
    """The receiver returns, the acceptor is told."""
    async with opened(make, 1) as (a,):
        ended: list[str] = []

        async def receive() -> None:
            await a.receive_packets(Inbox())
            ended.append("receiver")

        async def accept() -> None:
            with must_raise(trio.ClosedResourceError):
                await a.accept_stream()
            ended.append("acceptor")

        with in_time("waking after close"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                nursery.start_soon(accept)
                await trio.sleep(0.01)
                a.close()
        assert sorted(ended) == ["acceptor", "receiver"], ended


@law
async def check_a_taken_port_is_refused(make: MakeTransport) -> None:
    """Opening twice is refused; the bound address is real."""
    async with opened(make, 2) as (a, b):
        assert 0 < a.local_address.port < 65536, a.local_address
        assert a.local_address != b.local_address, a.local_address
        with must_raise(trio.BusyResourceError):
            await a.open()


@law
async def check_cancelled_calls_leave_nothing_behind(make: MakeTransport) -> None:
    """Cancelled dials and accepts can be repeated, and later streams are whole."""
    async with opened(make, 2) as (a, b):
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
        with in_time("the whole stream"):
            while True:
                far, _ = await b.accept_stream()
                async with far:
                    try:
                        if await far.receive_some(5) == b"whole":
                            break
                    except trio.BrokenResourceError:
                        continue  # the rest of a cancelled dial
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
    check_one_acceptor_at_a_time,
    check_streams_outlive_their_transports,
    check_everything_fails_once_closed,
    check_closing_wakes_those_who_wait,
    check_a_taken_port_is_refused,
    check_cancelled_calls_leave_nothing_behind,
)
"""Every law, in the order of this module."""
