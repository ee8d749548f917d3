"""Invariants of membership: incarnations only rise, and tables stay small.

They compare the record that each node has of each other with that of the last look.  A record
that was dropped and made anew is another record, and is not compared: a node that forgot a dead
message cannot know that an alive message is older.

Source: the SWIM paper (2002), section 4.2, on incarnation numbers; hashicorp/memberlist v0.2.2,
state.go.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, final

from .._events import MemberStatus, SerfState
from ..abc import NodeView

if TYPE_CHECKING:
    from .sim_cluster import SimCluster
    from .sim_node import SimNode

_ALIVE, _DEAD, _LEFT = 0, 2, 3
_BAND: Final = 2**32 - 2**24
"""No node counts as far as this by itself; numbers from here on may be corrected downward."""
_ANY: Final = 2**32
"""Stands for the incarnation of a node that was never seen alive between two looks."""
_SEEDS: Final = 256
"""Addresses that a node remembers for healing partitions, at most."""
PER_NODE: Final = 4000
"""Blocks for a node with its tasks, rings and counters; about 1,500 were measured."""
PER_RECORD: Final = 60
"""Blocks for what one node knows of another."""
PER_ENTRY: Final = 60
"""Blocks for an entry of the timeline, and for the event that a node remembers with it."""
PER_PACKET: Final = 20
"""Blocks for a packet that is under way."""


class _Seen(NamedTuple):
    node: NodeView
    incarnation: int
    status: int
    addr: bytes
    port: int


@final
class Incarnations:
    """Incarnations only rise, no dead node becomes alive by itself, and no record is ahead.

    * A record never goes back to a lower incarnation, unless the node moved to another address,
      where it may have started anew.
    * A dead or left record becomes alive only with a higher incarnation or another address.
    * No record has a higher incarnation than the node itself ever had since its first start.

    Args:
      forged: skip the last of the three.
    """

    def __init__(self, *, forged: bool = False) -> None:
        self._forged = forged
        self._seen: dict[str, dict[str, _Seen]] = {}
        self._starts: dict[str, list[NodeView]] = {}

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        running = cluster.running
        self._note_starts(running)
        reached = {
            name: max(local.incarnation for local in starts)
            for name, starts in self._starts.items()
        }
        for observer in running:
            before = self._seen.get(observer.name, {})
            after: dict[str, _Seen] = {}
            for node in observer.serf.memberlist.nodes():
                name = node.name
                seen = after[name] = _Seen(
                    node, node.incarnation, node.status, node.addr, node.port
                )
                old = before.get(name)
                if old is not None and old != seen and old.node is node:
                    yield from _changes(observer.name, name, old, seen)
                if not self._forged and node.incarnation > reached.get(name, _ANY):
                    yield (
                        f"{observer.name} has incarnation {node.incarnation} of {name}, "
                        f"which never had more than {reached[name]}"
                    )
            self._seen[observer.name] = after

    def _note_starts(self, running: tuple[SimNode, ...]) -> None:
        # The local record can be read when the node is gone: what it reached last counts.
        for node in running:
            local = node.serf.memberlist.local_node
            starts = self._starts.setdefault(node.name, [])
            if not starts or starts[-1] is not local:
                starts.append(local)


def _changes(observer: str, name: str, old: _Seen, new: _Seen) -> Iterator[str]:
    if (old.addr, old.port) != (new.addr, new.port):
        return
    if new.incarnation < old.incarnation < _BAND:
        yield (
            f"{observer} went back from incarnation {old.incarnation} of {name} "
            f"to {new.incarnation}"
        )
    risen = new.incarnation > old.incarnation or old.incarnation >= _BAND
    if old.status >= _DEAD and new.status < _DEAD and not risen:
        yield (
            f"{observer} resurrected {name}, dead with incarnation {old.incarnation}, "
            f"by incarnation {new.incarnation}"
        )


@final
class LocalNodeAlive:
    """A node lists itself as alive until it leaves, whatever messages say about it."""

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        for node in cluster.running:
            status = node.serf.memberlist.local_node.status
            leaves = node.serf.state is not SerfState.ALIVE
            if status != _ALIVE and not (status == _LEFT and leaves):
                yield f"{node.name} lists itself in status {status} and did not leave"


@final
class Sizes:
    """Tables and queues are bounded by the size of the cluster.

    For a cluster in which ``n`` names were ever used: records, lost nodes remembered, members,
    messages about nodes that wait to be gossiped, intents, and pings that wait for an ack are
    at most ``n`` each; and no node knows a name that was never used.  Relays, streams, waiting
    packets, and the queues of user events and queries keep their configured bounds.

    Args:
      made_up: names that the test sends about.
    """

    def __init__(self, *made_up: str) -> None:
        self._made_up = frozenset(made_up)

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        names = self._made_up.union(node.name for node in cluster)
        for node in cluster.running:
            unknown = {each.name for each in node.serf.memberlist.nodes()} - names
            if unknown:
                yield f"{node.name} knows {sorted(unknown)}, which was never started"
            for what, size, bound in _sizes(node, len(names)):
                if size > bound:
                    yield f"{node.name} has {size} {what}: expected at most {bound}"


def _sizes(node: SimNode, n: int) -> Iterator[tuple[str, int, int]]:
    """What is counted, how much of it there is, and how much there may be."""
    serf, config, settings = node.serf, node.config, node.config.memberlist
    numbers = serf.statistics()
    below = numbers.memberlist
    yield "records", below.alive + below.suspect + below.dead + below.left, n
    yield "members", sum(numbers.members[status] for status in MemberStatus), n
    yield "lost nodes", below.lost, n
    yield "seeds", below.seeds, _SEEDS
    yield "queued messages about nodes", below.queued_broadcasts, n
    yield "queued intents", numbers.queues["intent"].depth, n
    yield "stored intents", numbers.stored_intents, n
    yield "pings without an ack", below.pending_acks, n
    most = config.min_queue_depth and max(config.min_queue_depth, 2 * n)
    for name in ("event", "query"):
        yield (
            f"messages in the {name} queue",
            numbers.queues[name].depth,
            (most or config.max_queue_depth),
        )
    yield "relays", below.relays, settings.max_relays
    yield "streams", below.streams, settings.max_streams
    yield "packets handed over", below.handoff, 2 * settings.handoff_queue_depth


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
        gc.collect()  # garbage does not count
        grown = sys.getallocatedblocks() - self._first
        if grown > bound:
            yield f"{grown} blocks of memory more than at first: expected at most {bound}"
