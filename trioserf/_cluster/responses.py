"""Responses to a query, as the answering node sends them: directly, and through relays.

The response goes straight to the node that asked.  The query may want further copies through
other members, against lost packets; a relay passes on what it carries without looking at it.

Source: hashicorp/serf v0.9.4, serf/event.go, Query.respondWithMessageAndResponse;
serf/query.go, relayResponse, kRandomMembers; serf/delegate.go, NotifyMsg (messageRelayType).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from .._config import Config
from .._events import Member, MemberStatus
from .._exceptions import (
    AlreadyResponded,
    DeadlineExceeded,
    QueryError,
    RelayError,
    RemoteProtocolError,
    ResponseTooLarge,
)
from .._wire.serf_messages import (
    QueryMessage,
    QueryResponseMessage,
    RelayHeader,
    UDPAddr,
    decode_relay,
    encode_relay,
    encode_serf,
)
from ..abc import Address
from .effects import SendTo
from .member_record import member_address
from .size_limits import MAX_FORWARD, check_relay, check_response

RELAY_PROTOCOL = 5
"""Memberlist protocol version that a member must understand to be a relay."""


def choose_relays(
    rng: random.Random, members: Sequence[Member], local_name: str, factor: int
) -> list[Member]:
    """``factor`` distinct members that are alive, can relay, and are not this node; all if fewer.

    DIFFERS: Go draws with replacement, three times for each member, and in a small cluster
    sometimes misses a candidate: with two candidates of three members once in forty
    responses (test_no_candidate_is_missed).
    """
    candidates = [
        member
        for member in members
        if member.status is MemberStatus.ALIVE
        and member.protocol_max >= RELAY_PROTOCOL
        and member.name != local_name
    ]
    return rng.sample(candidates, min(factor, len(candidates)))


class Relays:
    """The relays of responses: other members that send them on, against lost packets.

    Args:
      config: settings of the node.
      rng: chooses the relays.
      members: gives all members.

    Attributes:
      local_name: the name of this node.
      limit: longest encoded response, relayed or not (bytes).
    """

    def __init__(
        self, config: Config, rng: random.Random, members: Callable[[], Sequence[Member]]
    ) -> None:
        self.local_name: str = config.node_name
        self.limit: int = config.query_response_size_limit
        self._rng = rng
        self._members = members

    def copies(self, raw: bytes, query: QueryMessage) -> list[SendTo]:
        """The encoded response ``raw`` wrapped for each relay that the query wants.

        In a cluster with fewer members than the query wants relays plus this node, none is used.

        Raises:
          ResponseTooLarge: the wrapped response is longer than `limit`.
        """
        factor = query.relay_factor
        members = self._members() if factor else ()
        if not factor or len(members) < factor + 1:
            return []
        header = RelayHeader(UDPAddr(query.addr, query.port), query.source_node)
        wrapped = encode_relay(header, raw)
        check_relay(wrapped, self.limit)
        return [
            SendTo(member_address(member), member.name, wrapped)
            for member in choose_relays(self._rng, members, self.local_name, factor)
        ]


def forward(data: bytes) -> SendTo:
    """Forward what a relay message carries, without decoding it.

    Raises:
      RemoteProtocolError: its header is broken, or what it carries does not fit a datagram.
    """
    header, inner = decode_relay(data)
    if len(inner) > MAX_FORWARD:
        raise RemoteProtocolError(f"relay of {len(inner)} bytes: expected at most {MAX_FORWARD}")
    to = header.dest_addr
    if not 0 < to.port <= 65535:
        raise RemoteProtocolError(f"relay to port {to.port}: expected 1 to 65535")
    try:
        address = Address.from_bytes(to.ip or b"", to.port)
    except ValueError:
        raise RemoteProtocolError(
            f"relay to an address of {len(to.ip or b'')} bytes: expected 4 or 16"
        ) from None
    return SendTo(address, header.dest_name, inner)


def reply_address(query: QueryMessage) -> Address:
    """Where responses to ``query`` go.

    Raises:
      QueryError: the query names an impossible address.
    """
    try:
        address = Address.from_bytes(query.addr or b"", query.port)
    except ValueError:
        raise QueryError(
            f"query {query.name!r} from {query.source_node!r} has an address of "
            f"{len(query.addr or b'')} bytes: expected 4 or 16"
        ) from None
    if not query.port:
        raise QueryError(f"query {query.name!r} from {query.source_node!r} has port 0")
    return address


class QueryResponder:
    """Responds to one delivered query, once.

    Args:
      query: as received.
      deadline: until when (trio clock, seconds).
      relays: of this node.

    Attributes:
      answered: whether the response was sent.
    """

    def __init__(self, query: QueryMessage, *, deadline: float, relays: Relays) -> None:
        self.answered = False
        self._query = query
        self._deadline = deadline
        self._relays = relays
        self._raw = b""

    def answer(self, payload: bytes, now: float) -> SendTo:
        """The packet of the response; `relayed` gives further copies of it.

        The query counts as answered once this returns.

        Raises:
          ResponseTooLarge: too long; a shorter one may be tried.
          AlreadyResponded: there was a response before.
          DeadlineExceeded: it is too late.
          QueryError: the query names an impossible address.
        """
        query = self._query
        name = self._relays.local_name
        raw = encode_serf(QueryResponseMessage(query.ltime, query.id, name, 0, payload or None))
        check_response(raw, self._relays.limit)
        if self.answered:
            raise AlreadyResponded(f"response already sent to query {query.name!r}")
        if now > self._deadline:
            raise DeadlineExceeded(
                f"response is past the deadline of query {query.name!r} "
                f"by {now - self._deadline:.3f} s"
            )
        reply = SendTo(reply_address(query), query.source_node, raw)
        self.answered = True
        self._raw = raw
        return reply

    def relayed(self) -> list[SendTo]:
        """Copies of the response for as many relays as the query wants; call it after `answer`.

        Raises:
          RelayError: the copies would be too long.
        """
        assert self.answered, "only a response that was sent can be relayed"
        try:
            return self._relays.copies(self._raw, self._query)
        except ResponseTooLarge as error:
            raise RelayError(f"failed to send relay response: {error}") from error
