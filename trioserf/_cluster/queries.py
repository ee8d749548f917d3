"""Queries: sent once, processed once by every node.

A query spreads like a user event; acks and responses go directly to the node that sent it.
That node processes its own query like any other: it may respond to itself, over the network.

The ring of seen queries works as the one of `user_events`, with query ids for events.

Source: hashicorp/serf v0.9.4, serf/serf.go, Query, handleQuery; serf/query.go,
DefaultQueryTimeout.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, cast

from .. import _attrs as attrs
from .._config import Config
from .._events import Member
from .._exceptions import (
    ConfigError,
    FeatureNotSupported,
    QueryError,
    RemoteProtocolError,
    ResponseTooLarge,
)
from .._public_names import set_public_module
from .._settings import is_encodable, is_int, is_number
from .._swim.token_bucket import TokenBucket
from .._text import short_repr
from .._wire.limits import MAX_I64
from .._wire.query_filters import encode_filters
from .._wire.serf_messages import (
    QUERY_FLAG_ACK,
    QUERY_FLAG_NO_BROADCAST,
    RESPONSE_FLAG_ACK,
    QueryMessage,
    QueryResponseMessage,
    encode_serf,
)
from ..abc import Address
from .effects import Broadcast, Count, Deliver, Drop, Effect, ExchangeState, Log, SendTo
from .filters import STEPS_PER_SECOND, matches
from .internal_queries import is_internal
from .lamport import REFUSED, LamportClock, RecentTimes
from .member_record import member_ip
from .responses import Relays, reply_address
from .size_limits import NO_LIMIT, check_query

_USUAL_INTERVAL = 0.2
"""Gossip interval on a local network (seconds)."""
INTERNAL_BURST: Final = 64
INTERNAL_RATE: Final = 8.0
"""Internal queries of others that are answered at once, and each second: votes and key operations
are rare, and their answers long."""
STRANGER_BURST: Final = 64
STRANGER_RATE: Final = 16.0
"""Answers, relayed copies included, to addresses that are no member's: those of nodes that have
just joined."""
MAX_SLOT_QUERIES: Final = 1 << 12
"""Queries of one Lamport time; more are dropped, as `user_events` does."""
MAX_KNOWN: Final = 1 << 16
"""Queries that are known as seen, all together: 6 MB at most."""
_QUERY_VERSION = 4
"""Serf protocol version from which on queries exist."""


def _names(value: Iterable[str] | None) -> tuple[str, ...]:
    """A text is one name, and no list of its letters."""
    given: object = () if value is None else value
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | bytearray | memoryview):
        text = short_repr(value)
        raise TypeError(f"filter_nodes={text}: expected a list or tuple of node names")
    names: tuple[object, ...] = tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"filter_nodes has {short_repr(name)}: expected node names")
        if not is_encodable(name):
            raise ConfigError("filter_nodes", name, "names that can be written in UTF-8")
    return cast("tuple[str, ...]", names)


def _tags(value: Mapping[str, str] | None) -> dict[str, str]:
    """Expressions that nobody can evaluate are refused here: no node would say why it is silent."""
    given: object = {} if value is None else value
    if not isinstance(given, Mapping):
        text = f"filter_tags={short_repr(value)}: expected a mapping of tags to expressions"
        raise TypeError(text)
    tags = dict(given)
    if not tags:
        return tags
    from .re2.program import compile_expression  # most programs never send such a query

    for tag, expression in tags.items():
        for item in cast("tuple[object, object]", (tag, expression)):
            if not isinstance(item, str):
                both = f"{short_repr(tag)}: {short_repr(expression)}"
                raise TypeError(f"filter_tags has {both}: expected two texts")
            if not is_encodable(item):
                raise ConfigError("filter_tags", item, "text that can be written in UTF-8")
        try:
            compile_expression(expression)
        except RemoteProtocolError as error:
            text = f"an RE2 expression for tag {short_repr(tag)}: {error}"
            raise ConfigError("filter_tags", expression, text) from None
    return tags


@attrs.frozen(kw_only=True)
class QueryParams:
    """The parameters of a query.

    Args:
      filter_nodes: only these nodes; empty means all.
      filter_tags: only nodes whose tags match, tag to RE2 expression.
      request_ack: whether every node that the query is for acknowledges at once.
      relay_factor: through how many other nodes each response is also sent (0 to 255).
      timeout: seconds; None or 0 means `default_timeout`.

    Raises:
      TypeError: a text where a list of names is expected, or no texts in it.
      ConfigError: an expression that RE2 does not know, or a number out of bounds.
    """

    filter_nodes: tuple[str, ...] = attrs.field(default=(), converter=_names)
    filter_tags: Mapping[str, str] = attrs.field(factory=dict, converter=_tags)
    request_ack: bool = False
    relay_factor: int = 0
    timeout: float | None = None

    def __attrs_post_init__(self) -> None:
        if not is_int(self.relay_factor) or not 0 <= self.relay_factor <= 255:
            raise ConfigError("relay_factor", self.relay_factor, "0 to 255")
        timeout = 0.0 if self.timeout is None else self.timeout
        if not is_number(timeout) or not 0 <= timeout < math.inf:
            raise ConfigError("timeout", timeout, "seconds, 0 or more, and an end")
        if not isinstance(self.request_ack, bool):
            raise ConfigError("request_ack", self.request_ack, "True or False")


@attrs.frozen(kw_only=True)
class OpenQuery:
    """A query of this node, ready to be sent: register it, then apply `effects`.

    Args:
      message: the query.
      deadline: when it ends (trio clock, seconds).
      effects: the local processing, and the broadcast.
    """

    message: QueryMessage
    deadline: float
    effects: tuple[Effect, ...]


def default_timeout(gossip_interval: float, mult: int, live_members: int) -> float:
    """The timeout of a query if none is given (seconds).

    DIFFERS: a lone node counts as one, and with gossip turned off its usual interval is
    used, so that queries do not end at once (test_a_query_without_live_members_still_has_time,
    test_a_query_without_gossip_still_has_time).
    """
    digits = math.ceil(math.log10(max(1, live_members) + 1))
    return (gossip_interval or _USUAL_INTERVAL) * mult * digits


@attrs.define(eq=False)
class _Slot:
    """The ids of the queries of one Lamport time."""

    ltime: int
    ids: set[int] = attrs.field(factory=set)


class QueryLog:
    """The queries seen lately; owner of the query clock.

    Args:
      config: settings of the node.
      rng: source of query ids, and of the choice of relays.
      members: gives all members, to choose relays from.

    Attributes:
      clock: the query clock.
      relays: of responses to queries.
      find_member: gives the member of a name; None lets queries of strangers be answered
        without a bound.
      min_time: queries before this Lamport time are ignored (raised by a snapshot).
      recent: the queries by Lamport time.
    """

    def __init__(
        self,
        config: Config,
        rng: random.Random,
        members: Callable[[], Sequence[Member]],
        *,
        clock: LamportClock | None = None,
        min_time: int = 0,
    ) -> None:
        self.clock: LamportClock = clock or LamportClock()
        self.clock.faithful = config.memberlist.faithful_go
        self.min_time = min_time
        self.relays: Relays = Relays(config, rng, members)
        self._config = config
        self._rng = rng
        self.recent: RecentTimes[_Slot] = RecentTimes(
            self.clock, config.query_buffer, self._slot_dropped
        )
        self._known = 0
        self._filters = TokenBucket(STEPS_PER_SECOND, STEPS_PER_SECOND)
        self._internal = TokenBucket(INTERNAL_BURST, INTERNAL_RATE)
        self._strangers = TokenBucket(STRANGER_BURST, STRANGER_RATE)
        self.find_member: Callable[[str], Member | None] | None = None

    def originate(
        self,
        name: str,
        payload: bytes,
        params: QueryParams,
        *,
        now: float,
        address: Address,
        live_members: int,
        tags: Mapping[str, str],
        packet_limit: int = NO_LIMIT,
    ) -> OpenQuery:
        """Send a query: build the message, process it here as any receiver would, and queue it.

        Args:
          address: the advertised address of this node, for responses.
          live_members: how many nodes memberlist sees alive.
          tags: the tags of this node.
          packet_limit: longest message that a packet of gossip has room for (bytes).

        Raises:
          FeatureNotSupported: the protocol version is below 4.
          QueryTooLarge: nothing was changed.
        """
        config = self._config
        if config.protocol_version < _QUERY_VERSION:
            raise FeatureNotSupported(
                f"Feature not supported: queries need protocol version {_QUERY_VERSION}, "
                f"configured is {config.protocol_version}"
            )
        timeout = params.timeout or default_timeout(
            config.memberlist.gossip_interval, config.query_timeout_mult, live_members
        )
        msg = QueryMessage(
            ltime=self.clock.time,
            id=self._rng.getrandbits(31),
            addr=address.to_bytes(),
            port=address.port,
            source_node=config.node_name,
            filters=encode_filters(params.filter_nodes, params.filter_tags) or None,
            flags=QUERY_FLAG_ACK if params.request_ack else 0,
            relay_factor=params.relay_factor,
            timeout=round(min(timeout * 1e9, MAX_I64)),
            name=name,
            payload=payload or None,
        )
        raw = encode_serf(msg)
        check_query(raw, config.query_size_limit, packet_limit)
        _, effects = self.on_query(msg, now, tags, local=True)
        effects.append(Broadcast(queue="query", message=raw, local=True))
        return OpenQuery(message=msg, deadline=now + timeout, effects=tuple(effects))

    def on_query(
        self,
        msg: QueryMessage,
        now: float,
        tags: Mapping[str, str],
        *,
        local: bool = False,
        private: bool = False,
    ) -> tuple[bool, list[Effect]]:
        """A query arrived.  Returns whether to rebroadcast it, and the effects.

        Args:
          now: trio clock (seconds).
          tags: those of this node.
          local: it was made here.
          private: it fits into no packet, and is not passed on.

        DIFFERS: Go also counts every query under its name, without a bound on the names
        (test_queries_are_counted_in_one_counter_whatever_their_name).
        """
        clock = self.clock
        again = not msg.flags & QUERY_FLAG_NO_BROADCAST
        private = private or not again
        spread = clock.observe(msg.ltime, now, private=private)
        if spread is None:
            return False, [*REFUSED]
        if msg.ltime < self.min_time:
            return False, []
        forgotten = msg.ltime <= self.recent.floor
        if forgotten or self.recent.is_old(msg.ltime):
            if forgotten or not clock.is_current(msg.ltime):
                problem = f"received old query {msg.name} of time {msg.ltime} (now {clock.time})"
                return False, [Drop("old_query", problem)]
            spread = (ExchangeState(),)
        if not self._is_new(msg):
            return False, []
        if clock.skipped and msg.ltime < clock.time - 1 and not private:
            clock.fill()
        effects: list[Effect] = [Count("serf.queries"), *spread]
        name = self._config.node_name
        bucket = None if local else self._filters
        result = matches(msg.filters or (), name, tags, bucket, now)
        if not result.passed:
            if result.exhausted:
                effects.append(Count("trioserf.serf.filters_over_budget"))
            elif result.problem is not None:
                problem = f"query {msg.name} of {msg.source_node} is ignored: {result.problem}"
                effects.append(Log(problem))
            return again, effects
        if not local and not self._take_answer(msg, now):
            effects.append(Count("trioserf.serf.queries_over_budget"))
            return again, effects
        if msg.flags & QUERY_FLAG_ACK:
            effects += self._acknowledge(msg)
        effects.append(Deliver(msg, now + msg.timeout / 1e9))
        return again, effects

    def _is_new(self, msg: QueryMessage) -> bool:
        slot = self.recent.get(msg.ltime)
        if slot is None:
            slot = _Slot(msg.ltime)
            self.recent.put(slot)
        elif msg.id in slot.ids or len(slot.ids) >= MAX_SLOT_QUERIES:
            return False
        slot.ids.add(msg.id)
        self._known += 1
        while self._known > MAX_KNOWN:
            self.recent.drop_lowest(1)
        return True

    def _slot_dropped(self, slot: _Slot) -> None:
        self._known -= len(slot.ids)

    def _take_answer(self, msg: QueryMessage, now: float) -> bool:
        """Whether one more such query is processed: its answer goes wherever it says.

        DIFFERS: Go answers every query, so a packet of compressed ones makes each node send many
        times its length to any address (test_internal_queries_are_answered_at_a_bounded_rate,
        test_queries_of_strangers_are_answered_at_a_bounded_rate).
        """
        if is_internal(msg.name) and not self._internal.take(now):
            return False
        if self.find_member is None:
            return True
        member = self.find_member(msg.source_node)
        if member is not None and (member.addr, member.port) == (
            member_ip(msg.addr or b""),
            msg.port,
        ):
            return True
        return self._strangers.take(now, 1 + msg.relay_factor)

    def _acknowledge(self, msg: QueryMessage) -> list[Effect]:
        try:
            address = reply_address(msg)
        except QueryError as error:
            return [Log(f"failed to send ack: {error}", "error")]
        name = self._config.node_name
        raw = encode_serf(QueryResponseMessage(msg.ltime, msg.id, name, RESPONSE_FLAG_ACK, None))
        effects: list[Effect] = [SendTo(address, msg.source_node, raw)]
        try:
            effects += self.relays.copies(raw, msg)
        except ResponseTooLarge as error:
            effects.append(Log(f"failed to relay ack: {error}", "error"))
        return effects


set_public_module(QueryParams)
