"""Invariants of events: what a node reports to its application is all that the application needs.

They read the timeline of the cluster, so nothing is seen of a cluster with ``record=False``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, final

from .._events import EventType, MemberEvent, MemberStatus, UserEvent

if TYPE_CHECKING:
    from .sim_cluster import SimCluster
    from .sim_node import SimNode
    from .timeline import TimelineEntry

IN_PIPELINE: Final = 0.5
"""Seconds that events may be in the pipeline of their node, without coalescing."""

_STATUS_AFTER: Final = {
    EventType.MEMBER_JOIN: MemberStatus.ALIVE,
    EventType.MEMBER_LEAVE: MemberStatus.LEFT,
    EventType.MEMBER_FAILED: MemberStatus.FAILED,
}


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
