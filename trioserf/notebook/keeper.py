"""Context managers that stay open between cells.

Entering and leaving happen in one task, so that cancel scopes nest as they must; the pair of
calls ``__aenter__`` and ``__aexit__`` split over two cells would break them.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import outcome
import trio

from .thread import TrioThread, current_thread, show_error

T = TypeVar("T")

_open: dict[int, tuple[object, trio.Event, trio.Event]] = {}
"""By id of the value: the value, the request to leave, and whether it was left."""


async def keep(manager: AbstractAsyncContextManager[T]) -> T:
    """Enter ``manager`` and keep it open until `release`, or until the kernel ends.

    ``serf = await keep(trioserf.open(config))`` is a node that lives across cells.  When the
    kernel shuts down or restarts, the block is left normally, so a node leaves its cluster.

    Raises:
      RuntimeError: the extension is not loaded, or this cell does not run on Trio.
      Exception: what entering raised; nothing is kept then.

    Cancellation: entering is cancelled too, and nothing is kept.
    """
    thread = current_thread()
    if not thread.inside():
        raise RuntimeError(
            "keep() works in cells that run on Trio: run '%load_ext trioserf.notebook', or "
            "start the cell with '%%trio'"
        )
    entered: trio.MemorySendChannel[outcome.Outcome[T]]
    entered, arrived = trio.open_memory_channel(1)
    entering = trio.CancelScope()
    thread.spawn(_keep_open, thread, manager, entered, entering, name="trioserf.notebook.keep")
    try:
        result: outcome.Outcome[T] = await arrived.receive()
    except trio.Cancelled:
        entering.cancel()
        raise
    return result.unwrap()


async def release(value: object) -> None:
    """Leave the block of a value that `keep` returned, and wait until that is done.

    Raises ``ValueError`` if it is not kept (any more).
    """
    try:
        _value, leave, left = _open[id(value)]
    except KeyError:
        raise ValueError(f"{value!r} is not kept") from None
    leave.set()
    await left.wait()


async def _keep_open(
    thread: TrioThread,
    manager: AbstractAsyncContextManager[T],
    entered: trio.MemorySendChannel[outcome.Outcome[T]],
    entering: trio.CancelScope,
) -> None:
    leave, left = trio.Event(), trio.Event()
    ready = False
    thread.hold()
    try:
        with entering:
            async with manager as value:
                _open[id(value)] = (value, leave, left)
                ready = True
                entered.send_nowait(outcome.Value(value))
                try:
                    await _until(value, leave, thread.stopping)
                finally:
                    _open.pop(id(value), None)
    except Exception as error:
        if ready:
            show_error("a kept context manager failed", error)
        else:
            entered.send_nowait(outcome.Error(error))
    finally:
        left.set()
        thread.let_go()


async def _until(value: object, *events: trio.Event) -> None:
    """Return when one of the events is set, or the value says that it closed by itself."""
    async with trio.open_nursery() as nursery:

        async def first(wait: object) -> None:
            await wait()  # type: ignore[operator]
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(first, event.wait)
        closed = getattr(value, "wait_closed", None)
        if closed is not None:
            nursery.start_soon(first, closed)
