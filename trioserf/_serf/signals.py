"""Signals: the first one leaves the cluster, the second one stops at once.

A container, or a service manager, ends a program by SIGTERM, waits some seconds, and kills it.
Without a handler SIGTERM ends the process where it stands, and the others see a failure.  So a
program may ask for handlers, for the length of a block; the library installs none by itself.

The block is a cancel scope inside that of ``open``: the first signal cancels what the program
does, and only then the nodes leave, still under the handlers, so that a second signal can end
the leaving.  A second signal that was left to its default would do nothing in a container,
whose first process the kernel protects from signals without a handler.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import trio

from .. import _attrs as attrs
from .._memberlist.end_cause import end_cause
from .._public_names import set_public_module
from .open import leave_in_time
from .serf import Serf

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
"""What a container, a service manager, and Ctrl-C send."""


@asynccontextmanager
async def leave_on_signals(
    *nodes: Serf, signals: Iterable[int] = SIGNALS
) -> AsyncIterator[trio.CancelScope]:
    """While in the block, SIGTERM and Ctrl-C end it, and let the nodes leave gracefully::

        async with trioserf.open(config) as serf, trioserf.leave_on_signals(serf):
            await serf.join(["192.0.2.5"])
            await work()

    The first signal cancels the block; then the nodes leave, within their ``leave_timeout``,
    and the program goes on after the block.  A second signal stops the nodes at once: the
    others see them fail.  From then on, and after the block, signals do what they did before.

    Args:
      nodes: those that leave.
      signals: which signals, instead of SIGTERM and SIGINT.

    Yields:
      The scope of the block: ``scope.cancelled_caught`` says whether a signal has ended it.

    Raises:
      RuntimeError: not on the main thread, where alone Python handles signals.
      TypeError: no node, or something else was given.
    """
    if not nodes or not all(isinstance(node, Serf) for node in nodes):
        raise TypeError(
            f"leave_on_signals{nodes!r}: expected the nodes that shall leave, as of "
            "'async with trioserf.open(...) as serf, trioserf.leave_on_signals(serf)'"
        )
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "trioserf.leave_on_signals() works on the main thread alone: Python handles signals "
            "there.  On another thread let the main one cancel the block of open(), or call "
            "'await serf.leave()'."
        )
    await trio.lowlevel.checkpoint()
    stages = _Stages(nodes)
    with _handlers(stages, signals):
        with stages.block:
            yield stages.block
        if stages.arrived:
            with stages.leaving:
                await _leave_all(nodes)


@attrs.define(eq=False)
class _Stages:
    """How far the signals have come.

    Args:
      nodes: those that leave.

    Attributes:
      block, leaving: what the first and the second signal cancel.
      arrived: signals that Python handed over.
      received: those of them that trio has seen.
    """

    nodes: tuple[Serf, ...]
    block: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    leaving: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    arrived: int = attrs.field(default=0, init=False)
    received: int = attrs.field(default=0, init=False)

    def on_signal(self, number: int) -> None:
        """One more signal; runs between the steps of tasks."""
        self.received += 1
        name = signal.Signals(number).name
        for node in self.nodes:
            if self.received == 1:
                node._delegate.log.info("%s: leaving; one more signal stops at once", name)
            else:
                node._delegate.log.warning("%s: stopping at once", name)
                node._core.stop()
        self.block.cancel()
        if self.received > 1:
            self.leaving.cancel()


@contextmanager
def _handlers(stages: _Stages, signals: Iterable[int]) -> Iterator[None]:
    """Hand signals over to ``stages``, in the order in which they come, until the second."""
    token = trio.lowlevel.current_trio_token()
    before: dict[int, Any] = {}
    waiting: list[int] = []

    def handle(number: int, _frame: object) -> None:
        # Runs between any two instructions, so it only counts and hands over.
        stages.arrived += 1
        if stages.arrived > 1:
            restore()
        waiting.append(number)
        token.run_sync_soon(deliver)

    def deliver() -> None:
        if waiting:
            stages.on_signal(waiting.pop(0))

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    try:
        for each in signals:
            before[each] = signal.signal(each, handle)
        yield
    finally:
        restore()
        while waiting:  # it came as the block ended, too late to be a cancellation
            signal.raise_signal(waiting.pop(0))


async def _leave_all(nodes: Iterable[Serf]) -> None:
    """Let all leave side by side; the first error, bare, once the others are through."""
    errors: list[Exception] = []

    async def leave(node: Serf) -> None:
        try:
            await leave_in_time(node, node._delegate)
        except Exception as error:
            errors.append(error)

    try:
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(leave, node, name=f"trioserf.{node.name}.leave_on_signals")
    except BaseExceptionGroup as group:  # Ctrl-C once more, or the second signal
        raise end_cause(group, "a task that lets nodes leave") from group
    if errors:
        raise errors[0]


set_public_module(leave_on_signals)
