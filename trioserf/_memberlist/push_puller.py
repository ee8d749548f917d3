"""Task: exchanges full state with a random node now and then.

This repairs what gossip lost.  The larger the cluster, the rarer: otherwise the traffic of
full states would grow with its square.

DIFFERS: an exchange that this node began and that brought nodes which it did not know is soon
followed by another one.  When many nodes join at once, gossip is budgeted for the cluster that
each of them knows at that time, so some never learn of some others; in Go only the next regular
exchange repairs that, after a minute or more.  A cluster where nothing is new makes no exchange
more than Go.  Test: test_an_exchange_that_brought_something_new_is_soon_followed_by_another.
The regular exchanges keep their times: nodes that started together would otherwise make them all
at the same moment, and one of them would find in each what all others suspect at that moment.
Test: test_an_exchange_out_of_turn_leaves_the_regular_ones_their_times.

DIFFERS (unless ``faithful_go``): nodes that were turned away because too many are known by
hearsay alone (`_swim/admission.py`) may be real: what this node asks for itself has no such bound,
so it exchanges soon.  And if the node drawn was never reached and does not answer, one that was
reached is asked: where most nodes are made up, hardly any exchange would take place.
Tests: test_nodes_that_were_turned_away_are_soon_asked_for,
test_instead_of_a_silent_node_that_was_never_reached_another_is_asked.

DIFFERS (unless ``faithful_go``): a suspect that answers on a stream, but not to packets, is sent
state, and a moment later once more, which brings its refutation.  Where UDP is blocked and TCP is
not, neither the suspicion nor the refutation gets there in Go, and each probe that fails by chance
ends as a failure.
Test: test_a_suspect_that_answers_on_streams_alone_may_refute.

Source: hashicorp/memberlist v0.2.2, state.go: pushPullTrigger, pushPull, pushPullNode.
"""

from __future__ import annotations

import math
import random
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, MergeRefused, RemoteProtocolError
from .._swim.nodes import Node, NodeStatus
from .._swim.same_cluster import is_only
from .._swim.scaling import push_pull_scale
from .._swim.selection import select
from .._swim.table import NodeTable
from .._wire.messages import ErrorReply, MessageType
from .._wire.streams import PushPullState, push_pull_bytes
from ..abc import Address
from .alarm import Alarm
from .drop_log import Log
from .history import History
from .metrics import Metrics
from .state_exchange import StateExchange
from .stream_client import StreamClient
from .stream_io import write_frame

SPREAD: Final = 3
"""Nodes that what peers lack is sent to at once; each of them does the same."""
SPREAD_PERIOD: Final = 1.0
"""Shortest time between two such rounds (seconds)."""
SOON = (5.0, 10.0)
"""When the next exchange follows one that brought something new (gossip intervals)."""
REPAIRS: Final = 3
"""Exchanges because nodes were turned away: not every peer knows those nodes."""
REPAIR_PERIOD: Final = 5.0
"""Shortest time between two of them (seconds)."""
SUSPECT_PERIOD: Final = 1.0
"""Shortest time between two exchanges with suspects (seconds), scaled as that of regular ones."""
UNTIL_MERGED: Final = 0.05
"""Seconds until a peer has merged a state that it was sent, mostly."""
EXCHANGE_ERRORS = (OSError, RemoteProtocolError, LocalProtocolError, MergeRefused)
"""How an exchange may fail because of the peer or the network."""


class LeadsHere(OSError):
    """What was to be joined is this node itself."""


