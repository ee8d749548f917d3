"""Task: finds the other part of a cluster that fell apart.

When a partition lasts longer than dead nodes are remembered, neither side knows the other any
more, and no probe and no gossip ever crosses again.  So this node remembers, for
``seed_memory`` seconds, which addresses it joined, or was to join beside others that answered,
and which nodes it lost.  Every now and then, when some of them are not alive in its table, it
exchanges full state with one of them.

The cluster as a whole makes about one attempt for each missing node in each period: each
node tries with the chance missing / alive.  A node that left is not missed.

Nothing changes on the wire; one side with a healer is enough.  Go has none: hashicorp/
memberlist, issue 222.  The chance follows hashicorp/serf v0.9.4, serf/serf.go: reconnect.
"""

from __future__ import annotations

import random
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._swim.nodes import Node
from .._swim.table import NodeTable
from .drop_log import Log
from .joiner import Joiner
from .push_puller import EXCHANGE_ERRORS, PushPuller
from .seeds import Seeds

PERIOD: Final = 30.0
"""Mean time between two looks (seconds), if there are no push/pulls to take it from."""


@attrs.define(eq=False, kw_only=True)
class Healer:
    """The task that looks for missing parts."""

    config: MemberlistConfig
    table: NodeTable
    seeds: Seeds
    push_puller: PushPuller
    joiner: Joiner
    rng: random.Random
    log: Log
    attempts: int = attrs.field(default=0, init=False)

    async def run(self) -> None:
        """Heal until cancelled.  Returns at once if there is nothing to remember."""
        if self.config.faithful_go or self.seeds.memory <= 0:
            await trio.lowlevel.checkpoint()
            return
        period = self.config.push_pull_interval or PERIOD
        while True:
            await trio.sleep(period * (0.5 + self.rng.random()))
            if self.table.leaving:
                continue
            missing = self.seeds.missing(self.table, trio.current_time())
            if missing and self.rng.random() * self.table.live_count() < len(missing):
                await self._contact(self.rng.choice(missing))

    async def _contact(self, target: str | Node) -> None:
        self.attempts += 1
        name = target if isinstance(target, str) else target.name
        try:
            if isinstance(target, str):
                await self.joiner.join_one(target)
            else:
                await self.push_puller.push_pull(target.address, target.name, join=True)
        except EXCHANGE_ERRORS as error:
            self.log.debug("%s is still missing: %s", name, error)
        else:
            self.log.info("found %s again", name)
