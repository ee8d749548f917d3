"""What a simulation does in its own way: how alarms sleep, and how work leaves the event loop.

Both are variables of a run, with what a program in production does as the default.  So two runs
in one process know nothing of each other, and nothing of trio is replaced.

*Sleeping*: a node has about ten alarms, and one of them rings every second.  In a scope with a
deadline a ring costs a cancellation and an exception: nothing for a node, but a quarter of all
work for a thousand nodes in one process.

*Threads*: a jumping clock does not see them, and they end when the machine pleases, so a
simulation calls their functions in place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple, Unpack

import trio

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class Sleeper(Protocol):
    """A moment to sleep until, for one task, that may be moved meanwhile."""

    async def sleep_until(self, due: float) -> None:
        """Sleep until ``due``, or what `move` said since.  *Checkpoint*: always."""

    def move(self, due: float) -> None:
        """Wake the sleeper at ``due`` instead; nothing if no task sleeps."""


sleepers: Final[trio.lowlevel.RunVar[Callable[[], Sleeper] | None]] = trio.lowlevel.RunVar(
    "trioserf.sleepers", default=None
)
"""Makes the sleeper of each alarm of this run; without one an alarm sleeps in a cancel scope."""


thread_runner: Final[trio.lowlevel.RunVar[Callable[..., Awaitable[Any]]]] = trio.lowlevel.RunVar(
    "trioserf.thread_runner", default=trio.to_thread.run_sync
)
"""Takes what `run_in_thread` takes, for this run."""


async def run_in_thread(
    fn: Callable[[Unpack[_Ts]], _T],
    *args: *_Ts,
    abandon_on_cancel: bool = False,
    limiter: trio.CapacityLimiter | None = None,
) -> _T:
    """``trio.to_thread.run_sync()``, or what the simulation of this run does instead.

    *Checkpoint*: always.
    """
    result: _T = await thread_runner.get()(
        fn, *args, abandon_on_cancel=abandon_on_cancel, limiter=limiter
    )
    return result
