"""The law of the event stream, checked on what the readers of a cluster received.

* Folding the events gives ``members()``.
* At most one delivery of each (Lamport time, name, payload): from one start to the next, and over
  a crash with a disk, except for what was delivered in the last moment before it.
* Never an event for a state that did not change.

Where events are coalesced the first and the last are true as soon as no event waits, and the
first event about a member may say how it went.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import attrs
import trio

from trioserf import (
    Event,
    EventsDropped,
    EventType,
    Member,
    MemberEvent,
    MemberStatus,
    UserEvent,
)
from trioserf.lowlevel import replay
from trioserf.testing import SimCluster
from trioserf.testing.invariants import is_start

State = tuple[MemberStatus, tuple[tuple[str, str], ...], str, int]
"""Status, tags and address of a member: what an event may report a change of."""

STATUS_AFTER = {
    EventType.MEMBER_JOIN: MemberStatus.ALIVE,
    EventType.MEMBER_LEAVE: MemberStatus.LEFT,
    EventType.MEMBER_FAILED: MemberStatus.FAILED,
}
UNWRITTEN = 1.0
"""What was delivered so shortly before a crash need not be on the disk (seconds)."""


def state_of(member: Member, status: MemberStatus) -> State:
    return status, tuple(sorted(member.tags.items())), str(member.addr), member.port


def known_by(members: Iterable[Member]) -> dict[str, State]:
    """What a node knows.  An intent to leave is no event; the leave itself is one."""
    return {
        member.name: state_of(
            member,
            MemberStatus.ALIVE if member.status is MemberStatus.LEAVING else member.status,
        )
        for member in members
    }


@attrs.define
class Fold:
    """The members that events report, and what is wrong with the events themselves."""

    coalesced: bool = False
    members: dict[str, State] = attrs.field(factory=dict)
    wrong: list[str] = attrs.field(factory=list)

    def add(self, event: MemberEvent) -> None:
        for member in event.members:
            self._add(event.type, member)

    def _add(self, kind: EventType, member: Member) -> None:
        name, before = member.name, self.members.get(member.name)
        if kind is EventType.MEMBER_REAP:
            if self.members.pop(name, None) is None:
                self.wrong.append(f"{name} was reaped and not there")
            return
        if kind is EventType.MEMBER_UPDATE:
            status = before[0] if before else MemberStatus.ALIVE
        else:
            status = STATUS_AFTER[kind]
        self.members[name] = after = state_of(member, status)
        if before is None:
            if kind is EventType.MEMBER_UPDATE or not (
                self.coalesced or kind is EventType.MEMBER_JOIN
            ):
                self.wrong.append(f"{kind} about {name}, who never joined")
        elif before == after:
            self.wrong.append(f"{kind} about {name}, and nothing changed: {after}")
        elif kind is not EventType.MEMBER_UPDATE and before[0] is status and not self.coalesced:
            self.wrong.append(f"{kind} about {name}, who was {status} before")


def fold(events: Iterable[Event], *, coalesced: bool = False) -> Fold:
    folded = Fold(coalesced)
    for event in events:
        if isinstance(event, MemberEvent):
            folded.add(event)
    return folded


def delivered_twice(events: Iterable[Event]) -> list[tuple[int, str, bytes]]:
    counts = Counter(
        (event.ltime, event.name, event.payload) for event in events if isinstance(event, UserEvent)
    )
    return [key for key, count in counts.items() if count > 1]


class Readers:
    """One reader for each start of each node, from its first event on."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._readers: dict[tuple[str, int], list[Event]] = {}

    def attend(self) -> None:
        """Read what waits, in every running node."""
        for node in self._cluster.running:
            events = self._readers.setdefault((node.name, node.lives), [])
            while True:
                try:
                    events.append(node.serf.events.receive_nowait())
                except (trio.WouldBlock, trio.EndOfChannel):
                    break

    def judge(self) -> Iterator[str]:
        """Complaints about all starts of all nodes, the past ones too."""
        self.attend()
        for (name, start), events in self._readers.items():
            node = self._cluster[name]
            folded = fold(events, coalesced=node.config.coalesce_period > 0)
            yield from (f"{name} {start}: {text}" for text in folded.wrong)
            yield from (f"{name} {start}: twice {key}" for key in delivered_twice(events))
            if any(isinstance(event, EventsDropped) for event in events):
                yield f"{name} {start}: events dropped"
            if node.running and node.lives == start:
                known = known_by(node.serf.members())
                if known != folded.members:
                    yield f"{name} {start}: folded {folded.members}, but it knows {known}"


class Disks:
    """What the disks of nodes said when these started again."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._clocks: dict[tuple[str, int], int] = {}

    def about_to_start(self, name: str) -> None:
        """A node that is down starts now."""
        node = self._cluster[name]
        if node.disk is not None:
            rejoins = node.config.rejoin_after_leave
            state = replay(node.disk.read_bytes(), rejoin_after_leave=rejoins)
            self._clocks[name, node.lives + 1] = state.event_clock

    def judge(self) -> Iterator[str]:
        """Complaints about events that were delivered although the disk knew them."""
        starts = dict.fromkeys((node.name for node in self._cluster), 0)
        delivered: dict[str, list[tuple[float, int]]] = {}
        last: dict[str, float] = {}
        for entry in self._cluster.timeline:
            name = entry.node
            if is_start(entry):
                starts[name] += 1
                clock = self._clocks.get((name, starts[name]))
                if clock is not None:
                    yield from self._unwritten(name, delivered.pop(name, []), last[name], clock)
            elif isinstance(entry.event, UserEvent):
                delivered.setdefault(name, []).append((entry.time, entry.event.ltime))
                if entry.event.ltime <= self._clocks.get((name, starts[name]), -1):
                    yield f"{name} {starts[name]}: {entry.event} is on the disk, but came again"
            elif entry.what.startswith("— crashes"):
                last[name] = entry.time
            elif entry.what.startswith("— leaves"):
                delivered.pop(name, None)
                last[name] = entry.time

    def _unwritten(
        self, name: str, delivered: list[tuple[float, int]], end: float, clock: int
    ) -> Iterator[str]:
        missing = [ltime for time, ltime in delivered if time < end - UNWRITTEN and ltime > clock]
        if missing:
            yield f"{name}: events of times {missing} were delivered, but its disk knows {clock}"


def views(cluster: SimCluster) -> Mapping[str, Mapping[str, State]]:
    """What every running node knows."""
    return {node.name: known_by(node.serf.members()) for node in cluster.running}
