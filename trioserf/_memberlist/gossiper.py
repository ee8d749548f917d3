"""Task: sends what the queues hold to a few random nodes.

While there is nothing to send the task sleeps.  News wakes it, in one of two ways:

* the *tick* of Go, every ``gossip_interval`` with a phase of its own, to ``gossip_nodes``
  nodes each time;
* the *eager round*: soon after news was queued, to up to twice as many nodes.  News that
  arrives together travels together: a user message waits for about a millisecond, a claim
  about a node as long as its `Broadcast.max_delay`, a suspicion or a death for the tick.

An eager round spends transmissions from the same budget of each message, the retransmit
limit, and leaves one for a later tick where it can: the cluster carries as many copies as
with Go, only sooner.  A token bucket bounds the rounds; under a flood of news the batches
grow, and the ticks carry what is left.

Source: hashicorp/memberlist v0.2.2, state.go: gossip; the eager round is ours.
"""

from __future__ import annotations

import math
import random
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._swim.broadcasts import TransmitLimitedQueue
from .._swim.scaling import retransmit_limit
from .._swim.table import NodeTable
from .alarm import Alarm
from .metrics import Metrics
from .packet_sender import PacketSender

EAGER_BATCH: Final = 0.001
"""How long news is collected at least before an eager round (seconds)."""
EAGER_BURST: Final = 8
"""Eager rounds that may follow each other without a pause."""
EAGER_REFILL: Final = 0.1
"""Time for one more eager round, as a share of the gossip interval."""


@attrs.define(eq=False)
class TokenBucket:
    """Allows ``burst`` uses at once and one more every ``period`` seconds."""

    burst: int
    period: float
    _full_at: float = attrs.field(default=-math.inf, init=False)

    def ready_at(self, now: float) -> float:
        """When the next use is allowed: ``now`` or later."""
        return max(now, self._full_at - (self.burst - 1) * self.period)

    def spend(self, now: float) -> None:
        """Count one use."""
        self._full_at = max(now, self._full_at) + self.period


@attrs.define(eq=False, kw_only=True)
class Gossiper:
    """The gossip task and its wake-up.

    Args:
      config: intervals and fan-out.
      table: whom to gossip to.
      sender: fills and sends the packets.
      rng: chooses nodes and the phase of the ticks.
      metrics: told how long each tick took.
    """

    config: MemberlistConfig
    table: NodeTable
    sender: PacketSender
    rng: random.Random
    metrics: Metrics
    ticks: int = attrs.field(default=0, init=False)
    eager_rounds: int = attrs.field(default=0, init=False)
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)
    _on: bool = attrs.field(init=False)
    _phase: float = attrs.field(init=False)
    _tick_at: float = attrs.field(default=math.inf, init=False)
    _eager_at: float = attrs.field(default=math.inf, init=False)
    _eager: bool = attrs.field(init=False)
    _bucket: TokenBucket = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        config = self.config
        self._on = config.gossip_interval > 0 and config.gossip_nodes > 0
        self._eager = config.eager_gossip and not config.faithful_go
        self._phase = self.rng.random() * config.gossip_interval
        self._bucket = TokenBucket(EAGER_BURST, EAGER_REFILL * config.gossip_interval)

    def wake(self, max_delay: float = 0.0) -> None:
        """There is news in a queue.  Cheap when the task knows already.

        Args:
          max_delay: how long this news may wait for company, as a share of the gossip
            interval; from 1 on it waits for the tick.
        """
        if not self._on:
            return
        now = trio.current_time()
        if self._tick_at == math.inf:
            self._tick_at = self._tick_after(now)
        if self._eager and max_delay < 1:
            wanted = now + max(EAGER_BATCH, max_delay * self.config.gossip_interval)
            if wanted < self._eager_at:
                self._eager_at = min(self._eager_at, self._bucket.ready_at(wanted))
        due = min(self._tick_at, self._eager_at)
        if due < self._alarm.deadline:
            self._alarm.set(due)

    async def run(self) -> None:
        """Gossip until cancelled.  Returns at once if gossip is turned off."""
        await trio.lowlevel.checkpoint()
        while self._on:
            self._alarm.set(min(self._tick_at, self._eager_at))
            await self._alarm.wait()
            now = trio.current_time()
            if now >= self._eager_at:
                self._eager_at = math.inf
                self._bucket.spend(now)
                self.eager_rounds += 1
                self._send_to(self._eager_fanout(), now)
            if now >= self._tick_at:
                self._tick_at = math.inf
                if self._tick(now):
                    self._tick_at = self._tick_after(now)

    def _tick_after(self, now: float) -> float:
        interval = self.config.gossip_interval
        number = math.floor((now - self._phase) / interval) + 1
        # At a tick the quotient may round to less than its number: then the next tick would be
        # this one again, and again, as long as the clock shows the same time.
        due = self._phase + number * interval
        return due if due > now else self._phase + (number + 1) * interval

    def _eager_fanout(self) -> int:
        limit = retransmit_limit(self.config.retransmit_mult, self.table.num_nodes)
        fanout = self.config.gossip_nodes
        return min(2 * fanout, max(fanout, limit - 1))

    def _tick(self, now: float) -> bool:
        self.ticks += 1
        busy = self._send_to(self.config.gossip_nodes, now)
        self.metrics.sample("memberlist.gossip", (trio.current_time() - now) * 1000)
        return busy

    def _send_to(self, count: int, now: float) -> bool:
        """Send to ``count`` random nodes; whether there may be more to send later."""
        nodes = self.table.gossip_targets(count, now, self.rng)
        return bool(nodes) and self.sender.gossip(nodes)


@attrs.define(eq=False)
class QueueGauge:
    """Task: samples the length of the broadcast queue every ``interval`` seconds.

    Source: hashicorp/memberlist v0.5.0, memberlist.go: checkBroadcastQueueDepth.
    """

    queue: TransmitLimitedQueue
    metrics: Metrics
    interval: float

    async def run(self) -> None:
        """Sample until cancelled.  Returns at once when nobody listens."""
        await trio.lowlevel.checkpoint()
        while self.metrics.tap is not None:
            await trio.sleep(self.interval)
            self.metrics.sample("memberlist.queue.broadcasts", len(self.queue))
