"""Queries: asked once, seen once, answered at most once."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import attrs

from .._config import Config
from .._events import Member
from .._wire.serf_messages import QueryMessage
from ..abc import Address
from .clock import LamportClock
from .effects import Effect, Reply


@attrs.frozen(kw_only=True)
class QueryParams:
    """How to ask.

    Args:
      filter_nodes: only these nodes; empty means all.
      filter_tags: only nodes whose tags fit, tag to RE2 expression.
      request_ack: whether every node that was asked acknowledges at once.
      relay_factor: through how many other nodes each answer is sent in addition (0 to 255).
      timeout: seconds; None or 0 means `default_timeout`.
    """

    filter_nodes: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    filter_tags: Mapping[str, str] = attrs.field(factory=dict)
    request_ack: bool = False
    relay_factor: int = 0
    timeout: float | None = None


@attrs.frozen(kw_only=True)
class OpenQuery:
    """A query of this node that is ready to go out: register it, then apply `effects`.

    Args:
      message: what is asked.
      deadline: when it ends (trio clock, seconds).
      effects: the local processing, and the broadcast.
    """

    message: QueryMessage
    deadline: float
    effects: tuple[Effect, ...]


def default_timeout(gossip_interval: float, mult: int, live_members: int) -> float:
    """How long a query waits for answers if nothing else was said (seconds)."""
    ...


class QueryLog:
    """The queries seen lately; owner of the query clock.

    Attributes:
      clock: the query clock.
      min_time: queries before this Lamport time are ignored (raised by a snapshot).
    """

    clock: LamportClock
    min_time: int

    def __init__(
        self,
        own_name: str,
        config: Config,
        *,
        clock: LamportClock | None = None,
        min_time: int = 0,
    ) -> None: ...

    def originate(
        self,
        name: str,
        payload: bytes,
        params: QueryParams,
        *,
        now: float,
        rng: random.Random,
        address: Address,
        live_members: int,
        tags: Mapping[str, str],
        members: Sequence[Member],
    ) -> OpenQuery:
        """Ask: build the message, process it here as any receiver would, and queue it.

        Args:
          address: the advertised address of this node, where answers come to.
          live_members: how many nodes memberlist sees alive.
          tags: the own tags.
          members: all members, to choose relays from.

        Raises:
          FeatureNotSupported: the protocol version is below 4.
          QueryTooLarge: nothing was changed.
        """
        ...

    def on_query(
        self,
        msg: QueryMessage,
        now: float,
        *,
        rng: random.Random,
        tags: Mapping[str, str],
        members: Sequence[Member],
    ) -> tuple[bool, list[Effect]]:
        """A query arrived.  Returns whether to pass it on, and the effects."""
        ...


class QueryResponder:
    """The right of this node to answer one delivered query, once.

    Args:
      query: as received.
      deadline: until when (trio clock, seconds).
      own_name: who answers.
      limit: longest encoded answer (bytes).
    """

    answered: bool

    def __init__(
        self, query: QueryMessage, *, deadline: float, own_name: str, limit: int
    ) -> None: ...

    def answer(
        self, payload: bytes, now: float, *, rng: random.Random, members: Sequence[Member]
    ) -> list[Reply]:
        """The packets of an answer: the direct one first, then the relayed copies.

        The query counts as answered once this returns.

        Raises:
          ResponseTooLarge: too long; may be tried again with less.
          AlreadyResponded: there was an answer before.
          DeadlineExceeded: it is too late.
          RelayError: the asking node's address is impossible.
        """
        ...
