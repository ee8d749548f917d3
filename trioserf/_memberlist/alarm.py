"""Time for the tasks: a timer that can be moved, and the clock of the run.

A task that sleeps until "the next deadline" would have to be woken whenever that deadline
moves.  Moving an `Alarm` only changes the deadline of the scope that the task sleeps in, so a
probe that is answered, or a suspicion that is confirmed, costs no task switch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from .. import _attrs as attrs
from .._seams import Sleeper, sleepers


@attrs.define(eq=False)
class Alarm:
    """Rings once at ``deadline`` (trio clock, seconds); ``math.inf`` is never."""

    deadline: float = math.inf
    late: float = attrs.field(default=0.0, init=False)
    """How long after its deadline it rang the last time (seconds)."""
    _scope: trio.CancelScope | None = attrs.field(default=None, init=False)
    _sleeper: Sleeper | None = attrs.field(default=None, init=False)
    _awaited: bool = attrs.field(default=False, init=False)

    def set(self, deadline: float) -> None:
        """Ring at ``deadline`` instead; one in the past rings at once."""
        self.deadline = deadline
        if self._scope is not None:
            self._scope.deadline = deadline
        elif self._awaited and self._sleeper is not None:
            self._sleeper.move(deadline)

    def advance(self, deadline: float) -> None:
        """Ring at ``deadline`` if that is earlier than planned."""
        if deadline < self.deadline:
            self.set(deadline)

    async def wait(self) -> None:
        """Sleep until the alarm rings; it is off after that, unless it was set anew.

        It may return although the deadline was just moved: the caller looks at the facts.
        *Checkpoint*: always.  *Cancellation*: the deadline stays set.

        Raises:
          trio.BusyResourceError: another task waits already.
        """
        if self._awaited:
            raise trio.BusyResourceError("another task waits for this alarm")
        if self._sleeper is None and (make := sleepers.get()) is not None:
            self._sleeper = make()
        self._awaited = True
        try:
            if self._sleeper is not None:
                await self._sleeper.sleep_until(self.deadline)
            else:
                with trio.CancelScope(deadline=self.deadline) as self._scope:
                    await trio.sleep_forever()
        finally:
            self._awaited = False
            self._scope = None
        now = trio.current_time()
        if self.deadline <= now:
            self.late = now - self.deadline
            self.deadline = math.inf


def run_clock() -> Callable[[], float]:
    """What gives the time (trio clock, seconds); any thread may ask, for statistics.

    Made outside a run, it is for one run's own thread alone.
    """
    if trio.lowlevel.in_trio_task():
        return trio.lowlevel.current_clock().current_time
    return trio.current_time
