"""How far nodes had counted whose records were dropped.

A record is dropped some time after its node died or left.  From then on every claim of life
about it would be news, also one that a peer has kept from before: a process that was stopped,
or a part of the cluster that was away, tells what it knew, and a node that was removed is a
member again, everywhere, until somebody finds out.

So the incarnation of each dropped record is kept for a while.  If the node was *removed*, by
itself or by somebody on purpose, a claim that is not above it is old news, as if the record
were still there: it is answered with the accusation (`StaleAnswers`), and a node that lives,
though it counts from one again, outbids that and is in.  Where packets are blocked no answer
would reach it; so what a host tells of itself on a stream is believed at once.  If the node
merely failed, any claim is trusted, as in Go: that is how the halves of a partition find each
other.

DIFFERS: Go keeps nothing.
Test: test_a_removed_node_is_not_brought_back_by_an_old_claim.
"""

from __future__ import annotations

from typing import Final, final

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


@final
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

    def remove(self, name: str, *, in_table: bool) -> None:
        """A node that is gone was removed on purpose.

        Args:
          held: whether its record was not dropped yet.
        """
        if in_table:
            self._removed.add(name)
        elif name in self._records:
            self._records[name].removed = True

    def drop(self, node: Node, now: float) -> bool:
        """The record of a node that is gone was dropped; whether the node was removed."""
        removed = node.status is NodeStatus.LEFT or node.name in self._removed
        self.forget(node.name)
        # Who counted that far was forged; see `incarnations`.
        if self._memory > 0 and node.incarnation < SUSPECT_BAND:
            self._records[node.name] = _DroppedNode(node.copy(), now, removed)
            if len(self._records) > MAX_DROPPED:
                del self._records[next(iter(self._records))]
        return removed

    def removed(self, name: str) -> Node | None:
        """The last record of a node that was removed on purpose and dropped."""
        stone = self._records.get(name)
        return stone.node if stone is not None and stone.removed else None

    def forget(self, name: str) -> None:
        """The node lives."""
        self._records.pop(name, None)
        self._removed.discard(name)

    def expire(self, now: float) -> list[str]:
        """Forget what was dropped too long ago; the names."""
        expired = []
        for name, stone in self._records.items():
            if now - stone.dropped_at <= self._memory:
                break  # they are in the order of their burial
            expired.append(name)
        for name in expired:
            del self._records[name]
        return expired
