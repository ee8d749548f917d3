"""How the tasks of a simulation sleep until something is due.

With a clock that jumps as soon as nothing else is to be done, a `JumpSleeper` costs a sixth of
a scope with a deadline: where the clock would look for the next deadline and jump to it, it
also looks at these sleepers, which stand in a heap of their own, and puts the task back into
the run queue by itself, with no scope, no cancellation and no exception on the way.  For that
`trio_internals` replaces two methods of one clock object.  Everything else stays trio's: what is
ready runs first, deadlines fire when they are due.

With any other clock, or another version of trio, it is a `ScopeSleeper`.
"""

from __future__ import annotations

import heapq
import math
import time
import weakref

import trio

from .. import _attrs as attrs
from .._seams import Sleeper
from .trio_internals import MockClock, advance, next_deadline, replace_jumps

_POLL = 0.0002
"""Seconds of real time between two looks at whether a thread is done."""


def sleeper_for_this_run() -> Sleeper:
    """The cheapest kind that the clock of this run allows."""
    jumper = _jumper_of_this_run()
    return ScopeSleeper() if jumper is None else JumpSleeper(jumper)


def stand_still_for_threads() -> None:
    """Let the clock of this run not jump while `trio.to_thread.run_sync` works in a thread.

    Of threads under a limiter of their own it does not know.
    """
    _jumper_of_this_run()


@attrs.define(eq=False)
class ScopeSleeper:
    """Sleeps in a scope with a deadline; works with every clock."""

    _scope: trio.CancelScope | None = attrs.field(default=None, init=False)

    async def sleep_until(self, due: float) -> None:
        """See `Sleeper`."""
        with trio.CancelScope(deadline=due) as self._scope:
            try:
                await trio.sleep_forever()
            finally:
                self._scope = None

    def move(self, due: float) -> None:
        """See `Sleeper`."""
        if self._scope is not None:
            self._scope.deadline = due


@attrs.define(eq=False)
class JumpSleeper:
    """Is woken by the clock itself."""

    _jumper: _Jumper
    due: float = attrs.field(default=math.inf, init=False)
    queued: float = attrs.field(default=math.inf, init=False)
    """The time of the one entry in the heap that counts; other entries are stale."""
    task: trio.lowlevel.Task | None = attrs.field(default=None, init=False)

    async def sleep_until(self, due: float) -> None:
        """See `Sleeper`."""
        if due <= self._jumper.clock.current_time():
            await trio.lowlevel.checkpoint()
            return
        self.task = trio.lowlevel.current_task()
        self.move(due)
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def move(self, due: float) -> None:
        """See `Sleeper`.

        Moving it to a later time leaves the entry where it is: it is put right when it comes up.
        """
        self.due = due
        if due < self.queued and self.task is not None:
            self.queued = due
            self._jumper.push(due, self)

    def wake(self) -> None:
        """Put the task back into the run queue; the entry is out of the heap."""
        self.queued = math.inf
        task, self.task = self.task, None
        if task is not None:
            trio.lowlevel.reschedule(task)


class _Jumper:
    """The sleepers of one jumping clock."""

    def __init__(self, clock: MockClock) -> None:
        self._heap: list[tuple[float, int, JumpSleeper]] = []
        self._count = 0
        self._clock = weakref.ref(clock)
        self._plain_jump = type(clock).jump
        self.installed = replace_jumps(clock, self._autojump, self._jump)
        self.threads = trio.to_thread.current_default_thread_limiter()
        """Of the run that uses the clock now."""

    @property
    def clock(self) -> MockClock:
        """The clock, which is in use as long as this is called."""
        clock = self._clock()
        assert clock is not None, "the run keeps its clock"
        return clock

    def push(self, due: float, sleeper: JumpSleeper) -> None:
        """Look at ``sleeper`` at ``due``.  Equal times keep their order."""
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, sleeper))

    def _first_due(self) -> float:
        """When the first sleeper wants to wake, once entries that were moved are put right."""
        heap = self._heap
        while heap:
            queued, _, sleeper = heap[0]
            if queued == sleeper.queued and queued == sleeper.due and sleeper.task is not None:
                return queued
            heapq.heappop(heap)
            if queued == sleeper.queued:
                sleeper.queued = math.inf
                if sleeper.task is not None and sleeper.due < math.inf:
                    sleeper.queued = sleeper.due
                    self.push(sleeper.due, sleeper)
        return math.inf

    def _autojump(self) -> None:
        """Nothing is ready: go to whatever is due first, a deadline or a sleeper."""
        if self.threads.borrowed_tokens:
            time.sleep(_POLL)  # a thread is at work: no time passes until its result is there
            return
        deadline, due = next_deadline(), self._first_due()
        if due <= deadline:
            self._wake(due, advance(self.clock, due))
        else:
            advance(self.clock, deadline)

    def _jump(self, seconds: float) -> None:
        """A jump by hand, which passes sleepers too."""
        clock = self.clock
        self._plain_jump(clock, seconds)
        self._wake(self._first_due(), clock.current_time())

    def _wake(self, due: float, now: float) -> None:
        """Wake what is due by ``now``; the first at ``due``."""
        while due <= now < math.inf:
            heapq.heappop(self._heap)[2].wake()
            due = self._first_due()


_jumpers: weakref.WeakKeyDictionary[MockClock, _Jumper] = weakref.WeakKeyDictionary()


def _jumper_of_this_run() -> _Jumper | None:
    """None if the clock does not jump as soon as nothing is ready."""
    clock = trio.lowlevel.current_clock()
    if not (isinstance(clock, MockClock) and clock.autojump_threshold == 0 and clock.rate == 0):
        return None
    jumper = _jumpers.get(clock)
    if jumper is None:
        jumper = _jumpers[clock] = _Jumper(clock)
    # A clock may serve several runs, one after another.
    jumper.threads = trio.to_thread.current_default_thread_limiter()
    return jumper if jumper.installed else None
