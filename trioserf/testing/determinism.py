"""One seed, one run: trio's scheduler made repeatable.

Trio shuffles the tasks that are ready, so that no program relies on an order.  A failing
simulation must be replayed in the same order, so here the shuffle is made to depend on a seed
alone.  The other thing that differs from run to run are worker threads, which end when the
machine pleases: nodes of a simulated run do such work in place.

What a repeatable run must do itself: take every random choice from a seeded source, wait on
no real socket, process or thread, and not iterate over sets of strings.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar, TypeVarTuple

import trio

from .._seams import thread_runner
from .jump_sleeper import stand_still_for_threads
from .trio_internals import MockClock, allow_deterministic_scheduling, scheduler_random

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


def run(seed: int | str, fn: Callable[[*_Ts], Awaitable[_T]], *args: *_Ts) -> _T:
    """``trio.run(fn, *args)`` on a jumping clock, the same way for the same seed.

    Args:
      seed: of the scheduler alone; give the network and the nodes theirs.
    """

    async def main() -> _T:
        with threads_in_place():
            return await fn(*args)

    with seeded_scheduler(seed):
        return trio.run(main, clock=MockClock(autojump_threshold=0))


@contextmanager
def seeded_scheduler(seed: int | str) -> Iterator[None]:
    """Make the order of ready tasks depend on ``seed`` and the program alone.

    To be entered outside of the run, or before anything in it has started.

    *Effects*: warns with a ``RuntimeWarning`` if this version of trio has no such order; then
    one seed may give different runs.
    """
    source = scheduler_random()
    if source is None:
        warnings.warn(
            "the order of tasks cannot be made deterministic with this version of trio:"
            " one seed may give different runs",
            RuntimeWarning,
            stacklevel=3,
        )
        yield
        return
    state, allowed = source.getstate(), allow_deterministic_scheduling(True)
    source.seed(seed)
    try:
        yield
    finally:
        allow_deterministic_scheduling(allowed)
        source.setstate(state)


_blocks: Final[trio.lowlevel.RunVar[int]] = trio.lowlevel.RunVar("trioserf.in_place", default=0)


@contextmanager
def threads_in_place() -> Iterator[None]:
    """Let the nodes of this run do in place what they would do in worker threads.

    A jumping clock does not see threads: while one works, hours of simulated time may pass.
    Within this block the work of nodes takes no time at all, as all other computing in a
    simulation.  Blocks may overlap; other runs are not concerned.

    ``trio.to_thread.run_sync()`` of the application still uses threads, and a clock with
    ``autojump_threshold=0`` stands still meanwhile.
    """
    stand_still_for_threads()
    _blocks.set(_blocks.get() + 1)
    thread_runner.set(_run_in_place)
    try:
        yield
    finally:
        _blocks.set(_blocks.get() - 1)
        if not _blocks.get():
            thread_runner.set(trio.to_thread.run_sync)


async def _run_in_place(
    fn: Callable[..., Any],
    *args: object,
    abandon_on_cancel: bool = False,
    limiter: trio.CapacityLimiter | None = None,
) -> Any:
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        return fn(*args)
    finally:
        await trio.lowlevel.cancel_shielded_checkpoint()
