"""The messages of Serf, as frozen classes: what is sent in memberlist's user messages.

Each class names its Go struct; the order of its fields is Go's order of declaration.  A
message is one type byte and one msgpack value; bytes behind it are ignored.  A relay message
is the exception: behind its header comes a whole further message.

Where a message may occur: the gossiped and answered ones (`decode_serf`) and relays in user
messages; `PushPull` in state exchanges only; conflict responses, key requests and key answers
inside the payloads of internal queries and their answers.

Source: hashicorp/serf v0.9.4, serf/messages.go, serf/query.go, serf/keymanager.go,
serf/internal_query.go, serf/delegate.go, serf/ping_delegate.go.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

from .. import _attrs as attrs
from .._exceptions import RemoteProtocolError
from .codec import Kind, decode, decode_prefix, encode, pack_value, wire

T = TypeVar("T")


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
    events: tuple[UserEventSlot | None, ...] = wire("Events", Kind.STRUCT_LIST, of=UserEventSlot)
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
    tags: dict[str, str] | None = wire("Tags", Kind.STR_MAP)
    status: int = wire("Status", Kind.INT)
    protocol_min: int = wire("ProtocolMin", Kind.U8)
    protocol_max: int = wire("ProtocolMax", Kind.U8)
    protocol_cur: int = wire("ProtocolCur", Kind.U8)
    delegate_min: int = wire("DelegateMin", Kind.U8)
    delegate_max: int = wire("DelegateMax", Kind.U8)
    delegate_cur: int = wire("DelegateCur", Kind.U8)


@attrs.frozen
class CoordinateRecord:
    """Go's ``Coordinate``, as sent with every ack."""

    vec: tuple[float, ...] = wire("Vec", Kind.FLOAT_LIST)
    error: float = wire("Error", Kind.FLOAT)
    adjustment: float = wire("Adjustment", Kind.FLOAT)
    height: float = wire("Height", Kind.FLOAT)


SerfMessage: TypeAlias = (
    LeaveIntent | JoinIntent | UserEventMessage | QueryMessage | QueryResponseMessage
)
"""What a user message may hold, relays apart."""

_SERF_BODIES: Final[Mapping[int, type[SerfMessage]]] = {
    SerfMessageType.LEAVE: LeaveIntent,
    SerfMessageType.JOIN: JoinIntent,
    SerfMessageType.USER_EVENT: UserEventMessage,
    SerfMessageType.QUERY: QueryMessage,
    SerfMessageType.QUERY_RESPONSE: QueryResponseMessage,
}
_TYPE_BYTES: Final[Mapping[type[Any], bytes]] = {
    **{cls: bytes((kind,)) for kind, cls in _SERF_BODIES.items()},
    PushPull: bytes((SerfMessageType.PUSH_PULL,)),
    KeyRequest: bytes((SerfMessageType.KEY_REQUEST,)),
    KeyAnswer: bytes((SerfMessageType.KEY_RESPONSE,)),
}
_RELAY: Final = bytes((SerfMessageType.RELAY,))
_CONFLICT_RESPONSE: Final = bytes((SerfMessageType.CONFLICT_RESPONSE,))
_LAST_INTENT: Final = int(SerfMessageType.JOIN)
"""Leave is 0 and join is 1: the two intents."""
_CACHED: Final = 4096
"""Intents that are cached."""
_CACHED_SIZE: Final = 256
"""Longest intent that is cached (bytes); names have at most 128 characters."""
PING_VERSION: Final = 1
"""First byte of a ping payload."""


# --- whole messages -----------------------------------------------------------------------


def encode_serf(message: SerfMessage | PushPull | KeyRequest | KeyAnswer) -> bytes:
    """Type byte and body.

    Raises:
      LocalProtocolError: a field holds what its kind cannot.
    """
    return _TYPE_BYTES[type(message)] + encode(message)


def decode_serf(data: bytes) -> SerfMessage:
    """A message that came by gossip or as a direct answer; relays go to `decode_relay`.

    Raises:
      RemoteProtocolError: empty, a type that has no place there, or a bad body.
    """
    if not data:
        raise RemoteProtocolError("empty message")
    cls = _SERF_BODIES.get(data[0])
    if cls is None:
        raise RemoteProtocolError(f"message of unknown type {data[0]}")
    if data[0] <= _LAST_INTENT and len(data) <= _CACHED_SIZE:
        return _decode_intent(data)
    return decode(cls, data[1:])


