"""The thread in which Trio runs while the notebook is open.

One `TrioThread` for each process that loaded the extension.  Other threads reach it through
``trio.lowlevel.TrioToken.run_sync_soon``; nothing here is shared but frozen values, events and
queues.

Closing is graceful and bounded: every kept context manager is asked to leave its block, then
everything that is left is cancelled, then the thread ends.
"""

from __future__ import annotations

import contextvars
import os
import queue
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, final

import outcome
import trio

T = TypeVar("T")

_current: TrioThread | None = None
"""The one that was started last."""

CLOSING_SECONDS = 5.0
"""How long kept nodes may take to leave when the kernel ends (seconds)."""


@final
class TrioThread:
    """Trio in a daemon thread, and the calls into it.

    Attributes:
      nursery: for tasks that outlive a cell.
      stopping: set, in the Trio thread, when kept context managers are to leave.
    """

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=trio.run, args=(self._main,), name="trioserf.notebook", daemon=True
        )
        self._token: trio.lowlevel.TrioToken
        self._root: trio.Nursery
        self._closed = False
        self.nursery: NotebookNursery = NotebookNursery(self)
        self.stopping: trio.Event
        self.kept: int = 0
        self._all_released: trio.Event

    def start(self) -> None:
        """Start the thread, wait until Trio runs in it, and make it the current one."""
        global _current  # noqa: PLW0603
        self._thread.start()
        self._ready.wait()
        _current = self

    @property
    def running(self) -> bool:
        return self._thread.is_alive() and not self._closed

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self.stopping = trio.Event()
        self._all_released = trio.Event()
        async with trio.open_nursery() as nursery:
            self._root = nursery
            self._ready.set()
            await self.stopping.wait()
            if self.kept:
                with trio.move_on_after(CLOSING_SECONDS - 1):
                    await self._all_released.wait()
            nursery.cancel_scope.cancel()

    # --- called in the Trio thread ------------------------------------------------------

    def hold(self) -> None:
        """Count one context manager that is open."""
        self.kept += 1

    def let_go(self) -> None:
        """Count it as left."""
        self.kept -= 1
        if self.kept == 0 and self.stopping.is_set():
            self._all_released.set()

    # --- called in other threads --------------------------------------------------------

    def inside(self) -> bool:
        """Whether the caller runs in this thread."""
        return threading.current_thread() is self._thread

    def soon(self, fn: Callable[..., object], *args: object) -> None:
        """Call a plain function in the Trio thread, in the caller's context."""
        if not self.running:
            raise trio.ClosedResourceError("the Trio thread of the notebook is closed")
        context = contextvars.copy_context()
        try:
            self._token.run_sync_soon(context.run, fn, *args)
        except trio.RunFinishedError:
            raise trio.ClosedResourceError("the Trio thread of the notebook is closed") from None

    def spawn(
        self,
        fn: Callable[..., Awaitable[object]],
        *args: object,
        name: object,
        refused: Callable[[], object] = lambda: None,
    ) -> None:
        """Start a task beside all others, in the caller's context.

        Args:
          refused: called instead if the thread is about to end.
        """

        def start() -> None:
            try:
                self._root.start_soon(fn, *args, name=name)
            except RuntimeError:  # the nursery is closed
                refused()

        if self.inside():
            start()
        else:
            self.soon(start)

    def wait_for(self, fn: Callable[..., Awaitable[T]], *, interrupted: Callable[[T], object]) -> T:
        """Run an async function in the Trio thread and wait here for its result.

        A ``KeyboardInterrupt`` that comes meanwhile cancels the function, and its clean-up is
        waited for.  If it returns something all the same, ``interrupted`` is called with that
        and it is returned, else ``KeyboardInterrupt`` is raised.  A second one stops the
        waiting only.
        """
        results: queue.SimpleQueue[outcome.Outcome[T]] = queue.SimpleQueue()
        scope = trio.CancelScope()

        async def task() -> None:
            result: outcome.Outcome[T] = outcome.Error(KeyboardInterrupt())
            try:
                with scope:
                    result = await outcome.acapture(fn)
                    if isinstance(result, outcome.Error) and isinstance(
                        result.error, trio.Cancelled
                    ):
                        error, result = result.error, outcome.Error(KeyboardInterrupt())
                        raise error
            finally:
                results.put(result)

        closed = trio.ClosedResourceError("the Trio thread of the notebook was closed")
        refused = partial(results.put, outcome.Error(closed))
        self.spawn(task, name="trioserf.notebook.cell", refused=refused)
        try:
            return _get(results).unwrap()
        except KeyboardInterrupt:
            if not self.running:
                raise
            self.soon(scope.cancel)
        value = _get(results).unwrap()
        interrupted(value)
        return value

    def close(self) -> None:
        """Let every kept node leave, then end the thread.  Bounded, idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._token.run_sync_soon(self.stopping.set)
        except trio.RunFinishedError:
            return
        if not self.inside():
            self._thread.join(CLOSING_SECONDS)


def current_thread() -> TrioThread:
    """The Trio thread.  Raises ``RuntimeError`` if the extension is not loaded."""
    if _current is None or not _current.running:
        raise RuntimeError("run '%load_ext trioserf.notebook' first")
    return _current


def _get(results: queue.SimpleQueue[T]) -> T:
    # On Windows a wait without limit cannot be interrupted.
    limit = 0.1 if os.name == "nt" else None
    while True:
        try:
            return results.get(timeout=limit)
        except queue.Empty:
            continue


@final
class NotebookNursery:
    """Background tasks of a notebook: the name ``nursery`` in cells.

    A task that crashes is shown, under the cell that started it, and ends; nothing else is
    touched.  Output of a task lands under the cell that started it.
    """

    def __init__(self, thread: TrioThread) -> None:
        self._thread = thread
        self._scopes: set[trio.CancelScope] = set()

    def start_soon(
        self, fn: Callable[..., Awaitable[object]], *args: object, name: object = None
    ) -> None:
        """Start ``fn(*args)`` as a task.  May be called from any cell, and from callbacks."""
        self._thread.spawn(self._contain, fn, args, name=name or fn)

    async def start(
        self, fn: Callable[..., Awaitable[object]], *args: object, name: object = None
    ) -> Any:
        """Start ``fn`` and wait until it reports ``task_status.started(value)``.

        Raises what ``fn`` raises before that, and ``RuntimeError`` if it was cancelled.

        Cancellation: ``fn`` is cancelled too.
        """
        started: trio.MemorySendChannel[outcome.Outcome[object]]
        started, arrived = trio.open_memory_channel(1)
        scope = trio.CancelScope()
        self._thread.spawn(self._contain_start, fn, args, started, scope, name=name or fn)
        try:
            result = await arrived.receive()
        except trio.EndOfChannel:
            raise RuntimeError(f"{fn!r} was cancelled before it had started") from None
        except trio.Cancelled:
            scope.cancel()
            raise
        return result.unwrap()

    def cancel(self) -> None:
        """Cancel every task started here; kept nodes are not among them."""

        def cancel() -> None:
            for scope in self._scopes:
                scope.cancel()

        if self._thread.inside():
            cancel()
        else:
            self._thread.soon(cancel)

    async def _contain(
        self, fn: Callable[..., Awaitable[object]], args: tuple[object, ...]
    ) -> None:
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                await fn(*args)
            except (Exception, SystemExit) as error:  # ``exit()`` ends this task, not the thread
                _show_crash(fn, error)
            finally:
                self._scopes.discard(scope)

    async def _contain_start(
        self,
        fn: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
        started: trio.MemorySendChannel[outcome.Outcome[object]],
        scope: trio.CancelScope,
    ) -> None:
        ready = False

        async def serve() -> None:
            nonlocal ready
            async with trio.open_nursery() as nursery:
                value = await nursery.start(fn, *args)
                ready = True
                started.send_nowait(outcome.Value(value))

        with started, scope:
            self._scopes.add(scope)
            try:
                await serve()
            except Exception as error:
                single = _single(error)
                if ready:
                    _show_crash(fn, single)
                else:
                    started.send_nowait(outcome.Error(single))
            finally:
                self._scopes.discard(scope)


def _single(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _show_crash(fn: object, error: BaseException) -> None:
    show_error(f"background task {getattr(fn, '__qualname__', repr(fn))} crashed", error)


def show_error(what: str, error: BaseException) -> None:
    """Show an exception that belongs to no cell."""
    text = "".join(traceback.format_exception(error))
    print(f"{what}:\n{text}", file=sys.stderr, flush=True)  # noqa: T201
