"""The deadlines of a node, served by one task.

Suspicions and indirect pings end, queries end, pruned members are erased, coalesced events are
flushed, queues are checked: all of these are plain calls at some time.  One task makes these calls,
from a heap.  A task for each kind of call, or for each query, would cost far more, above all in a
simulation of a thousand nodes.

A timer that is moved to a later time leaves its old entry in the heap; the entry is moved
when it is due.  So a timer that every event moves costs one entry, not one for each event.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import trio

from .. import _attrs as attrs
from .alarm import Alarm


@attrs.define(eq=False)
class Timer:
    """Calls a plain function at ``due``, which may be moved; made by `Deadlines.timer`."""

    _deadlines: Deadlines
    _call: Callable[[], object]
    due: float = attrs.field(default=math.inf, init=False)
    _queued: float = attrs.field(default=math.inf, init=False)

    def set(self, due: float) -> None:
        """Call at ``due`` (trio clock, seconds) instead; ``math.inf`` is never."""
        self.due = due
        if due < self._queued:
            self._queued = due
            self._deadlines._push(due, self)

    def _fire(self, queued: float, now: float) -> None:
        """The heap entry ``queued`` is due: call, wait longer, or ignore a stale entry."""
        if queued != self._queued:
            return
        self._queued = math.inf
        if self.due <= now:
            self.due = math.inf
            self._call()
        elif self.due < math.inf:
            self.set(self.due)


@attrs.define(eq=False)
class Deadlines:
    """Timers, and the task that serves them."""

    _heap: list[tuple[float, int, Timer]] = attrs.field(factory=list, init=False)
    _count: int = attrs.field(default=0, init=False)
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)

    def __len__(self) -> int:
        return len(self._heap)

    def timer(self, call: Callable[[], object]) -> Timer:
        """A timer that is off.  ``call`` must neither wait nor raise."""
        return Timer(self, call)

    def call_at(self, due: float, call: Callable[[], object]) -> Timer:
        """Call once at ``due`` (trio clock, seconds)."""
        timer = self.timer(call)
        timer.set(due)
        return timer

    def call_every(self, interval: float, call: Callable[[], object]) -> None:
        """Call every ``interval`` seconds from now on."""

        def call_and_wait() -> None:
            call()
            timer.set(trio.current_time() + interval)

        timer = self.call_at(trio.current_time() + interval, call_and_wait)

    def _push(self, due: float, timer: Timer) -> None:
        # The counter keeps the order of equal times, and keeps timers from being compared.
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, timer))
        self._alarm.advance(due)

    async def run(self) -> None:
        """Task: make the calls, until cancelled."""
        heap = self._heap
        while True:
            self._alarm.set(heap[0][0] if heap else math.inf)
            await self._alarm.wait()
            now = trio.current_time()
            while heap and heap[0][0] <= now:
                due, _, timer = heapq.heappop(heap)
                timer._fire(due, now)
