"""Broadcasts about this node that must get out: that it leaves, and new metadata.

Both change the local record at once, queue a broadcast, and wait until it was sent its full
number of times.  With no other live node there is nothing to wait for.

Source: hashicorp/memberlist v0.2.2, memberlist.go: Leave, UpdateNode, anyAlive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

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

_LOOK: Final = 0.2
"""Seconds between two looks at who is left, where there is no gossip interval."""


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
    gossip_interval: float

    def meta(self) -> bytes:
        """The delegate's metadata of the moment."""
        return b"" if self.delegate is None else self.delegate.node_meta(META_LIMIT)

    async def leave(self, timeout: float, somebody_stays: Callable[[], bool] | None) -> None:
        """See `Memberlist.leave`."""
        if self.table.leaving:
            await trio.lowlevel.checkpoint()
            return
        sent = trio.Event()
        effects = self.table.leave(trio.current_time(), sent.set)
        await self._announce(effects, sent, "leave", timeout, somebody_stays)

    async def update(self, timeout: float) -> None:
        """See `Memberlist.update_node`."""
        if self.table.leaving:
            raise InvalidState("the node has left: its metadata is no longer announced")
        meta = self.meta()
        sent = trio.Event()
        effects = self.table.update_local(trio.current_time(), meta, sent.set)
        await self._announce(effects, sent, "update", timeout)

    async def _announce(
        self,
        effects: list[Effect],
        sent: trio.Event,
        what: str,
        timeout: float,
        needed: Callable[[], bool] | None = None,
    ) -> None:
        self.apply(effects)
        with trio.move_on_after(timeout or math.inf):
            await sent_or_needless(sent, needed or self._others_live, self.gossip_interval)
            return
        raise BroadcastTimeout(f"the {what} was not sent out within {timeout} s")

    def _others_live(self) -> bool:
        return self.table.live_count() > (0 if self.table.local_node.is_gone else 1)


async def sent_or_needless(
    sent: trio.Event, needed: Callable[[], bool], gossip_interval: float
) -> None:
    """Wait until a broadcast was sent, or no node is left that needs it.  *Checkpoint*: always.

    What others do becomes known by gossip, so it is looked at in each of its intervals.
    """
    await trio.lowlevel.checkpoint()
    while needed() and not sent.is_set():
        with trio.move_on_after(gossip_interval or _LOOK):
            await sent.wait()
