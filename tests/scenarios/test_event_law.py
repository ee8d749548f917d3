"""The law of the event stream, over random schedules of everything that can happen.

`event_law` judges the readers; in every step of the run `trioserf.testing.invariants`
watches as well.  Some of the clusters have disks, so that nodes find their way back by their
snapshots, and some merge events.  ``TRIOSERF_SCHEDULES`` sets how many schedules run, and
``TRIOSERF_FIRST_SCHEDULE`` the number of the first, for long campaigns; a schedule is repeated
by its number.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
import trio

from trioserf.testing import SimCluster
from trioserf.testing.determinism import run
from trioserf.testing.invariants import DeliveredOnce, EventsMatchMembers, watched

from .event_law import Disks, Readers, views

SCHEDULES = int(os.environ.get("TRIOSERF_SCHEDULES", "24"))
FIRST = int(os.environ.get("TRIOSERF_FIRST_SCHEDULE", "0"))
NODES = 5
STEPS = 12
QUIET = 4.0
"""No event waits to be coalesced when nothing happened for so long (seconds)."""


# --- schedules ----------------------------------------------------------------------------


class Schedule:
    """Random things that happen to a cluster, one after the other, by a seed."""

    def __init__(self, cluster: SimCluster, disks: Disks, seed: int) -> None:
        self.cluster = cluster
        self.disks = disks
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
        coalesce = self.rng.random() < 0.5
        await self.cluster[self.one()].serf.user_event(name, b"", coalesce=coalesce)

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
        # In a partition there may be no node to join: then it stays alone until later.
        if name := next(iter(self._down()), None):
            self.disks.about_to_start(name)
            await self.cluster.restart(name, new_address=new_address, join=False)
            if self.cluster[name].disk is not None and self.rng.random() < 0.7:
                return  # its snapshot has addresses to join
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


def settings(seed: int) -> dict[str, Any]:
    """What the nodes of a schedule are like."""
    rng = random.Random(f"settings {seed}")
    fields: dict[str, Any] = {
        "enable_compression": False,
        "enable_name_conflict_resolution": False,
        "reconnect_interval": 5.0,
        "reconnect_timeout": 20.0,
        "tombstone_timeout": 20.0,
        "reap_interval": 5.0,
        "event_buffer": rng.choice([4, 512]),
        "rejoin_after_leave": rng.random() < 0.5,
        "min_compact_size": rng.choice([200, 131072]),
    }
    if rng.random() < 0.4:
        fields |= {"coalesce_period": 3.0, "quiescent_period": rng.choice([0.3, 1.0])}
    if rng.random() < 0.4:
        fields |= {"user_coalesce_period": 3.0, "user_quiescent_period": 1.0}
    return fields


async def comes_to_rest(cluster: SimCluster) -> None:
    """Wait until no node has learned of anything for a while, or for a minute."""
    before: object = None
    for _ in range(15):
        after = views(cluster)
        if before == after:
            return
        before = after
        await trio.sleep(QUIET)


async def live_through(seed: int) -> list[str]:
    """Run one schedule; the complaints about all events."""
    fields, has_disks = settings(seed), random.Random(f"disks {seed}").random() < 0.5
    async with (
        SimCluster(seed=seed, disks=has_disks) as cluster,
        watched(cluster, step=0.25, invariants=(EventsMatchMembers(), DeliveredOnce())),
    ):
        await cluster.spawn(NODES, **fields)
        readers, disks = Readers(cluster), Disks(cluster)
        schedule = Schedule(cluster, disks, seed)
        for _ in range(STEPS):
            await schedule.step()
            readers.attend()
        await schedule.heal()
        await trio.sleep(5)
        if "coalesce_period" in fields:
            await comes_to_rest(cluster)
        return [*readers.judge(), *disks.judge()]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SCHEDULES))
def test_the_events_report_what_happened_once_and_nothing_else(seed: int) -> None:
    assert [] == run(seed, live_through, seed)
