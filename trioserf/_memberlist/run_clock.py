"""The clock of the trio run, which other threads may read as well."""

from __future__ import annotations

import attrs
import trio


@attrs.define(eq=False)
class RunClock:
    """Gives the time (trio clock, seconds).

    The first call must come from the run; from then on any thread may ask, for statistics.
    """

    _clock: trio.abc.Clock | None = attrs.field(default=None, init=False)

    def __call__(self) -> float:
        clock = self._clock
        if clock is None:
            clock = self._clock = trio.lowlevel.current_clock()
        return clock.current_time()
