"""Memory: a cluster of bounded size needs bounded memory, however long it lives.

What is counted are the blocks that the interpreter has allocated, which costs nothing to ask
for; so everything in the process is counted, the test's own data included.  Node for node and
record for record the bound is generous: it is there to find what grows with time.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from .sim_cluster import SimCluster

PER_NODE: Final = 4000
"""Blocks for a node with its tasks, rings and counters; about 1,500 were measured."""
PER_RECORD: Final = 60
"""Blocks for what one node knows of another."""
PER_ENTRY: Final = 60
"""Blocks for an entry of the timeline, and for the event that a node remembers with it."""
PER_PACKET: Final = 20
"""Blocks for a packet that is under way."""


@final
class Memory:
    """The blocks allocated since the first look are bounded by what the cluster is like now.

    For ``n`` names, ``PER_NODE`` for each and ``PER_RECORD`` for each pair; for the timeline
    ``PER_ENTRY``; for what is under way ``PER_PACKET``.  Numbers to compare with are in
    ``sys.getallocatedblocks()``, so other interpreters than CPython see nothing.

    Args:
      slack: blocks that anything else may take, the data of the application for one.
    """

    def __init__(self, *, slack: int = 4000) -> None:
        self._slack = slack
        self._first: int | None = None

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        if self._first is None:
            gc.collect()
            self._first = sys.getallocatedblocks()
        n, entries = len(cluster), len(cluster.timeline)
        under_way = cluster.network.statistics().under_way
        bound = self._slack + PER_NODE * n + PER_RECORD * n * n
        bound += PER_ENTRY * entries + PER_PACKET * under_way
        if sys.getallocatedblocks() - self._first <= bound:
            return
        gc.collect()  # what is garbage is not held
        held = sys.getallocatedblocks() - self._first
        if held > bound:
            yield f"{held} blocks of memory more than at first: expected at most {bound}"
