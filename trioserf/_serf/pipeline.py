"""The event pipeline: what a stage is, and the stages that merge events.

::

    rules -> snapshot (*) -> internal queries (of queries alone)
          -> user coalescer (*) -> member coalescer (*) -> fanout -> every reader's own buffer

    (*) only if configured

The stages are plain objects linked by calls: ``put`` hands an event to the next stage at
once or keeps it, and never waits.  So an event published by a rule is in every reader's
buffer before the rule's caller goes on, and costs no task switch on its way.

A coalescing stage keeps events for a while, to merge them.  There are two of them: for member
events and for user events.  What a stage does not handle passes at once, and so may overtake
what it holds, as in Go.

Source: hashicorp/serf v0.9.4, serf/serf.go, Create; serf/coalesce.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import trio

from .. import _attrs as attrs
from .._cluster.coalescing import MemberCoalescer, UserCoalescer
from .._config import Config
from .._events import MemberEvent, Query, UserEvent
from .._memberlist.deadlines import Deadlines, Timer

NodeEvent: TypeAlias = MemberEvent | UserEvent | Query
"""What readers get, marks of gaps apart."""

Task: TypeAlias = Callable[..., Awaitable[None]]
"""A long-lived task; `trioserf._serf.tree` starts it."""


class Sink(Protocol):
    """A stage that takes public events."""

    def put(self, event: NodeEvent) -> None: ...

    def close(self) -> None:
        """Pass on what waits, then close the next stage."""


@attrs.define(eq=False)
class CoalescingStage:
    """Keeps what ``coalescer`` handles until its deadline.

    Args:
      coalescer: the rules: what to keep, and for how long.
      then: the next stage.
      deadlines: calls when it is time to pass on what was kept.
    """

    coalescer: MemberCoalescer | UserCoalescer
    then: Sink
    deadlines: Deadlines
    _timer: Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._timer = self.deadlines.timer(self._on_deadline)

    def put(self, event: NodeEvent) -> None:
        """Keep the event, or pass it on."""
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
        """Pass on what waits, then close the next stage."""
        for event in self.coalescer.flush():
            self.then.put(event)
        self.then.close()


def coalescing_stages(config: Config, sink: Sink, deadlines: Deadlines) -> Sink:
    """The stages that merge events, as configured, in front of ``sink``; returns the first."""
    if config.coalesce_period > 0 and config.quiescent_period > 0:
        members = MemberCoalescer(period=config.coalesce_period, quiescent=config.quiescent_period)
        sink = CoalescingStage(members, sink, deadlines)
    if config.user_coalesce_period > 0 and config.user_quiescent_period > 0:
        users = UserCoalescer(
            period=config.user_coalesce_period, quiescent=config.user_quiescent_period
        )
        sink = CoalescingStage(users, sink, deadlines)
    return sink
