"""Trio in a thread of its own, for the length of one block of an asyncio program.

The threads call each other in two ways, without a lock: into Trio ``TrioToken.run_sync_soon``, into
asyncio ``loop.call_soon_threadsafe``.  A `Call` goes in by the first, and its end comes out by
the second.

Cancellation goes through in both directions.  A call that asyncio cancels is cancelled on Trio,
and its end is waited for there: nothing of it goes on behind the back of the one who cancelled
it.  Trio has level cancellation and asyncio has edges, so a value that was ready at the same
moment must not be dropped; it goes to ``late``.  The other way, a block on Trio that ends by
itself, because a node has crashed, cancels the task of asyncio that is inside the block, and
comes out of it as what it was: as ``asyncio.timeout`` does it.

Why not anyio's ``BlockingPortal``: it does the same for programs without a loop.  Here it would
stand still, and with it the loop, while Trio starts and while a node leaves, and a call that was
cancelled would be let go before it has ended.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar

import trio

P = ParamSpec("P")
T = TypeVar("T")

LOOP_CHECK: Final = 0.25
"""How often Trio looks whether the loop was closed with the block still open (seconds); asyncio
notifies nobody of that."""
END_GRACE: Final = 0.25
"""How long a block has to end by itself after its node was closed, before its task is cancelled
(seconds).  The end of a stream and that of the block around it come at the same moment, and a
loop that reads the stream must see the former."""

_log = logging.getLogger("trioserf.asyncio")


def _settle(future: asyncio.Future[T], value: T | None, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)  # type: ignore[arg-type]
    else:
        future.set_exception(error)
        future.exception()  # seen: asyncio need not log it where nobody is left to wait


def _soon(loop: asyncio.AbstractEventLoop, fn: Callable[..., object], *args: object) -> None:
    """Call it in the loop; if that is closed, nobody waits for it."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(fn, *args)


