"""For cells that stay on asyncio: call something on Trio and await it there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import outcome
import trio

from .thread import current_thread

T = TypeVar("T")


async def in_trio(fn: Callable[..., Awaitable[T]], *args: object) -> T:
    """Run ``await fn(*args)`` in the notebook's Trio thread, from an asyncio cell.

    Cancelling the asyncio task cancels the call.  Raises what ``fn`` raises, and
    ``RuntimeError`` if the extension is not loaded.
    """
    thread = current_thread()
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    scope = trio.CancelScope()

    def deliver(result: outcome.Outcome[T]) -> None:
        if not future.done():
            try:
                future.set_result(result.unwrap())
            except BaseException as error:
                future.set_exception(error)

    async def call() -> None:
        with scope:
            result = await outcome.acapture(fn, *args)
            if isinstance(result, outcome.Error) and isinstance(result.error, trio.Cancelled):
                raise result.error
            loop.call_soon_threadsafe(deliver, result)

    thread.spawn(call, name="trioserf.notebook.in_trio")
    try:
        return await future
    except asyncio.CancelledError:
        thread.soon(scope.cancel)
        raise
