"""The messages of the membership protocol, as frozen classes.

Each class names its Go struct; the order of its fields is Go's order of declaration.
`encode_message` gives type byte and body, `decode_message` reads the two.

Source: hashicorp/memberlist v0.2.2, net.go (messageType and the structs below it).
"""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import Final, TypeAlias

from .. import _attrs as attrs
from .._exceptions import RemoteProtocolError
from .codec import Kind, decode, encode, wire


class MessageType(enum.IntEnum):
    """First byte of a memberlist message."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESS = 9
    ENCRYPT = 10
    NACK = 11
    HAS_CRC = 12
    ERROR = 13
    HAS_LABEL = 244


TYPE_BYTES: Final = {kind: bytes((kind,)) for kind in MessageType}
"""What a message begins with, by its type."""

_BRIEF: Final = 40
"""Longer bodies (bytes) are shown as their length."""


@attrs.frozen
class Ping:
    """Go's ``ping``.  An empty ``node`` means that the receiver need not check its name."""

    seq_no: int = wire("SeqNo", Kind.U32)
    node: str = wire("Node", Kind.STR)
    source_addr: bytes | None = wire("SourceAddr", Kind.BYTES, omit_empty=True)
    source_port: int = wire("SourcePort", Kind.U16, omit_empty=True)
    source_node: str = wire("SourceNode", Kind.STR, omit_empty=True)


@attrs.frozen
class IndirectPing:
    """Go's ``indirectPingReq``: please ping ``target:port`` for me."""

    seq_no: int = wire("SeqNo", Kind.U32)
    target: bytes | None = wire("Target", Kind.BYTES)
    port: int = wire("Port", Kind.U16)
    node: str = wire("Node", Kind.STR)
    nack: bool = wire("Nack", Kind.BOOL)
    source_addr: bytes | None = wire("SourceAddr", Kind.BYTES, omit_empty=True)
    source_port: int = wire("SourcePort", Kind.U16, omit_empty=True)
    source_node: str = wire("SourceNode", Kind.STR, omit_empty=True)


@attrs.frozen
class Ack:
    """Go's ``ackResp``.  ``payload`` is the ping handler's; nil over streams and relays."""

    seq_no: int = wire("SeqNo", Kind.U32)
    payload: bytes | None = wire("Payload", Kind.BYTES)


@attrs.frozen
class Nack:
    """Go's ``nackResp``: the helper is alive but the target did not answer in time."""

    seq_no: int = wire("SeqNo", Kind.U32)


@attrs.frozen
class ErrorReply:
    """Go's ``errResp``, the answer to a stream that could not be read."""

    error: str = wire("Error", Kind.STR)


@attrs.frozen
class Suspect:
    """Go's ``suspect``: ``from_node`` suspects ``node``."""

    incarnation: int = wire("Incarnation", Kind.U32)
    node: str = wire("Node", Kind.STR)
    from_node: str = wire("From", Kind.STR)


@attrs.frozen
class Alive:
    """Go's ``alive``.  ``versions`` is ``pmin pmax pcur dmin dmax dcur``, six bytes."""

    incarnation: int = wire("Incarnation", Kind.U32)
    node: str = wire("Node", Kind.STR)
    addr: bytes | None = wire("Addr", Kind.BYTES)
    port: int = wire("Port", Kind.U16)
    meta: bytes | None = wire("Meta", Kind.BYTES)
    versions: bytes | None = wire("Vsn", Kind.BYTES)


@attrs.frozen
class Dead:
    """Go's ``dead``.  A node that names itself as ``from_node`` is leaving."""

    incarnation: int = wire("Incarnation", Kind.U32)
    node: str = wire("Node", Kind.STR)
    from_node: str = wire("From", Kind.STR)


@attrs.frozen
class PushPullHeader:
    """Go's ``pushPullHeader``: how many records and how many bytes of user state follow."""

    nodes: int = wire("Nodes", Kind.INT)
    user_state_len: int = wire("UserStateLen", Kind.INT)
    join: bool = wire("Join", Kind.BOOL)


@attrs.frozen
class UserMessageHeader:
    """Go's ``userMsgHeader``: how many bytes of user message follow on the stream."""

    length: int = wire("UserMsgLen", Kind.INT)


