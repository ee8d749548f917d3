"""What must be true of a simulated cluster at every moment, checked again and again.

::

    async with SimCluster(seed=1) as cluster, watched(cluster, step=0.1) as watch:
        await cluster.spawn(30)
        cluster.partition(range(10))
        await trio.sleep(60)
        cluster.heal()
        await cluster.converged(within=agreement_bound(...))
        print(watch.steps)

Every ``step`` seconds of the run's clock each invariant looks at the cluster as it is in that
moment, with no task in between; at the end of the block once more.  What is wrong ends the
block with an `InvariantViolation`.  The invariants of membership and of events are checked by
default, bounded memory only where it is asked for; any object with the method of `Invariant` can
be one more.

Those of membership compare the record that each node has of each other with that of the last
look.  A record that was dropped and made anew is another record, and is not compared: a node that
forgot a dead message cannot know that an alive message is older.  Those of events read the
timeline of the cluster, so they see nothing of a cluster with ``record=False``.

Source: the SWIM paper (2002), section 4.2, on incarnation numbers; hashicorp/memberlist v0.2.2,
state.go.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, final

import trio

from .. import _attrs as attrs
from .._events import EventType, MemberEvent, MemberStatus, SerfState, UserEvent
from ..abc import NodeView

if TYPE_CHECKING:
    from .sim_cluster import SimCluster
    from .sim_node import SimNode
    from .timeline import TimelineEntry

_SHOWN = 5
"""Complaints that an error lists in full."""
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
IN_PIPELINE: Final = 0.5
"""Seconds that events may be in the pipeline of their node, without coalescing."""

_STATUS_AFTER: Final = {
    EventType.MEMBER_JOIN: MemberStatus.ALIVE,
    EventType.MEMBER_LEAVE: MemberStatus.LEFT,
    EventType.MEMBER_FAILED: MemberStatus.FAILED,
}


class Invariant(Protocol):
    """Something that is true at every moment.  May remember what it saw before."""

    def complaints(self, cluster: SimCluster, now: float) -> Iterable[str]:
        """What is wrong now, in words.

        Args:
          cluster: as it is.
          now: trio clock (seconds).
        """


class InvariantViolation(AssertionError):
    """An invariant of a simulated cluster is broken; the text says which, when and where."""


def membership_invariants(*, forged: bool = False) -> tuple[Invariant, ...]:
    """Fresh invariants of membership: incarnations, the local node, sizes.

    Args:
      forged: the test injects messages that no node of the cluster sent; then incarnations are
        not compared with those that the nodes themselves had.
    """
    return (Incarnations(forged=forged), LocalNodeAlive(), Sizes())


def all_invariants(*, forged: bool = False) -> tuple[Invariant, ...]:
    """The same, and those of the events that nodes report to their applications."""
    return (*membership_invariants(forged=forged), EventsMatchMembers(), DeliveredOnce())


@final
@attrs.define(eq=False)
class Watch:
    """Invariants of one cluster, and how often they were looked at.

    Args:
      cluster: what is watched.
      invariants: what must be true.
    """

    cluster: SimCluster
    invariants: Sequence[Invariant]
    steps: int = attrs.field(default=0, init=False)
    """How often all of them were true."""

    def check(self) -> None:
        """Check now.

        Raises:
          InvariantViolation: one of them is broken.
        """
        now = trio.current_time()
        wrong = [
            f"{type(invariant).__name__}: {text}"
            for invariant in self.invariants
            for text in invariant.complaints(self.cluster, now)
        ]
        if wrong:
            more = f"\nand {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise InvariantViolation(f"at {now:.3f} s: " + "\n".join(wrong[:_SHOWN]) + more)
        self.steps += 1


@asynccontextmanager
async def watched(
    cluster: SimCluster, *, step: float = 0.1, invariants: Sequence[Invariant] | None = None
) -> AsyncIterator[Watch]:
    """Check invariants all through a block.

    Args:
      cluster: entered before.
      step: time between two looks (seconds); each takes time with the square of the number
        of nodes.
      invariants: fresh ones; None takes `all_invariants`.

    Raises:
      InvariantViolation: one was broken, or is at the end; the block is
        cancelled.
    """
    watch = Watch(cluster, all_invariants() if invariants is None else invariants)
    violation: InvariantViolation | None = None
    raised: BaseException | None = None

    async def look_again_and_again() -> None:
        nonlocal violation
        try:
            while True:
                watch.check()
                await trio.sleep(step)
        except InvariantViolation as error:
            violation = error
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look_again_and_again)
        try:
            yield watch
            if violation is None:
                watch.check()
        except trio.Cancelled:
            raise
        except BaseException as error:
            raised = error  # kept out of the nursery, so that it leaves this block bare
        nursery.cancel_scope.cancel()
    if violation is not None:
        raise violation
    if raised is not None:
        raise raised


# --- membership -----------------------------------------------------------------------------


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
            if cluster[name].lives <= len(starts)  # else one began and ended between two looks
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
    # In the round about a node that refuses, each other node may be asked to ping it.
    asked = n * n if settings.dead_on_refusal else 0
    yield "pings without an ack", below.pending_acks, n + asked
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


# --- events ---------------------------------------------------------------------------------


def is_start(entry: TimelineEntry) -> bool:
    """Whether a node starts, for the first time or again: it knows no member."""
    return entry.event is None and entry.what.startswith("— starts")


@final
class EventsMatchMembers:
    """Folding the events of a node gives its ``members()``.

    A join makes a member alive, a leave left, a failure failed; a reap takes it away; an update
    changes its tags.  Events are a moment behind; a difference that lasts is wrong.  Nodes that
    are stopped are not looked at, nor nodes whose events are coalesced.  The recorder begins
    when the node has started, so the join of the node itself may be missing.
    """

    def __init__(self) -> None:
        self._read = 0
        self._folded: dict[str, dict[str, tuple[MemberStatus, dict[str, str]]]] = {}
        self._wrong_since: dict[str, float] = {}

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        entries = cluster.timeline.since(self._read)
        self._read += len(entries)
        for entry in entries:
            self._fold(entry)
        for node in cluster.running:
            if cluster.is_stopped(node) or node.config.coalesce_period > 0:
                self._wrong_since.pop(node.name, None)
                continue
            difference = self._difference(node)
            if not difference:
                self._wrong_since.pop(node.name, None)
            elif now - self._wrong_since.setdefault(node.name, now) > IN_PIPELINE:
                yield f"the events of {node.name} do not add up to its members: {difference}"

    def _fold(self, entry: TimelineEntry) -> None:
        if is_start(entry):
            self._folded[entry.node] = {}
            self._wrong_since.pop(entry.node, None)
        if not isinstance(entry.event, MemberEvent):
            return
        known = self._folded.setdefault(entry.node, {})
        for member in entry.event.members:
            match entry.event.type:
                case EventType.MEMBER_REAP:
                    known.pop(member.name, None)
                case EventType.MEMBER_UPDATE:
                    local = member.name == entry.node
                    unknown = MemberStatus.ALIVE if local else MemberStatus.NONE
                    status, _ = known.get(member.name, (unknown, {}))
                    known[member.name] = status, dict(member.tags)
                case kind:
                    known[member.name] = _STATUS_AFTER[kind], dict(member.tags)

    def _difference(self, node: SimNode) -> str:
        reported = self._folded.get(node.name)
        if not reported:
            return ""  # not recorded
        known = {
            # An intent to leave is no event; the leave itself is one.
            member.name: (
                MemberStatus.ALIVE if member.status is MemberStatus.LEAVING else member.status,
                dict(member.tags),
            )
            for member in node.serf.members()
        }
        if node.name not in reported:
            del known[node.name]
        if known == reported:
            return ""
        names = sorted(
            name for name in known.keys() | reported.keys() if known.get(name) != reported.get(name)
        )
        name = names[0]
        return (
            f"{name} is {known.get(name)}, its events say {reported.get(name)} ({len(names)} names)"
        )


@final
class DeliveredOnce:
    """From one start to the next, a node delivers each user event at most once.

    Two events of one name and payload differ in their Lamport times.
    """

    def __init__(self) -> None:
        self._read = 0
        self._seen: dict[str, set[tuple[int, str, bytes]]] = {}

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        """See `Invariant`."""
        entries = cluster.timeline.since(self._read)
        self._read += len(entries)
        for entry in entries:
            seen = self._seen.setdefault(entry.node, set())
            if is_start(entry):
                seen.clear()
            event = entry.event
            if isinstance(event, UserEvent):
                key = event.ltime, event.name, event.payload
                if key in seen:
                    yield f"{entry.node} delivered {event.name} of time {event.ltime} twice"
                seen.add(key)
