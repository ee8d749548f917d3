"""The membership table: who is known, and what each claim about a node changes.

Source: hashicorp/memberlist v0.2.2, state.go: aliveNode, suspectNode, deadNode, mergeState,
refute.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import final

from .._config import MemberlistConfig
from .._wire.messages import Alive, Dead, NodeRecord, Suspect
from ..abc import Address
from .effects import Effect
from .nodes import Incarnation, Node, NodeStatus
from .suspicion import Suspicion


@final
class NodeTable:
    """All nodes by name, and the rules by which claims about them are believed.

    Every method that takes ``now`` may change nodes, and returns the effects in order.  No
    claim raises: what is malformed or not allowed becomes a `Refused` effect, what is old
    news an empty list.

    Args:
      name: the own name.
      config: settings.
      rng: source of random choices.
      alive_check: may refuse a claim of life by raising `MergeRefused`.
      merge_check: may refuse the state of a joining peer by raising `MergeRefused`.

    Attributes:
      nodes: all records by name.  Read only.
      sequence: the same in probing order.  Read only, but for `ProbeSchedule`.
      leaving: whether `leave` was called.
    """

    nodes: dict[str, Node]
    sequence: list[Node]
    leaving: bool

    def __init__(
        self,
        *,
        name: str,
        config: MemberlistConfig,
        rng: random.Random,
        alive_check: Callable[[Node], object] | None = None,
        merge_check: Callable[[Sequence[Node]], object] | None = None,
    ) -> None: ...

    # --- the own node -------------------------------------------------------------------

    @property
    def own(self) -> Node:
        """The own record.  Raises `InvalidState` before `start`."""
        ...

    def start(
        self,
        now: float,
        *,
        addr: bytes,
        port: int,
        meta: bytes,
        versions: bytes,
        incarnation: Incarnation = 1,
    ) -> list[Effect]:
        """Enter the own node.

        Raises:
          LocalProtocolError: metadata too long, or an address, port or versions that no
            peer would accept.
          MergeRefused: ``alive_check`` refuses the own node.
        """
        ...

    def update_own(
        self, now: float, meta: bytes, on_finished: Callable[[], object] | None = None
    ) -> list[Effect]:
        """Announce new metadata.

        Raises:
          LocalProtocolError: more than 512 bytes; nothing changed.
          InvalidState: after `leave`; nothing changed.
        """
        ...

    def leave(self, now: float, on_finished: Callable[[], object] | None = None) -> list[Effect]:
        """Declare the own node left.  A second call does nothing and returns nothing."""
        ...

    # --- claims -------------------------------------------------------------------------

    def on_alive(self, claim: Alive, now: float, *, source: Address | None = None) -> list[Effect]:
        """A claim that a node is alive.

        A port of 0 stands for our own one, as in Go; the caller need not look at it.

        Args:
          source: who sent the packet; None if it came by stream.
        """
        ...

    def on_suspect(self, claim: Suspect, now: float) -> list[Effect]:
        """A claim that a node may be dead."""
        ...

    def on_dead(self, claim: Dead, now: float) -> list[Effect]:
        """A claim that a node is dead, or, made by itself, that it left."""
        ...

    def merge(
        self,
        records: Sequence[NodeRecord],
        now: float,
        *,
        join: bool = False,
        source: Address | None = None,
    ) -> list[Effect]:
        """The state that a peer told in a push/pull.  Versions are verified here.

        Args:
          records: in the order of the peer.
          join: the flag of the exchange: ask ``merge_check``.
          source: the address that was dialled, or None for an accepted stream.

        Raises:
          RemoteProtocolError: versions that cannot live together; nothing was merged.
          MergeRefused: by ``merge_check``; nothing was merged.
        """
        ...

    def challenge_result(self, claim: Alive, answered: bool, now: float) -> list[Effect]:
        """The old address was probed because of a `Challenge`.

        Args:
          claim: that of the challenge.
          answered: whether the old address acked.
        """
        ...

    # --- failure detection --------------------------------------------------------------

    def suspect_failed(self, name: str, incarnation: Incarnation, now: float) -> list[Effect]:
        """A probe of ours failed.

        Args:
          incarnation: of the node when the probe began: a newer life is not suspected.
        """
        ...

    def next_deadline(self) -> float:
        """When `expired` is due next (seconds, trio clock); infinity for never.

        May move in either direction with every call that returns effects.
        """
        ...

    def expired(self, now: float) -> list[Effect]:
        """Declare dead whose suspicion is over."""
        ...

    def suspicion(self, name: str) -> Suspicion | None:
        """The running suspicion about a node."""
        ...

    def purge(self, now: float) -> list[Effect]:
        """Drop nodes that are dead or left for longer than ``gossip_to_the_dead_time``."""
        ...

    # --- reads --------------------------------------------------------------------------

    def records(self) -> list[NodeRecord]:
        """Everything that is known, for a push/pull; the own node included."""
        ...

    @property
    def num_nodes(self) -> int:
        """All records, dead and left ones included: the n of every formula."""
        ...

    def live_count(self) -> int:
        """Nodes alive or suspect, the own one included."""
        ...

    def counts(self) -> Mapping[NodeStatus, int]:
        """Number of nodes in each status."""
        ...
