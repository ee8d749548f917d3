"""Alarms of a simulation sleep without scopes, and ring as those in scopes do."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock

from trioserf._memberlist.alarm import Alarm
from trioserf._seams import sleepers
from trioserf.testing import SimNetwork
from trioserf.testing.determinism import run
from trioserf.testing.jump_sleeper import JumpSleeper, ScopeSleeper, sleeper_for_this_run


async def rings(seed: int, kind: object) -> list[tuple[float, int]]:
    """When which of some alarms rings that are moved at random, and cancelled now and then."""
    sleepers.set(kind)  # type: ignore[arg-type]
    rng, rung = random.Random(seed), list[tuple[float, int]]()
    alarms = [Alarm() for _ in range(5)]

    async def listen(number: int) -> None:
        while True:
            with trio.move_on_after(7.0 + number):
                await alarms[number].wait()
                rung.append((trio.current_time(), number))

    async with trio.open_nursery() as nursery:
        for number in range(len(alarms)):
            nursery.start_soon(listen, number)
        for _ in range(300):
            await trio.sleep(rng.random())
            now = trio.current_time()
            alarm = rng.choice(alarms)
            alarm.set(now + rng.choice((-1.0, 0.25 * rng.random(), 3 * rng.random(), float("inf"))))
            rng.choice(alarms).advance(now + 2 * rng.random())
        nursery.cancel_scope.cancel()
    return sorted(rung)


@pytest.mark.parametrize("seed", range(5))
def test_alarms_ring_at_the_same_times_however_they_sleep(seed: int) -> None:
    in_scopes = run(seed, rings, seed, None)
    assert len(in_scopes) > 100
    assert in_scopes == run(seed, rings, seed, ScopeSleeper)
    assert in_scopes == run(seed, rings, seed, sleeper_for_this_run)


async def test_a_simulated_network_lets_alarms_sleep_cheaply(autojump_clock: MockClock) -> None:
    async with SimNetwork():
        make = sleepers.get()
        assert make is not None
        assert isinstance(make(), JumpSleeper)


async def test_a_jump_by_hand_wakes_who_is_due(autojump_clock: MockClock) -> None:
    async with SimNetwork(), trio.open_nursery() as nursery:
        alarm = Alarm()
        alarm.set(1000.0)
        nursery.start_soon(alarm.wait)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        autojump_clock.jump(2000.0)
    assert 2000.0 == trio.current_time()
