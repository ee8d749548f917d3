"""What is under way in a simulated network, and the one task that hands it over.

Every packet, stream segment and timed act of a network waits in one heap.  One task sleeps
until the earliest is due and then calls each that is due, plainly, one after the other.  An
idle node costs nothing: no task of its own waits for packets.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import TypeAlias, TypeVarTuple, Unpack

import trio

from .. import _attrs as attrs
from .._seams import Sleeper
from .jump_sleeper import sleeper_for_this_run

_Ts = TypeVarTuple("_Ts")
_Due: TypeAlias = "tuple[float, int, Callable[..., object], tuple[object, ...]]"

_SLACK = 1e-9
"""Seconds: jumping clocks land this near to a deadline, on either side of it."""
_BATCH = 1024
"""Calls between two checkpoints, so that a flood cannot starve the other tasks."""


@attrs.define(eq=False)
class Deliveries:
    """A heap of calls that are due at some time.

    Args:
      grain: times are rounded up to multiples of this (seconds); calls that are due
        together share one wake-up.  0 rounds nothing.
    """

    grain: float = 0.0
    now: float = attrs.field(default=0.0, init=False)
    """The time of the calls that are being made (trio clock): asked for once for all."""
    wake_ups: int = attrs.field(default=0, init=False)
    """How often the task woke up."""
    _heap: list[_Due] = attrs.field(factory=list, init=False)
    _count: int = attrs.field(default=0, init=False)
    _sleeper: Sleeper | None = attrs.field(default=None, init=False)
    _wake_at: float = attrs.field(default=math.inf, init=False)

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, due: float, call: Callable[[Unpack[_Ts]], object], *args: *_Ts) -> None:
        """Call ``call(*args)`` at ``due`` (trio clock).  Equal times keep their order."""
        if self.grain:
            due = math.ceil(due / self.grain - 1e-6) * self.grain
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, call, args))
        if due < self._wake_at:
            self._wake_at = due
            if self._sleeper is not None:
                self._sleeper.move(due)

    @property
    def running(self) -> bool:
        """Whether a task hands things over."""
        return self._sleeper is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hand everything over when it is due, until cancelled.

        Raises:
          trio.BusyResourceError: another task does so already.
        """
        if self._sleeper is not None:
            raise trio.BusyResourceError("this network is running already")
        self._sleeper = sleeper = sleeper_for_this_run()
        task_status.started()
        try:
            while True:
                self._wake_at = self._heap[0][0] if self._heap else math.inf
                await sleeper.sleep_until(self._wake_at)
                self._wake_at = -math.inf  # the task is awake
                self.wake_ups += 1
                while self._hand_over():
                    await trio.lowlevel.checkpoint()
        finally:
            self._sleeper = None
            self._wake_at = math.inf

    def _hand_over(self) -> bool:
        """Make the calls that are due; whether too many were due for one go."""
        self.now = trio.current_time()
        heap, pop, now = self._heap, heapq.heappop, self.now + _SLACK
        for _ in range(_BATCH):
            if not heap or heap[0][0] > now:
                return False
            _, _, call, args = pop(heap)
            call(*args)
        return True
