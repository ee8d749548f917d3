"""What travelled, by kind: packets, the messages in them, and frames on streams.

A packet counts under its leading message: what a ping or an ack takes along is seen among the
messages.  A packet of gossip leads with a claim about a node or a user message.

Counting is on the way of every packet, so the keys are what is at hand there: the type byte
when writing, the class of the message when reading.  `Traffic.statistics` gives them names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, final

import attrs

from .._wire.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    MessageType,
    Nack,
    Ping,
    Suspect,
    UserMessage,
)
from .._wire.streams import PushPullState, UserMessageStream

Key: TypeAlias = "int | type[object]"

_CLASSES: Final[Mapping[type[object], MessageType]] = {
    Ping: MessageType.PING,
    IndirectPing: MessageType.INDIRECT_PING,
    Ack: MessageType.ACK,
    Suspect: MessageType.SUSPECT,
    Alive: MessageType.ALIVE,
    Dead: MessageType.DEAD,
    PushPullState: MessageType.PUSH_PULL,
    UserMessage: MessageType.USER,
    UserMessageStream: MessageType.USER,
    Nack: MessageType.NACK,
    ErrorReply: MessageType.ERROR,
}


@final
@attrs.frozen(kw_only=True)
class TrafficStatistics:
    """What travelled in one direction so far; kinds are Go's names in lower case.

    Args:
      packets, packet_bytes: datagrams as they travelled, by the kind of the leading message;
        what could not be read is not among them.
      messages: messages in packets, by kind.
      frames, frame_bytes: frames on streams as they travelled, by kind.
    """

    packets: Mapping[str, int]
    packet_bytes: Mapping[str, int]
    messages: Mapping[str, int]
    frames: Mapping[str, int]
    frame_bytes: Mapping[str, int]


@attrs.define(eq=False)
class Traffic:
    """Counts one direction."""

    packets: Counter[Key] = attrs.field(factory=Counter, init=False)
    packet_bytes: Counter[Key] = attrs.field(factory=Counter, init=False)
    messages: Counter[Key] = attrs.field(factory=Counter, init=False)
    frames: Counter[Key] = attrs.field(factory=Counter, init=False)
    frame_bytes: Counter[Key] = attrs.field(factory=Counter, init=False)

    def sent(self, parts: Sequence[bytes], size: int) -> None:
        """A packet of these messages, ``size`` bytes long, went out."""
        kind = parts[0][0]
        self.packets[kind] += 1
        self.packet_bytes[kind] += size
        messages = self.messages
        for part in parts:
            messages[part[0]] += 1

    def received(self, messages: Sequence[object], size: int) -> None:
        """A packet of these messages, ``size`` bytes long, came in."""
        if messages:
            kind = type(messages[0])
            self.packets[kind] += 1
            self.packet_bytes[kind] += size
            self.messages.update(map(type, messages))

    def frame(self, kind: Key, size: int) -> None:
        """A frame of ``size`` bytes travelled on a stream."""
        self.frames[kind] += 1
        self.frame_bytes[kind] += size

    def statistics(self) -> TrafficStatistics:
        """The counts of this moment."""
        return TrafficStatistics(
            packets=_named(self.packets),
            packet_bytes=_named(self.packet_bytes),
            messages=_named(self.messages),
            frames=_named(self.frames),
            frame_bytes=_named(self.frame_bytes),
        )


def _named(counts: Counter[Key]) -> Mapping[str, int]:
    # Another thread may ask: the counts are copied first.
    return MappingProxyType({_name(key): count for key, count in dict(counts).items()})


def _name(key: Key) -> str:
    return (MessageType(key) if isinstance(key, int) else _CLASSES[key]).name.lower()
