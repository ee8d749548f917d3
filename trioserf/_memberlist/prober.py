"""Task: probes one node after another.

A probe that is answered costs one wake-up: the task sends the ping and sleeps; the ack is
handled in the receive path, which moves the alarm to the next probe.  Only a node that
does not answer within ``probe_timeout`` makes the task ask helpers and try a stream.

Source: hashicorp/memberlist v0.2.2, state.go: schedule, probe, probeNode.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError
from .._swim.awareness import Awareness
from .._swim.nodes import Node, NodeStatus
from .._swim.probing import ProbeRound, ProbeSchedule, StreamPing
from .._swim.table import NodeTable
from .._wire.messages import Ack
from ..abc import Address, PingHandler
from .alarm import Alarm
from .apply import Applier
from .drop_log import DropLog
from .history import History
from .metrics import Metrics
from .node_log import Log
from .packet_sender import PacketSender
from .pending_acks import PendingAcks
from .refusal_detector import RefusalDetector
from .stream_client import StreamClient


@attrs.define(eq=False, kw_only=True)
class Prober:
    """The failure detector.

    Args:
      let_refute: is given a suspect that answers on a stream, but not to packets.
    """

    config: MemberlistConfig
    table: NodeTable
    schedule: ProbeSchedule
    sender: PacketSender
    client: StreamClient
    pending_acks: PendingAcks
    awareness: Awareness
    apply: Applier
    ping: PingHandler | None
    rng: random.Random
    history: History
    drop_log: DropLog
    metrics: Metrics
    log: Log
    refusals: RefusalDetector
    let_refute: Callable[[Node], Awaitable[None]]
    probes: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    indirect: int = attrs.field(default=0, init=False)
    _without_packets: set[str] = attrs.field(factory=set, init=False)
    """Nodes that answered on a stream alone, for which that was logged."""
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)
    _probe_at: float = attrs.field(default=0.0, init=False)

    async def run(self) -> None:
        """Probe until cancelled.  Returns at once if probing is turned off."""
        interval = self.config.probe_interval
        if interval <= 0:
            await trio.lowlevel.checkpoint()
            return
        self._probe_at = trio.current_time() + self.rng.random() * interval
        while True:
            # An answered probe has slept until then already.
            if trio.current_time() < self._probe_at:
                await self._sleep_until(self._probe_at)
            now = trio.current_time()
            # However many probes a long one delayed, the next one stands for all.
            self._probe_at += (math.floor((now - self._probe_at) / interval) + 1) * interval
            if self._probe_at <= now:  # the quotient was rounded down
                self._probe_at += interval
            node, effects = self.schedule.next_node(now)
            self.apply(effects)
            if node is not None:
                await self._probe(node, now)

    def wakes_at(self, earliest: float) -> float:
        """The first time at which this task wakes anyway, not before ``earliest``.

        For tasks to which the moment does not matter: together they wake the process once.  It is
        ``earliest`` if nothing is probed.
        """
        interval = self.config.probe_interval
        if interval <= 0:
            return earliest
        rounds = max(0, math.ceil((earliest - self._probe_at) / interval))
        return self._probe_at + rounds * interval

    async def _sleep_until(self, deadline: float) -> None:
        alarm, lag = self._alarm, self.history.loop_lag
        alarm.set(deadline)
        while alarm.deadline != math.inf:
            await alarm.wait()
        lag.last = alarm.late
        if alarm.late >= lag.limit:
            lag.blocked(alarm.late, trio.current_time())

    async def _probe(self, node: Node, now: float) -> None:
        probe = ProbeRound(
            node,
            local=self.table.local_node,
            seq_no=self.pending_acks.next_seq_no(),
            now=now,
            config=self.config,
            score=self.awareness.score,
        )
        self.probes += 1
        if probe.degraded:
            self.metrics.count("memberlist.degraded.probe")

        def on_ack(ack: Ack, received_at: float, source: Address | None) -> None:
            probe.on_ack(received_at, source)
            node.answered(received_at)
            if probe.rtt is None:
                node.helped_by = probe.helped_by or node.helped_by
            else:
                node.rtt = probe.rtt or node.rtt
            self._on_success(probe, ack, now)

        hosts = None if self.config.faithful_go else {*node.hosts}
        expected = self.pending_acks.expect(
            probe.seq_no, on_ack, probe.on_nack, hosts=hosts, always=True
        )
        with expected:
            try:
                messages = probe.first_messages()
                if len(messages) == 1:
                    self.sender.send(messages[0], node.address, node.name)
                else:
                    self.sender.send_together(messages, node.address, node.name)
                await self._sleep_until(probe.direct_deadline)
            except trio.BrokenResourceError:
                probe.send_failed()
            except (LocalProtocolError, trio.ClosedResourceError) as error:
                self.log.error("cannot probe %s: %s", node.name, error)
                return
            if probe.acked:
                return
            await self._ask_others(probe, hosts)
        self.history.probed(probe)
        if not probe.acked:
            self._on_silence(probe, now)

    async def _ask_others(self, probe: ProbeRound, hosts: set[str] | None) -> None:
        """Wait for an answer by way of helpers, whose hosts are added, or on a stream."""
        self.indirect += 1
        for helper, message in probe.choose_helpers(self.table.sequence, self.rng):
            if hosts is not None:
                hosts.update(helper.hosts)
            try:
                self.sender.send(message, helper.address, helper.name)
            except (LocalProtocolError, trio.BrokenResourceError) as error:
                probe.unasked.add(helper.name)
                self.log.error("cannot ask %s to probe: %s", helper.name, error)
            except trio.ClosedResourceError:
                break
        if not self._wants_stream(probe):
            await self._sleep_until(probe.deadline)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ping_on_stream, probe)
            await self._sleep_until(probe.deadline)
            nursery.cancel_scope.cancel()

    async def _ping_on_stream(self, probe: ProbeRound) -> None:
        await self.client.ping(probe)
        if probe.stream is StreamPing.REFUSED:
            self.refusals.stream_refused(probe.node)
        if probe.stream is StreamPing.ACKED and not probe.acked:
            node = self.table.nodes.get(probe.node.name)
            if node is not None and node.status is NodeStatus.SUSPECT:
                await self.let_refute(node)

    def _wants_stream(self, probe: ProbeRound) -> bool:
        """Whether to try a stream besides; the user's function may raise."""
        try:
            return probe.wants_stream_ping
        except Exception as error:
            self.drop_log.crash("handler", self.config.disable_tcp_pings_for_node, error)
            return True

    def _on_success(self, probe: ProbeRound, ack: Ack, started: float) -> None:
        """The first ack: called in the receive path."""
        self.apply.change_health(probe.result().delta)
        now = trio.current_time()
        self.metrics.sample("memberlist.probeNode", (now - started) * 1000)
        # Nothing is left to do until then, whichever answer the task was waiting for.
        self._alarm.set(max(now, self._probe_at))
        self._without_packets.discard(probe.node.name)
        if probe.rtt is not None and self.ping is not None:
            self.ping.notify_ping_complete(probe.node, probe.rtt, ack.payload or b"")

    def _on_silence(self, probe: ProbeRound, started: float) -> None:
        now = trio.current_time()
        node = probe.node
        result = probe.result()
        # A port that is refused says nothing about the health of this node.
        if not self.refusals.refused(node.name):
            self.apply.change_health(result.delta)
        self.metrics.sample("memberlist.probeNode", (now - started) * 1000)
        if result.failed:
            self.failed += 1
            self._without_packets.discard(node.name)
            self.log.info("suspecting %s: no acks received", node.name)
            self.apply(self.table.suspect_failed(node.name, node.incarnation, now))
        elif node.name not in self._without_packets:
            # Once, not with every probe for as long as it lasts.
            self._without_packets.add(node.name)
            self.log.warning(
                "%s answers on a stream but not to packets: is UDP blocked on the way, or do its"
                " acks, which go to %s, no longer reach this node there?",
                node.name,
                self.table.local_node.address,
            )