@attrs.define(eq=False, kw_only=True)
class PushPuller:
    """Push/pulls that this node begins: the anti-entropy task, and those of joins."""

    config: MemberlistConfig
    table: NodeTable
    client: StreamClient
    exchange: StateExchange
    rng: random.Random
    history: History
    metrics: Metrics
    log: Log
    push_pulls: int = attrs.field(default=0, init=False)
    push_pulls_failed: int = attrs.field(default=0, init=False)
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)
    _regular_at: float = attrs.field(default=math.inf, init=False)
    _spread: bool = attrs.field(default=False, init=False)
    _spread_at: float = attrs.field(default=-math.inf, init=False)
    _repairs: int = attrs.field(default=0, init=False)
    _repair_at: float = attrs.field(default=-math.inf, init=False)
    _suspect_at: float = attrs.field(default=-math.inf, init=False)

    def exchange_soon(self) -> None:
        """Let the task exchange with `SPREAD` nodes, at once or when it may again."""
        if not self._spread:
            self._spread = True
            self._alarm.advance(max(trio.current_time(), self._spread_at + SPREAD_PERIOD))

    def nodes_turned_away(self) -> None:
        """There was no room for nodes: let the task exchange soon.  Cheap."""
        self._repairs = REPAIRS
        self._plan_repair()

    def _plan_repair(self) -> None:
        if self._repairs and not self.config.faithful_go and self.config.push_pull_interval > 0:
            now, interval = trio.current_time(), self.config.gossip_interval or 0.2
            self._alarm.advance(max(now + SOON[0] * interval, self._repair_at))

    async def push_pull(self, to: Address, name: str, *, join: bool) -> None:
        """Exchange full state with a node, and merge its state.

        Args:
          to, name: the node's address, and its name if known.
          join: whether this is a join: merge handlers on both sides may refuse.

        Raises:
          OSError: no connection, too slow, or broken off; or a join led to this node itself.
          RemoteProtocolError: an error reply, bytes that break the protocol, or versions
            that cannot live together; nothing was merged.
          MergeRefused: by the local merge handler; nothing was merged.
          LocalProtocolError: node names are required and there is none.
        """
        started = trio.current_time()
        self.push_pulls += 1
        try:
            state = await self._ask(to, name, join)
            if join and is_only(state.records, self.table.local_node, self.table.nodes):
                raise LeadsHere(f"{to} leads back to this node itself")
            known = self.table.num_nodes
            await self.exchange.merge(state, join=join, source=to, peer=to.host)
            if self.table.num_nodes > known:
                self._repeat_soon()
        except Exception as error:
            self.push_pulls_failed += 1
            self.history.exchange_failed(to, error)
            raise
        else:
            for node in self.table.at(to) if not name else (self.table.nodes.get(name),):
                if node is not None and node.address == to:
                    node.exchanged_at = trio.current_time()
        finally:
            duration = (trio.current_time() - started) * 1000
            self.metrics.sample("memberlist.pushPullNode", duration)

    async def peek(self, to: Address, name: str) -> PushPullState:
        """The state of a node, which learns nothing of this one.  Raises as `push_pull`."""
        return await self._ask(to, name, None)

    async def _ask(self, to: Address, name: str, join: bool | None) -> PushPullState:
        """The state of a node, which is sent the local one before; nothing if ``join`` is None."""
        self.metrics.count("memberlist.tcp.connect")
        async with self.client.dial(to, name, self.config.tcp_timeout) as stream:
            if join is None:
                request = self.client.wire.encode_frame(push_pull_bytes(False, [], b""))
            else:
                request = await self.exchange.local_frame(join=join)
            try:
                await write_frame(stream, request, MessageType.PUSH_PULL, self.metrics)
            except trio.BrokenResourceError:
                # A peer that has no room may have said so before it closed the stream.
                reply = await self.client.read_reply(stream)
                if not isinstance(reply, ErrorReply):
                    raise
            else:
                reply = await self.client.read_reply(stream)
        match reply:
            case PushPullState():
                return reply
            case None:
                raise RemoteProtocolError(
                    f"{to} closed the stream without a reply: has it another label "
                    f"(this node's is {self.config.label!r}), or too much to do?"
                )
            case ErrorReply(error=text):
                raise RemoteProtocolError(f"{to} replied with an error: {text}")
            case _:
                raise RemoteProtocolError(f"{to} replied with {type(reply).__name__}")

    async def run(self) -> None:
        """Exchange until cancelled.  Returns at once if turned off."""
        interval = self.config.push_pull_interval
        if interval <= 0:
            await trio.lowlevel.checkpoint()
            return
        self._plan(self.rng.random() * interval)
        while True:
            await self._alarm.wait()
            now, count = trio.current_time(), 1
            self._repair_at, self._repairs = now + REPAIR_PERIOD, max(0, self._repairs - 1)
            if self._spread and now >= self._spread_at + SPREAD_PERIOD:
                self._spread, self._spread_at, count = False, now, SPREAD
            async with trio.open_nursery() as nursery:
                for node in select(self.rng, self.table.sequence, count, self._is_no_partner):
                    nursery.start_soon(self._exchange_with, node)
            if now >= self._regular_at:
                self._plan(0.0)
            self._alarm.advance(self._regular_at)
            self._plan_repair()
            if self._spread:
                self._alarm.advance(self._spread_at + SPREAD_PERIOD)

    async def _exchange_with(self, node: Node) -> None:
        try:
            await self.push_pull(node.address, node.name, join=False)
        except EXCHANGE_ERRORS as error:
            self.log.warning("push/pull with %s failed: %s", node.name, error)
            if not node.reached and not self.config.faithful_go:
                for other in select(self.rng, self.table.sequence, 1, self._is_no_sure_partner):
                    await self._exchange_with(other)

    async def let_refute(self, node: Node) -> None:
        """Exchange state with a suspect that answers on streams, and again for its refutation.

        Does nothing if there was another one just now, and with ``faithful_go``.
        """
        now = trio.current_time()
        if now < self._suspect_at or self.config.faithful_go:
            await trio.lowlevel.checkpoint()
            return
        self._suspect_at = now + push_pull_scale(SUSPECT_PERIOD, self.table.num_nodes)
        await self._exchange_with(node)
        await trio.sleep(UNTIL_MERGED)
        if node.status is NodeStatus.SUSPECT:
            await self._exchange_with(node)

    def _is_no_sure_partner(self, node: Node) -> bool:
        return not node.reached or self._is_no_partner(node)

    def _repeat_soon(self) -> None:
        if not self.config.faithful_go and self.config.push_pull_interval > 0:
            delay = self.rng.uniform(*SOON) * (self.config.gossip_interval or 0.2)
            self._alarm.advance(trio.current_time() + delay)

    def _plan(self, extra: float) -> None:
        period = push_pull_scale(self.config.push_pull_interval, self.table.num_nodes)
        self._regular_at = trio.current_time() + extra + period
        self._alarm.advance(self._regular_at)

    def _is_no_partner(self, node: Node) -> bool:
        return node is self.table.local_node or node.status is not NodeStatus.ALIVE
