"""How the delivery task sleeps until something is due.

`ScopeWakeUp` works with every clock: the task sleeps in a scope with a deadline, and moving
the deadline wakes it earlier.

`JumpWakeUp` works with a clock that jumps as soon as nothing else is to be done, and costs
a sixth: where the clock would look for the next deadline and jump to it, it also looks at
these wake-ups, and puts the task back into the run queue by itself, with no scope, no
cancellation and no exception on the way.  For that it replaces two methods of one clock
object, which is private territory of trio; nothing else in trioserf does so.  Everything
else stays trio's: what is ready runs first, deadlines fire when they are due.
"""

from __future__ import annotations

import math
import weakref
from typing import Protocol

import attrs
import trio
from trio._core._mock_clock import MockClock  # trio.testing, its public place, loads pytest
from trio._core._run import GLOBAL_RUN_CONTEXT


class WakeUp(Protocol):
    """A moment to sleep until, for one task, that may come earlier than first said."""

    async def sleep_until(self, due: float) -> None:
        """Sleep until ``due`` or what `earlier` said since.  *Checkpoint*: always."""

    def earlier(self, due: float) -> None:
        """Wake the sleeper at ``due`` at the latest; nothing if nobody sleeps."""


def wake_up_for_this_run() -> WakeUp:
    """The cheapest kind that the clock of this run allows."""
    clock = GLOBAL_RUN_CONTEXT.runner.clock
    if isinstance(clock, MockClock) and clock.autojump_threshold == 0 and clock.rate == 0:
        jumper = _jumpers.get(clock)
        if jumper is None:
            jumper = _jumpers[clock] = _Jumper(clock)
        return JumpWakeUp(jumper)
    return ScopeWakeUp()


@attrs.define(eq=False)
class ScopeWakeUp:
    """Sleeps in a scope with a deadline."""

    _scope: trio.CancelScope | None = attrs.field(default=None, init=False)

    async def sleep_until(self, due: float) -> None:
        """See `WakeUp`."""
        with trio.CancelScope(deadline=due) as self._scope:
            try:
                await trio.sleep_forever()
            finally:
                self._scope = None

    def earlier(self, due: float) -> None:
        """See `WakeUp`."""
        if self._scope is not None:
            self._scope.deadline = due


@attrs.define(eq=False)
class JumpWakeUp:
    """Is woken by the clock itself."""

    _jumper: _Jumper
    due: float = attrs.field(default=math.inf, init=False)
    task: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    async def sleep_until(self, due: float) -> None:
        """See `WakeUp`."""
        self.due, self.task = due, trio.lowlevel.current_task()
        self._jumper.sleepers.append(self)
        if due <= self._jumper.clock.current_time():
            self._jumper.wake(self)

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            self._jumper.sleepers.remove(self)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def earlier(self, due: float) -> None:
        """See `WakeUp`."""
        self.due = due


class _Jumper:
    """The wake-ups of one jumping clock."""

    def __init__(self, clock: MockClock) -> None:
        self.sleepers: list[JumpWakeUp] = []
        self._clock = weakref.ref(clock)
        self._plain_jump = type(clock).jump
        clock.jump = self._jump  # type: ignore[method-assign]
        clock._autojump = self._autojump  # type: ignore[method-assign]

    @property
    def clock(self) -> MockClock:
        """The clock, which is in use as long as anybody asks."""
        clock = self._clock()
        assert clock is not None, "the run keeps its clock"
        return clock

    def wake(self, sleeper: JumpWakeUp) -> None:
        """Put a sleeper back into the run queue."""
        self.sleepers.remove(sleeper)
        assert sleeper.task is not None, "a sleeper is entered together with its task"
        trio.lowlevel.reschedule(sleeper.task)

    def _autojump(self) -> None:
        """Nothing is ready: go to whatever is due first, a deadline or a wake-up."""
        clock, deadline = self.clock, GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
        due = min((sleeper.due for sleeper in self.sleepers), default=math.inf)
        target = min(due, deadline)
        if target < math.inf:
            clock._virtual_base = max(target, clock._virtual_base)
        if due <= deadline:
            self._wake_due(clock._virtual_base)

    def _jump(self, seconds: float) -> None:
        """A jump by hand, which passes wake-ups too."""
        clock = self.clock
        self._plain_jump(clock, seconds)
        self._wake_due(clock._virtual_base)

    def _wake_due(self, now: float) -> None:
        for sleeper in tuple(self.sleepers):
            if sleeper.due <= now and now < math.inf:
                self.wake(sleeper)


_jumpers: weakref.WeakKeyDictionary[MockClock, _Jumper] = weakref.WeakKeyDictionary()
