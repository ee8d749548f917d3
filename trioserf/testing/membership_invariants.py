"""Invariants of membership: lives that count upward, and tables that stay small.

They compare what every node holds of every other with what it held at the last look.  A record
that was dropped and learned anew is another record, and nothing is asked of it: whoever forgot
a death cannot know that a claim of life is older.

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
"""No honest node counts as far as this; numbers from here on may be corrected downward."""
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


class _Held(NamedTuple):
    node: NodeView
    incarnation: int
    status: int
    addr: bytes
    port: int


@final
class Lives:
    """Incarnations only rise, nobody is resurrected, and nobody is ahead of the node itself.

    * What a node holds of another never goes back to a lower incarnation, unless the other
      moved to another address, where it may have started anew.
    * Who is held dead or left becomes alive only with a higher incarnation or another address.
    * Nobody holds a higher incarnation of a node than that node ever had in any of its lives.

    Args:
      forged: skip the last of the three.
    """

    def __init__(self, *, forged: bool = False) -> None:
        self._forged = forged
        self._held: dict[str, dict[str, _Held]] = {}
        self._lives: dict[str, list[NodeView]] = {}

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        running = cluster.running
        self._note_lives(running)
        reached = {
            name: max(own.incarnation for own in lives) for name, lives in self._lives.items()
        }
        for observer in running:
            before = self._held.get(observer.name, {})
            after: dict[str, _Held] = {}
            for node in observer.serf.memberlist.nodes():
                name = node.name
                held = after[name] = _Held(
                    node, node.incarnation, node.status, node.addr, node.port
                )
                old = before.get(name)
                if old is not None and old != held and old.node is node:
                    yield from _changes(observer.name, name, old, held)
                if not self._forged and node.incarnation > reached.get(name, _ANY):
                    yield (
                        f"{observer.name} holds incarnation {node.incarnation} of {name}, "
                        f"who never had more than {reached[name]}"
                    )
            self._held[observer.name] = after

    def _note_lives(self, running: tuple[SimNode, ...]) -> None:
        # A record of oneself can be read when the node is gone: what it reached last counts.
        for node in running:
            own = node.serf.memberlist.local_node
            lives = self._lives.setdefault(node.name, [])
            if not lives or lives[-1] is not own:
                lives.append(own)


def _changes(observer: str, name: str, old: _Held, new: _Held) -> Iterator[str]:
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
            f"{observer} resurrected {name}, held dead with incarnation {old.incarnation}, "
            f"by incarnation {new.incarnation}"
        )


@final
class NoSuicide:
    """A node holds itself alive until it leaves, whatever is said about it."""

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        for node in cluster.running:
            status = node.serf.memberlist.local_node.status
            leaves = node.serf.state is not SerfState.ALIVE
            if status != _ALIVE and not (status == _LEFT and leaves):
                yield f"{node.name} holds itself in status {status} and did not leave"


@final
class Sizes:
    """Tables and queues are bounded by the size of the cluster.

    For a cluster in which ``n`` names were ever used: records, lost nodes remembered, members,
    messages about nodes that wait to be gossiped, intents, and pings that wait for an ack are
    at most ``n`` each; and nobody knows a name that was never used.  Relays, streams, waiting
    packets, and the queues of user events and queries keep their configured bounds.

    Args:
      strangers: names that were made up by the test.
    """

    def __init__(self, *strangers: str) -> None:
        self._strangers = frozenset(strangers)

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        names = self._strangers.union(node.name for node in cluster)
        for node in cluster.running:
            unknown = {each.name for each in node.serf.memberlist.nodes()} - names
            if unknown:
                yield f"{node.name} knows {sorted(unknown)}, whom nobody started"
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
        gc.collect()  # what is garbage is not held
        held = sys.getallocatedblocks() - self._first
        if held > bound:
            yield f"{held} blocks of memory more than at first: expected at most {bound}"
