"""Sending user events, with back-pressure on the caller.

A queue that only grows would be pruned in the end, and events lost.  So a caller waits while
the queue of events is over its high-water mark, ``queue_depth_warning``.  Where no other
member is alive nothing leaves the queue, so nothing is waited for.

Source: hashicorp/serf v0.9.4, serf/serf.go, UserEvent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from .. import _attrs as attrs
from .._cluster.effects import Effect
from .._events import SerfState
from .core import Core


@attrs.define(eq=False, kw_only=True)
class UserEventSender:
    """Sends the user events of this node.

    Args:
      core: the rules.
      apply: applies effects.
    """

    core: Core
    apply: Callable[[Iterable[Effect]], object]
    _waiting: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def _is_full(self) -> bool:
        core = self.core
        depth = len(core.broadcasts.queues["event"].entries)
        return depth >= core.config.queue_depth_warning and core.members.others_alive()

    async def send(self, name: str, payload: bytes, *, coalesce: bool) -> None:
        """Send an event once there is room for it.

        Raises:
          UserEventTooLarge: nothing was sent.
          trio.ClosedResourceError: the node is closed.
        """
        await trio.lowlevel.checkpoint()
        while True:
            try:
                self.send_nowait(name, payload, coalesce=coalesce)
            except trio.WouldBlock:
                with self.core.until_closed():
                    await self._waiting.park()
            else:
                return

    def send_nowait(self, name: str, payload: bytes, *, coalesce: bool) -> None:
        """Send an event at once.  Raises as `send`, and ``trio.WouldBlock`` without room."""
        if self.core.state is SerfState.SHUTDOWN:
            raise self.core.closed_error()
        if self._is_full():
            raise trio.WouldBlock
        effects = self.core.events.originate(
            name, bytes(payload), coalesce=coalesce, packet_limit=self.core.message_limit()
        )
        self.apply(effects)

    def release(self) -> None:
        """There may be room: called after every packet, and when members leave or fail.  Cheap."""
        if self._waiting and not self._is_full():
            self._waiting.unpark_all()
