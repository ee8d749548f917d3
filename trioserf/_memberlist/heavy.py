"""Work that would hold up everybody else goes to a thread.

Compressing the state of ten thousand nodes takes a second of pure Python.  In a thread it
takes no less, but probes are answered meanwhile.

A mock clock jumps ahead whenever trio is idle, and a thread at work looks idle: every time
limit would pass.  So under a mock clock the work is done in place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from .._wire.limits import THREAD_THRESHOLD

T = TypeVar("T")

_MAX_THREADS: Final = 2
_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("trioserf.heavy")


async def run_cpu_bound(work: Callable[[], T], size: int) -> T:
    """The result of ``work``, which takes as long as parsing ``size`` bytes.

    *Checkpoint*: always.  *Cancellation*: work that began in a thread is abandoned there.
    """
    if size < THREAD_THRESHOLD or _clock_is_mocked():
        await trio.lowlevel.checkpoint()
        return work()
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(_MAX_THREADS)
        _limiter.set(limiter)
    return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)


def _clock_is_mocked() -> bool:
    testing = sys.modules.get("trio.testing")
    return testing is not None and isinstance(trio.lowlevel.current_clock(), testing.MockClock)
