"""Collecting acks and responses to the queries of this node.

A response may arrive more than once (directly, through relays), so the first copy counts and
the others are dropped.  Go waits for the whole timeout; here a collector also knows which
members are eligible, and so when nothing more is to come.

Source: hashicorp/serf v0.9.4, serf/query.go, QueryResponse; serf/serf.go,
handleQueryResponse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from .. import _attrs as attrs
from .._events import Member, MemberStatus
from .._public_names import set_public_module
from .._wire.serf_messages import (
    QUERY_FLAG_ACK,
    RESPONSE_FLAG_ACK,
    QueryMessage,
    QueryResponseMessage,
)
from .effects import Count, Effect, Log
from .filters import matches


def _short(payload: bytes) -> str:
    return repr(payload) if len(payload) <= 32 else f"{payload[:24]!r}… ({len(payload)} bytes)"


@attrs.frozen
class NodeResponse:
    """One node's response to a query.

    Args:
      node: its name.
      payload: the response.
    """

    node: str
    payload: bytes = attrs.field(repr=_short)


@attrs.frozen
class NodeAck:
    """One node's acknowledgement of a query."""

    node: str


def eligible_members(members: Sequence[Member], query: QueryMessage) -> frozenset[str]:
    """The names of the alive members that pass the filters of ``query``."""
    alive = (member for member in members if member.status is MemberStatus.ALIVE)
    filters = query.filters
    if not filters:
        return frozenset(member.name for member in alive)
    return frozenset(
        member.name for member in alive if matches(filters, member.name, member.tags).passed
    )


class QueryCollector:
    """The acks and responses to one query of this node.

    Args:
      query: as sent.
      deadline: when it ends (trio clock, seconds).
      eligible: names of the members from which a response can be expected.
      unknown: names that were asked for and are no members: nobody waits for them.

    Attributes:
      responses: first response of each node, by name, in order of arrival.
      acks: nodes that acknowledged, in order of arrival; None if no acks were requested.
    """

    def __init__(
        self,
        query: QueryMessage,
        deadline: float,
        eligible: Iterable[str] = (),
        unknown: Iterable[str] = (),
    ) -> None:
        self._unknown = frozenset(unknown)
        self.query = query
        self.deadline = deadline
        self.responses: dict[str, bytes] = {}
        self.acks: dict[str, None] | None = {} if query.flags & QUERY_FLAG_ACK else None
        self._awaited = set(eligible)
        self._awaited_acks = set() if self.acks is None else set(self._awaited)
        self._closed = False
        self._known: Collection[str] | None = None
        self._spare = 0
        self._strangers: set[str] = set()

    def limit_strangers(self, known: Collection[str], spare: int) -> None:
        """Drop responses of more than ``spare`` names that are not ``known``.

        Anybody can send responses in any name; they must not take the room of the members'.
        A node that has joined meanwhile is no member yet, and responds, too.

        DIFFERS: Go has room for a fixed number of responses of anybody
        (test_strangers_do_not_take_the_room_of_members).
        """
        self._known, self._spare = known, spare

    def _is_stranger(self, name: str) -> bool:
        """Whether to drop what comes under this name."""
        if self._known is None or name in self._known or name in self._strangers:
            return False
        if len(self._strangers) >= self._spare:
            return True
        self._strangers.add(name)
        return False

    def on_response(
        self, msg: QueryResponseMessage, now: float
    ) -> tuple[NodeResponse | NodeAck | None, list[Effect]]:
        """A response for this query arrived: what to deliver, None for a duplicate."""
        if msg.id != self.query.id:
            problem = f"query reply of {msg.from_node} has ID {msg.id}, not {self.query.id}"
            return None, [Log(problem)]
        if self.finished(now):
            return None, []
        if self._is_stranger(msg.from_node):
            return None, [Count("trioserf.serf.stranger_answers")]
        if msg.flags & RESPONSE_FLAG_ACK:
            return self._on_ack(msg.from_node)
        name = msg.from_node
        if name in self.responses:
            return None, [Count("serf.query_duplicate_responses")]
        self.responses[name] = msg.payload or b""
        self._awaited.discard(name)
        return NodeResponse(name, msg.payload or b""), [Count("serf.query_responses")]

    def _on_ack(self, name: str) -> tuple[NodeAck | None, list[Effect]]:
        if self.acks is None:
            problem = f"dropped an ack of {name}: none was requested"
            return None, [Count("serf.query_acks"), Log(problem)]
        if name in self.acks:
            return None, [Count("serf.query_duplicate_acks")]
        self.acks[name] = None
        self._awaited_acks.discard(name)
        return NodeAck(name), [Count("serf.query_acks")]

    def undelivered(self, item: NodeResponse | NodeAck) -> None:
        """There was no room for ``item``: a further copy of it counts as the first."""
        if isinstance(item, NodeResponse):
            self.responses.pop(item.node, None)
        elif self.acks is not None:
            self.acks.pop(item.node, None)

    def drop_members(self, names: Iterable[str]) -> bool:
        """These members failed, left or were reaped: no longer wait for them.

        Returns `everyone_answered`.
        """
        gone = set(names)
        self._awaited -= gone
        self._awaited_acks -= gone
        return self.everyone_answered

    @property
    def everyone_answered(self) -> bool:
        """Whether no response (nor requested ack) of an eligible member is missing."""
        return not self._awaited and not self._awaited_acks

    @property
    def missing(self) -> frozenset[str]:
        """Eligible members that have not responded and are not known to be gone."""
        return frozenset(self._awaited)

    @property
    def unanswered(self) -> frozenset[str]:
        """`missing`, and names that are no members and did not respond all the same."""
        return self.missing | (self._unknown - self.responses.keys())

    def close(self) -> None:
        """Accept no more responses."""
        self._closed = True

    def finished(self, now: float) -> bool:
        """Whether it was closed or is past its deadline."""
        return self._closed or now > self.deadline


class PendingQueries:
    """The open queries of this node, by Lamport time."""

    def __init__(self) -> None:
        self._collectors: dict[int, QueryCollector] = {}

    def __len__(self) -> int:
        return len(self._collectors)

    def add(self, collector: QueryCollector) -> None:
        """Register a query before it is sent."""
        self._collectors[collector.query.ltime] = collector

    def remove(self, collector: QueryCollector) -> None:
        """Forget a query whose time is over.  Nothing happens if it is not registered."""
        ltime = collector.query.ltime
        if self._collectors.get(ltime) is collector:
            del self._collectors[ltime]

    def on_response(
        self, msg: QueryResponseMessage, now: float
    ) -> tuple[QueryCollector | None, NodeResponse | NodeAck | None, list[Effect]]:
        """A response arrived: which query it is for, what to deliver, and the effects."""
        collector = self._collectors.get(msg.ltime)
        if collector is None:
            query = f"time {msg.ltime}, ID {msg.id}"
            stray = Log(f"reply of {msg.from_node} for a query that is not open ({query})")
            return None, None, [stray]
        item, effects = collector.on_response(msg, now)
        return collector, item, effects

    def drop_members(self, names: Iterable[str]) -> list[QueryCollector]:
        """Members are gone; returns the queries that are thereby complete."""
        gone = frozenset(names)
        return [
            collector
            for collector in self._collectors.values()
            if not collector.everyone_answered and collector.drop_members(gone)
        ]


set_public_module(NodeResponse)
