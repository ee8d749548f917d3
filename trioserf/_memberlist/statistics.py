"""Counters and sizes of a membership half, frozen at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from .. import _attrs as attrs
from .._public_names import set_public_module
from .._swim.broadcasts import QueueStatistics
from .loop_lag import LoopLagStatistics
from .metrics import TrafficStatistics


@final
@attrs.frozen(kw_only=True)
class MemberlistStatistics:
    """Counters since the start, and sizes of this moment.

    Args:
      alive, suspect, dead, left: records by status, self included.
      incarnation: of this node.
      health_score: 0 is well.
      loop_lag: how late this node's tasks ran.
      queued_broadcasts: messages about nodes that wait to be gossiped.
      queue: the same queue in full: its depth, its age, and what left it how.
      pending_acks, relays: pings under way, this node's and those for peers.
      handoff: messages that wait for the worker; those that found no room are among
        ``bad_input`` as ``handoff``.
      seeds, lost: addresses and lost nodes remembered for healing partitions.
      heals: attempts to find missing parts again.
      streams: inbound streams being served.
      packets_sent, packets_received, bytes_sent, bytes_received: datagrams.
      packets_lost: datagrams that the system's full buffer lost; None if the transport does
        not count.
      packets_dropped: datagrams that arrived and found the system's receive buffer full; None
        if the transport or the system does not count them (Linux does).
      sent, received: packets, messages and frames by kind.
      probes, probes_indirect, probes_failed: probe rounds; those in which helpers were asked
        and a stream was tried; and those that ended in a suspicion.
      refusals, refusals_declared: nodes whose hosts refused their ports to this node, as often as
        that began, and those that it declared dead because of that.
      suspicions, suspicions_refuted: suspicions that began here, from any node; and
        those of them that were refuted.
      gossip_ticks, gossip_eager: gossip rounds by cause.
      push_pulls, push_pulls_failed: exchanges of full state that this node began.
      refuted: suspect and dead messages about this node that it refuted.
      conflicts: alive messages with a known name and another address.
      bad_input: dropped input, by layer.
      counts: every metric counter by Go's name.
    """

    alive: int
    suspect: int
    dead: int
    left: int
    incarnation: int
    health_score: int
    loop_lag: LoopLagStatistics
    queued_broadcasts: int
    queue: QueueStatistics
    pending_acks: int
    relays: int
    handoff: int
    seeds: int
    lost: int
    heals: int
    streams: int
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    packets_lost: int | None
    packets_dropped: int | None
    sent: TrafficStatistics
    received: TrafficStatistics
    probes: int
    probes_indirect: int
    probes_failed: int
    refusals: int
    refusals_declared: int
    suspicions: int
    suspicions_refuted: int
    gossip_ticks: int
    gossip_eager: int
    push_pulls: int
    push_pulls_failed: int
    refuted: int
    conflicts: int
    bad_input: Mapping[str, int]
    counts: Mapping[str, int]


set_public_module(MemberlistStatistics)
