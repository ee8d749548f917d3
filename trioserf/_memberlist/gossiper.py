"""Task: sends queued broadcasts to a few random nodes.

While there is nothing to send the task sleeps.  A new broadcast wakes it, for one of two rounds:

* the *regular round* of Go, every ``gossip_interval`` with a random phase, to ``gossip_nodes``
  nodes each time;
* the *eager round*, soon after a broadcast was queued, to up to twice as many nodes, the
  successors of this one (`_swim/gossip_order.py`), in as many full packets as wait.  A user
  message is sent as soon as the task has its turn, together with what was queued until then; an
  alive message waits as long as its `Broadcast.max_delay`, a suspect or dead message for the
  regular round.  When they come faster than that `_swim/eager_pace.py` says what waits for more.

An eager round sends copies that each message may have anyway, up to its retransmit limit: the
cluster carries as many copies as with Go, only sooner.  How many of them:

* of a *burst*, more than `FEW_MESSAGES` messages, ``limit - 1`` copies of each, because nothing
  makes up for the copies of a burst that are lost;
* of *few messages*, ``limit // 2`` copies of each: every node has to handle all copies, of which
  only the first has anything new for it, and where a lossy network loses some of them the other
  half reaches the node within a second.

Source: hashicorp/memberlist v0.2.2, state.go: gossip; v0.5.0, memberlist.go:
checkBroadcastQueueDepth.  Go has no eager round.
"""

from __future__ import annotations

import math
import random
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._swim.broadcasts import FEW_MESSAGES, MIN_TRANSMITS
from .._swim.eager_pace import REFILL, EagerPace
from .._swim.gossip_order import MAX_RINGS
from .._swim.scaling import retransmit_limit
from .._swim.table import NodeTable
from .alarm import Alarm
from .metrics import Metrics
from .packet_sender import PacketSender

EAGER_BATCH: Final = 0.0003
"""How long a broadcast waits at least before an eager round (seconds).

Meanwhile readers of this node get what was passed to them, and what arrives in the same moment
is sent along.
"""
COPIES_WAIT: Final = 5.0
"""How long the further copies of an event wait for other packets (gossip intervals).

On a local network that is a probe interval, in which a node sends about one ping and one ack.
Where the others are fewer than `MIN_TRANSMITS` the copies are, too: then they wait for no other
packet.
"""


@attrs.define(eq=False, kw_only=True)
class Gossiper:
    """The gossip task and its wake-up."""

    config: MemberlistConfig
    table: NodeTable
    sender: PacketSender
    rng: random.Random
    metrics: Metrics
    regular_rounds: int = attrs.field(default=0, init=False)
    eager_rounds: int = attrs.field(default=0, init=False)
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)
    _on: bool = attrs.field(init=False)
    _phase: float = attrs.field(init=False)
    _regular_at: float = attrs.field(default=math.inf, init=False)
    _eager_at: float = attrs.field(default=math.inf, init=False)
    _eager: bool = attrs.field(init=False)
    _new: int = attrs.field(default=0, init=False)
    """Broadcasts since the last eager round."""
    _pace: EagerPace = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        config = self.config
        self._on = config.gossip_interval > 0 and config.gossip_nodes > 0
        self._eager = config.eager_gossip and not config.faithful_go
        self._phase = self.rng.random() * config.gossip_interval
        self._pace = EagerPace(REFILL * config.gossip_interval)

    def wake(self, max_delay: float = 0.0, *, copies_wait: bool = False) -> None:
        """A broadcast was queued.  Cheap when the task is awake already.

        Args:
          max_delay: how long the broadcast may wait to be sent with others, as a share of the
            gossip interval; from 1 on it waits for the regular round.
          copies_wait: what the eager round leaves may wait `COPIES_WAIT` for a ping or an ack
            that takes it along; packets of its own would cost more than they bring.
        """
        if not self._on:
            return
        now, interval = trio.current_time(), self.config.gossip_interval
        eager = self._eager and max_delay < 1
        if self._regular_at > now + interval:
            wait = 0.0
            if eager and copies_wait and len(self.table.sequence) > MIN_TRANSMITS:
                wait = COPIES_WAIT * interval
            self._regular_at = min(self._regular_at, self._regular_after(now + wait))
        if eager:
            self._new += 1
            wanted = now + max(EAGER_BATCH, max_delay * interval)
            if wanted < self._eager_at:
                if wanted < self._pace.free_at:
                    wanted = max(wanted, self._ready_at())
                self._eager_at = min(self._eager_at, wanted)
        due = min(self._regular_at, self._eager_at)
        if due < self._alarm.deadline:
            self._alarm.set(due)

    def _ready_at(self) -> float:
        """When what waits may be sent in an eager round."""
        most = 2 * self.config.gossip_nodes
        others = min(len(self.table.sequence) - 1, most)
        return self._pace.ready_at(self.sender.unsent_fill(), others / most)

    async def run(self) -> None:
        """Gossip until cancelled.  Returns at once if gossip is turned off."""
        config, order = self.config, self.table.order
        if not self._on:
            await trio.lowlevel.checkpoint()
            return
        while True:
            self._alarm.deadline = min(self._regular_at, self._eager_at)
            await self._alarm.wait()
            now = trio.current_time()
            if now >= self._eager_at:
                self._eager_at = math.inf
                self.eager_rounds += 1
                limit = retransmit_limit(config.retransmit_mult, len(self.table.sequence))
                eager = limit // 2 if self._new <= FEW_MESSAGES else limit - 1
                fanout = min(2 * config.gossip_nodes, max(config.gossip_nodes, eager))
                nodes = order.first_targets(min(fanout, MAX_RINGS), now, self.rng)
                more = self.sender.spread(nodes)
                if self.sender.fill:
                    share = len(nodes) / (2 * config.gossip_nodes)
                    self._pace.spend(now, self.sender.fill, share)
                self._new = 0
                if more:
                    self._new = FEW_MESSAGES + 1
                    self._eager_at = max(now, self._ready_at())
            if now >= self._regular_at:
                self.regular_rounds += 1
                nodes = order.gossip_targets(config.gossip_nodes, now, self.rng)
                more = self.sender.gossip(nodes)
                self._regular_at = self._regular_after(now) if more else math.inf
                if self.metrics.tap is not None:
                    took = trio.current_time() - now
                    self.metrics.sample("memberlist.gossip", took * 1000)

    async def sample_queue(self) -> None:
        """Sample the length of the broadcast queue, as long as there is a tap."""
        if self.metrics.tap is None:
            await trio.lowlevel.checkpoint()
        while self.metrics.tap is not None:
            await trio.sleep(self.config.queue_check_interval)
            self.metrics.sample("memberlist.queue.broadcasts", len(self.sender.queue))

    def _regular_after(self, now: float) -> float:
        interval = self.config.gossip_interval
        number = math.floor((now - self._phase) / interval) + 1
        # At a round the quotient may round to less than its number: then the next round would be
        # this one again, and again, as long as the clock shows the same time.
        due = self._phase + number * interval
        return due if due > now else self._phase + (number + 1) * interval
