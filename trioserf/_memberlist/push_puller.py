"""Task: exchanges full state with a random node now and then.

What gossip lost, this repairs.  The larger the cluster, the rarer: otherwise the traffic of
everybody's full state would grow with its square.

Source: hashicorp/memberlist v0.2.2, state.go: pushPullTrigger, pushPull, pushPullNode.
"""

from __future__ import annotations

import random

import attrs
import trio

from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, MergeRefused, RemoteProtocolError
from .._swim.nodes import Node, NodeStatus
from .._swim.scaling import push_pull_scale
from .._swim.selection import select
from .._swim.table import NodeTable
from .metrics import Log
from .stream_client import StreamClient

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

    async def run(self) -> None:
        """Exchange until cancelled.  Returns at once if turned off."""
        interval = self.config.push_pull_interval
        if interval <= 0:
            await trio.lowlevel.checkpoint()
            return
        await trio.sleep(self.rng.random() * interval)
        while True:
            await trio.sleep(push_pull_scale(interval, self.table.num_nodes))
            for node in select(self.rng, self.table.sequence, 1, self._is_no_partner):
                await self._exchange(node)

    def _is_no_partner(self, node: Node) -> bool:
        return node is self.table.own or node.status is not NodeStatus.ALIVE

    async def _exchange(self, node: Node) -> None:
        try:
            await self.client.push_pull(node.address, node.name, join=False)
        except EXCHANGE_ERRORS as error:
            self.log.warning("push/pull with %s failed: %s", node.name, error)
