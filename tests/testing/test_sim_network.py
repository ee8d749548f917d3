"""What a simulated network does to packets and hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from trioserf.abc import Address, DialRefused, Packet
from trioserf.testing import Link, NetworkStatistics, SimNetwork, SimTransport, TraceEntry

A, B, C, D = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"
PORT = 7946


class Pair:
    """Two open transports on one network, and what the second has received."""

    def __init__(self, network: SimNetwork, a: SimTransport, b: SimTransport) -> None:
        self.network, self.a, self.b = network, a, b
        self.got: list[Packet] = []

    def send(self, *data: bytes) -> None:
        for each in data:
            self.a.send_packet(each, self.b.local_address)

    @property
    def data(self) -> list[bytes]:
        return [packet.data for packet in self.got]

    @property
    def statistics(self) -> NetworkStatistics:
        return self.network.statistics()


@asynccontextmanager
async def pair(network: SimNetwork) -> AsyncIterator[Pair]:
    async with network, trio.open_nursery() as nursery:
        both = Pair(network, network.transport(A), network.transport(B))
        await both.a.open()
        await both.b.open()
        await nursery.start(both.b.receive_packets, both.got.append)
        yield both
        nursery.cancel_scope.cancel()


async def test_a_packet_takes_the_time_of_the_link(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.25)) as p:
        start = trio.current_time()
        p.send(b"x")
        await trio.sleep(0.24)
        assert [] == p.got
        await trio.sleep(0.02)
        assert [Packet(b"x", Address(A, PORT), start + 0.25)] == p.got


async def test_a_shorter_journey_started_later_is_not_held_up(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=10.0)) as p:
        p.send(b"slow")
        await trio.sleep(1)
        p.network.change_link(A, B, latency=0.5)
        p.send(b"fast")
        await trio.sleep(1)
        assert [b"fast"] == p.data
        await trio.sleep(10)
        assert [b"fast", b"slow"] == p.data


async def test_loss_takes_its_share_and_is_counted(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(seed=3, loss=0.3, latency=0.001)) as p:
        p.send(*[b"x"] * 1000)
        await trio.sleep(1)
        lost = p.statistics.dropped["loss"]
        assert 240 < lost < 360
        assert 1000 - lost == len(p.got) == p.statistics.packets_delivered
        assert (1000, 1000) == (p.statistics.packets_sent, p.statistics.bytes_sent)


async def test_each_direction_has_its_own_link(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.network.change_link(B, A, loss=1.0)
        p.send(b"there")
        p.b.send_packet(b"back", p.a.local_address)
        await trio.sleep(1)
        assert [b"there"] == p.data
        assert {"loss": 1} == p.statistics.dropped


async def test_a_link_can_be_replaced_and_given_back(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        deaf = Link(loss=1.0)
        p.network.set_link(A, B, deaf, both_ways=True)
        assert deaf is p.network.link(A, B) is p.network.link(B, A)
        p.network.set_link(A, B, None)
        assert deaf is p.network.link(B, A)
        p.send(b"x")
        await trio.sleep(1)
        assert [b"x"] == p.data


async def test_duplicates_arrive_twice(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(link=Link(latency=0.001, duplicate=1.0))) as p:
        p.send(b"x", b"y")
        await trio.sleep(1)
        assert [b"x", b"x", b"y", b"y"] == sorted(p.data)
        assert 2 == p.statistics.duplicated


async def test_reordered_packets_come_late(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(link=Link(latency=0.001, reorder=1.0, reorder_by=5.0))) as p:
        p.send(b"late")
        p.network.change_link(reorder=0.0)
        p.send(b"soon")
        await trio.sleep(1)
        assert [b"soon"] == p.data
        await trio.sleep(5)
        assert [b"soon", b"late"] == p.data
        assert 1 == p.statistics.reordered


async def test_corruption_flips_one_bit(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(link=Link(latency=0.001, corrupt=1.0))) as p:
        p.send(bytes(100), b"")
        await trio.sleep(1)
        assert [1, 0] == [int.from_bytes(data, "big").bit_count() for data in p.data]
        assert 1 == p.statistics.corrupted


async def test_a_narrow_link_makes_packets_queue_and_drops_what_does_not_fit(
    autojump_clock: MockClock,
) -> None:
    link = Link(latency=0.0, bandwidth=1000.0, queue=2500)
    async with pair(SimNetwork(link=link)) as p:
        p.send(*[bytes(1000)] * 5)
        await trio.sleep(1.5)
        assert 1 == len(p.got)
        await trio.sleep(10)
        assert [1.0, 2.0, 3.0] == [packet.received_at for packet in p.got]
        assert {"queue": 2} == p.statistics.dropped


async def test_longer_packets_than_the_mtu_vanish(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(link=Link(latency=0.001, mtu=1400))) as p:
        p.send(bytes(1400), bytes(1401))
        await trio.sleep(1)
        assert [bytes(1400)] == p.data
        assert {"mtu": 1} == p.statistics.dropped


async def test_a_partition_stops_what_is_under_way_and_what_is_sent(
    autojump_clock: MockClock,
) -> None:
    async with pair(SimNetwork(latency=1.0)) as p:
        p.send(b"under way")
        await trio.sleep(0.5)
        p.network.partition([A], [B])
        p.send(b"sent")
        assert not p.network.reachable(A, B)
        await trio.sleep(5)
        p.network.heal()
        p.send(b"healed")
        await trio.sleep(5)
        assert [b"healed"] == p.data
        assert {"cut": 2} == p.statistics.dropped


async def test_a_one_way_cut_lets_the_other_way_through(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.network.cut(B, A)
        p.send(b"there")
        p.b.send_packet(b"back", p.a.local_address)
        await trio.sleep(1)
        assert [b"there"] == p.data
        assert {"cut": 1} == p.statistics.dropped


async def test_an_isolated_host_still_reaches_itself(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.network.isolate(B)
        p.send(b"from outside")
        p.b.send_packet(b"from itself", p.b.local_address)
        await trio.sleep(1)
        assert [b"from itself"] == p.data
        p.network.mend(B, None, both_ways=True)
        p.send(b"again")
        await trio.sleep(1)
        assert [b"from itself", b"again"] == p.data


async def test_distance_adds_to_latency(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.5, distance=lambda source, target: 2.0)) as p:
        start = trio.current_time()
        p.send(b"x")
        await trio.sleep(3)
        assert [start + 2.5] == [packet.received_at for packet in p.got]


async def test_a_grain_lets_arrivals_share_a_wake_up(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=(0.010, 0.019), grain=0.01)) as p:
        before = p.statistics.wake_ups
        p.send(*[b"x"] * 100)
        await trio.sleep(1)
        assert 100 == len(p.got)
        assert {0.02} == {round(packet.received_at, 9) for packet in p.got}
        assert 1 == p.statistics.wake_ups - before


async def test_a_packet_to_nobody_is_counted(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.a.send_packet(b"x", Address(C, PORT))
        p.a.send_packet(b"x", Address(B, 1))
        await trio.sleep(1)
        assert {"nobody": 2} == p.statistics.dropped


async def test_links_are_counted_on_demand(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001, count_links=True)) as p:
        p.send(b"123", b"4")
        p.network.cut(A, B)
        p.send(b"5")
        await trio.sleep(1)
        [(names, link)] = p.statistics.links.items()
        assert ((A, B), 3, 5, 3) == (names, link.packets, link.size, link.dropped)


async def test_a_slow_receiver_overflows_its_socket(autojump_clock: MockClock) -> None:
    async with SimNetwork(latency=0.001, receive_buffer=5000) as network:
        a, b = network.transport(A), network.transport(B)
        await a.open()
        await b.open()
        for _ in range(10):
            a.send_packet(bytes(1000), b.local_address)
        await trio.sleep(1)
        assert {"buffer": 7} == network.statistics().dropped


async def test_a_stopped_host_receives_in_a_burst_when_it_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.network.pause(B)
        assert p.network.is_paused(B)
        p.send(b"1", b"2")
        await trio.sleep(60)
        assert [] == p.got
        p.network.resume(B)
        now = trio.current_time()
        await trio.sleep(0.001)
        assert [(b"1", now), (b"2", now)] == [(x.data, x.received_at) for x in p.got]


async def test_a_stopped_host_sends_when_it_goes_on(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.network.pause(A)
        p.send(b"x")
        await trio.sleep(60)
        assert [] == p.got
        p.network.resume(A)
        await trio.sleep(1)
        assert [b"x"] == p.data


async def test_the_tasks_of_a_stopped_host_stand_still(autojump_clock: MockClock) -> None:
    ticks: list[float] = []

    async def child() -> None:
        while True:
            await trio.sleep(1)
            ticks.append(trio.current_time())

    async def process(network: SimNetwork) -> None:
        network.run_on(A)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    async with SimNetwork() as network, trio.open_nursery() as nursery:
        nursery.start_soon(process, network)
        await trio.sleep(2.5)
        network.pause(A)
        await trio.sleep(60)
        assert [1, 2] == ticks
        network.resume(A)
        await trio.sleep(1.5)
        assert [1, 2, 62.5, 63.5] == ticks
        nursery.cancel_scope.cancel()


async def test_a_stopped_host_does_not_keep_its_network_open(autojump_clock: MockClock) -> None:
    ended = []

    async def process(network: SimNetwork) -> None:
        network.run_on(A)
        await trio.sleep(3)
        ended.append(trio.current_time())

    async with trio.open_nursery() as nursery, SimNetwork() as network:
        nursery.start_soon(process, network)
        await trio.sleep(1)
        network.pause(A)
        await trio.sleep(10)
        assert [] == ended, "a host that is stopped does not run"
    assert 1 == len(ended), "and ends with its network"


async def test_a_host_that_moved_is_found_under_its_new_address(
    autojump_clock: MockClock,
) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        old = p.b.local_address
        p.network.move(B, C)
        p.a.send_packet(b"old", old)
        p.a.send_packet(b"new", Address(C, PORT))
        await trio.sleep(1)
        assert [b"new"] == p.data
        assert Address(C, PORT) == p.b.local_address
        assert (A, C) == p.network.hosts
        with pytest.raises(ValueError, match="taken"):
            p.network.move(C, A)


async def test_a_port_belongs_to_one_transport_until_it_closes(autojump_clock: MockClock) -> None:
    async with SimNetwork() as network:
        first, second = network.transport(A), network.transport(A)
        await first.open()
        with pytest.raises(OSError, match=r"10\.0\.0\.1:7946 is in use"):
            await second.open()
        first.close()
        await second.open()
        assert Address(A, 7946) == second.local_address


async def test_port_0_skips_the_ports_in_use(autojump_clock: MockClock) -> None:
    async with SimNetwork() as network:
        taken = network.transport(A, 49152)
        await taken.open()
        free = network.transport(A, 0)
        await free.open()
        assert 49153 == free.local_address.port


def test_a_host_is_an_ip_address() -> None:
    with pytest.raises(ValueError, match="web-1"):
        SimNetwork().transport("web-1")


async def test_a_forged_packet_shows_the_forged_source(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.network.inject(b"forged", source=Address(D, 1), to=p.b.local_address)
        await trio.sleep(1)
        assert [(b"forged", Address(D, 1))] == [(x.data, x.source) for x in p.got]


async def test_a_handler_that_raises_ends_its_own_receiver_only(
    autojump_clock: MockClock,
) -> None:
    def fail(packet: Packet) -> None:
        raise KeyError(packet.data)

    async with pair(SimNetwork(latency=0.001)) as p:
        p.b.send_packet(b"bug", p.a.local_address)
        with pytest.raises(KeyError, match="bug"):
            await p.a.receive_packets(fail)
        p.send(b"others go on")
        await trio.sleep(1)
        assert [b"others go on"] == p.data


async def test_a_trace_sees_everything_in_order(autojump_clock: MockClock) -> None:
    seen: list[TraceEntry] = []
    async with pair(SimNetwork(latency=0.5)) as p:
        p.network.trace = seen.append
        assert p.network.trace is not None
        p.send(b"x")
        await trio.sleep(1)
        p.network.cut(A, B)
        p.send(b"y")
        await trio.sleep(1)
    expected = [(0.0, "send", b"x"), (0.5, "deliver", b"x"), (1.0, "send", b"y")]
    assert [*expected, (1.0, "drop cut", b"y")] == [(e.time, e.what, e.data) for e in seen]


async def test_leaving_the_block_closes_transports_and_keeps_the_users_exception_bare() -> None:
    network = SimNetwork()
    transport = network.transport(A)

    async def fail() -> None:
        async with network:
            await transport.open()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    with pytest.raises(trio.ClosedResourceError):
        transport.send_packet(b"", Address(A, 1))


async def test_a_cancelled_block_ends() -> None:
    with trio.CancelScope() as scope:
        async with SimNetwork():
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_network_runs_once_at_a_time() -> None:
    async with SimNetwork() as network:
        with pytest.raises(trio.BusyResourceError, match="already"):
            await network._state.deliveries.run()


async def test_an_hour_of_silence_costs_nothing(autojump_clock: MockClock) -> None:
    async with SimNetwork() as network, trio.open_nursery() as nursery:
        for number in range(1, 200):
            transport = network.transport(f"10.0.1.{number}")
            await transport.open()
            nursery.start_soon(transport.receive_packets, print)
        await trio.sleep(3600)
        assert 0 == network.statistics().wake_ups
        nursery.cancel_scope.cancel()


# --- refusal ----------------------------------------------------------------------------


def refused(transport: SimTransport) -> list[Address]:
    """What has refused packets of a transport since the last look."""
    reported: list[Address] = []
    while True:
        try:
            reported.append(transport.refusals().receive_nowait())
        except trio.WouldBlock:
            return reported


async def dialled(transport: SimTransport, to: Address) -> str:
    """How a stream comes to its end, or does not begin."""
    with trio.move_on_after(10):
        try:
            stream = await transport.connect_stream(to)
        except DialRefused as error:
            return error.source
        await stream.aclose()
        return "open"
    return "silence"


async def answers(p: Pair, to: Address) -> tuple[str, list[Address]]:
    """How an address answers a stream and a packet."""
    p.a.send_packet(b"x", to)
    outcome = await dialled(p.a, to)
    await trio.sleep(1)
    return outcome, refused(p.a)


async def test_the_host_of_a_crashed_process_refuses_and_one_that_is_gone_is_silent(
    autojump_clock: MockClock,
) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        b = p.b.local_address
        assert ("open", []) == await answers(p, b)
        p.b.close()
        assert ("rst", [b]) == await answers(p, b)
        p.network.power_off(B)
        assert ("silence", []) == await answers(p, b)
        p.network.power_on(B)
        assert ("rst", [b]) == await answers(p, b)
        assert ("silence", []) == await answers(p, Address(C, PORT))
        assert 2 == p.statistics.refusals


async def test_a_machine_that_is_off_sends_nothing(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.network.power_off(A)
        p.send(b"x")
        await trio.sleep(1)
        assert [] == p.got


async def test_a_stopped_process_and_a_full_backlog_refuse_nothing(
    autojump_clock: MockClock,
) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        p.network.pause(B)
        assert ("open", []) == await answers(p, p.b.local_address)
        p.network.resume(B)
        p.network.fill_backlog(B)
        assert ("silence", []) == await answers(p, p.b.local_address)
        p.network.fill_backlog(B, full=False)
        assert ("open", []) == await answers(p, p.b.local_address)


async def test_a_firewall_refuses_as_it_is_configured(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        b = p.b.local_address
        p.network.reject(A, B)
        assert ("rst", [b]) == await answers(p, b)
        p.network.reject(A, B, streams="icmp", by="router")
        assert ("icmp", []) == await answers(p, b)
        p.network.reject(A, B, packets=False)
        assert ("rst", []) == await answers(p, b)
        p.network.reject(A, B, streams=None)
        assert ("open", [b]) == await answers(p, b)
        p.network.accept(A, B)
        p.network.reject(B, A)  # which refuses the answers
        assert ("silence", []) == await answers(p, b)
        p.network.accept(B, A)
        p.network.reject(None, B, both_ways=True)
        assert ("rst", [b]) == await answers(p, b)
        p.network.accept(None, B, both_ways=True)
        assert ("open", []) == await answers(p, b)
        assert 4 == p.statistics.dropped["reject"]


async def test_a_firewall_breaks_streams_that_exist(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        near = await p.a.connect_stream(p.b.local_address)
        far, _ = await p.b.accept_stream()
        p.network.reject(A, B)
        await near.send_all(b"x")
        for end in (near, far):
            with pytest.raises(trio.BrokenResourceError):
                await end.receive_some(1)


async def test_a_host_says_only_now_and_then_that_a_port_is_closed(
    autojump_clock: MockClock,
) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        closed = Address(B, 1)
        reported = []
        for _ in range(100):
            p.a.send_packet(b"x", closed)
            await trio.sleep(0.1)
            reported += refused(p.a)
        assert 15 <= len(reported) <= 17
        assert {closed} == {*reported}


async def test_refusals_that_nobody_reads_are_bounded(autojump_clock: MockClock) -> None:
    async with pair(SimNetwork(latency=0.001)) as p:
        for number in range(200):
            closed = Address(f"10.1.0.{number}", 1)
            await p.network.transport(closed.host).open()
            p.a.send_packet(b"x", closed)
        await trio.sleep(1)
        assert 64 == len(refused(p.a))


async def test_a_network_that_does_not_run_says_so() -> None:
    """Not that nobody answers, ten seconds later."""
    transport = SimNetwork().transport("10.0.0.1")
    with pytest.raises(RuntimeError, match="use 'async with SimNetwork"):
        await transport.open()
    network = SimNetwork()
    async with network:
        await network.transport("10.0.0.1").open()
    with pytest.raises(RuntimeError, match="does not run"):
        await network.transport("10.0.0.2").open()
