"""Stages of the event pipeline that hold events for a while, to merge them.

The stage is used twice: for member events and for user events.  What it does not handle
passes at once, and so may overtake what it holds, as in Go.

Source: hashicorp/serf v0.9.4, serf/coalesce.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import attrs
import trio

from .._events import MemberEvent, UserEvent
from .deadlines import Deadlines, Timer
from .stage import NodeEvent, Sink

E_co = TypeVar("E_co", MemberEvent, UserEvent, covariant=True)


class Coalescer(Protocol[E_co]):
    """The rules: ``MemberCoalescer`` and ``UserCoalescer`` of ``trioserf._cluster``."""

    def handles(self, event: NodeEvent) -> bool: ...

    def add(self, event: NodeEvent, now: float) -> None: ...

    def next_deadline(self) -> float: ...

    def expired(self, now: float) -> Sequence[E_co]: ...

    def flush(self) -> Sequence[E_co]: ...


@attrs.define(eq=False)
class CoalescingStage(Generic[E_co]):
    """Holds what ``coalescer`` handles until it says so.

    Args:
      coalescer: what to hold, and for how long.
      then: the next stage.
    """

    coalescer: Coalescer[E_co]
    then: Sink
    _deadlines: Deadlines = attrs.field(factory=Deadlines, init=False)
    _timer: Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._timer = self._deadlines.timer(self._on_deadline)

    async def run(self) -> None:
        """Task: passes on what is held, when its time has come, until cancelled."""
        await self._deadlines.run()

    def put(self, event: NodeEvent) -> None:
        """Hold the event, or pass it on."""
        if not self.coalescer.handles(event):
            self.then.put(event)
            return
        self.coalescer.add(event, trio.current_time())
        self._timer.set(self.coalescer.next_deadline())

    def _on_deadline(self) -> None:
        for event in self.coalescer.expired(trio.current_time()):
            self.then.put(event)
        self._timer.set(self.coalescer.next_deadline())

    def close(self) -> None:
        """Pass on what is held, then close the next stage."""
        for event in self.coalescer.flush():
            self.then.put(event)
        self.then.close()
