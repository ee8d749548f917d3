"""Sending user events, with back-pressure on the caller.

What is sent faster than the cluster takes it in is lost: queues are pruned, buffers run over,
and a node that saw newer events refuses those that are hundreds of Lamport times behind.
No message says so to the sender.  But what others have processed they pass on, and a copy comes
back: an acknowledgement that costs nothing, and by which a sender can be clocked like one of TCP.
So a caller waits while

* the queue of events is over its high-water mark, ``queue_depth_warning``, with its own events, or
  with those of others while `MIN_UNDER_WAY` of this node are under way;
* `MAX_UNDER_WAY` events of this node are under way, no copy of which has come back; or
* the oldest of those is a quarter of ``event_buffer`` behind the clock: others send, too.

An event whose copy does not come back is given up after `GIVE_UP_AFTER`.  So a stranger who floods
the cluster with events does not silence a node: it still sends `MIN_UNDER_WAY` in that time, and
they go out before what is passed on.  Where no other member is alive nothing leaves the queue and
nothing comes back, so nothing is waited for.

DIFFERS (unless ``faithful_go``): Go's callers never wait.
Test: test_a_sender_waits_until_its_events_come_back.

Source: hashicorp/serf v0.9.4, serf/serf.go, UserEvent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import trio

from .. import _attrs as attrs
from .._cluster.effects import Broadcast, Effect
from .._cluster.size_limits import payload_bytes
from .._events import SerfState
from .arguments import flag
from .core import Core

MAX_UNDER_WAY: Final = 64
"""Events of this node under way at once.

Sixteen nodes that all send have 1,024 under way: so many fit into the queue of a Go node's
worker, and into a receive buffer of the 208 kB that Linux grants by default.
"""
MIN_UNDER_WAY: Final = 8
"""Events of this node under way while the queue is full of those of others."""
GIVE_UP_AFTER: Final = 5.0
"""When an event is given up of which no copy came back (gossip intervals)."""


@attrs.define(eq=False, kw_only=True)
class UserEventSender:
    """Sends the user events of this node.

    Args:
      core: the rules.
      apply: applies effects.
    """

    core: Core
    apply: Callable[[Iterable[Effect]], object]
    waiting: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    under_way: dict[bytes, tuple[int, float]] = attrs.field(factory=dict, init=False)
    """Lamport time, and when it is given up (trio clock, seconds), in the order of sending."""

    def _is_full(self) -> bool:
        core, queue = self.core, self.core.broadcasts.queues["event"]
        mark = core.config.queue_depth_warning
        full = self.under_way and self._is_behind()
        if not full and len(queue.entries) >= mark:
            full = len(self.under_way) >= MIN_UNDER_WAY or queue.local_depth() >= mark
        if not full:
            return False
        if core.members.others_alive():
            return True
        self.under_way.clear()
        return False

    def _is_behind(self) -> bool:
        """Whether the cluster has not taken in what was sent."""
        under_way = self.under_way
        now = trio.current_time()
        for message, (ltime, until) in list(under_way.items()):
            if until > now:
                clock = self.core.events.clock
                # Not by messages, but because a message skipped times: nobody is behind then.
                distance = clock.time - clock.skipped - ltime
                far = distance > self.core.config.event_buffer // 4
                return len(under_way) >= MAX_UNDER_WAY or (far and not clock.is_current(ltime))
            del under_way[message]
        return False

    def came_back(self, message: bytes) -> None:
        """A copy of a message came from a peer."""
        if self.under_way.pop(message, None) is not None:
            self.release()

    async def send(self, name: str, payload: bytes, *, coalesce: bool) -> None:
        """Send an event once there is room for it.

        Raises:
          TypeError: name or payload is of another type; nothing was sent.
          UserEventTooLarge: nothing was sent.
          trio.ClosedResourceError: the node is closed.
        """
        await trio.lowlevel.checkpoint()
        while True:
            try:
                self.send_nowait(name, payload, coalesce=coalesce)
            except trio.WouldBlock:
                until = min((until for _, until in self.under_way.values()), default=math.inf)
                with self.core.until_closed(), trio.CancelScope(deadline=until):
                    await self.waiting.park()
            else:
                return

    def send_nowait(self, name: str, payload: bytes, *, coalesce: bool) -> None:
        """Send an event at once.  Raises as `send`, and ``trio.WouldBlock`` without room."""
        core = self.core
        if core.state is SerfState.SHUTDOWN:
            raise core.closed_error()
        if type(name) is not str or type(payload) is not bytes or type(coalesce) is not bool:
            payload = payload_bytes(name, payload)
            flag("coalesce", coalesce)
        if self._is_full():
            raise trio.WouldBlock
        ltime = core.events.clock.time
        limit = core.message_limit()
        effects = core.events.originate(name, payload, coalesce=coalesce, packet_limit=limit)
        self.apply(effects)
        if not core.config.memberlist.faithful_go:
            until = trio.current_time() + GIVE_UP_AFTER * core.config.memberlist.gossip_interval
            for effect in effects:
                if isinstance(effect, Broadcast):
                    self.under_way[effect.message] = ltime, until

    def release(self) -> None:
        """There may be room: called after every packet, and when members leave or fail."""
        if self.waiting and not self._is_full():
            self.waiting.unpark_all()
