"""Timers."""

from __future__ import annotations

import math

import trio
from trio.testing import MockClock

from trioserf._memberlist.deadlines import Deadlines


async def test_calls_come_at_their_time_and_in_order(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    deadlines = Deadlines()
    start = trio.current_time()
    calls: list[tuple[str, float]] = []

    def note(name: str) -> None:
        calls.append((name, trio.current_time() - start))

    nursery.start_soon(deadlines.run)
    deadlines.call_at(start + 2, lambda: note("b"))
    deadlines.call_at(start + 1, lambda: note("a"))
    deadlines.call_at(start + 2, lambda: note("c"))
    await trio.sleep(5)
    assert [("a", 1.0), ("b", 2.0), ("c", 2.0)] == calls
    nursery.cancel_scope.cancel()


async def test_a_timer_set_while_the_task_sleeps_wakes_it_earlier(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    deadlines = Deadlines()
    start = trio.current_time()
    fired: list[float] = []
    nursery.start_soon(deadlines.run)
    deadlines.call_at(start + 100, lambda: None)
    await trio.sleep(1)
    deadlines.call_at(start + 2, lambda: fired.append(trio.current_time() - start))
    await trio.sleep(5)
    assert [2.0] == fired
    nursery.cancel_scope.cancel()


async def test_a_timer_that_is_moved_later_fires_once_at_the_last_time(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    deadlines = Deadlines()
    start = trio.current_time()
    fired: list[float] = []
    timer = deadlines.timer(lambda: fired.append(trio.current_time() - start))
    nursery.start_soon(deadlines.run)
    for step in range(10):
        timer.set(start + step + 3)
        await trio.sleep(1)
    await trio.sleep(20)
    assert [12.0] == fired
    nursery.cancel_scope.cancel()


async def test_a_timer_that_is_moved_later_costs_one_entry(autojump_clock: MockClock) -> None:
    deadlines = Deadlines()
    timer = deadlines.timer(lambda: None)
    for step in range(1000):
        timer.set(trio.current_time() + 1 + step)
    assert 1 == len(deadlines)


async def test_a_timer_can_be_moved_forward_and_switched_off(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    deadlines = Deadlines()
    start = trio.current_time()
    fired: list[str] = []
    nursery.start_soon(deadlines.run)
    sooner = deadlines.timer(lambda: fired.append("sooner"))
    sooner.set(start + 10)
    sooner.set(start + 1)
    off = deadlines.timer(lambda: fired.append("off"))
    off.set(start + 1)
    off.set(math.inf)
    await trio.sleep(20)
    assert ["sooner"] == fired
    nursery.cancel_scope.cancel()


async def test_a_call_may_set_its_own_timer_again(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    deadlines = Deadlines()
    start = trio.current_time()
    fired: list[float] = []

    def again() -> None:
        fired.append(trio.current_time() - start)
        if len(fired) < 3:
            timer.set(trio.current_time() + 1)

    timer = deadlines.timer(again)
    timer.set(start + 1)
    nursery.start_soon(deadlines.run)
    await trio.sleep(10)
    assert [1.0, 2.0, 3.0] == fired
    nursery.cancel_scope.cancel()


async def test_what_is_called_every_so_often_goes_on(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    deadlines = Deadlines()
    start = trio.current_time()
    calls: list[float] = []
    deadlines.call_every(2.0, lambda: calls.append(trio.current_time() - start))
    nursery.start_soon(deadlines.run)
    await trio.sleep(7)
    assert [2.0, 4.0, 6.0] == calls
    nursery.cancel_scope.cancel()
