"""Nodes that find, keep and lose each other."""

import pytest
import trio

from trioserf._swim.nodes import NodeStatus

from .kit import cluster


async def test_nodes_that_join_one_node_see_each_other(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(5)
        await trio.sleep(2)
        for node in nodes:
            assert ["n1", "n2", "n3", "n4", "n5"] == [member.name for member in node.members()]
            assert {} == dict(node.statistics().bad_input)


@pytest.mark.slow
async def test_a_quiet_cluster_on_a_lossy_network_stays_whole(autojump_clock):
    async with cluster(loss=0.02) as c:
        nodes = await c.start_many(4)
        await trio.sleep(200)
        for node in nodes:
            assert 4 == node.num_alive
            assert {} == dict(node.statistics().bad_input)
        assert all(events.seen.count(("join", "n1")) == 1 for events in c.events.values())


async def test_a_killed_node_is_declared_dead_in_time(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(4, dead_on_refusal=False)
        await trio.sleep(5)
        c.kill(4)
        killed_at = trio.current_time()
        for number in (1, 2, 3):
            await c.events[number].until(("failed", "n4"))
        assert 4 <= trio.current_time() - killed_at < 15
        assert NodeStatus.DEAD is nodes[0].node("n4").status
