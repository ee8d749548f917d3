"""What a membership half can tell about itself, frozen at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from .. import _attrs as attrs
from .._swim.broadcasts import QueueStatistics
from .._swim.nodes import NodeStatus
from .metrics import TrafficStatistics

if TYPE_CHECKING:
    from .parts import Parts


@final
@attrs.frozen(kw_only=True)
class MemberlistStatistics:
    """Counters since the start, and sizes of this moment.

    Args:
      alive, suspect, dead, left: records by status, self included.
      incarnation: the own incarnation.
      health_score: 0 is well.
      queued_broadcasts: messages about nodes that wait to be gossiped.
      queue: the same queue in full: its depth, its age, and what left it how.
      pending_acks, relays: pings under way, of our own and for others.
      handoff: messages that wait for the worker; those that found no room are among
        ``bad_input`` as ``handoff``.
      seeds, lost: addresses and lost nodes remembered for healing partitions.
      heals: attempts to find missing parts again.
      streams: inbound streams being served.
      packets_sent, packets_received, bytes_sent, bytes_received: datagrams.
      packets_lost: datagrams that the system's full buffer lost; None if the transport does
        not count.
      sent, received: packets, messages and frames by kind.
      probes, probes_indirect, probes_failed: probe rounds; those in which helpers were asked
        and a stream was tried; and those that ended in a suspicion.
      suspicions, suspicions_refuted: suspicions that began here, whoever had them first; and
        those that their node ended by a sign of life.
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
    sent: TrafficStatistics
    received: TrafficStatistics
    probes: int
    probes_indirect: int
    probes_failed: int
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


def collect(parts: Parts) -> MemberlistStatistics:
    """The numbers of this moment."""
    status = parts.table.counts()
    own = parts.table.nodes.get(parts.config.name)
    transport = parts.transport.statistics()
    return MemberlistStatistics(
        alive=status.get(NodeStatus.ALIVE, 0),
        suspect=status.get(NodeStatus.SUSPECT, 0),
        dead=status.get(NodeStatus.DEAD, 0),
        left=status.get(NodeStatus.LEFT, 0),
        incarnation=own.incarnation if own is not None else 0,
        health_score=parts.awareness.score,
        queued_broadcasts=len(parts.queue),
        queue=parts.queue.statistics(),
        pending_acks=len(parts.pending),
        relays=len(parts.indirect_pings),
        handoff=len(parts.handoff),
        seeds=len(parts.seeds.joined),
        lost=len(parts.seeds.lost),
        heals=parts.healer.attempts,
        streams=len(parts.stream_server),
        packets_sent=parts.sender.packets,
        packets_received=parts.receiver.packets,
        bytes_sent=parts.sender.bytes_sent,
        bytes_received=parts.receiver.bytes_received,
        packets_lost=None if transport is None else transport.packets_lost,
        sent=parts.metrics.sent.statistics(),
        received=parts.metrics.received.statistics(),
        probes=parts.prober.probes,
        probes_indirect=parts.prober.indirect,
        probes_failed=parts.prober.failed,
        suspicions=parts.table.suspicions.begun,
        suspicions_refuted=parts.table.suspicions.refuted,
        gossip_ticks=parts.gossiper.ticks,
        gossip_eager=parts.gossiper.eager_rounds,
        push_pulls=parts.client.push_pulls,
        push_pulls_failed=parts.client.push_pulls_failed,
        refuted=parts.apply.refuted,
        conflicts=parts.apply.conflicts,
        bad_input=MappingProxyType(dict(parts.drop_log.counts)),
        counts=MappingProxyType(dict(parts.metrics.counts)),
    )
