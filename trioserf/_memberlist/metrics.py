"""Counting: Go's metrics, which the tap gets as well, and traffic by kind of message.

Names are Go's.  A tap is the user's code: one that raises is removed and logged.

A packet counts under its leading message: what is piggy-backed on a ping or an ack is seen
among the messages.  A gossip packet leads with a message about a node or a user message.
Every packet is counted, so the key of a count is what needs no conversion: the type byte of a
message that is written, the class of one that is read.  `Traffic.statistics` gives them names.

Source: hashicorp/memberlist v0.2.2, the calls of go-metrics in net.go, state.go,
awareness.go, suspicion.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, final

from .. import _attrs as attrs
from .._wire.messages import BODY_TYPES, MessageType, UserMessage
from .._wire.streams import PushPullState, UserMessageStream
from ..abc import Tap
from .node_log import Log

Key: TypeAlias = "int | type[object]"

_CLASSES: Final[Mapping[type[object], MessageType]] = {
    **{cls: kind for kind, cls in BODY_TYPES.items()},
    PushPullState: MessageType.PUSH_PULL,
    UserMessage: MessageType.USER,
    UserMessageStream: MessageType.USER,
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


@attrs.define(eq=False)
class Metrics:
    """Go's metrics of one node, and its traffic.

    Args:
      tap: receives every metric too.
      labels: added to every metric.
    """

    tap: Tap | None
    labels: Mapping[str, str]
    log: Log
    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    sent: Traffic = attrs.field(factory=Traffic, init=False)
    received: Traffic = attrs.field(factory=Traffic, init=False)

    def count(self, name: str, value: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] += value
        if self.tap is not None:
            self._notify(self.tap.count, name, value, self.labels)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        if self.tap is not None:
            self._notify(self.tap.gauge, name, value, {**self.labels, **labels})

    def sample(self, name: str, value: float) -> None:
        """Add one observation; durations are milliseconds, as in Go."""
        if self.tap is not None:
            self._notify(self.tap.sample, name, value, self.labels)

    def packet_sent(self, messages: Sequence[bytes], size: int) -> None:
        """A packet of these messages, ``size`` bytes long, was sent."""
        self.counts["memberlist.udp.sent"] += size
        traffic, kind = self.sent, messages[0][0]
        traffic.packets[kind] += 1
        traffic.packet_bytes[kind] += size
        for message in messages:
            traffic.messages[message[0]] += 1
        if self.tap is not None:
            self._notify(self.tap.count, "memberlist.udp.sent", size, self.labels)

    def frame_sent(self, kind: MessageType, size: int) -> None:
        """A frame of ``size`` bytes was sent on a stream."""
        self.counts["memberlist.tcp.sent"] += size
        self.sent.frames[kind] += 1
        self.sent.frame_bytes[kind] += size
        if self.tap is not None:
            self._notify(self.tap.count, "memberlist.tcp.sent", size, self.labels)

    def frame_received(self, kind: type[object], size: int) -> None:
        """A frame of ``size`` bytes with a request of this class arrived on a stream."""
        self.received.frames[kind] += 1
        self.received.frame_bytes[kind] += size

    def packet_received(self, messages: Sequence[object], size: int) -> None:
        """A packet of these messages, ``size`` bytes long, arrived; none if it was unreadable."""
        self.counts["memberlist.udp.received"] += size
        if messages:
            traffic, kind = self.received, type(messages[0])
            traffic.packets[kind] += 1
            traffic.packet_bytes[kind] += size
            for message in messages:
                traffic.messages[type(message)] += 1
        if self.tap is not None:
            self._notify(self.tap.count, "memberlist.udp.received", size, self.labels)

    def _notify(
        self,
        hook: Callable[[str, float, Mapping[str, str]], object],
        name: str,
        value: float,
        labels: Mapping[str, str],
    ) -> None:
        try:
            hook(name, value, labels)
        except Exception:
            self.tap = None
            self.log.exception("the tap raised on %s and is removed", name)
