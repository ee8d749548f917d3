"""The holes that Go has: each shows with ``faithful_go``, and is closed without it.

Every scenario runs twice.  What it shows of Go is asserted as plainly as what trioserf does, so
that a hole that is none any more, or a scenario that misses it, is noticed.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trioserf import MemberStatus
from trioserf._swim.refutation import MAX_INCARNATION
from trioserf._wire.messages import Alive, Dead, UserMessage
from trioserf._wire.serf_messages import JoinIntent, decode_push_pull, encode_serf
from trioserf.testing import SimCluster, SimNode
from trioserf.testing.invariants import membership_invariants

from .kit import cluster_of, incarnation, inject, member, stays_for, views

ALIVE, FAILED = MemberStatus.ALIVE, MemberStatus.FAILED
RARE = {"push_pull_interval": 600.0, "reconnect_interval": 600.0}
"""Exchanges as rare as in clusters of thousands, where Go stretches their intervals."""
NEXT_EXCHANGE = 700.0
"""Seconds after which a node that missed some gossip has it from an exchange."""

both = pytest.mark.parametrize("faithful_go", [True, False], ids=["go", "trioserf"])


async def grow_older(cluster: SimCluster, times: int = 3) -> None:
    """Let every node but the first count some incarnations.

    They exchange state with the first by push/pull: by Go's rules gossip may miss a node,
    and the next regular exchange may be with one that was missed, too.
    """
    for node in cluster.nodes[1:]:
        for number in range(times):
            await node.serf.set_tags({"version": str(number)})
    for _ in ("the first learns from all", "all learn from the first"):
        for node in cluster.nodes[1:]:
            await node.serf.join([cluster[0].address])
    await cluster.converged(within=1)


def alive_message(cluster: SimCluster, name: str, number: int) -> Alive:
    """An alive message as the node itself would make it."""
    node = cluster[0].serf.memberlist.node(name)
    assert node is not None
    return Alive(number, name, node.addr, node.port, node.meta, node.versions)


# --- a stale alive message about a dead node ----------------------------------------------


@pytest.mark.slow
@both
async def test_a_mass_restart_brings_everybody_back(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    """All but the first restart with nothing in memory, and join one that restarted as well."""
    fields = {"faithful_go": faithful_go, "gossip_to_the_dead_time": 300.0, **RARE}
    async with cluster_of(6, join="everybody", **fields) as (cluster, _):
        await grow_older(cluster)
        others = range(1, 6)
        await cluster.crash(*others)
        await cluster.converged(within=NEXT_EXCHANGE)
        await trio.sleep(5)  # no dead message is left to gossip
        await cluster.restart(1, 2, 3, 4, 5, join=False)
        await cluster[1].serf.join([cluster[0].address])
        for number in (2, 3, 4, 5):
            await cluster[number].serf.join([cluster[1].address])
        await trio.sleep(10)
        seen = [cluster[0].view()[f"node-{number}"] for number in (3, 4, 5, 6)]
        if faithful_go:
            # They live; the first receives that, and takes it for stale.
            assert [FAILED] * 4 == seen
            assert all(ALIVE == cluster[1].view()[f"node-{n}"] for n in (3, 4, 5, 6))
        else:
            assert [ALIVE] * 4 == seen
            await cluster.converged(within=1)


# --- resurrection -------------------------------------------------------------------------


@pytest.mark.slow
@both
async def test_an_alive_message_from_between_two_dead_messages_resurrects_no_node(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    """Two dead messages arrive, and then, late, the alive message that the second one answered."""
    invariants = membership_invariants(forged=True)
    async with cluster_of(3, faithful_go=faithful_go, invariants=invariants) as (cluster, _):
        await cluster.crash("node-3")
        await cluster.converged()
        dead = incarnation(cluster, "node-3")
        inject(cluster, Dead(dead + 2, "node-3", "node-2"))
        await trio.sleep(0.5)
        inject(cluster, alive_message(cluster, "node-3", dead + 1))
        await trio.sleep(0.5)
        assert {ALIVE if faithful_go else FAILED} == views(cluster, "node-3")


# --- the last incarnation -----------------------------------------------------------------


@pytest.mark.slow
@both
async def test_one_message_with_the_last_incarnation_evicts_no_node(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    invariants = membership_invariants(forged=True)
    if faithful_go:
        invariants = invariants[2:]  # in Go the incarnation of the node itself wraps to 0
    async with cluster_of(4, faithful_go=faithful_go, invariants=invariants) as (cluster, _):
        inject(cluster, Dead(MAX_INCARNATION, "node-2", "node-1"))
        await trio.sleep(1)
        await stays_for(15, cluster, "node-2", FAILED if faithful_go else ALIVE)
        local = cluster["node-2"].serf.memberlist.local_node.incarnation
        assert local < 100
        if not faithful_go:
            # It can still refute an honest suspect message.
            inject(cluster, Dead(local, "node-2", "node-1"))
            await trio.sleep(1)
            assert {ALIVE} == views(cluster, "node-2")


# --- partitions that outlast memory -------------------------------------------------------


@pytest.mark.slow
@both
async def test_a_partition_that_outlasted_all_memory_of_the_dead_heals(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    """Both sides purged and reaped each other before the partition ends."""
    times = {"reconnect_timeout": 40.0, "reap_interval": 5.0}
    async with cluster_of(6, faithful_go=faithful_go, **times) as (cluster, _):
        cluster.partition(range(3))
        await trio.sleep(150)
        assert [3] * 6 == [len(node.view()) for node in cluster]
        assert [3] * 6 == [node.serf.memberlist.num_nodes for node in cluster]
        cluster.heal()
        if faithful_go:
            await trio.sleep(300)
            assert [3] * 6 == [len(node.view()) for node in cluster]
        else:
            await cluster.converged(within=210)


@pytest.mark.slow
@both
async def test_a_cluster_that_restarts_while_its_network_is_down_finds_together(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    """Every node had seen all others fail, so no snapshot has one that is alive."""
    async with SimCluster(seed=1, disks=True) as cluster:
        await cluster.spawn(4, faithful_go=faithful_go)
        await cluster.converged()
        cluster.partition([0], [1], [2], [3])
        await trio.sleep(120)
        assert [1] * 4 == [list(node.view().values()).count(ALIVE) for node in cluster]
        for node in cluster.nodes:
            await cluster.restart(node)
        await trio.sleep(60)
        cluster.heal()
        if faithful_go:
            await trio.sleep(300)
            assert [1] * 4 == [len(node.view()) for node in cluster]
        else:
            await cluster.converged(within=120)


# --- another address ----------------------------------------------------------------------


@pytest.mark.slow
@both
async def test_a_failed_node_may_return_at_another_address(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    fields = {"faithful_go": faithful_go, "enable_name_conflict_resolution": False}
    async with cluster_of(4, **fields) as (cluster, _):
        await cluster.crash("node-3")
        await cluster.converged()
        await cluster.restart("node-3", new_address=True)
        await trio.sleep(2)
        assert {FAILED if faithful_go else ALIVE} == views(cluster, "node-3")
        if not faithful_go:
            addresses = {str(member(cluster, "node-3", node.name).addr) for node in cluster}
            assert {cluster["node-3"].host} == addresses


@pytest.mark.slow
@both
async def test_a_node_that_left_may_return_at_another_address(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    """Here Go has no hole; trioserf must not open one."""
    async with cluster_of(4, faithful_go=faithful_go) as (cluster, _):
        await cluster.leave("node-3")
        await cluster.converged()
        former = cluster["node-3"].host
        await cluster.restart("node-3", new_address=True)
        await cluster.converged(within=10)
        assert former != cluster["node-3"].host
        assert {ALIVE} == views(cluster, "node-3")
        addresses = {str(member(cluster, "node-3", node.name).addr) for node in cluster}
        assert {cluster["node-3"].host} == addresses


@pytest.mark.slow
@both
async def test_a_node_that_moved_before_its_failure_was_known_is_found(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    """Its old address is asked, and silent."""
    fields = {"faithful_go": faithful_go, "enable_name_conflict_resolution": False}
    async with cluster_of(4, **fields) as (cluster, _):
        await cluster.restart("node-3", new_address=True)
        await trio.sleep(4)
        addresses = {str(member(cluster, "node-3", n).addr) for n in (0, 1, 3)}
        assert faithful_go is (cluster["node-3"].host not in addresses)
        if not faithful_go:
            assert {cluster["node-3"].host} == addresses
            await cluster.converged(within=1)


@pytest.mark.slow
async def test_a_name_whose_old_address_answers_stays_there(autojump_clock: MockClock) -> None:
    invariants = membership_invariants(forged=True)
    async with cluster_of(4, invariants=invariants) as (cluster, _):
        before = cluster["node-3"].host
        node = alive_message(cluster, "node-3", 50)
        elsewhere = Alive(50, "node-3", b"\x0a\x63\x00\x01", 7946, node.meta, node.versions)
        for _ in range(5):
            inject(cluster, elsewhere, "node-1", "node-2", "node-4")
            await trio.sleep(1)
            addresses = {str(member(cluster, "node-3", n).addr) for n in (0, 1, 3)}
            assert {before} == addresses
            assert {ALIVE} == views(cluster, "node-3")
        assert cluster[0].serf.memberlist.statistics().conflicts > 0


# --- a return that is taken for a leave ---------------------------------------------------


def newest_intent(node: SimNode, about: str) -> int:
    """The Lamport time that a node sends of another in its push/pulls."""
    state = node.serf._delegate.local_state(join=False)
    return decode_push_pull(state).status_ltimes[about]


@pytest.mark.slow
@both
async def test_a_member_that_returns_is_not_leaving_for_ever(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    """It left, and returns while one node is cut off, which receives its intent first."""
    async with cluster_of(4, faithful_go=faithful_go) as (cluster, _):
        await cluster.leave("node-4")
        await trio.sleep(30)
        cluster.partition(["node-3"])
        await cluster.restart("node-4", join=False)
        await cluster["node-4"].serf.join([cluster["node-1"].address])
        await trio.sleep(1)
        cluster.heal()
        joined = JoinIntent(newest_intent(cluster["node-1"], "node-4"), "node-4")
        inject(cluster, UserMessage(encode_serf(joined)), "node-3")
        await trio.sleep(0.01)
        await cluster["node-3"].serf.join([cluster["node-1"].address])
        await trio.sleep(60)
        seen = cluster["node-1"].view()["node-4"]
        assert (MemberStatus.LEAVING if faithful_go else ALIVE) == seen
