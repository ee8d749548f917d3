"""Replaying a run by its seed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading

import pytest
import trio
from trio._core import _run
from trio.testing import MockClock

from trioserf._seams import run_in_thread
from trioserf.abc import Packet
from trioserf.testing import SimCluster, SimNetwork, TraceDigest
from trioserf.testing.determinism import run, seeded_scheduler

PEERS = 8


async def gossip(seed: int) -> str:
    """Peers that send to random others at random times, with everything going wrong."""
    digest = TraceDigest()
    rng = random.Random(seed)
    async with SimNetwork(seed=seed, latency=(0.001, 0.1), loss=0.1, trace=digest) as network:
        network.change_link(duplicate=0.1, reorder=0.1, corrupt=0.1)
        transports = [network.transport(f"10.0.0.{n}") for n in range(1, PEERS + 1)]
        async with trio.open_nursery() as nursery:
            for transport in transports:
                await transport.open()

                def answer(packet: Packet, transport=transport) -> None:  # type: ignore[no-untyped-def]
                    if len(packet.data) < 5:
                        transport.send_packet(packet.data + b".", rng.choice(transports)._address)

                nursery.start_soon(transport.receive_packets, answer)

                async def tick(transport=transport) -> None:  # type: ignore[no-untyped-def]
                    for _ in range(20):
                        await trio.sleep(rng.choice((0.05, 0.1)))
                        transport.send_packet(b"x", rng.choice(transports)._address)

                nursery.start_soon(tick)
            await trio.sleep(5)
            nursery.cancel_scope.cancel()
    assert digest.count > 100
    return digest.hexdigest()


def test_one_seed_gives_one_run() -> None:
    first = run(1, gossip, 1)
    assert first == run(1, gossip, 1)
    assert first != run(2, gossip, 2)


def test_the_order_of_ready_tasks_depends_on_the_seed_alone() -> None:
    async def order() -> list[int]:
        ran: list[int] = []

        async def step(number: int) -> None:
            ran.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(step, number)
        return ran

    first = run(1, order)
    assert first != run(2, order)
    _run._r.seed("whatever went before")
    assert first == run(1, order)


@pytest.mark.slow
def test_one_seed_gives_one_run_in_every_process() -> None:
    code = (
        "from tests.testing.test_determinism import gossip, run\nprint(run(1, gossip, 1), end='')"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert {run(1, gossip, 1)} == printed


def test_the_switches_are_put_back() -> None:
    before = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()
    with seeded_scheduler(1):
        assert _run._ALLOW_DETERMINISTIC_SCHEDULING
    assert before == (_run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate())


def test_work_of_nodes_for_threads_is_done_in_place_and_takes_no_time() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 3600)
            with trio.testing.assert_checkpoints():
                here = await run_in_thread(threading.current_thread)
            assert threading.current_thread() is here
            with trio.testing.assert_checkpoints(), pytest.raises(ZeroDivisionError):
                await run_in_thread(lambda: 1 // 0)
            assert 0 == trio.current_time()
            nursery.cancel_scope.cancel()

    run(1, main)


def test_no_time_passes_while_a_thread_of_the_application_works() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 3600)
            asked = threading.Event()
            trio.lowlevel.current_trio_token().run_sync_soon(asked.set)
            there = await trio.to_thread.run_sync(lambda: (asked.wait(5), threading.get_ident()))
            assert there[0]
            assert threading.get_ident() != there[1]
            assert await trio.Path(__file__).exists()
            assert 0 == trio.current_time()
            nursery.cancel_scope.cancel()

    run(1, main)


async def works_in_place() -> bool:
    return threading.current_thread() is await run_in_thread(threading.current_thread)


async def test_clusters_that_overlap_leave_nothing_behind(autojump_clock: MockClock) -> None:
    public = trio.to_thread.run_sync

    async def live(seed: int, start: float, end: float) -> None:
        await trio.sleep_until(start)
        async with SimCluster(seed=seed):
            await trio.sleep_until(end)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live, 1, start + 1, start + 3)
        nursery.start_soon(live, 2, start + 2, start + 4)
        seen = []
        for moment in (0.5, 1.5, 2.5, 3.5, 4.5):
            await trio.sleep_until(start + moment)
            seen.append(await works_in_place())
    assert [False, True, True, True, False] == seen
    assert public is trio.to_thread.run_sync


async def test_a_network_alone_is_enough_on_a_mock_clock(autojump_clock: MockClock) -> None:
    async with SimNetwork():
        assert await works_in_place()
    assert not await works_in_place()


async def test_on_the_real_clock_a_network_leaves_threads_alone() -> None:
    async with SimNetwork():
        assert not await works_in_place()


async def test_other_runs_have_threads_while_a_cluster_is_simulated(
    autojump_clock: MockClock,
) -> None:
    public = trio.to_thread.run_sync
    elsewhere: list[bool] = []
    async with SimCluster(seed=1):
        other = threading.Thread(target=lambda: elsewhere.append(trio.run(works_in_place)))
        other.start()
        other.join(10)
        assert await works_in_place()
        assert public is trio.to_thread.run_sync
    assert [False] == elsewhere
