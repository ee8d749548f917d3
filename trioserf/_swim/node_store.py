"""The records of the cluster, without any rule.

Source: hashicorp/memberlist v0.2.2, memberlist.go (fields of Memberlist); state.go,
resetNodes and aliveNode (where new nodes are inserted); util.go, moveDeadNodes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from .nodes import Node, NodeStatus
from .suspicion import Suspicions


class NodeStore:
    """All records, by name and in probing order, and the running suspicions.

    A suspicion runs for exactly those nodes that are suspect; the rules keep it so.

    Args:
      name: the local name.
      rng: for the place of a new node in the probing order.

    Attributes:
      name: the local name.
      nodes: records by name.
      sequence: the same records in probing order.
      suspicions: by name.
      local_node: the local record, once there is one.
      leaving: whether the local node declared itself left.
      changes: how often records came or went.
      version: the same, and how often a node died or came back.
    """

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name = name
        self.nodes: dict[str, Node] = {}
        self.sequence: list[Node] = []
        self.suspicions = Suspicions()
        self.local_node: Node | None = None
        self.leaving = False
        self.changes = self.version = 0
        self._rng = rng
        self._counts = [0, 0, 0, 0]

    def insert(self, node: Node) -> None:
        """Add a record, at a random place of the probing order.

        So its place cannot be foreseen from the time when it joined.
        """
        self.changes += 1
        self.version += 1
        self.nodes[node.name] = node
        self._counts[node.status] += 1
        sequence = self.sequence
        sequence.append(node)
        last = len(sequence) - 1
        if last:
            other = self._rng.randrange(last)
            sequence[last], sequence[other] = sequence[other], sequence[last]

    def set_status(self, node: Node, status: NodeStatus, now: float) -> None:
        """Change the status of a record."""
        self._counts[node.status] -= 1
        self._counts[status] += 1
        gone = node.is_gone
        node.update(status=status)
        if node.is_gone is not gone:
            self.version += 1
        node.changed_at = now

    def remove_gone(self, before: float) -> list[Node]:
        """Drop and return the records dead or left since earlier than ``before``.

        The local record stays, even when it left.
        """
        dropped = [
            node
            for node in self.sequence
            if node.is_gone and node.changed_at < before and node is not self.local_node
        ]
        if dropped:
            self.changes += 1
            self.version += 1
            for node in dropped:
                del self.nodes[node.name]
                self._counts[node.status] -= 1
            self.sequence[:] = [node for node in self.sequence if node.name in self.nodes]
        return dropped

    @property
    def counts(self) -> Mapping[NodeStatus, int]:
        """Number of records in each status."""
        return {status: self._counts[status] for status in NodeStatus}

    @property
    def live(self) -> int:
        """Number of records alive or suspect."""
        return self._counts[NodeStatus.ALIVE] + self._counts[NodeStatus.SUSPECT]
