"""Simulated streams behave as TCP does, good days and bad."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
import trio
from trio.testing import MockClock, check_half_closeable_stream

from trioserf.abc import Address
from trioserf.testing import Link, SimNetwork, SimTransport

A, B = "10.0.0.1", "10.0.0.2"


@asynccontextmanager
async def two(network: SimNetwork) -> AsyncIterator[tuple[SimTransport, SimTransport]]:
    async with network:
        a, b = network.transport(A), network.transport(B)
        await a.open()
        await b.open()
        yield a, b


async def connect(a: SimTransport, b: SimTransport) -> tuple[trio.abc.Stream, trio.abc.Stream]:
    near = await a.connect_stream(b.local_address)
    far, _ = await b.accept_stream()
    return near, far


async def test_it_passes_trios_own_checks(autojump_clock: MockClock) -> None:
    ports = count(1)
    async with SimNetwork(latency=0.001, stream_window=10_000) as network:

        async def pair() -> tuple[trio.abc.Stream, trio.abc.Stream]:
            a, b = network.transport(A, next(ports)), network.transport(B, next(ports))
            await a.open()
            await b.open()
            return await connect(a, b)

        async def clogged_pair() -> tuple[trio.abc.Stream, trio.abc.Stream]:
            near, far = await pair()
            await near.send_all(bytes(10_000))
            await far.send_all(bytes(10_000))
            await trio.sleep(1)
            return near, far

        await check_half_closeable_stream(pair, clogged_pair)


async def test_opening_takes_a_journey_there_and_back(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(latency=0.5)) as (a, b):
        start = trio.current_time()
        near = await a.connect_stream(b.local_address)
        assert start + 1.0 == trio.current_time()
        far, source = await b.accept_stream()
        assert start + 1.5 == trio.current_time()
        assert A == source.host
        assert "10.0.0.1" in repr(near)
        await near.aclose()
        await far.aclose()


async def test_a_dead_host_lets_a_dial_hang_for_two_minutes(autojump_clock: MockClock) -> None:
    async with two(SimNetwork()) as (a, _):
        start = trio.current_time()
        with pytest.raises(TimeoutError, match="does not answer"):
            await a.connect_stream(Address("10.0.0.9", 7946))
        assert start + 127 == trio.current_time()


async def test_a_one_way_cut_lets_a_connect_hang_until_it_ends(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=0.1)
    async with two(network) as (a, b), trio.open_nursery() as nursery:
        network.cut(B, A)

        async def heal() -> None:
            await trio.sleep(2)
            network.heal()

        nursery.start_soon(heal)
        start = trio.current_time()
        near, far = await connect(a, b)
        assert start + 3.3 == pytest.approx(trio.current_time())
        await near.aclose()
        await far.aclose()


async def test_lost_syns_are_repeated(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(seed=5, latency=0.001, loss=0.5)) as (a, b):
        for _ in range(5):
            near, far = await connect(a, b)
            await near.send_all(b"through")
            assert b"through" == await far.receive_some()
            await near.aclose()
            await far.aclose()
        assert trio.current_time() > 1


async def test_a_full_backlog_does_not_answer(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(latency=0.001)) as (a, b):
        streams = [await a.connect_stream(b.local_address) for _ in range(128)]
        with trio.move_on_after(60) as scope:
            await a.connect_stream(b.local_address)
        assert scope.cancelled_caught
        await b.accept_stream()
        streams.append(await a.connect_stream(b.local_address))
        for stream in streams:
            await stream.aclose()


async def test_bytes_arrive_after_the_latency_and_in_order(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=0.1)
    async with two(network) as (a, b):
        near, far = await connect(a, b)
        start = trio.current_time()
        network.change_link(latency=5.0)
        await near.send_all(b"slow ")
        network.change_link(latency=0.1)
        await near.send_all(b"fast")
        got = await far.receive_some()
        assert start + 5.0 == trio.current_time()
        while len(got) < 9:
            got += await far.receive_some()
        assert b"slow fast" == got


async def test_a_cut_keeps_bytes_back_until_it_ends(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=0.1)
    async with two(network) as (a, b):
        near, far = await connect(a, b)
        await near.send_all(b"under way, ")
        network.partition([A], [B])
        await near.send_all(b"sent")
        with trio.move_on_after(60) as scope:
            await far.receive_some()
        assert scope.cancelled_caught
        network.heal()
        await near.send_all(b", later")
        await near.send_eof()
        assert [b"under way, sent, later"] == [b"".join([piece async for piece in far])]


async def test_a_cut_that_stays_breaks_the_sender_and_the_reader_waits_for_ever(
    autojump_clock: MockClock,
) -> None:
    network = SimNetwork(latency=0.1, give_up=900)
    async with two(network) as (a, b):
        near, far = await connect(a, b)
        network.cut(A, B)
        await near.send_all(b"lost")
        with pytest.raises(trio.BrokenResourceError, match="timed out"):
            await near.receive_some()
        assert 900 < trio.current_time() < 901
        with pytest.raises(trio.BrokenResourceError, match="timed out"):
            await near.send_all(b"more")
        with trio.move_on_after(10_000) as scope:
            await far.receive_some()
        assert scope.cancelled_caught


async def test_a_cut_that_comes_and_goes_does_not_add_up(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=0.1, give_up=100)
    async with two(network) as (a, b):
        near, far = await connect(a, b)
        for _ in range(3):
            network.cut(A, B)
            await near.send_all(b"x")
            await trio.sleep(60)
            network.mend(A, B)
            await trio.sleep(1)
        assert b"xxx" == await far.receive_some()


async def test_loss_makes_streams_late_but_loses_nothing(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(seed=2, latency=0.001, stream_window=1000)) as (a, b):
        near, far = await connect(a, b)
        network_start = trio.current_time()
        a._network.topology.set_link(None, None, Link(latency=0.001, loss=0.3))
        data = bytes(range(256)) * 100

        async def send() -> None:
            await near.send_all(data)
            await near.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            assert data == b"".join([piece async for piece in far])
        assert trio.current_time() - network_start > 1


async def test_a_narrow_link_makes_streams_slow(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(link=Link(latency=0.0, bandwidth=1000.0))) as (a, b):
        near, far = await connect(a, b)
        start = trio.current_time()
        await near.send_all(bytes(5000))
        await near.send_eof()
        assert 5000 == len(b"".join([piece async for piece in far]))
        assert start + 5 == pytest.approx(trio.current_time(), abs=0.1)


async def test_a_sender_waits_while_the_window_is_full(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(latency=0.1, stream_window=1000)) as (a, b):
        near, far = await connect(a, b)
        with trio.move_on_after(60) as scope:
            await near.send_all(bytes(1001))
        assert scope.cancelled_caught
        assert 1000 == len(await far.receive_some())
        await near.wait_send_all_might_not_block()
        await near.send_all(b"y")
        assert b"y" == await far.receive_some()


async def test_what_arrived_before_a_reset_can_be_read(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(latency=0.1)) as (a, b):
        near, far = await connect(a, b)
        await near.send_all(b"never read")
        await far.send_all(b"last words")
        await trio.sleep(1)
        await far.aclose()
        await trio.sleep(1)
        assert b"last words" == await near.receive_some()
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await near.receive_some()


async def test_a_box_between_may_reset_streams(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=0.1)
    async with two(network) as (a, b):
        near, far = await connect(a, b)
        assert 0 == network.reset_streams(A, "10.0.0.9")
        assert 1 == network.reset_streams(A, B)
        for stream in (near, far):
            with pytest.raises(trio.BrokenResourceError, match="reset"):
                await stream.receive_some()


async def test_a_broken_stream_keeps_nothing_under_way(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=0.1)
    async with two(network) as (a, b):
        near, _ = await connect(a, b)
        network.cut(A, B)
        await near.send_all(b"held back")
        await trio.sleep(1)
        assert 1 == len(a._network.stalled)
        network.reset_streams(A)
        assert not a._network.stalled


async def test_a_process_that_closed_its_listener_resets_the_streams_it_never_took(
    autojump_clock: MockClock,
) -> None:
    async with two(SimNetwork(latency=0.1)) as (a, b):
        near = await a.connect_stream(b.local_address)
        await trio.sleep(1)
        b.close()
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await near.receive_some()


async def test_a_listener_that_closes_during_the_dial_resets_the_stream(
    autojump_clock: MockClock,
) -> None:
    async with two(SimNetwork(latency=0.1)) as (a, b), trio.open_nursery() as nursery:

        async def close() -> None:
            await trio.sleep(0.15)
            b.close()

        nursery.start_soon(close)
        near = await a.connect_stream(b.local_address)
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await near.receive_some()


async def test_closing_a_transport_ends_its_connects(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(latency=0.1)) as (a, b), trio.open_nursery() as nursery:

        async def close() -> None:
            await trio.sleep(0.05)
            a.close()

        nursery.start_soon(close)
        with pytest.raises(trio.ClosedResourceError):
            await a.connect_stream(b.local_address)


async def test_a_dial_cancelled_in_the_moment_of_success_leaves_no_stream(
    autojump_clock: MockClock,
) -> None:
    scope = trio.CancelScope()
    drawn = []

    def latency(_rng: random.Random) -> float:
        drawn.append(None)
        if len(drawn) == 3:  # there, back, and now the stream opens on the far side
            scope.cancel()
        return 0.1

    async with two(SimNetwork(latency=latency)) as (a, b):
        with scope:
            await a.connect_stream(b.local_address)
        assert scope.cancelled_caught
        await trio.sleep(5)
        assert not a._host.streams
        with trio.move_on_after(5):
            stream, _ = await b.accept_stream()
            with pytest.raises(trio.BrokenResourceError, match="reset"):
                await stream.receive_some()


async def test_a_stopped_host_answers_syns_and_nothing_else(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=0.1)
    async with two(network) as (a, b):
        network.pause(B)
        near = await a.connect_stream(b.local_address)
        await near.send_all(b"hello")
        with trio.move_on_after(60) as scope:
            await b.accept_stream()
        assert scope.cancelled_caught
        network.resume(B)
        far, _ = await b.accept_stream()
        assert b"hello" == await far.receive_some()
        network.pause(B)
        await near.send_all(b"again")
        for attempt in (far.receive_some, far.wait_send_all_might_not_block):
            with trio.move_on_after(60) as scope:
                await attempt()
            assert scope.cancelled_caught
        network.resume(B)
        assert b"again" == await far.receive_some()


async def test_the_streams_of_a_host_that_moved_hang(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=0.1)
    async with two(network) as (a, b):
        near, far = await connect(a, b)
        network.move(B, "10.0.0.7")
        await near.send_all(b"x")
        with trio.move_on_after(60) as scope:
            await far.receive_some()
        assert scope.cancelled_caught


async def test_closed_streams_are_forgotten(autojump_clock: MockClock) -> None:
    async with two(SimNetwork(latency=0.1)) as (a, b):
        near, far = await connect(a, b)
        assert (1, 1) == (len(a._host.streams), len(b._host.streams))
        await near.aclose()
        await far.aclose()
        assert (0, 0) == (len(a._host.streams), len(b._host.streams))
        assert 1 == a._network.counts.streams


@pytest.mark.parametrize("unread", [b"", b"unread"])
async def test_a_stream_is_gone_when_both_ends_are_closed(
    unread: bytes, autojump_clock: MockClock
) -> None:
    async with two(SimNetwork(latency=0.1)) as (a, b):
        near, far = await connect(a, b)
        if unread:
            await near.send_all(unread)  # it comes to a closed end, which resets the other
        kept = weakref.ref(near), weakref.ref(far)
        gc.collect()
        gc.disable()
        try:
            await far.aclose()
            await near.aclose()
            await trio.sleep(1)
            del near, far
            assert (None, None) == tuple(each() for each in kept)
        finally:
            gc.enable()