@attrs.frozen(weakref_slot=False)
class NodeRecord:
    """Go's ``pushNodeState``: one node in a push/pull.  ``status`` as `NodeStatus`."""

    name: str = wire("Name", Kind.STR)
    addr: bytes | None = wire("Addr", Kind.BYTES)
    port: int = wire("Port", Kind.U16)
    meta: bytes | None = wire("Meta", Kind.BYTES)
    incarnation: int = wire("Incarnation", Kind.U32)
    status: int = wire("State", Kind.INT)
    versions: bytes | None = wire("Vsn", Kind.BYTES)


@attrs.frozen
class Compressed:
    """Go's ``compress``.  ``algorithm`` 0 is LZW."""

    algorithm: int = wire("Algo", Kind.U8)
    buffer: bytes | None = wire("Buf", Kind.BYTES, repr=lambda buffer: _brief(buffer or b""))


def _brief(body: bytes) -> str:
    return repr(body) if len(body) <= _BRIEF else f"<{len(body)} bytes>"


@attrs.frozen
class UserMessage:
    """A user message in a packet: the bytes after the type byte, opaque to memberlist."""

    body: bytes = attrs.field(repr=_brief)


PacketMessage: TypeAlias = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | UserMessage
"""What may come out of a datagram, once every layer is off."""

BODY_TYPES: Final = {
    MessageType.PING: Ping,
    MessageType.INDIRECT_PING: IndirectPing,
    MessageType.ACK: Ack,
    MessageType.SUSPECT: Suspect,
    MessageType.ALIVE: Alive,
    MessageType.DEAD: Dead,
    MessageType.NACK: Nack,
    MessageType.ERROR: ErrorReply,
}

_FIRST_BYTES: Final = {cls: TYPE_BYTES[kind] for kind, cls in BODY_TYPES.items()}
_PACKET_BODIES: Final = {
    int(kind): cls for kind, cls in BODY_TYPES.items() if cls is not ErrorReply
}


_USER: Final = int(MessageType.USER)
USER_PREFIX: Final = TYPE_BYTES[MessageType.USER]
"""The type byte of a user message, as the bytes that it begins with."""
_ALIVE: Final = TYPE_BYTES[MessageType.ALIVE]
_ABOUT_NODES: Final = frozenset(
    map(int, (MessageType.SUSPECT, MessageType.ALIVE, MessageType.DEAD))
)
_CACHED: Final = 4096
"""Messages about nodes that are cached."""
_CACHED_SIZE: Final = 1024
"""Longest of them (bytes); an alive message with all metadata is shorter."""


def encode_message(message: PacketMessage | ErrorReply) -> bytes:
    """A message as it is sent: type byte and body.

    Raises:
      LocalProtocolError: a field holds what its kind cannot.
    """
    if type(message) is UserMessage:
        return USER_PREFIX + message.body
    if type(message) is Alive:
        return _encode_alive(message)
    return _FIRST_BYTES[type(message)] + encode(message)


@lru_cache(maxsize=_CACHED)
def _encode_alive(alive: Alive) -> bytes:
    """An alive message, which all simulated nodes of a process rebroadcast unchanged."""
    return _ALIVE + encode(alive)


def decode_message(data: bytes) -> PacketMessage:
    """One bare message of a packet; bytes after its body are ignored.

    Raises:
      RemoteProtocolError: empty, a type that has no place in a packet, or a bad body.
    """
    if not data:
        raise RemoteProtocolError("empty message")
    kind = data[0]
    if kind == _USER:
        return UserMessage(data[1:])
    if kind in _ABOUT_NODES and len(data) <= _CACHED_SIZE:
        return _decode_cached(data)
    cls = _PACKET_BODIES.get(kind)
    if cls is not None:
        return decode(cls, data[1:])
    raise RemoteProtocolError(f"message type {kind} in a packet")


@lru_cache(maxsize=_CACHED)
def _decode_cached(data: bytes) -> PacketMessage:
    """A message about a node, which gossip brings again and again in the same bytes.

    So it is decoded once, and every receiver gets the same frozen object.  What cannot be read is
    not cached.
    """
    return decode(_PACKET_BODIES[data[0]], data[1:])
