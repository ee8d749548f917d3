"""Nodes on loopback for programs that run on asyncio, and a look for threads that are left."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import trio

import trioserf
from trioserf.asyncio import Serf

T = TypeVar("T")

LIMIT = 30.0
"""Longest time of one test (seconds, of the clock on the wall)."""


def config(name: str, **settings: Any) -> trioserf.Config:
    return trioserf.Config.local(node_name=name, bind="127.0.0.1:0", **settings)


def address(serf: Serf) -> str:
    return str(serf.memberlist.advertise_address)


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """As ``asyncio.run``, in debug mode and with a limit; no thread is left a second later."""

    async def limited() -> T:
        async with asyncio.timeout(LIMIT):
            return await main()

    try:
        with asyncio.Runner(debug=True, loop_factory=loop_factory) as runner:
            return runner.run(limited())
    finally:
        assert_no_thread()


def assert_no_thread() -> None:
    end = time.monotonic() + 1.0
    while left := [thread for thread in threading.enumerate() if "asyncio" in thread.name]:
        assert time.monotonic() < end, left
        time.sleep(0.005)


def crash(serf: Serf) -> None:
    """Let a task of the node end by an error, as a bug would."""

    def bug() -> None:
        raise ZeroDivisionError("a bug")

    deadlines = serf._node._delegate.deadlines
    serf._thread.now(lambda: deadlines.call_at(trio.current_time(), bug))


async def eventually(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


def calls_left(serf: Serf) -> int:
    """Calls that run on Trio, besides the node itself."""
    return serf._thread.now(lambda: len(serf._thread.calls)) - 1


class CancelAt(trio.abc.Instrument):
    """Cancels what runs in the loop when its call on Trio comes to a certain step.

    Args:
      step: which, from 0 on.
      cancel: called in the loop.
    """

    def __init__(self, step: int, cancel: Callable[[], object]) -> None:
        self.step = step
        self.cancel = cancel
        self.loop = asyncio.get_running_loop()
        self.task: trio.lowlevel.Task | None = None

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        if task.name == "trioserf.asyncio.call":
            self.task = task

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            if self.step == 0:
                self.loop.call_soon_threadsafe(self.cancel)
            self.step -= 1


async def cancelled_at(serf: Serf, step: int, call: Callable[[], Awaitable[object]]) -> bool:
    """Cancel the call when it comes to this step on Trio; False if it ended before."""

    async def task() -> object:
        return await call()

    running = asyncio.create_task(task())
    instrument = CancelAt(step, running.cancel)
    serf._thread.now(lambda: trio.lowlevel.add_instrument(instrument))
    try:
        await asyncio.wait((running,))
    finally:
        serf._thread.now(lambda: trio.lowlevel.remove_instrument(instrument))
    if running.cancelled():
        return True
    running.result()
    return instrument.step < 0
