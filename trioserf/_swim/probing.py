"""Whom to probe next, and what one probe decides.

Source: hashicorp/memberlist v0.2.2, state.go: probe, probeNode, resetNodes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import final

import attrs

from .._config import MemberlistConfig
from .effects import Effect
from .nodes import Node
from .table import NodeTable


@final
class ProbeSchedule:
    """Round robin over a shuffled list, so that nobody waits longer than two rounds."""

    def __init__(self, table: NodeTable, rng: random.Random) -> None: ...

    def next_node(self, now: float) -> tuple[Node | None, list[Effect]]:
        """The next node to probe (None: there is none), and the effects of purging.

        At the end of a round the table is purged and its sequence shuffled.
        """
        ...


@final
@attrs.frozen
class ProbeVerdict:
    """How a probe ended.

    Args:
      failed: whether the node is to be suspected (`NodeTable.suspect_failed`).
      delta: what to add to the health score.
    """

    failed: bool
    delta: int


@final
class ProbeRound:
    """One probe of one node: what to send, how long to wait, what it means.

    Args:
      node: the node as it is now; a copy is taken.
      own: the own node, which names itself in the messages.
      seq_no: number of the ping, of the indirect pings, and of the acks and nacks to them.
      now: when the ping is sent (seconds, trio clock).
      config: settings.
      score: the health score; it stretches the interval.

    Attributes:
      node: the copy.
      interval: probe interval, stretched (seconds).
      direct_deadline: until when the node itself should answer (seconds, trio clock).
      deadline: until when any answer counts (seconds, trio clock).
    """

    node: Node
    seq_no: int
    interval: float
    direct_deadline: float
    deadline: float

    def __init__(
        self,
        node: Node,
        *,
        own: Node,
        seq_no: int,
        now: float,
        config: MemberlistConfig,
        score: int,
    ) -> None: ...

    @property
    def degraded(self) -> bool:
        """Whether the interval is stretched (Go's counter ``memberlist.degraded.probe``)."""
        ...

    def first_messages(self) -> tuple[bytes, ...]:
        """What to send to the node: a ping, by the piggy-back path.

        For a suspect two messages, ping and suspicion, as one compound without anything
        else, so that it can refute at once.
        """
        ...

    def send_failed(self) -> None:
        """The ping could not be sent (refused, unreachable): go on with the helpers now."""
        ...

    def on_ack(self, received_at: float) -> bool:
        """An ack with our number arrived; return whether it is the first."""
        ...

    def on_nack(self) -> None:
        """A helper says that the node did not answer it."""
        ...

    @property
    def acked(self) -> bool: ...

    @property
    def rtt(self) -> float | None:
        """Seconds between ping and ack, if the node itself answered in time."""
        ...

    def choose_helpers(self, nodes: Sequence[Node], rng: random.Random) -> list[tuple[Node, bytes]]:
        """Who is to ping the node for us, each with its indirect ping."""
        ...

    @property
    def wants_stream_ping(self) -> bool:
        """Whether to try a ping over a stream besides."""
        ...

    def verdict(self, stream_answered: bool = False) -> ProbeVerdict:
        """What the probe means, once it was acked, or at its deadline."""
        ...
