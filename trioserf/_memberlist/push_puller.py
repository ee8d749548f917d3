"""Task: exchanges full state with a random node now and then.

What gossip lost, this repairs.  The larger the cluster, the rarer: otherwise the traffic of
everybody's full state would grow with its square.

DIFFERS: an exchange of ours that told of nodes we did not know is soon followed by another
one.  When many nodes join at once, gossip is budgeted for the cluster that each of them knows
at that time, so some never hear of some others; in Go only the next regular exchange repairs
that, after a minute or more.  A cluster where nothing is new makes no exchange more than Go.
Test: test_an_exchange_that_told_something_new_is_soon_followed_by_another.

Source: hashicorp/memberlist v0.2.2, state.go: pushPullTrigger, pushPull, pushPullNode.
"""

from __future__ import annotations

import random

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, MergeRefused, RemoteProtocolError
from .._swim.nodes import Node, NodeStatus
from .._swim.scaling import push_pull_scale
from .._swim.selection import select
from .._swim.table import NodeTable
from .alarm import Alarm
from .drop_log import Log
from .stream_client import StreamClient

SOON = (5.0, 10.0)
"""When the next exchange follows one that told something new (gossip intervals)."""
EXCHANGE_ERRORS = (OSError, RemoteProtocolError, LocalProtocolError, MergeRefused)
"""How an exchange may fail because of the peer or the network."""


@attrs.define(eq=False, kw_only=True)
class PushPuller:
    """The anti-entropy task.

    Args:
      config: the interval.
      table: whom to exchange with.
      client: the exchange.
      rng: chooses the node and the start delay.
      log: where failures are noted.
    """

    config: MemberlistConfig
    table: NodeTable
    client: StreamClient
    rng: random.Random
    log: Log
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)

    async def run(self) -> None:
        """Exchange until cancelled.  Returns at once if turned off."""
        interval = self.config.push_pull_interval
        if interval <= 0:
            await trio.lowlevel.checkpoint()
            return
        self._plan(self.rng.random() * interval)
        while True:
            await self._alarm.wait()
            for node in select(self.rng, self.table.sequence, 1, self._is_no_partner):
                await self._exchange(node)
            self._plan(0.0)

    def learned(self) -> None:
        """An exchange that we began told of new nodes: there may be more to learn."""
        if self.config.faithful_go or self.config.push_pull_interval <= 0:
            return
        delay = self.rng.uniform(*SOON) * (self.config.gossip_interval or 0.2)
        self._alarm.advance(trio.current_time() + delay)

    def _plan(self, extra: float) -> None:
        period = push_pull_scale(self.config.push_pull_interval, self.table.num_nodes)
        self._alarm.advance(trio.current_time() + extra + period)

    def _is_no_partner(self, node: Node) -> bool:
        return node is self.table.local_node or node.status is not NodeStatus.ALIVE

    async def _exchange(self, node: Node) -> None:
        try:
            await self.client.push_pull(node.address, node.name, join=False)
        except EXCHANGE_ERRORS as error:
            self.log.warning("push/pull with %s failed: %s", node.name, error)
