"""Calls from asyncio cells into the Trio thread of a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import trio
import trio.lowlevel

from trioserf.notebook import in_trio
from trioserf.notebook import thread as threads
from trioserf.notebook.thread import TrioThread


@pytest.fixture
def trio_thread() -> Iterator[TrioThread]:
    before = threads._current
    thread = TrioThread()
    thread.start()
    try:
        yield thread
    finally:
        thread.close()
        threads._current = before


def test_a_call_returns_and_raises_what_it_does(trio_thread: TrioThread) -> None:
    async def add(a: int, b: int) -> int:
        await trio.lowlevel.checkpoint()
        return a + b

    async def fail() -> None:
        raise KeyError("x")

    async def main() -> None:
        assert 5 == await in_trio(add, 2, 3)
        with pytest.raises(KeyError):
            await in_trio(fail)

    asyncio.run(main())


def test_a_call_ends_when_the_thread_closes(trio_thread: TrioThread) -> None:
    async def main() -> None:
        call = asyncio.ensure_future(in_trio(trio.sleep_forever))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(trio_thread.close)
        with pytest.raises(trio.ClosedResourceError):
            await asyncio.wait_for(call, 2)

    asyncio.run(main())


def test_a_cancellation_stays_one_also_when_the_thread_is_closed(trio_thread: TrioThread) -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def main(close: bool) -> None:
        call = asyncio.ensure_future(in_trio(wait))
        await asyncio.sleep(0.05)
        if close:
            trio_thread._closed = True
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 2)

    asyncio.run(main(close=False))
    assert cancelled.wait(2)
    asyncio.run(main(close=True))
    trio_thread._closed = False


def test_a_call_that_comes_while_the_thread_ends_ends_too(trio_thread: TrioThread) -> None:
    async def linger() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.3)

    async def main() -> None:
        trio_thread.spawn(linger, name="linger")
        trio_thread._token.run_sync_soon(trio_thread.stopping.set)
        await asyncio.sleep(0.05)
        with pytest.raises(trio.ClosedResourceError):
            await asyncio.wait_for(in_trio(trio.sleep_forever), 2)

    asyncio.run(main())
