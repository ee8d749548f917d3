"""The law of the event stream, over random schedules of everything that can happen.

* Folding the events gives ``members()``.
* At most one delivery of each (Lamport time, name, payload).
* Never an event for a state that did not change.

The first two are watched by `trioserf.testing.event_invariants` in every step; here is the
third, and a fold of our own over each whole life.  ``TRIOSERF_SCHEDULES`` sets how many
schedules run, and ``TRIOSERF_FIRST_SCHEDULE`` the number of the first, for long campaigns; a
schedule is repeated by its number.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
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
from trioserf.testing import SimCluster
from trioserf.testing.event_invariants import Deliveries, Foldable
from trioserf.testing.invariants import watched
from trioserf.testing.schedule import run

SCHEDULES = int(os.environ.get("TRIOSERF_SCHEDULES", "24"))
FIRST = int(os.environ.get("TRIOSERF_FIRST_SCHEDULE", "0"))
NODES = 5
STEPS = 12

State = tuple[MemberStatus, tuple[tuple[str, str], ...], str, int]
"""Status, tags and address of a member: what an event may tell a change of."""

STATUS_AFTER = {
    EventType.MEMBER_JOIN: MemberStatus.ALIVE,
    EventType.MEMBER_LEAVE: MemberStatus.LEFT,
    EventType.MEMBER_FAILED: MemberStatus.FAILED,
}


# --- folding ------------------------------------------------------------------------------


def state_of(member: Member, status: MemberStatus) -> State:
    return status, tuple(sorted(member.tags.items())), str(member.addr), member.port


def fold(events: Iterable[Event]) -> tuple[dict[str, State], list[str]]:
    """The members that events tell of, and what is wrong with the events themselves."""
    members: dict[str, State] = {}
    wrong: list[str] = []
    for event in events:
        if not isinstance(event, MemberEvent):
            continue
        for member in event.members:
            before = members.get(member.name)
            if event.type is EventType.MEMBER_REAP:
                if members.pop(member.name, None) is None:
                    wrong.append(f"{member.name} was reaped and not there")
                continue
            if event.type is EventType.MEMBER_UPDATE:
                status = before[0] if before else MemberStatus.ALIVE
            else:
                status = STATUS_AFTER[event.type]
            members[member.name] = after = state_of(member, status)
            if before is None and event.type is not EventType.MEMBER_JOIN:
                wrong.append(f"{event.type} about {member.name}, who never joined")
            elif before == after:
                wrong.append(f"{event.type} about {member.name}, and nothing changed: {after}")
            elif before and event.type is not EventType.MEMBER_UPDATE and before[0] is status:
                wrong.append(f"{event.type} about {member.name}, who was {status} before")
    return members, wrong


def told_twice(events: Iterable[Event]) -> list[tuple[int, str, bytes]]:
    counts = Counter(
        (event.ltime, event.name, event.payload) for event in events if isinstance(event, UserEvent)
    )
    return [key for key, count in counts.items() if count > 1]


class Readers:
    """One reader for each life of each node, from its first event on."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._lives: dict[str, list[Event]] = {}

    def attend(self) -> None:
        """Read what waits, in every running node."""
        for node in self._cluster.running:
            events = self._lives.setdefault(f"{node.name} {node.lives}", [])
            while True:
                try:
                    events.append(node.serf.events.receive_nowait())
                except (trio.WouldBlock, trio.EndOfChannel):
                    break

    def judge(self) -> Iterator[str]:
        """Complaints about all lives, the past ones too."""
        self.attend()
        for life, events in self._lives.items():
            members, wrong = fold(events)
            yield from (f"{life}: {text}" for text in wrong)
            yield from (f"{life}: twice {key}" for key in told_twice(events))
            if any(isinstance(event, EventsDropped) for event in events):
                yield f"{life}: events dropped"
            name, number = life.split()
            node = self._cluster[name]
            if node.running and node.lives == int(number):
                known = {
                    member.name: state_of(
                        member,
                        # An intent to leave is no event; the leave itself is one.
                        MemberStatus.ALIVE
                        if member.status is MemberStatus.LEAVING
                        else member.status,
                    )
                    for member in node.serf.members()
                }
                if known != members:
                    yield f"{life}: folded {members}, but it knows {known}"


# --- schedules ----------------------------------------------------------------------------


