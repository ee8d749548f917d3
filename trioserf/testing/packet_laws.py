"""The laws of packets; see `trioserf.testing.check_transport`."""

from __future__ import annotations

import trio

from ..abc import Packet
from .law_ground import (
    Inbox,
    MakeTransport,
    in_time,
    law,
    must_raise,
    opened,
    receiving,
    stream_pair,
)

LARGEST = 65507
"""Most bytes of a datagram over IPv4."""


@law
async def check_a_packet_arrives_whole_with_its_source(make: MakeTransport) -> None:
    """What was sent arrives, from the address that the sender is bound to, with its time."""
    async with opened(make, 2) as (a, b):
        inbox = Inbox()
        async with receiving(b, inbox):
            before = trio.current_time()
            a.send_packet(b"hello", b.local_address)
            await inbox.wait(1)
            [packet] = inbox.packets
            assert packet.data == b"hello", packet
            assert type(packet.data) is bytes, type(packet.data)
            assert packet.source == a.local_address, (packet.source, a.local_address)
            assert before <= packet.received_at <= trio.current_time(), packet


@law
async def check_packets_of_every_length_arrive(make: MakeTransport) -> None:
    """From an empty datagram to the longest one."""
    async with opened(make, 2) as (a, b):
        inbox = Inbox()
        async with receiving(b, inbox):
            for count, size in enumerate((0, 1, 1400, 9000, LARGEST), start=1):
                a.send_packet(bytes(size), b.local_address)
                await inbox.wait(count)
                assert len(inbox.packets[-1].data) == size, (len(inbox.packets[-1].data), size)


@law
async def check_a_packet_that_is_too_long_is_refused(make: MakeTransport) -> None:
    """More bytes than a datagram carries are a broken resource, and later sends work."""
    async with opened(make, 2) as (a, b):
        inbox = Inbox()
        async with receiving(b, inbox):
            with must_raise(trio.BrokenResourceError):
                a.send_packet(bytes(70000), b.local_address)
            a.send_packet(b"fits", b.local_address)
            assert await inbox.wait(1) == [b"fits"]


@law
async def check_a_burst_arrives_in_order(make: MakeTransport) -> None:
    """More packets than one wake-up handles; over one undisturbed link they keep order."""
    async with opened(make, 2) as (a, b):
        inbox = Inbox()
        sent = [b"%03d" % number for number in range(200)]
        async with receiving(b, inbox):
            for data in sent:
                a.send_packet(data, b.local_address)
            assert await inbox.wait(len(sent)) == sent


@law
async def check_packets_wait_for_a_receiver(make: MakeTransport) -> None:
    """What arrives between opening and receiving is kept, within reason."""
    async with opened(make, 2) as (a, b):
        a.send_packet(b"early", b.local_address)
        await trio.sleep(0.01)
        inbox = Inbox()
        async with receiving(b, inbox):
            assert await inbox.wait(1) == [b"early"]


@law
async def check_a_transport_reaches_itself(make: MakeTransport) -> None:
    """Packets and streams to the own address work."""
    async with opened(make, 1) as (a,):
        inbox = Inbox()
        async with receiving(a, inbox):
            a.send_packet(b"self", a.local_address)
            assert await inbox.wait(1) == [b"self"]
        near, far, _ = await stream_pair(a, a)
        async with near, far:
            await near.send_all(b"self")
            assert await far.receive_some(4) == b"self"


@law
async def check_sending_to_nobody_is_silent(make: MakeTransport) -> None:
    """A packet to a port where nobody listens harms neither sender nor later packets."""
    async with opened(make, 2) as (a, b):
        async with opened(make, 1) as (gone,):
            nobody = gone.local_address
        inbox, own = Inbox(), Inbox()
        async with receiving(b, inbox), receiving(a, own):
            for number in range(5):
                a.send_packet(b"lost", nobody)
                a.send_packet(b"%d" % number, b.local_address)
                await inbox.wait(number + 1)
                b.send_packet(b"%d" % number, a.local_address)
                await own.wait(number + 1)
            assert own.data == inbox.data == [b"0", b"1", b"2", b"3", b"4"]


@law
async def check_one_receiver_at_a_time(make: MakeTransport) -> None:
    """A second receiver is told so; the first goes on; after it another may come."""
    async with opened(make, 2) as (a, b):
        inbox = Inbox()
        async with receiving(b, inbox):
            with must_raise(trio.BusyResourceError):
                await b.receive_packets(Inbox())
            a.send_packet(b"first", b.local_address)
            assert await inbox.wait(1) == [b"first"]
        again = Inbox()
        async with receiving(b, again):
            a.send_packet(b"second", b.local_address)
            assert await again.wait(1) == [b"second"]
        assert inbox.data == [b"first"], inbox.data


@law
async def check_a_cancelled_receiver_loses_nothing(make: MakeTransport) -> None:
    """Packets that come between two receivers wait for the second."""
    async with opened(make, 2) as (a, b):
        first, second = Inbox(), Inbox()
        with trio.CancelScope() as scope:
            scope.cancel()
            await b.receive_packets(first)
        assert scope.cancelled_caught, "receive_packets is no checkpoint"
        for number in range(3):
            a.send_packet(b"%d" % number, b.local_address)
        async with receiving(b, second):
            assert await second.wait(3) == [b"0", b"1", b"2"]
        assert first.data == [], first.data


@law
async def check_closing_in_a_handler_ends_receiving(make: MakeTransport) -> None:
    """A handler that closes the transport is not called again, however much waits."""
    async with opened(make, 2) as (a, b):
        got: list[bytes] = []

        def close_at_once(packet: Packet) -> None:
            got.append(packet.data)
            b.close()

        for number in range(5):
            a.send_packet(b"%d" % number, b.local_address)
        await trio.sleep(0.01)
        with in_time("the receiver's end"):
            await b.receive_packets(close_at_once)
        assert got == [b"0"], got