@lru_cache(maxsize=_CACHED)
def _decode_intent(data: bytes) -> SerfMessage:
    """An intent: gossip brings it again and again in the same bytes, so it is decoded once."""
    return decode(_SERF_BODIES[data[0]], data[1:])


def _decode_typed(cls: type[T], kind: SerfMessageType, data: bytes) -> T:
    if not data:
        raise RemoteProtocolError(f"empty where a message of type {kind:d} belongs")
    if data[0] != kind:
        raise RemoteProtocolError(f"message of type {data[0]} where type {kind:d} belongs")
    return decode(cls, data[1:])


def decode_push_pull(data: bytes) -> PushPull:
    """Serf's part of a state exchange.

    Raises:
      RemoteProtocolError: empty, another type, or a bad body.
    """
    return _decode_typed(PushPull, SerfMessageType.PUSH_PULL, data)


def encode_relay(header: RelayHeader, inner: bytes) -> bytes:
    """A message that asks its receiver to pass ``inner`` on; ``inner`` is a whole message."""
    return _RELAY + encode(header) + inner


def decode_relay(data: bytes) -> tuple[RelayHeader, bytes]:
    """Where a relay message shall go, and what: the bytes behind the header, unchanged.

    Raises:
      RemoteProtocolError: another type, a bad header, or nothing to pass on.
    """
    if data[:1] != _RELAY:
        raise RemoteProtocolError("not a relay message")
    header, end = decode_prefix(RelayHeader, data, 1)
    if end == len(data):
        raise RemoteProtocolError("relay of nothing")
    return header, data[end:]


# --- inside queries and answers -----------------------------------------------------------


def encode_conflict_response(member: MemberRecord | None) -> bytes:
    """The answer to a conflict query; None for a name that is not known here."""
    return _CONFLICT_RESPONSE + (pack_value(None) if member is None else encode(member))


def decode_conflict_response(payload: bytes) -> MemberRecord | None:
    """What a node knows of a name; None if nothing.

    Raises:
      RemoteProtocolError: empty, another type, or a bad body.
    """
    member = _decode_typed(MemberRecord, SerfMessageType.CONFLICT_RESPONSE, payload)
    return None if payload[1:2] == pack_value(None) else member


def decode_key_request(payload: bytes) -> KeyRequest:
    """The payload of a key query.

    Raises:
      RemoteProtocolError: empty, another type, or a bad body.

    DIFFERS: Go crashes on an empty payload and does not look at the type.
    Test: test_a_key_request_is_refused_when_empty_or_of_another_type.
    """
    return _decode_typed(KeyRequest, SerfMessageType.KEY_REQUEST, payload)


def decode_key_answer(payload: bytes) -> KeyAnswer:
    """The payload of an answer to a key query.

    Raises:
      RemoteProtocolError: empty, another type, or a bad body; the text is Go's.
    """
    if payload[:1] != _TYPE_BYTES[KeyAnswer]:
        raise RemoteProtocolError(f"Invalid key query response type: {_go_bytes(payload)}")
    try:
        return decode(KeyAnswer, payload[1:])
    except RemoteProtocolError as error:
        raise RemoteProtocolError(
            f"Failed to decode key query response: {_go_bytes(payload)}"
        ) from error


def _go_bytes(data: bytes) -> str:
    """Bytes as Go's ``%v`` shows them, cut after the first 64."""
    more = " …" if len(data) > 64 else ""
    return f"[{' '.join(map(str, data[:64]))}{more}]"


def encode_ping_payload(coordinate: CoordinateRecord) -> bytes:
    """What an ack carries when coordinates are on."""
    return bytes((PING_VERSION,)) + encode(coordinate)


def decode_ping_payload(payload: bytes) -> CoordinateRecord | None:
    """The coordinate of a peer; None if it sent nothing, as with coordinates off.

    Raises:
      RemoteProtocolError: another version, or a bad body.
    """
    if not payload:
        return None
    if payload[0] != PING_VERSION:
        raise RemoteProtocolError(f"ping payload of version {payload[0]}: expected {PING_VERSION}")
    return decode(CoordinateRecord, payload[1:])
