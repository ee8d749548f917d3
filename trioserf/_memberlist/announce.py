"""Broadcasts about this node that must get out: that it leaves, and new metadata.

Both change the local record at once, queue a broadcast, and wait until it was sent its full
number of times.  With no other live node there is nothing to wait for.

Source: hashicorp/memberlist v0.2.2, memberlist.go: Leave, UpdateNode, anyAlive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import BroadcastTimeout, InvalidState
from .._swim.effects import Effect
from .._swim.nodes import META_LIMIT
from .._swim.table import NodeTable
from .._wire.limits import MAX_U16, MAX_U32
from .._wire.messages import Alive, encode_message
from ..abc import Delegate
from .apply import Applier
from .wire_format import PART_OVERHEAD, WireFormat


def meta_limit(config: MemberlistConfig, wire: WireFormat) -> int:
    """Longest metadata whose alive message fits into a packet (bytes); negative for none.

    DIFFERS (unless ``faithful_go``): Go queues an alive message that fits into no packet
    (test_tags_that_fit_no_packet_change_nothing).
    """
    if config.faithful_go:
        return META_LIMIT
    longest = Alive(MAX_U32, config.name, bytes(16), MAX_U16, bytes(META_LIMIT), bytes(6))
    room = wire.packet_room - PART_OVERHEAD - len(encode_message(longest))
    return min(META_LIMIT, META_LIMIT + room)


@attrs.define(eq=False)
class Announcer:
    """Announces changes of this node."""

    table: NodeTable
    apply: Applier
    delegate: Delegate | None

    def meta(self) -> bytes:
        """The delegate's metadata of the moment."""
        return b"" if self.delegate is None else self.delegate.node_meta(META_LIMIT)

    async def leave(self, timeout: float) -> None:
        """See `Memberlist.leave`."""
        if self.table.leaving:
            await trio.lowlevel.checkpoint()
            return
        sent = trio.Event()
        effects = self.table.leave(trio.current_time(), sent.set)
        await self._announce(effects, sent, "leave", timeout)

    async def update(self, timeout: float) -> None:
        """See `Memberlist.update_node`."""
        if self.table.leaving:
            raise InvalidState("the node has left: its metadata is no longer announced")
        meta = self.meta()
        sent = trio.Event()
        effects = self.table.update_local(trio.current_time(), meta, sent.set)
        await self._announce(effects, sent, "update", timeout)

    async def _announce(
        self, effects: list[Effect], sent: trio.Event, what: str, timeout: float
    ) -> None:
        self.apply(effects)
        with trio.move_on_after(timeout or math.inf) as limit:
            with while_needed(self._others_live, self.apply.watchers):
                await sent.wait()
        if limit.cancelled_caught:
            raise BroadcastTimeout(f"the {what} was not sent out within {timeout} s")

    def _others_live(self) -> bool:
        return self.table.live_count() > (0 if self.table.local_node.is_gone else 1)


@contextmanager
def while_needed(
    needed: Callable[[], bool], watchers: list[Callable[[], object]]
) -> Iterator[None]:
    """Around a wait that is for the sake of others: cancelled once none of them is left.

    Args:
      needed: whether there is one.
      watchers: all of them are called whenever that may have changed.
    """
    with trio.CancelScope() as scope:

        def look() -> None:
            if not needed():
                scope.cancel()

        look()
        watchers.append(look)
        try:
            yield
        finally:
            watchers.remove(look)
