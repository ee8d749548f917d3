"""What a membership half can tell about itself, frozen at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import attrs


@final
@attrs.frozen(kw_only=True)
class MemberlistStatistics:
    """Counters since the start, and sizes of this moment.

    Args:
      alive, suspect, dead, left: records by status, self included.
      incarnation: the own incarnation.
      health_score: 0 is well.
      queued_broadcasts: messages about nodes that wait to be gossiped.
      pending_acks, relays: pings under way, of our own and for others.
      handoff: messages that wait for the worker.
      streams: inbound streams being served.
      packets_sent, packets_received, bytes_sent, bytes_received: datagrams.
      probes, probes_failed: probe rounds, and those that ended in a suspicion.
      gossip_ticks, gossip_eager: gossip rounds by cause.
      push_pulls, push_pulls_failed: exchanges of full state that we began.
      refuted: claims about ourselves that we refuted.
      conflicts: claims of a known name from another address.
      bad_input: dropped input, by layer.
      counts: every metric counter by Go's name.
    """

    alive: int
    suspect: int
    dead: int
    left: int
    incarnation: int
    health_score: int
    queued_broadcasts: int
    pending_acks: int
    relays: int
    handoff: int
    streams: int
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    probes: int
    probes_failed: int
    gossip_ticks: int
    gossip_eager: int
    push_pulls: int
    push_pulls_failed: int
    refuted: int
    conflicts: int
    bad_input: Mapping[str, int]
    counts: Mapping[str, float]
