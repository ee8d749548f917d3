"""UDP is rejected everywhere, and TCP loses packets: nodes live, and reach each other on streams.

Neither suspicions nor refutations arrive as packets.  In Go a probe that fails by chance so ends as
a failure, and each exchange of state carries the suspicion to one more node.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trioserf.testing import SimCluster

from .kit import cluster_of


async def failures(cluster: SimCluster, seconds: float) -> int:
    """How many living nodes are listed as failed in the lists of others, in the end."""
    cluster.network.reject(None, None, streams=None)
    await trio.sleep(seconds)
    views = [node.view() for node in cluster.running]
    return sum(str(status) == "failed" for view in views for status in view.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("loss", [0.0, 0.1])
async def test_nodes_that_answer_on_streams_alone_are_not_lost(
    seed: int, loss: float, autojump_clock: MockClock
) -> None:
    async with cluster_of(9, loss=loss, seed=seed, invariants=()) as (cluster, _):
        assert await failures(cluster, 90) <= (2 if loss else 0)


async def test_with_go_s_rules_they_are(autojump_clock: MockClock) -> None:
    """So the test above can fail, and ``faithful_go`` changes nothing of Go's."""
    total = 0
    for seed in (1, 2, 3):
        async with cluster_of(9, loss=0.1, seed=seed, invariants=(), faithful_go=True) as it:
            total += await failures(it[0], 90)
    assert total >= 30


async def test_nodes_that_formed_a_cluster_together_exchange_state_one_by_one(
    autojump_clock: MockClock,
) -> None:
    async with cluster_of(9, loss=0.0, seed=1, invariants=()) as (cluster, _):
        await trio.sleep(10)
        before = [node.serf.statistics().memberlist.push_pulls for node in cluster.nodes]
        most = 0
        for _ in range(20):
            await trio.sleep(3)
            now = [node.serf.statistics().memberlist.push_pulls for node in cluster.nodes]
            most = max(most, sum(b - a for a, b in zip(before, now, strict=True)))
            before = now
        assert most <= 5


async def failed_probes_behind_a_translation(seed: int, **settings: bool) -> int:
    """Six of nine nodes begin to refuse each other, as behind one address; all reach the rest."""
    async with cluster_of(9, seed=seed, invariants=(), **settings) as (cluster, _):
        await trio.sleep(10)
        inside = [node.host for node in cluster.nodes[:6]]
        for host in inside:
            cluster.network.reject(host, [other for other in inside if other != host])
        await trio.sleep(60)
        return sum(node.serf.statistics().memberlist.probes_failed for node in cluster.nodes)


async def test_who_reached_a_node_reaches_it_again(autojump_clock: MockClock) -> None:
    ours = sum([await failed_probes_behind_a_translation(seed) for seed in (1, 2, 3)])
    go_s = sum(
        [await failed_probes_behind_a_translation(seed, faithful_go=True) for seed in (1, 2, 3)]
    )
    assert go_s >= 20
    assert ours <= go_s / 2
