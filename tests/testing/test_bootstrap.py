"""Clusters that begin with everybody known to everybody."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from trioserf import UserEvent
from trioserf.testing import SimCluster, TraceDigest
from trioserf.testing.determinism import run

KEY = bytes(range(16))


async def test_everybody_knows_everybody_at_once(autojump_clock: MockClock) -> None:
    async with SimCluster() as cluster:
        began = trio.current_time()
        nodes = await cluster.spawn(20, join="everybody", probe_interval=5.0)
        assert began == trio.current_time()
        names = {node.name for node in nodes}
        assert all(names == set(node.serf.members().alive.names) for node in nodes)


async def test_nothing_is_left_to_broadcast(autojump_clock: MockClock) -> None:
    async with SimCluster() as cluster:
        nodes = await cluster.spawn(20, join="everybody", probe_interval=0, push_pull_interval=0)
        await trio.sleep(10)
        assert 0 == cluster.network.statistics().packets_sent
        queues = nodes[0].serf.statistics().queues
        assert {0} == {queue.depth for queue in queues.values()}


async def test_it_goes_on_as_any_other_cluster(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=4) as cluster:
        await cluster.spawn(4)
        await cluster.spawn("late", "later", join="everybody")
        assert 0 == await cluster.converged()
        async with cluster["later"].serf.subscribe(UserEvent) as events:
            await cluster[1].serf.user_event("deploy")
            event = await events.receive()
            assert isinstance(event, UserEvent)
            assert "deploy" == event.name
        await cluster.crash("late")
        await cluster.converged()
        assert {"failed"} == {str(node.view()["late"]) for node in cluster.running}
        await cluster.restart("late")
        await cluster.leave(3)
        await cluster.converged()


async def test_encrypted_nodes_know_each_other_too(autojump_clock: MockClock) -> None:
    async with SimCluster() as cluster:
        await cluster.spawn(3, join="everybody", secret_key=KEY)
        assert 0 == await cluster.converged()


async def life(seed: int) -> str:
    digest = TraceDigest()
    async with SimCluster(seed=seed, loss=0.1) as cluster:
        cluster.network.trace = digest
        await cluster.spawn(12, join="everybody")
        await cluster.crash(3)
        await cluster.converged()
    return digest.hexdigest()


def test_one_seed_gives_one_such_run() -> None:
    first = run(1, life, 1)
    assert first == run(1, life, 1)
    assert first != run(2, life, 2)
