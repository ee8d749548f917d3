"""Task: contacts missing nodes, so that a cluster that fell apart becomes one again.

When a partition lasts longer than dead nodes are remembered, neither side knows the other any
more, and no probe and no gossip ever crosses again.  So this node remembers, for
``seed_memory`` seconds, which addresses it joined, or was to join beside others that answered,
which nodes it lost, and which its snapshot named.  From time to time, if some of them are not
alive in its table, it exchanges full state with one that is not.  Before that it resolves host
names again, the more rarely the larger the cluster; a host name is missing as long as one of its
present addresses is.

The cluster as a whole makes about one attempt for each missing node in each period: each
node tries with the probability missing / alive.  A node that left is not missed.

Nothing changes on the wire; one side with a healer is enough.  Go has none: hashicorp/
memberlist, issue 222.  The probability follows hashicorp/serf v0.9.4, serf/serf.go: reconnect.
"""

from __future__ import annotations

import random
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._swim.nodes import Node
from .._swim.scaling import push_pull_scale
from .._swim.table import NodeTable
from .healer_memory import Seeds
from .joiner import Joiner
from .node_log import Log
from .state_exchange import EXCHANGE_ERRORS

DEFAULT_PERIOD: Final = 30.0
"""Mean time between two attempts (seconds), if ``push_pull_interval`` is 0 and gives none."""
_CONTACT_ERRORS: Final = (*EXCHANGE_ERRORS, trio.ClosedResourceError)


@attrs.define(eq=False, kw_only=True)
class Healer:
    """The task that contacts missing nodes."""

    config: MemberlistConfig
    table: NodeTable
    seeds: Seeds
    joiner: Joiner
    rng: random.Random
    log: Log
    attempts: int = attrs.field(default=0, init=False)

    async def run(self) -> None:
        """Heal until cancelled.  Returns at once if there is nothing to remember."""
        if self.config.faithful_go or self.seeds.memory <= 0:
            await trio.lowlevel.checkpoint()
            return
        period = self.config.push_pull_interval or DEFAULT_PERIOD
        resolve_at = 0.0
        while True:
            await trio.sleep(period * (0.5 + self.rng.random()))
            if self.table.leaving:
                continue
            if self.seeds.joined and trio.current_time() >= resolve_at:
                await self._resolve_all()
                resolve_at = trio.current_time() + push_pull_scale(period, self.table.num_nodes)
            missing = self.seeds.missing(self.table, trio.current_time())
            if missing and self.rng.random() * self.table.live_count() < len(missing):
                await self._contact(self.rng.choice(missing))

    async def _resolve_all(self) -> None:
        """Resolve all address strings that were joined, or were to be, again."""

        async def resolve(text: str) -> None:
            try:
                _, addresses = await self.joiner.resolve(text)
            except _CONTACT_ERRORS as error:
                self.log.debug("cannot look up %r: %s", text, error)
            else:
                self.seeds.update(text, addresses)

        with trio.move_on_after(self.config.tcp_timeout):
            async with trio.open_nursery() as nursery:
                for text in self.seeds.joined:
                    nursery.start_soon(resolve, text)

    async def _contact(self, target: str | Node) -> None:
        self.attempts += 1
        name = target if isinstance(target, str) else target.name
        try:
            if isinstance(target, Node):
                await self.joiner.reconnect(target.name, target.address)
                found = True
            else:
                found = await self.joiner.join_missing(target)
        except _CONTACT_ERRORS as error:
            self.log.debug("%s is still missing: %s", name, error)
        else:
            if found:
                self.log.info("found %s again", name)
