"""What a simulated network shows of itself: counts of packets and bytes, and a trace.

A trace function sees every entry as it happens.  `TraceDigest` folds them into one hash:
two runs of one seed are the same run if their digests are.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias, final

from .. import _attrs as attrs
from ..abc import Address


@final
@attrs.frozen(kw_only=True)
class LinkStatistics:
    """Counts of one direction between two hosts.

    Args:
      packets, size: packets sent on it, and their bytes.
      dropped: of these, how many never arrived.
    """

    packets: int
    size: int
    dropped: int


@final
@attrs.frozen(kw_only=True)
class NetworkStatistics:
    """Counts since the network was made.

    Args:
      packets_sent, bytes_sent: handed to the network by the nodes.
      packets_delivered, bytes_delivered: handed to a node; doubles count twice.
      dropped: packets that never arrived, by reason: ``loss``, ``queue`` (no room before
        the bandwidth), ``mtu``, ``cut`` (a cut or a partition), ``nobody`` (no such host
        or port), ``buffer`` (the receiver was too slow).
      duplicated, reordered, corrupted: what else the links did to packets.
      streams: streams that were opened.
      stream_bytes: bytes that arrived on streams.
      wake_ups: how often the delivery task woke up.
      under_way: deliveries still to come.
      links: counts by ``(source, target)``; empty unless ``count_links=True``.
    """

    packets_sent: int
    bytes_sent: int
    packets_delivered: int
    bytes_delivered: int
    dropped: Mapping[str, int]
    refusals: int
    duplicated: int
    reordered: int
    corrupted: int
    streams: int
    stream_bytes: int
    wake_ups: int
    under_way: int
    links: Mapping[tuple[str, str], LinkStatistics]


@attrs.define(eq=False)
class Counts:
    """The running numbers behind `NetworkStatistics`."""

    packets_sent: int = 0
    bytes_sent: int = 0
    packets_delivered: int = 0
    bytes_delivered: int = 0
    refusals: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    streams: int = 0
    stream_bytes: int = 0
    dropped: Counter[str] = attrs.field(factory=Counter)
    links: dict[tuple[str, str], list[int]] = attrs.field(factory=dict)

    def snapshot(self, *, wake_ups: int, under_way: int) -> NetworkStatistics:
        """The numbers as they are now."""
        return NetworkStatistics(
            packets_sent=self.packets_sent,
            bytes_sent=self.bytes_sent,
            packets_delivered=self.packets_delivered,
            bytes_delivered=self.bytes_delivered,
            dropped=MappingProxyType(dict(self.dropped)),
            refusals=self.refusals,
            duplicated=self.duplicated,
            reordered=self.reordered,
            corrupted=self.corrupted,
            streams=self.streams,
            stream_bytes=self.stream_bytes,
            wake_ups=wake_ups,
            under_way=under_way,
            links=MappingProxyType(
                {
                    pair: LinkStatistics(packets=packets, size=size, dropped=dropped)
                    for pair, (packets, size, dropped) in self.links.items()
                }
            ),
        )


class TraceEntry(NamedTuple):
    """One thing that happened.

    Args:
      time: when (trio clock, seconds).
      what: ``send``, ``deliver`` or ``drop <reason>`` of a packet, or ``refuse`` for the report
        that no process has its port; ``stream open``,
        ``stream data``, ``stream eof`` or ``stream reset`` as they arrive.
      source, target: from where to where.
      data: the bytes, if any.
    """

    time: float
    what: str
    source: Address
    target: Address
    data: bytes


Trace: TypeAlias = Callable[[TraceEntry], object]
"""Called for every entry; a plain function that does not raise."""


@final
class TraceDigest:
    """A trace function that keeps one hash of all entries."""

    __slots__ = ("_hash", "count")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count: int = 0
        """Entries seen."""

    def __call__(self, entry: TraceEntry) -> None:
        self.count += 1
        line = f"{entry.time:.9f} {entry.what} {entry.source} {entry.target} {len(entry.data)} "
        self._hash.update(line.encode())
        self._hash.update(entry.data)

    def hexdigest(self) -> str:
        """The hash of the entries so far, in hexadecimal."""
        return self._hash.hexdigest()
