"""One seed, one run: trio's scheduler made repeatable.

Trio shuffles the tasks that are ready, so that nobody relies on an order.  A failing
simulation must be replayed in the same order, so here, and only here, three private things
of trio are reached for: the switch that makes the shuffle depend on a seed alone (the one
that Hypothesis uses), the random source of that shuffle, and the run of functions in worker
threads, which end when the machine pleases.  In a simulated run they are called in place.

What a repeatable run must do itself: take every random choice from a seeded source, wait on
no real socket or process, and not iterate over sets of strings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

import trio
from trio import _path
from trio._core import _run
from trio._core._mock_clock import MockClock  # trio.testing, its public place, loads pytest

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


def run(seed: int | str, fn: Callable[[*_Ts], Awaitable[_T]], *args: *_Ts) -> _T:
    """``trio.run(fn, *args)`` on a jumping clock, the same way for the same seed.

    Args:
      seed: of the scheduler alone; give the network and the nodes theirs.
    """
    with seeded_scheduler(seed), threads_in_place():
        return trio.run(fn, *args, clock=MockClock(autojump_threshold=0))


@contextmanager
def seeded_scheduler(seed: int | str) -> Iterator[None]:
    """Make the order of ready tasks depend on ``seed`` and the program alone.

    To be entered outside of the run, or before anything in it has started.
    """
    before = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    _run._r.seed(seed)
    try:
        yield
    finally:
        _run._ALLOW_DETERMINISTIC_SCHEDULING = before[0]  # type: ignore[misc]
        _run._r.setstate(before[1])


@contextmanager
def threads_in_place() -> Iterator[None]:
    """Let ``trio.to_thread.run_sync`` call its function at once, in this thread.

    A jumping clock does not see threads: while one works, hours of simulated time may pass.
    Within this block its work takes no time at all, as all other computing in a simulation.
    """

    async def run_in_place(
        fn: Callable[..., Any],
        *args: object,
        thread_name: str | None = None,
        abandon_on_cancel: bool = False,
        limiter: object = None,
    ) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            return fn(*args)
        finally:
            await trio.lowlevel.cancel_shielded_checkpoint()

    before = trio.to_thread.run_sync
    places: tuple[Any, ...] = (trio.to_thread, _path)  # trio.Path keeps a name of its own
    for place in places:
        place.run_sync = run_in_place
    try:
        yield
    finally:
        for place in places:
            place.run_sync = before
