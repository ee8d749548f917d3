"""Collecting what comes back for the queries of this node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from .._events import Member
from .._wire.serf_messages import QueryMessage, QueryResponseMessage
from .effects import Effect


@attrs.frozen
class NodeResponse:
    """One node's answer to a query.

    Args:
      node: who answered.
      payload: what.
    """

    node: str
    payload: bytes


@attrs.frozen
class NodeAck:
    """One node's acknowledgement of a query."""

    node: str


def eligible_members(members: Sequence[Member], query: QueryMessage) -> frozenset[str]:
    """The names of the alive members that pass the filters of ``query``."""
    ...


class QueryCollector:
    """The answers to one query of this node.

    Args:
      query: what was asked.
      deadline: when it ends (trio clock, seconds).
      eligible: names of the members from which an answer can be expected.

    Attributes:
      responses: first answer of each node, by name, in order of arrival.
      acks: nodes that acknowledged, in order of arrival; None if that was not asked for.
    """

    query: QueryMessage
    deadline: float
    responses: dict[str, bytes]
    acks: dict[str, None] | None

    def __init__(
        self, query: QueryMessage, *, deadline: float, eligible: Iterable[str] = ()
    ) -> None: ...

    def on_response(
        self, msg: QueryResponseMessage, now: float
    ) -> tuple[NodeResponse | NodeAck | None, list[Effect]]:
        """A response for this query arrived: what to hand on, None for a duplicate."""
        ...

    def undelivered(self, item: NodeResponse | NodeAck) -> None:
        """There was no room for ``item``: a further copy of it counts as the first."""
        ...

    def drop_members(self, names: Iterable[str]) -> None:
        """These members failed, left or were forgotten: no longer wait for them."""
        ...

    @property
    def everyone_answered(self) -> bool:
        """Whether no answer (nor wanted ack) of an eligible member is missing."""
        ...

    @property
    def missing(self) -> frozenset[str]:
        """Eligible members that have not answered and are not known to be gone."""
        ...

    def close(self) -> None:
        """Take no more answers."""
        ...

    def finished(self, now: float) -> bool:
        """Whether it was closed or is past its deadline."""
        ...


class PendingQueries:
    """The open queries of this node, by Lamport time."""

    def add(self, collector: QueryCollector) -> None:
        """Register a query before its message goes out."""
        ...

    def remove(self, collector: QueryCollector) -> None:
        """Its timeout has passed.  Nothing happens if it is not registered."""
        ...

    def on_response(
        self, msg: QueryResponseMessage, now: float
    ) -> tuple[QueryCollector | None, NodeResponse | NodeAck | None, list[Effect]]:
        """A response arrived: which query it is for, what to hand on, and the effects."""
        ...

    def drop_members(self, names: Iterable[str]) -> list[QueryCollector]:
        """Members are gone; returns the queries that thereby have all their answers."""
        ...
