"""For cells that stay on asyncio: call something on Trio and await it there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import outcome
import trio

from .thread import current_thread

T = TypeVar("T")


async def in_trio(fn: Callable[..., Awaitable[T]], *args: object) -> T:
    """Run ``await fn(*args)`` in the notebook's Trio thread, from an asyncio cell.

    Cancelling the asyncio task cancels the call.  Raises what ``fn`` raises, ``RuntimeError`` if
    the extension is not loaded, and ``trio.ClosedResourceError`` if the thread ends meanwhile.
    """
    thread = current_thread()
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    scope = trio.CancelScope()
    closed = trio.ClosedResourceError("the Trio thread of the notebook was closed")

    def deliver(result: outcome.Outcome[T]) -> None:
        if not future.done():
            try:
                future.set_result(result.unwrap())
            except BaseException as error:
                future.set_exception(error)

    def finish(result: outcome.Outcome[T]) -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result)

    async def call() -> None:
        result: outcome.Outcome[T] = outcome.Error(closed)
        try:
            with scope:
                done = await outcome.acapture(fn, *args)
                if isinstance(done, outcome.Error) and isinstance(done.error, trio.Cancelled):
                    raise done.error
                result = done
        finally:
            finish(result)

    thread.spawn(
        call, name="trioserf.notebook.in_trio", refused=lambda: finish(outcome.Error(closed))
    )
    try:
        return await future
    except asyncio.CancelledError:
        # A thread that is closed by now has cancelled the call itself.
        with suppress(trio.ClosedResourceError, trio.RunFinishedError):
            thread.soon(scope.cancel)
        raise
