"""Task: opens a stream to each node once, so that a refusal of one later means something.

A port that was never reachable from here refuses for reasons of its own.  So each node gets one
stream, with a ping on it, a little after it has become known, and one again when its incarnation
has changed.  All nodes of a cluster do so to a new one, each at a random moment of a time that
grows with the cluster: a new node sees ten streams a second, however many nodes there are.
"""

from __future__ import annotations

import math
import random
from typing import Final

import trio

from .. import _attrs as attrs
from .._swim.probing import STREAM_PING_PROTOCOL
from .._swim.refusal import is_evidence_possible
from .pending_acks import PendingAcks
from .stream_client import StreamClient

PERIOD: Final = 0.2
"""Seconds between two streams of one node."""
SPREAD: Final = 0.1
"""Seconds, times nodes: in this time each of them opens its stream to a new node."""
AGAIN: Final = 1.0
"""Seconds until a stream that did not work is tried again; doubled each time."""
MOST_AGAIN: Final = 60.0
"""Seconds until it is tried again at the latest."""


@attrs.define(eq=False)
class StreamChecker:
    """The nodes to which a stream is to be opened."""

    client: StreamClient
    pending_acks: PendingAcks
    rng: random.Random
    _due: dict[str, tuple[float, float]] = attrs.field(factory=dict, init=False)
    """When, and how long to wait if that fails."""
    _added: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __len__(self) -> int:
        return len(self._due)

    def add(self, name: str) -> None:
        """A node is alive, and perhaps in another incarnation."""
        table = self.client.table
        if name == table.name or name in self._due:
            return
        node = table.nodes.get(name)
        if node is not None and not is_evidence_possible(node):
            delay = self.rng.random() * SPREAD * table.num_nodes
            self._due[name] = trio.current_time() + delay, AGAIN
            self._added.set()

    async def run(self) -> None:
        """Open streams until cancelled."""
        while True:
            due = min((at for at, _ in self._due.values()), default=math.inf)
            self._added = trio.Event()
            if due > trio.current_time():
                with trio.move_on_at(due):
                    await self._added.wait()
                continue
            await self._check(min(self._due, key=lambda name: self._due[name][0]))
            await trio.sleep(PERIOD)

    async def _check(self, name: str) -> None:
        _, again = self._due.pop(name)
        node = self.client.table.nodes.get(name)
        if node is None or node.is_gone or is_evidence_possible(node):
            return
        if node.protocol_max < STREAM_PING_PROTOCOL:
            return
        worked = await self.client.check(node, self.pending_acks.next_seq_no())
        if not (worked and is_evidence_possible(node)):
            self._due.setdefault(name, (trio.current_time() + again, min(2 * again, MOST_AGAIN)))
