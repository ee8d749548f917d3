"""The messages of Serf, as frozen classes: what rides in memberlist's user messages.

Each class names its Go struct; the order of its fields is Go's order of declaration.

Source: hashicorp/serf v0.9.4, serf/messages.go, serf/query.go, serf/keymanager.go.
"""

from __future__ import annotations

import enum

import attrs

from .codec import Kind, wire


class SerfMessageType(enum.IntEnum):
    """First byte of a Serf message.  Leave is 0 and join is 1."""

    LEAVE = 0
    JOIN = 1
    PUSH_PULL = 2
    USER_EVENT = 3
    QUERY = 4
    QUERY_RESPONSE = 5
    CONFLICT_RESPONSE = 6
    KEY_REQUEST = 7
    KEY_RESPONSE = 8
    RELAY = 9


class FilterType(enum.IntEnum):
    """First byte of a query filter."""

    NODE = 0
    TAG = 1


QUERY_FLAG_ACK = 1
"""The asking node wants an ack."""
QUERY_FLAG_NO_BROADCAST = 2
"""Receivers do not pass the query on."""
RESPONSE_FLAG_ACK = 1
"""This response is an ack, not an answer."""


@attrs.frozen
class JoinIntent:
    """Go's ``messageJoin``."""

    ltime: int = wire("LTime", Kind.U64)
    node: str = wire("Node", Kind.STR)


@attrs.frozen
class LeaveIntent:
    """Go's ``messageLeave``.  ``prune`` asks to forget the member at once."""

    ltime: int = wire("LTime", Kind.U64)
    node: str = wire("Node", Kind.STR)
    prune: bool = wire("Prune", Kind.BOOL)


@attrs.frozen
class UserEventRecord:
    """Go's ``userEvent``: one event of an event ring slot."""

    name: str = wire("Name", Kind.STR)
    payload: bytes | None = wire("Payload", Kind.BYTES)


@attrs.frozen
class UserEventSlot:
    """Go's ``userEvents``: all events of one Lamport time."""

    ltime: int = wire("LTime", Kind.U64)
    events: tuple[UserEventRecord | None, ...] = wire(
        "Events", Kind.STRUCT_LIST, of=UserEventRecord
    )


@attrs.frozen
class PushPull:
    """Go's ``messagePushPull``: Serf's part of a state exchange.

    ``events`` is the ring in slot order; an unused slot is None.
    """

    ltime: int = wire("LTime", Kind.U64)
    status_ltimes: dict[str, int] = wire("StatusLTimes", Kind.U64_MAP)
    left_members: tuple[str, ...] = wire("LeftMembers", Kind.STR_LIST)
    event_ltime: int = wire("EventLTime", Kind.U64)
    events: tuple[UserEventSlot | None, ...] = wire(
        "Events", Kind.STRUCT_LIST, of=UserEventSlot
    )
    query_ltime: int = wire("QueryLTime", Kind.U64)


@attrs.frozen
class UserEventMessage:
    """Go's ``messageUserEvent``.  ``coalesce`` is ``CC`` on the wire."""

    ltime: int = wire("LTime", Kind.U64)
    name: str = wire("Name", Kind.STR)
    payload: bytes | None = wire("Payload", Kind.BYTES)
    coalesce: bool = wire("CC", Kind.BOOL)


@attrs.frozen
class QueryMessage:
    """Go's ``messageQuery``.  ``timeout`` is in nanoseconds, from reception."""

    ltime: int = wire("LTime", Kind.U64)
    id: int = wire("ID", Kind.U32)
    addr: bytes | None = wire("Addr", Kind.BYTES)
    port: int = wire("Port", Kind.U16)
    source_node: str = wire("SourceNode", Kind.STR)
    filters: tuple[bytes | None, ...] | None = wire("Filters", Kind.BYTES_LIST, default=None)
    flags: int = wire("Flags", Kind.U32)
    relay_factor: int = wire("RelayFactor", Kind.U8)
    timeout: int = wire("Timeout", Kind.INT)
    name: str = wire("Name", Kind.STR)
    payload: bytes | None = wire("Payload", Kind.BYTES)


@attrs.frozen
class QueryResponseMessage:
    """Go's ``messageQueryResponse``.  ``from_node`` is who answers."""

    ltime: int = wire("LTime", Kind.U64)
    id: int = wire("ID", Kind.U32)
    from_node: str = wire("From", Kind.STR)
    flags: int = wire("Flags", Kind.U32)
    payload: bytes | None = wire("Payload", Kind.BYTES)


@attrs.frozen
class UDPAddr:
    """Go's ``net.UDPAddr``."""

    ip: bytes | None = wire("IP", Kind.BYTES)
    port: int = wire("Port", Kind.INT)
    zone: str = wire("Zone", Kind.STR)


@attrs.frozen
class RelayHeader:
    """Go's ``relayHeader``: pass on what follows to ``dest_addr``."""

    dest_addr: UDPAddr = wire("DestAddr", Kind.STRUCT, of=UDPAddr)
    dest_name: str = wire("DestName", Kind.STR)


@attrs.frozen
class KeyRequest:
    """Go's ``keyRequest``: the raw key, or nothing to list."""

    key: bytes | None = wire("Key", Kind.BYTES, repr=False)


@attrs.frozen
class KeyAnswer:
    """Go's ``nodeKeyResponse``: what one node did with a key request.  Keys are base64."""

    result: bool = wire("Result", Kind.BOOL)
    message: str = wire("Message", Kind.STR)
    keys: tuple[str, ...] | None = wire("Keys", Kind.STR_LIST, default=None, repr=False)
    primary_key: str = wire("PrimaryKey", Kind.STR, repr=False)


@attrs.frozen
class MemberRecord:
    """Go's ``Member``, as sent in the answer to a conflict query."""

    name: str = wire("Name", Kind.STR)
    addr: bytes | None = wire("Addr", Kind.BYTES)
    port: int = wire("Port", Kind.U16)
    tags: dict[str, str] = wire("Tags", Kind.STR_MAP)
    status: int = wire("Status", Kind.INT)
    protocol_min: int = wire("ProtocolMin", Kind.U8)
    protocol_max: int = wire("ProtocolMax", Kind.U8)
    protocol_cur: int = wire("ProtocolCur", Kind.U8)
    delegate_min: int = wire("DelegateMin", Kind.U8)
    delegate_max: int = wire("DelegateMax", Kind.U8)
    delegate_cur: int = wire("DelegateCur", Kind.U8)


@attrs.frozen
class TagFilter:
    """Go's ``filterTag``: ``expr`` (RE2) must be found in tag ``tag``."""

    tag: str = wire("Tag", Kind.STR)
    expr: str = wire("Expr", Kind.STR)


@attrs.frozen
class CoordinateRecord:
    """Go's ``Coordinate``, as sent with every ack."""

    vec: tuple[float, ...] = wire("Vec", Kind.FLOAT_LIST)
    error: float = wire("Error", Kind.FLOAT)
    adjustment: float = wire("Adjustment", Kind.FLOAT)
    height: float = wire("Height", Kind.FLOAT)
# PLACEHOLDER-BODY
