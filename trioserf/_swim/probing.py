"""Which node to probe next, and what one probe decides.

A probe goes in steps: a ping to the node itself; after ``probe_timeout`` without an ack, a
few helpers are asked to ping it, and a ping over a stream is tried besides; at the deadline
it has failed.  The task that waits for acks takes a `ProbeRound` through these steps.

Source: hashicorp/memberlist v0.2.2, state.go: probe, probeNode, resetNodes; Lifeguard paper,
on local health aware probes.
"""

from __future__ import annotations

import enum
import math
import random
from collections import deque
from collections.abc import Sequence
from typing import Final

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._wire.messages import IndirectPing, Ping, Suspect, encode_message
from ..abc import Address
from .effects import Effect
from .nodes import Node, NodeStatus
from .selection import select
from .table import NodeTable

SHUFFLED_AT_ONCE: Final = 4096
"""Up to so many nodes the sequence is shuffled as a whole, which takes up to two milliseconds."""
RECHECK_INTERVALS: Final = 20
"""Probe intervals, at least, after which a node that was reached is probed before one that never
was."""
SCANNED_AT_ONCE: Final = 1024
"""Up to so many nodes, all are scanned before each probe of a node that was never reached."""
STREAM_PING_PROTOCOL: Final = 3
"""From this highest protocol version on, a node answers pings over streams."""
NACK_PROTOCOL: Final = 4
"""From this highest protocol version on, a helper sends nacks."""


def ping_message(seq_no: int, name: str, local: Node) -> bytes:
    """A ping of the node ``name``, type byte and body, that has ``local`` as its source."""
    return encode_message(
        Ping(
            seq_no=seq_no,
            node=name,
            source_addr=local.addr,
            source_port=local.port,
            source_node=local.name,
        )
    )


class ProbeSchedule:
    """Round robin over a shuffled list: every node is probed within two rounds, or four where most
    were never reached.

    Args:
      table: whose nodes are probed.
      rng: for shuffling.
      config: settings; without them nothing is due before its turn comes.
    """

    def __init__(
        self, table: NodeTable, rng: random.Random, config: MemberlistConfig | None = None
    ) -> None:
        self._table = table
        self._rng = rng
        self._interval = math.inf
        if config is not None and not config.faithful_go:
            self._interval = config.probe_interval
        self._index = 0
        self._again_next = False
        self._reached: deque[Node] | None = None
        self._scanned_at = self._scan_at = -math.inf

    def next_node(self, now: float) -> tuple[Node | None, list[Effect]]:
        """The next node to probe (None: there is none), and the effects of purging.

        At the end of a round the table is purged and its sequence shuffled; that of a large
        table is shuffled step by step, because it would take too long.

        DIFFERS: Go stops looking after as many records as there are, and counts the end of
        the round as one, so that two nodes alone waste about every third probe interval.
        Test: test_no_interval_is_wasted_while_a_peer_is_alive.
        """
        effects: list[Effect] = []
        sequence = self._table.sequence
        local = self._table.local_node
        wrapped = False
        while True:
            if self._index >= len(sequence):
                if wrapped:
                    return None, effects
                wrapped = True
                effects += self._table.purge(now)
                if len(sequence) <= SHUFFLED_AT_ONCE:
                    self._rng.shuffle(sequence)
                self._index = 0
            if len(sequence) > SHUFFLED_AT_ONCE:
                other = self._rng.randrange(self._index, len(sequence))
                sequence[self._index], sequence[other] = sequence[other], sequence[self._index]
            node = sequence[self._index]
            if node is not local and not node.is_gone:
                instead = None if node.reached else self._due_again(now)
                if instead is None:
                    self._index += 1
                    instead = node
                instead.tried_at = now
                return instead, effects
            self._index += 1

    def _due_again(self, now: float) -> Node | None:
        """What to probe before a node that was never reached, every other time.

        Made-up nodes are as easily announced as real ones, and a round through hundreds of them
        takes minutes.  The failure of a real node shall be detected meanwhile.  So a node that was
        reached is due again after `RECHECK_INTERVALS`, or after as many as there are such nodes.

        DIFFERS (unless ``faithful_go``): Go probes all in turn.
        Test: test_made_up_nodes_do_not_keep_real_ones_from_being_probed.
        """
        self._again_next = not self._again_next
        if not self._again_next or self._interval == math.inf:
            return None
        if now >= self._scan_at:
            self._scan(now)
        reached, nodes = self._reached or deque(), self._table.nodes
        due = self._interval * max(len(reached), RECHECK_INTERVALS)
        for _ in range(len(reached)):
            node = reached[0]
            if node.is_gone or nodes.get(node.name) is not node:
                reached.popleft()
            elif now - node.tried_at >= due:
                reached.rotate(-1)
                return node
            elif node.tried_at > self._scanned_at:  # it had its turn meanwhile
                reached.rotate(-1)
            else:
                break
        return None

    def _scan(self, now: float) -> None:
        """Line up the nodes that were reached, the one that was tried first in front.

        In a large table that is done rarely: a node that is reached in between was just tried.
        """
        sequence, local = self._table.sequence, self._table.local_node
        rarer = max(0.0, len(sequence) / SCANNED_AT_ONCE - 1)
        self._scanned_at, self._scan_at = now, now + rarer * self._interval
        found = [node for node in sequence if node.reached and not node.is_gone]
        found.sort(key=_tried_at)
        self._reached = deque(node for node in found if node is not local)


