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

from trioserf.abc import Packet
from trioserf.testing import SimNetwork, TraceDigest
from trioserf.testing.determinism import run, seeded_scheduler, threads_in_place

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
    before = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate(), trio.to_thread.run_sync
    with seeded_scheduler(1), threads_in_place():
        assert _run._ALLOW_DETERMINISTIC_SCHEDULING
        assert before[2] is not trio.to_thread.run_sync
    after = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate(), trio.to_thread.run_sync
    assert before == after


def test_work_for_threads_is_done_in_place_and_takes_no_time() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 3600)
            with trio.testing.assert_checkpoints():
                here = await trio.to_thread.run_sync(threading.current_thread)
            assert threading.current_thread() is here
            assert 0 == trio.current_time()
            assert await trio.Path(__file__).exists()
            with trio.testing.assert_checkpoints(), pytest.raises(ZeroDivisionError):
                await trio.to_thread.run_sync(lambda: 1 // 0)
            assert 0 == trio.current_time()
            nursery.cancel_scope.cancel()

    run(1, main)