async def _wait_through(future: asyncio.Future[Any]) -> None:
    """Wait for what ends in bounded time, through cancellations; one is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class Call(Generic[T]):
    """An async function that runs on Trio, and the loop that waits for its end.

    Args:
      thread: where it runs.
      fn: the function.
    """

    def __init__(self, thread: TrioThread, fn: Callable[[], Awaitable[T]]) -> None:
        self._thread = thread
        self._fn = fn
        self._loop = asyncio.get_running_loop()
        self.scope: trio.CancelScope = trio.CancelScope()
        self.done: asyncio.Future[T] = self._loop.create_future()

    async def result(self, late: Callable[[T], object] | None = None) -> T:
        """Wait for the end, and return or raise what the function did.

        *Cancellation*: of the function, too; its end is waited for.

        Args:
          late: gets the result that came together with a cancellation.
        """
        try:
            await asyncio.wait((self.done,))
        except BaseException:
            await self.stop()
            if late is not None and self.done.done() and self.done.exception() is None:
                late(self.done.result())
            raise
        return self.done.result()

    async def stop(self) -> None:
        """Cancel it, and wait for its end; if the loop is closed nobody can wait."""
        with suppress(trio.ClosedResourceError):
            self._thread.soon(self.scope.cancel)
        if not self._loop.is_closed():
            await _wait_through(self.done)

    # --- on Trio ------------------------------------------------------------------------

    async def serve(self) -> None:
        """Run the function.  Never raises."""
        value: T | None = None
        error: BaseException | None = trio.ClosedResourceError("the node is closed")
        try:
            with self.scope:
                value, error = await self._fn(), None
        except BaseException as raised:
            error = raised
        self.settle(value, error)
        del error  # its traceback holds this frame: no reference cycle

    def settle(self, value: T | None, error: BaseException | None) -> None:
        """Hand the end over to the loop."""
        self._thread.calls.discard(self)
        _soon(self._loop, _settle, self.done, value, error)


class TrioThread:
    """Trio in a thread, made by `open_thread`.

    Attributes:
      ended: whether no more calls are taken.
      calls: those that run; of the Trio thread alone.
      offset: what a time of the loop is ahead of a time of Trio (seconds).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.started: asyncio.Future[None] = loop.create_future()
        self.finished: asyncio.Future[None] = loop.create_future()
        self.ended: bool = False
        self.calls: set[Call[Any]] = set()
        self.offset: float = 0.0
        self.thread: threading.Thread = threading.Thread(
            target=self._run, name="trioserf.asyncio", daemon=True
        )
        self._stopping = trio.Event()
        self._token: trio.lowlevel.TrioToken
        self._clock: trio.abc.Clock
        self._nursery: trio.Nursery

    # --- from other threads -------------------------------------------------------------

    def soon(self, fn: Callable[..., object], *args: object) -> None:
        """Call a plain function on Trio, and do not wait for it.

        Raises:
          trio.ClosedResourceError: Trio has ended.
        """
        try:
            self._token.run_sync_soon(fn, *args)
        except trio.RunFinishedError:
            raise trio.ClosedResourceError("the node is closed") from None

    def now(self, fn: Callable[[], T]) -> T:
        """Call a plain function on Trio, and stand still until it has returned.

        For the little that must happen between two steps of the node; reads need it not.

        Raises:
          trio.ClosedResourceError: Trio has ended.
        """
        try:
            return trio.from_thread.run_sync(fn, trio_token=self._token)
        except trio.RunFinishedError:
            raise trio.ClosedResourceError("the node is closed") from None

    def start(self, fn: Callable[[], Awaitable[T]]) -> Call[T]:
        """Start an async function on Trio.

        Raises:
          trio.ClosedResourceError: Trio has ended.
        """
        call = Call(self, fn)
        self.soon(self._begin, call)
        return call

    async def run(self, fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """``await fn(...)`` on Trio.

        Raises:
          trio.ClosedResourceError: Trio has ended, or ends before the function.
        """
        return await self.start(partial(fn, *args, **kwargs)).result()

    @asynccontextmanager
    async def hold(self, block: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
        """``async with block`` on Trio, for the length of a block of asyncio.

        An exception of the asyncio block, or its cancellation, is a cancellation on Trio.  A
        block that ends by itself on Trio cancels the asyncio task, and its error is raised.
        """
        loop = asyncio.get_running_loop()
        entered: asyncio.Future[T] = loop.create_future()
        leaving = trio.Event()

        async def whole() -> None:
            async with block as value:
                _soon(loop, _settle, entered, value, None)
                await leaving.wait()

        call = self.start(whole)
        body: _Body | None = None
        try:
            await asyncio.wait((entered, call.done), return_when=asyncio.FIRST_COMPLETED)
            if entered.done():
                body = _Body(self, call.done)
                yield entered.result()
                body.inside = False
                with suppress(trio.ClosedResourceError):  # it has ended, and so has the block
                    self.soon(leaving.set)
                await asyncio.wait((call.done,))
        except BaseException as error:
            if body is None or not body.was_interrupted(error):
                await call.stop()
                self._report(call.done)
                raise
        else:
            if body is not None and not body.was_interrupted(None) and self.ended:
                return  # left normally when the node was closed already: nothing is lost by that
        call.done.result()

    def _report(self, done: asyncio.Future[None]) -> None:
        """The block raises something else already: an error of the end would be lost."""
        error = done.exception() if done.done() else None
        if error is not None and not isinstance(error, trio.ClosedResourceError):
            _log.error("an error on Trio, after the block had raised another one", exc_info=error)

    # --- in the thread ------------------------------------------------------------------

    def _run(self) -> None:
        try:
            trio.run(self._main)
        finally:
            for call in [*self.calls]:  # none, unless Trio itself has crashed
                call.settle(None, trio.ClosedResourceError("the node is closed"))
            for future in (self.started, self.finished):
                _soon(self.loop, _settle, future, None, None)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._clock = trio.lowlevel.current_clock()
        async with trio.open_nursery() as self._nursery:
            _soon(self.loop, _settle, self.started, None, None)
            while not (self._stopping.is_set() or self.loop.is_closed()):
                with trio.move_on_after(LOOP_CHECK):
                    await self._stopping.wait()
            self.ended = True
            for call in self.calls:
                call.scope.cancel()

    def _begin(self, call: Call[Any]) -> None:
        if self.ended:
            call.settle(None, trio.ClosedResourceError("the node is closed"))
            return
        self.calls.add(call)
        self._nursery.start_soon(call.serve, name="trioserf.asyncio.call")

    async def wait_started(self) -> None:
        """Wait until calls are taken."""
        await _wait_through(self.started)
        # Here, because some loops take their time once in each turn, and this is a new one.
        self.offset = self.loop.time() - self._clock.current_time()

    async def close(self) -> None:
        """End every call, and then the thread."""
        with suppress(trio.ClosedResourceError):
            self.soon(self._stopping.set)
        if not self.loop.is_closed():
            try:
                await _wait_through(self.finished)
            finally:
                self.thread.join()


class _Body:
    """A block of asyncio that is cancelled when the one on Trio ends before it.

    Args:
      thread: that of the block on Trio.
      end: of that block.

    Attributes:
      inside: whether the task is in the block.
    """

    def __init__(self, thread: TrioThread, end: asyncio.Future[None]) -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine of asyncio runs in a task"
        self.inside: bool = True
        self._task = task
        self._before = task.cancelling()
        self._requested = False
        self._thread = thread
        end.add_done_callback(self._ended)

    def _ended(self, _end: object) -> None:
        if self._thread.ended:
            self._thread.loop.call_later(END_GRACE, self._interrupt)
        else:
            self._interrupt()

    def _interrupt(self) -> None:
        if self.inside:
            self._requested = self._task.cancel()

    def was_interrupted(self, raised: BaseException | None) -> bool:
        """Take the cancellation back, and say whether what the block raised came of it.

        Not if others have cancelled the task, too, and not if something above all errors, such
        as ``KeyboardInterrupt``, came out.
        """
        self.inside = False
        if not self._requested:
            return False
        others = self._task.uncancel() > self._before
        if isinstance(raised, asyncio.CancelledError):
            return not others
        return isinstance(raised, Exception)


@asynccontextmanager
async def open_thread() -> AsyncIterator[TrioThread]:
    """Trio in a thread, for the length of the block.  At its end no thread is left.

    Raises:
      RuntimeError: outside of asyncio.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "trioserf.asyncio was entered outside of asyncio.  In a program that runs on Trio use "
            "trioserf.open() and trioserf.client.open_client()."
        ) from None
    thread = TrioThread(loop)
    thread.thread.start()
    try:
        await thread.wait_started()
        yield thread
    finally:
        await thread.close()