def _tried_at(node: Node) -> float:
    return node.tried_at


class StreamPing(enum.Enum):
    """How far a ping over a stream came."""

    NOT_TRIED = "not tried"
    CONNECTING = "no connection"
    REFUSED = "connection refused"
    CONNECTED = "connected, but no answer"
    FAILED = "failed"
    ACKED = "answered"


@attrs.frozen(kw_only=True)
class ProbeReport:
    """How a probe went that was not answered directly and in time.

    Args:
      reached: whether the node answered in some other way.
      waited: how long a direct answer was waited for (seconds).
      late: whether the node itself answered after that.
      sent: whether the ping could be sent at all.
      helpers: the nodes that were asked to ping it, each with what it said: ``ack``, ``nack``,
        ``silent``, or ``not asked`` because the packet could not be sent.
      stream: how far the ping over a stream came.
    """

    reached: bool
    waited: float
    late: bool
    sent: bool
    helpers: tuple[tuple[str, str], ...]
    stream: StreamPing


@attrs.frozen
class ProbeResult:
    """How a probe ended.

    Args:
      failed: whether the node is to be suspected (`NodeTable.suspect_failed`).
      delta: what to add to the health score.
    """

    failed: bool
    delta: int


class ProbeRound:
    """One probe of one node: what to send, how long to wait, what it means.

    Args:
      node: the node as it is now; a copy is taken.
      local: the local node, named in the messages.
      seq_no: number of the ping, of the indirect pings, and of the acks and nacks to them.
      now: when the ping is sent (seconds, trio clock).
      config: settings.
      score: the health score; it stretches the interval.

    Attributes:
      node: the copy.
      interval: probe interval, stretched (seconds).
      direct_deadline: until when the node itself should answer (seconds, trio clock).
      deadline: until when any answer counts (seconds, trio clock).
      acked: whether an ack came.
      rtt: seconds between ping and ack, if the node itself answered in time; a later ack may have
        come by way of a helper, and measures nothing.
      stream: how far the ping over a stream came; set by the task that sends it.
      unasked: names of helpers to whom no packet could be sent; set by that task, too.
    """

    def __init__(
        self,
        node: Node,
        *,
        local: Node,
        seq_no: int,
        now: float,
        config: MemberlistConfig,
        score: int,
    ) -> None:
        self.node: Node = node.copy()
        self.seq_no: int = seq_no
        self.interval: float = config.probe_interval * (score + 1)
        self.deadline: float = now + self.interval
        self.direct_deadline: float = min(now + config.probe_timeout, self.deadline)
        self.degraded: bool = score > 0
        """Whether the interval is stretched (Go's counter ``memberlist.degraded.probe``)."""
        self._local = local
        self._config = config
        self._started = now
        self.acked: bool = False
        self.rtt: float | None = None
        self._send_failed = False
        self._nacks = 0
        self._nacks_expected = 0
        self._helpers: list[Node] = []
        self._replies: dict[Address, str] = {}
        self.stream: StreamPing = StreamPing.NOT_TRIED
        self.unasked: set[str] = set()

    def first_messages(self) -> tuple[bytes, ...]:
        """What to send to the node: a ping, by the piggy-back path.

        For a suspect two messages, ping and suspicion, as one compound without anything
        else, so that it can refute at once.
        """
        node = self.node
        ping = ping_message(self.seq_no, node.name, self._local)
        if node.status is NodeStatus.ALIVE:
            return (ping,)
        return (ping, encode_message(Suspect(node.incarnation, node.name, self._local.name)))

    def send_failed(self) -> None:
        """The ping could not be sent (refused, unreachable): go on with the helpers now.

        An ack that comes then does not lower the health score.
        """
        self._send_failed = True

    def on_ack(self, received_at: float, source: Address | None = None) -> None:
        """The first ack with this number arrived."""
        self.acked = True
        if received_at <= self.direct_deadline:
            self.rtt = received_at - self._started
        elif source is not None:
            self._replies[source] = "ack"

    def on_nack(self, source: Address | None = None) -> None:
        """A helper says that the node did not answer it."""
        self._nacks += 1
        if source is not None:
            self._replies[source] = "nack"

    @property
    def helped_by(self) -> str:
        """The helper that brought the ack; "" if none did."""
        names = (each.name for each in self._helpers if self._replies.get(each.address) == "ack")
        return next(names, "")

    def choose_helpers(self, nodes: Sequence[Node], rng: random.Random) -> list[tuple[Node, bytes]]:
        """Nodes that are to ping the node instead, each with its indirect ping.

        DIFFERS (unless ``faithful_go``): Go asks any node, and takes the silence of a made-up one
        for a sign of its own bad health.  Here nodes that were reached are asked first, and only
        from them nacks are expected.
        Test: test_nodes_that_were_never_reached_do_not_make_a_prober_slow.

        DIFFERS (unless ``faithful_go``): one of the helpers is the node that brought the last ack,
        if there is one.  Where a firewall stands between many nodes, all helpers that are drawn are
        often behind it.  In four clusters of nine nodes, six of which refused each other, 12 living
        nodes were declared failed in 57 lists without this rule, 3 in 10 with it, and 12 in 45 by
        Go's rules.
        Test: test_who_brought_the_last_ack_is_asked_again.
        """
        target, k, reached = self.node.name, self._config.indirect_checks, list[Node]()

        def exclude(node: Node) -> bool:
            return (
                node.status is not NodeStatus.ALIVE
                or node.name == target
                or node.name == self._local.name
            )

        def exclude_too(node: Node) -> bool:
            return not node.reached or exclude(node)

        if not self._config.faithful_go:
            if k and (last := self.node.helped_by):
                reached = [node for node in nodes if node.name == last and not exclude_too(node)]
            reached += select(
                rng, nodes, k - len(reached), lambda node: exclude_too(node) or node in reached
            )
        others = select(rng, nodes, k - len(reached), lambda node: exclude(node) or node in reached)
        self._helpers = helpers = reached + others
        self._nacks_expected = sum(node.protocol_max >= NACK_PROTOCOL for node in reached or others)
        return [(node, self._indirect_ping(node)) for node in helpers]

    def _indirect_ping(self, helper: Node) -> bytes:
        node, local = self.node, self._local
        return encode_message(
            IndirectPing(
                seq_no=self.seq_no,
                target=node.addr,
                port=node.port,
                node=node.name,
                nack=helper.protocol_max >= NACK_PROTOCOL,
                source_addr=local.addr,
                source_port=local.port,
                source_node=local.name,
            )
        )

    @property
    def wants_stream_ping(self) -> bool:
        """Whether to try a ping over a stream besides."""
        config = self._config
        if config.disable_tcp_pings or self.node.protocol_max < STREAM_PING_PROTOCOL:
            return False
        disabled = config.disable_tcp_pings_for_node
        return disabled is None or not disabled(self.node.name)

    def result(self) -> ProbeResult:
        """What the probe means, once it was acked, or at its deadline.

        Helpers that stay silent, not even sending a nack, are a sign that this node receives
        badly: each adds to the health score.
        """
        if self.acked or self.stream is StreamPing.ACKED:
            return ProbeResult(failed=False, delta=0 if self._send_failed else -1)
        missing = max(0, self._nacks_expected - self._nacks) if self._nacks_expected else 1
        return ProbeResult(failed=True, delta=missing)

    def report(self) -> ProbeReport:
        """How it went, for a probe that was not answered directly and in time."""
        late = self.node.address in self._replies
        return ProbeReport(
            reached=self.acked or self.stream is StreamPing.ACKED,
            waited=self.direct_deadline - self._started,
            late=late,
            sent=not self._send_failed,
            helpers=tuple((helper.name, self._reply_of(helper)) for helper in self._helpers),
            stream=self.stream,
        )

    def _reply_of(self, helper: Node) -> str:
        silence = "not asked" if helper.name in self.unasked else "silent"
        return self._replies.get(helper.address, silence)
