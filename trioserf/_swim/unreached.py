"""Room for nodes that nobody may ever have reached.

An alive message may come from anybody, and each name in it costs a record, probes, and room in
every packet of gossip.  So only so many nodes are known by hearsay alone: from packets and from
streams that others opened.  One counts until this node reached it, that is, until it acked a
probe or state was exchanged with it; a failed one counts until its record is dropped.

There may be `LIMIT` of them, and as many more as there are nodes that were reached, so that a
cluster of any size may double at once.  Beyond that an alive message about an unknown name is
turned away: it is counted, but neither entered nor gossiped on.  An honest node is not lost by
that.  Gossip and state exchanges bring it again, room grows with every probe that is acked, and
no bound holds for

* the state of a peer that this node dialled: joins and anti-entropy;
* one node in each state that a peer sends to this node, at the host of that peer, up to
  `OWN_SHARE` times the limit: newcomers join by a node that knows none of them.

DIFFERS (unless ``faithful_go``): Go enters every name, and 100,000 made-up ones drown the rest.
Test: test_names_known_by_hearsay_are_bounded.
"""

from __future__ import annotations

from typing import Final

from .nodes import NEVER, NodeStore

LIMIT: Final = 256
"""Nodes known by hearsay alone beside as many as were reached; a probe interval probes one."""
OWN_SHARE: Final = 4
"""How many times as many there may be when a peer names itself: a thousand may start at once."""
MAX_CHECKS: Final = 4
"""Nodes at the host of a peer that one piece of its state makes this node ping."""
LOOK_INTERVAL: Final = 1.0
"""How often they are counted anew (seconds), which takes a look at all records."""


class UnreachedNodes:
    """Counts the nodes that are known by hearsay alone.

    Args:
      store: the records.
    """

    def __init__(self, store: NodeStore) -> None:
        self._store = store
        self._count = 0
        self._limit = LIMIT
        self._counted_at = NEVER

    def has_room(self, now: float, share: int = 1) -> bool:
        """Whether one more may be entered; ``share`` multiplies the limit."""
        if self._count < share * self._limit:
            return True
        if now - self._counted_at < LOOK_INTERVAL:
            return False
        self._counted_at = now
        reached = self._count = 0
        for node in self._store.sequence:
            if node.reached:
                reached += 1
            elif node.hearsay:
                self._count += 1
        self._limit = LIMIT + reached
        return self._count < share * self._limit

    def entered(self) -> None:
        """One more was entered."""
        self._count += 1
