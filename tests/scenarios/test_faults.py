"""Whatever goes wrong: the invariants hold in every step, and in the end everybody agrees.

The time to agreement is bounded by `trioserf.testing.bounds`, from the moment of the last
fault; loss goes on all the while.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from trioserf import MemberStatus
from trioserf.testing import SimCluster
from trioserf.testing.invariants import membership_invariants

from .kit import agrees_in_time, cluster_of, stays_for, views

Fault = Callable[[SimCluster], Awaitable[bool]]
"""Does something and takes it back; whether nodes that live may hold each other dead after it."""


async def crashes(cluster: SimCluster) -> bool:
    await cluster.crash(*range(1, len(cluster), 3))
    return False


async def crashes_and_returns(cluster: SimCluster) -> bool:
    some = range(1, len(cluster), 3)
    await cluster.crash(*some)
    await trio.sleep(20)
    # Who dials while packets are lost may need a second try, as every user does.
    cluster.network.change_link(loss=0.0)
    await cluster.restart(*some)
    return True


async def leaves(cluster: SimCluster) -> bool:
    await cluster.leave(1)
    return False


async def a_partition(cluster: SimCluster) -> bool:
    cluster.partition(range(max(1, len(cluster) // 3)))
    await trio.sleep(40)
    cluster.heal()
    return True


async def a_one_way_link(cluster: SimCluster) -> bool:
    deaf = cluster[1].host
    for node in cluster:
        if node.host != deaf:
            cluster.network.cut(node.host, deaf)
    await trio.sleep(20)
    cluster.heal()
    return True


async def duplicates_and_reordering(cluster: SimCluster) -> bool:
    cluster.network.change_link(duplicate=0.3, reorder=0.3, reorder_by=0.5, latency=(0.001, 0.1))
    await cluster[0].serf.set_tags({"role": "web"})
    await cluster[1].serf.user_event("deploy")
    await cluster.crash(2)
    await trio.sleep(5)
    await cluster[0].serf.set_tags({"role": "db"})
    return False


async def a_pause(cluster: SimCluster) -> bool:
    cluster.stop(1)
    await trio.sleep(40)
    cluster.resume(1)
    return True


FAULTS = [
    crashes,
    crashes_and_returns,
    leaves,
    a_partition,
    a_one_way_link,
    duplicates_and_reordering,
    a_pause,
]


async def goes_wrong_and_heals(fault: Fault, nodes: int, loss: float, step: float) -> None:
    async with cluster_of(nodes, loss=loss, step=step) as (cluster, watch):
        await trio.sleep(2)
        parted = await fault(cluster) or loss > 0
        await agrees_in_time(cluster, loss=loss, parted=parted)
        assert watch.steps > 10


@pytest.mark.slow
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_three_nodes_agree_in_time(
    fault: Fault, loss: float, autojump_clock: MockClock
) -> None:
    await goes_wrong_and_heals(fault, 3, loss, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "loss"),
    [
        (crashes, 0.3),
        (crashes_and_returns, 0.0),
        (a_partition, 0.0),
        (a_partition, 0.3),
        (a_one_way_link, 0.1),
        (duplicates_and_reordering, 0.1),
        (a_pause, 0.1),
    ],
)
async def test_thirty_nodes_agree_in_time(
    fault: Fault, loss: float, autojump_clock: MockClock
) -> None:
    await goes_wrong_and_heals(fault, 30, loss, 0.5)


@pytest.mark.slow
async def test_two_hundred_nodes_agree_in_time(autojump_clock: MockClock) -> None:
    """Joining takes longest: it is done without loss, and once."""
    invariants = membership_invariants()
    async with cluster_of(200, step=5.0, record=False, invariants=invariants) as (cluster, watch):
        cluster.network.change_link(loss=0.1)
        await cluster.crash(100)
        await agrees_in_time(cluster, loss=0.1)
        assert watch.steps > 3


@pytest.mark.slow
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
async def test_a_short_pause_is_no_death(loss: float, autojump_clock: MockClock) -> None:
    async with cluster_of(3, loss=loss) as (cluster, _):
        cluster.stop(1)
        await stays_for(3, cluster, "node-2", MemberStatus.ALIVE)
        cluster.resume(1)
        await stays_for(60, cluster, "node-2", MemberStatus.ALIVE)


@pytest.mark.slow
async def test_at_ten_percent_loss_nobody_is_ever_declared_dead(
    autojump_clock: MockClock,
) -> None:
    async with cluster_of(17, loss=0.1, step=1.0) as (cluster, _):
        await trio.sleep(120)
        for node in cluster:
            assert {MemberStatus.ALIVE} == views(cluster, node.name)
        assert [] == [entry for entry in cluster.timeline if "failed" in entry.what]
