"""Work that is done one piece after the other."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioserf._serf.one_by_one import OneByOne


async def test_pieces_never_overlap(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    queue, log = OneByOne(), []
    nursery.start_soon(queue.run)

    async def work(name: str) -> str:
        log.append(f"{name} begins")
        await trio.sleep(1)
        log.append(f"{name} ends")
        return name

    results: list[str] = []

    async def ask(name: str) -> None:
        results.append(await queue.do(lambda: work(name)))

    async with trio.open_nursery() as asking:
        for name in "abc":
            asking.start_soon(ask, name)
    assert ["a", "b", "c"] == sorted(results)
    assert [f"{name} {what}" for name in results for what in ("begins", "ends")] == log
    nursery.cancel_scope.cancel()


async def test_an_error_reaches_who_asked_and_nobody_else(nursery: trio.Nursery) -> None:
    queue = OneByOne()
    nursery.start_soon(queue.run)

    async def fail() -> None:
        raise ValueError("no")

    async def succeed() -> int:
        return 1

    with pytest.raises(ValueError, match="no"):
        await queue.do(fail)
    with assert_checkpoints():
        assert 1 == await queue.do(succeed)
    nursery.cancel_scope.cancel()


async def test_who_stops_waiting_stops_the_work(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    queue, log = OneByOne(), []
    nursery.start_soon(queue.run)

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            log.append("stopped")

    async def succeed() -> int:
        return 1

    with trio.move_on_after(1) as limit:
        await queue.do(work)
    assert limit.cancelled_caught
    assert 1 == await queue.do(succeed)
    assert ["stopped"] == log
    nursery.cancel_scope.cancel()


async def test_whoever_waits_when_it_ends_is_told(nursery: trio.Nursery) -> None:
    queue, scope = OneByOne(), trio.CancelScope()

    async def run() -> None:
        with scope:
            await queue.run()

    nursery.start_soon(run)
    told: list[str] = []

    async def ask() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await queue.do(trio.sleep_forever)
        told.append("closed")

    async with trio.open_nursery() as asking:
        asking.start_soon(ask)
        asking.start_soon(ask)
        await wait_all_tasks_blocked()
        scope.cancel()
    assert ["closed", "closed"] == told
    with pytest.raises(trio.ClosedResourceError):
        await queue.do(trio.sleep_forever)
