"""A node that was removed stays away until it really returns: once as Go, once as ours.

What may bring it back is stale: the state of a process that was stopped meanwhile, or an
alive message that was long under way.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trioserf import EventType, MemberEvent, MemberStatus
from trioserf._wire.messages import Alive
from trioserf.testing import SimCluster

from .kit import cluster_of, inject, views

ALIVE, LEAVING, LEFT = MemberStatus.ALIVE, MemberStatus.LEAVING, MemberStatus.LEFT

both = pytest.mark.parametrize("faithful_go", [True, False], ids=["go", "trioserf"])


def returns(cluster: SimCluster, of: str, by: str) -> int:
    """How often a node reported that another one joined."""
    return sum(
        1
        for entry in cluster.timeline.since(0)
        if entry.node == by
        and isinstance(entry.event, MemberEvent)
        and entry.event.type is EventType.MEMBER_JOIN
        and of in [member.name for member in entry.event.members]
    )


async def remove(cluster: SimCluster, *, prune: bool) -> Alive:
    """Crash node-3, let node-1 remove it once all records are dropped; its last alive message."""
    await cluster[0].serf.set_tags({"version": "1"})
    await cluster["node-3"].serf.set_tags({"version": "1"})
    await cluster.converged()
    node = cluster[0].serf.memberlist.node("node-3")
    assert node is not None
    message = Alive(node.incarnation, node.name, node.addr, node.port, node.meta, node.versions)
    await cluster.crash("node-3")
    await trio.sleep(60)
    assert cluster[0].serf.memberlist.node("node-3") is None, "the record is dropped"
    await cluster[0].serf.remove_failed_node("node-3", prune=prune)
    await trio.sleep(5)
    return message


@pytest.mark.slow
@both
@pytest.mark.parametrize("prune", [True, False], ids=["pruned", "force-left"])
async def test_a_process_that_was_stopped_does_not_bring_a_removed_node_back(
    prune: bool, faithful_go: bool, autojump_clock: MockClock
) -> None:
    async with cluster_of(4, faithful_go=faithful_go) as (cluster, _):
        # As in a large cluster, it is not soon that it probes just the one.
        await cluster.spawn("stopped", faithful_go=faithful_go, probe_interval=600.0)
        await cluster.converged()
        # Nor does it find in its socket what was said meanwhile.
        cluster.partition(["stopped"])
        cluster.stop("stopped")
        await remove(cluster, prune=prune)
        joined = returns(cluster, "node-3", by="node-1")
        gone = {None} if prune else {LEFT}
        assert gone == views(cluster, "node-3") - {ALIVE}, "but for the one that is stopped"
        cluster.heal()
        cluster.resume("stopped")
        # It still has an alive record of node-3, and sends it.
        await cluster[0].serf.join([cluster["stopped"].address])
        await trio.sleep(1)
        again = returns(cluster, "node-3", by="node-1") - joined
        assert (1 if faithful_go else 0) == again
        if not faithful_go:
            await trio.sleep(60)
            assert joined == returns(cluster, "node-3", by="node-1")
            seen = {node.view().get("node-3") for node in cluster.running[:3]}
            assert gone == seen


@pytest.mark.slow
@both
async def test_a_late_alive_message_does_not_bring_a_removed_node_back(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    async with cluster_of(4, faithful_go=faithful_go) as (cluster, _):
        message = await remove(cluster, prune=True)
        inject(cluster, message)
        await trio.sleep(1)
        # In Go it seems to be leaving, because that is what was last said of it.
        assert {LEAVING if faithful_go else None} == views(cluster, "node-3")


@pytest.mark.slow
@both
@pytest.mark.parametrize("prune", [True, False], ids=["pruned", "force-left"])
async def test_a_removed_node_that_returns_is_in_again(
    prune: bool, faithful_go: bool, autojump_clock: MockClock
) -> None:
    """It counts from one again, and learns how far it had counted."""
    async with cluster_of(4, faithful_go=faithful_go) as (cluster, _):
        await remove(cluster, prune=prune)
        await cluster.restart("node-3")
        await cluster.converged(within=5)