class Schedule:
    """Random things that happen to a cluster, one after the other, by a seed."""

    def __init__(self, cluster: SimCluster, seed: int) -> None:
        self.cluster = cluster
        self.rng = random.Random(f"schedule {seed}")
        self.actions = [
            self.user_event,
            self.same_user_event_twice,
            self.tags,
            self.crash,
            self.leave,
            self.restart,
            self.restart_elsewhere,
            self.partition,
            self.heal,
            self.noise,
            self.force_leave,
            self.prune,
            self.pause,
        ]

    def one(self) -> str:
        return self.rng.choice([node.name for node in self.cluster.running])

    async def step(self) -> None:
        await self.rng.choice(self.actions)()
        await trio.sleep(self.rng.choice([0.0, 0.05, 0.4, 3.0, 15.0]))

    async def user_event(self) -> None:
        name = self.rng.choice(["deploy", "scale"])
        await self.cluster[self.one()].serf.user_event(name, b"", coalesce=False)

    async def same_user_event_twice(self) -> None:
        """Two nodes say the same words, perhaps at one Lamport time."""
        for name in {self.one(), self.one()}:
            await self.cluster[name].serf.user_event("same", b"words", coalesce=False)

    async def tags(self) -> None:
        node = self.cluster[self.one()]
        with trio.move_on_after(1):
            await node.serf.set_tags({"role": self.rng.choice(["web", "db"])})

    async def crash(self) -> None:
        if len(self.cluster.running) > 2:
            await self.cluster.crash(self.one())

    async def leave(self) -> None:
        if len(self.cluster.running) > 2:
            await self.cluster.leave(self.one())

    def _down(self) -> list[str]:
        return [node.name for node in self.cluster if not node.running]

    async def restart(self, *, new_address: bool = False) -> None:
        if not self._down():
            await self.crash()
        # In a partition there may be nobody to join: then it stays alone until later.
        if name := next(iter(self._down()), None):
            await self.cluster.restart(name, new_address=new_address, join=False)
            others = [node for node in self.cluster.running if node.name != name]
            with trio.move_on_after(3):
                try:
                    await self.cluster[name].serf.join([node.address for node in others])
                except ExceptionGroup:
                    return

    async def restart_elsewhere(self) -> None:
        await self.restart(new_address=True)

    async def partition(self) -> None:
        names = [node.name for node in self.cluster]
        self.rng.shuffle(names)
        self.cluster.partition(names[: self.rng.randint(1, NODES - 1)])

    async def heal(self) -> None:
        self.cluster.heal()
        self.cluster.network.change_link(loss=0.0, duplicate=0.0, reorder=0.0)

    async def noise(self) -> None:
        self.cluster.network.change_link(
            loss=self.rng.choice([0.0, 0.2]), duplicate=0.3, reorder=0.3, reorder_by=0.5
        )

    def _other(self) -> str:
        return self.rng.choice([node.name for node in self.cluster])

    async def force_leave(self, *, prune: bool = False) -> None:
        with trio.move_on_after(1):
            await self.cluster[self.one()].serf.remove_failed_node(self._other(), prune=prune)

    async def prune(self) -> None:
        await self.force_leave(prune=True)

    async def pause(self) -> None:
        name = self.one()
        self.cluster.stop(name)
        await trio.sleep(self.rng.choice([0.5, 12.0]))
        self.cluster.resume(name)


async def live_through(seed: int) -> list[str]:
    """Run one schedule; the complaints about the events of all its lives."""
    async with (
        SimCluster(seed=seed) as cluster,
        watched(cluster, step=0.25, invariants=(Foldable(), Deliveries())),
    ):
        await cluster.spawn(
            NODES,
            enable_compression=False,
            enable_name_conflict_resolution=False,
            reconnect_interval=5.0,
            reconnect_timeout=20.0,
            tombstone_timeout=20.0,
            reap_interval=5.0,
            event_buffer=512 if seed % 2 else 4,
        )
        readers, schedule = Readers(cluster), Schedule(cluster, seed)
        for _ in range(STEPS):
            await schedule.step()
            readers.attend()
        await schedule.heal()
        await trio.sleep(5)
        return list(readers.judge())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SCHEDULES))
def test_the_events_tell_what_happened_once_and_nothing_else(seed: int) -> None:
    assert [] == run(seed, live_through, seed)
