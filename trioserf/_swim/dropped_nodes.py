"""The last incarnations of nodes whose records were dropped.

A record is dropped some time after its node is dead or left.  From then on every alive message
about it would be accepted, also one from a peer that was away: a process that was stopped, or
the other side of a partition, sends the state it had, and a node that was removed is a member
again, everywhere, until a probe fails.

So the incarnation of each dropped record is kept for a while.  If the node was *removed*, by
its own leave or on purpose, an alive message that is not above it is stale, as if the record
were still there: the reply is the dead message (`StaleReplies`), and a node that is alive,
though it counts from one again, refutes it and joins.  Where packets are blocked no reply
would arrive; so what a peer sends of itself on a stream is applied at once.  If the node merely
failed, any alive message is applied, as in Go: that is how partitions heal.

DIFFERS: Go keeps nothing.
Test: test_a_removed_node_is_not_brought_back_by_a_stale_alive_message.
"""

from __future__ import annotations

from typing import Final

from .. import _attrs as attrs
from .incarnations import SUSPECT_BAND
from .nodes import Node, NodeStatus

MAX_DROPPED: Final = 1 << 16
"""Names remembered; beyond it the one dropped first is forgotten."""


@attrs.define(eq=False)
class _DroppedNode:
    node: Node
    dropped_at: float
    removed: bool


class DroppedNodes:
    """Records that were dropped, by name.

    Args:
      memory: how long they are kept (seconds); 0 keeps none.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._records: dict[str, _DroppedNode] = {}
        self._removed: set[str] = set()

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def remove(self, name: str, *, in_table: bool) -> None:
        """A node that is gone was removed on purpose.

        Args:
          in_table: whether its record was not dropped yet.
        """
        if in_table:
            self._removed.add(name)
        elif name in self._records:
            self._records[name].removed = True

    def drop(self, node: Node, now: float) -> bool:
        """Remember a dropped record; return whether its node was removed."""
        removed = node.status is NodeStatus.LEFT or node.name in self._removed
        self.forget(node.name)
        # An incarnation that high was forged; see `incarnations`.
        if self._memory > 0 and node.incarnation < SUSPECT_BAND:
            self._records[node.name] = _DroppedNode(node.copy(), now, removed)
            if len(self._records) > MAX_DROPPED:
                del self._records[next(iter(self._records))]
        return removed

    def removed(self, name: str) -> Node | None:
        """The last record of a node that was removed on purpose and dropped."""
        dropped = self._records.get(name)
        return dropped.node if dropped is not None and dropped.removed else None

    def forget(self, name: str) -> None:
        """The node is alive."""
        self._records.pop(name, None)
        self._removed.discard(name)

    def expire(self, now: float) -> list[str]:
        """Forget what was dropped too long ago; return the names."""
        expired = []
        for name, dropped in self._records.items():
            if now - dropped.dropped_at <= self._memory:
                break  # in the order in which they were dropped
            expired.append(name)
        for name in expired:
            del self._records[name]
        return expired
