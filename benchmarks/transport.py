"""What a packet costs: simulated, and over real UDP on loopback.

Run ``python -m benchmarks.transport``.  Machines differ and are shared, so each figure is
printed with its ratio to a plain loop over blocking sockets (or to a bare heap) measured in
the same minute, beside the ratios known of the ways not taken.
"""

from __future__ import annotations

import heapq
import random
import socket
import time
from collections.abc import Callable

import trio
from trio.testing import MockClock

from trioserf._net.udp_tcp import NetTransport
from trioserf.abc import Packet
from trioserf.testing import SimNetwork

SIZE = 200
COUNT = 19_200
ROUNDS = 5


def best(measure: Callable[[], float]) -> float:
    """The fastest of some rounds (µs per packet): the least disturbed one."""
    return min(measure() for _ in range(ROUNDS)) * 1e6


def blocking_sockets() -> float:
    """CPU seconds per packet of sendto and recvfrom on blocking sockets."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        target, data = receiver.getsockname(), bytes(SIZE)
        start = time.process_time()
        for _ in range(COUNT):
            sender.sendto(data, target)
            receiver.recvfrom(65536)
        return (time.process_time() - start) / COUNT


def real_transport(burst: int) -> float:
    """CPU seconds per packet of two transports, sent in bursts."""

    async def main() -> float:
        a, b = NetTransport("127.0.0.1", 0), NetTransport("127.0.0.1", 0)
        await a.open()
        await b.open()
        received = 0
        done = trio.Event()

        def handle(_packet: Packet) -> None:
            nonlocal received, done
            received += 1
            if received % burst == 0:
                done.set()

        async with trio.open_nursery() as nursery:
            await nursery.start(lambda **kw: b.receive_packets(handle, **kw))
            data, target = bytes(SIZE), b.local_address
            start = time.process_time()
            for _ in range(COUNT // burst):
                done = trio.Event()
                for _ in range(burst):
                    a.send_packet(data, target)
                await done.wait()
            spent = time.process_time() - start
            nursery.cancel_scope.cancel()
        a.close()
        b.close()
        return spent / received

    return trio.run(main)


def bare_heap() -> float:
    """CPU seconds per packet of a heap and a call: what no simulation can beat."""
    heap: list[tuple[float, int, bytes]] = []
    rng, data, got = random.Random(1), bytes(SIZE), []
    start = time.process_time()
    for burst in range(COUNT // 96):
        for number in range(96):
            heapq.heappush(heap, (burst + rng.random(), number, data))
        while heap:
            got.append(heapq.heappop(heap)[2])
    return (time.process_time() - start) / COUNT


def simulated(nodes: int, burst: int, grain: float) -> tuple[float, float]:
    """CPU seconds per packet, and packets per wake-up, between many simulated nodes."""

    async def main() -> tuple[float, float]:
        network = SimNetwork(seed=1, latency=(0.0005, 0.0015), grain=grain)
        rng = random.Random(1)
        async with network, trio.open_nursery() as nursery:
            transports = [network.transport(f"10.0.{n // 250}.{n % 250 + 1}") for n in range(nodes)]
            for transport in transports:
                await transport.open()
                nursery.start_soon(transport.receive_packets, _ignore)
            await trio.sleep(0.01)
            data = bytes(SIZE)
            start = time.process_time()
            for _ in range(COUNT // burst):
                for _ in range(burst):
                    source, target = rng.choice(transports), rng.choice(transports)
                    source.send_packet(data, target.local_address)
                await trio.sleep(0.001)
            await trio.sleep(0.01)
            spent = time.process_time() - start
            nursery.cancel_scope.cancel()
        statistics = network.statistics()
        assert statistics.packets_delivered == COUNT, statistics
        return spent / COUNT, COUNT / statistics.wake_ups

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def _ignore(_packet: Packet) -> None:
    pass


def main() -> None:
    """Measure and print."""
    plain = best(blocking_sockets)
    print(f"blocking sockets, one by one          {plain:7.1f} µs per packet   ratio  1.0")
    for burst, known in ((1, "5.7"), (8, "1.8"), (64, "0.8")):
        cost = best(lambda burst=burst: real_transport(burst))  # type: ignore[misc]
        print(
            f"NetTransport, bursts of {burst:3}           {cost:7.1f} µs per packet   "
            f"ratio {cost / plain:4.1f}   (bare draining {known}; await per packet 6.9)"
        )
    heap = best(bare_heap)
    print(f"bare heap and call                    {heap:7.1f} µs per packet   ratio  1.0")
    for nodes, burst, grain in (
        (2, 1, 0.0),
        (100, 1, 0.0),
        (1000, 16, 0.0),
        (1000, 16, 0.001),
        (1000, 64, 0.001),
    ):
        runs = [simulated(nodes, burst, grain) for _ in range(3)]
        cost, per_wake_up = min(runs)
        cost *= 1e6
        print(
            f"SimNetwork, {nodes:4} nodes, {burst:3}/ms, grain {grain * 1000:3.0f} ms "
            f"{cost:6.1f} µs per packet   ratio {cost / heap:4.1f}   "
            f"{per_wake_up:6.1f} packets per wake-up"
        )


if __name__ == "__main__":
    main()
