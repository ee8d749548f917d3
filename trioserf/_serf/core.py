"""The rules of one node, side by side, and the little state that belongs to all of them.

Nothing here waits or reaches the network.  The parts of `trioserf._serf` share one `Core`;
whatever their rules ask for goes through `SerfDelegate.apply_effects`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import trio

from .. import _attrs as attrs
from .._cluster.broadcast_queues import BroadcastQueues
from .._cluster.members import MemberRegistry
from .._cluster.queries import QueryLog
from .._cluster.query_collector import PendingQueries
from .._cluster.size_limits import NO_LIMIT
from .._cluster.snapshot_replay import SnapshotState
from .._cluster.user_events import UserEventLog
from .._config import Config
from .._events import SerfState
from .._memberlist.alarm import run_clock

ignore_old_events: Final[ContextVar[bool]] = ContextVar("trioserf.ignore_old_events", default=False)
"""Whether the join that a task works for ignores old events; exchanges that go on after the call
have returned inherit it, and no other exchange sees it."""


@attrs.define(eq=False, kw_only=True)
class Core:
    """The state of a node's rules.

    Args:
      config: settings.
      rng: source of every random choice.
      members, events, queries: the rules, each with its Lamport clock.
      pending: the queries of this node that wait for responses.
      broadcasts: the broadcast queues.
      tags: the local tags in force.

    Attributes:
      message_limit: gives the longest message that a packet of gossip has room for (bytes).
      state: whether the node is alive, leaving, has left, or is shut down.
      knows_times: whether a peer has sent this node the Lamport times of the cluster.
      scope: around all tasks of the node.
      closed: set when the node has ended, sockets and files included.
    """

    config: Config
    rng: random.Random
    members: MemberRegistry
    events: UserEventLog
    queries: QueryLog
    pending: PendingQueries
    broadcasts: BroadcastQueues
    tags: Mapping[str, str]
    message_limit: Callable[[], int] = attrs.field(default=lambda: NO_LIMIT, init=False)
    state: SerfState = attrs.field(default=SerfState.ALIVE, init=False)
    knows_times: bool = attrs.field(default=False, init=False)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    closed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _calls: set[trio.CancelScope] = attrs.field(factory=set, init=False)

    @classmethod
    def create(cls, config: Config, snapshot: SnapshotState | None) -> Core:
        """The rules at the start: clocks at 1, or past those of the snapshot.

        Source: hashicorp/serf v0.9.4, serf/serf.go, Create.
        """
        rng = config.rng or random.Random()
        members = MemberRegistry(config)
        events = UserEventLog(config)
        queries = QueryLog(config, rng, members.members)
        if not config.memberlist.faithful_go:
            queries.find_member = members.get
        for clock in (members.clock, events.clock, queries.clock):
            clock.increment()
        if snapshot is not None:
            members.clock.witness(snapshot.clock)
            events.clock.witness(snapshot.event_clock)
            queries.clock.witness(snapshot.query_clock)
            events.min_time = snapshot.event_clock + 1
            queries.min_time = snapshot.query_clock + 1
        return cls(
            config=config,
            rng=rng,
            members=members,
            events=events,
            queries=queries,
            pending=PendingQueries(),
            broadcasts=BroadcastQueues(config, num_members=members.count, clock=run_clock()),
            tags=config.tags,
        )

    @property
    def name(self) -> str:
        """The name of this node."""
        return self.config.node_name

    def stop(self) -> None:
        """Close the node at once, without leaving.  Idempotent, never waits; see `closed`."""
        self.state = SerfState.SHUTDOWN
        self.scope.cancel()

    def require_open(self) -> None:
        """Raise ``trio.ClosedResourceError`` if the node is closed."""
        if self.state is SerfState.SHUTDOWN:
            raise self.closed_error()

    def closed_error(self) -> trio.ClosedResourceError:
        """What a call on a closed node raises."""
        return trio.ClosedResourceError(f"node {self.name!r} is closed")

    @contextmanager
    def until_closed(self) -> Iterator[None]:
        """Around every call of a user that waits: the end of the node ends the call, too.

        Raises:
          trio.ClosedResourceError: the node is closed, before the block or during it.
        """
        self.require_open()
        with trio.CancelScope() as scope:
            self._calls.add(scope)
            try:
                yield
            finally:
                self._calls.discard(scope)
        if scope.cancelled_caught:
            self.require_open()

    def end_calls(self) -> None:
        """The node is closed: end every block of `until_closed`."""
        for scope in self._calls:
            scope.cancel()
