"""Sending an answer a second way: through other members, against lost packets.

Source: hashicorp/serf v0.9.4, serf/query.go, relayResponse, kRandomMembers;
serf/delegate.go, NotifyMsg (messageRelayType).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from .._events import Member, MemberStatus
from .._exceptions import RemoteProtocolError
from .._wire.serf_messages import (
    QueryMessage,
    RelayHeader,
    UDPAddr,
    decode_relay,
    encode_relay,
)
from ..abc import Address
from .effects import Reply
from .records import member_address
from .sizes import check_relay

RELAY_PROTOCOL = 5
"""Memberlist protocol version that a member must understand to be a relay."""
MAX_FORWARD = 65_507
"""Longest message that fits one datagram, and so is worth passing on (bytes)."""


def choose_relays(
    rng: random.Random, members: Sequence[Member], own_name: str, factor: int
) -> list[Member]:
    """``factor`` distinct members that are alive, can relay, and are not this node; all if fewer.

    DIFFERS: Go draws with replacement, three times for each member, and in a small cluster
    sometimes misses a relay that it has: with two candidates of three members once in forty
    answers (test_no_candidate_is_missed).
    """
    candidates = [
        member
        for member in members
        if member.status is MemberStatus.ALIVE
        and member.protocol_max >= RELAY_PROTOCOL
        and member.name != own_name
    ]
    return rng.sample(candidates, min(factor, len(candidates)))


def relayed_copies(
    raw: bytes,
    query: QueryMessage,
    *,
    own_name: str,
    limit: int,
    rng: random.Random,
    members: Sequence[Member],
) -> list[Reply]:
    """The encoded answer ``raw`` wrapped for each relay that the query wants.

    In a cluster with fewer members than the query wants relays and this node, none is used.

    Raises:
      ResponseTooLarge: the wrapped answer is longer than ``limit`` bytes.
    """
    factor = query.relay_factor
    if not factor or len(members) < factor + 1:
        return []
    header = RelayHeader(UDPAddr(query.addr, query.port), query.source_node)
    wrapped = encode_relay(header, raw)
    check_relay(wrapped, limit)
    return [
        Reply(member_address(member), member.name, wrapped)
        for member in choose_relays(rng, members, own_name, factor)
    ]


def forward(data: bytes) -> Reply:
    """Pass on what a relay message carries, unseen.

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
    return Reply(address, header.dest_name, inner)
