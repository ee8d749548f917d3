"""Each node gets one stream, so that a later refusal means something."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.memberlist.kit import cluster
from trioserf._swim.refusal import is_evidence_possible

ON = {"dead_on_refusal": True}


def known_to_work(c):
    """For each node, how many others it has had a stream to in their present incarnation."""
    return [sum(map(is_evidence_possible, node.members())) for node in c.nodes.values()]


async def test_streams_to_all_are_tried_soon_and_once(autojump_clock: MockClock) -> None:
    async with cluster() as c:
        await c.start_many(6, **ON, push_pull_interval=0)
        await trio.sleep(10)
        assert [5] * 6 == known_to_work(c)
        streams = c.network.statistics().streams
        assert 5 + 30 >= streams
        await trio.sleep(120)
        assert streams == c.network.statistics().streams


async def test_a_new_incarnation_is_tried_again(autojump_clock: MockClock) -> None:
    async with cluster() as c:
        await c.start_many(4, **ON, push_pull_interval=0)
        await trio.sleep(10)
        before = c.network.statistics().streams
        await c.nodes[2].update_node(5)
        await trio.sleep(10)
        assert [3] * 4 == known_to_work(c)
        assert 3 == c.network.statistics().streams - before


async def test_where_streams_do_not_work_they_are_tried_ever_more_seldom(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as c:
        await c.start(1, **ON, push_pull_interval=0)
        await c.start(2, **ON, push_pull_interval=0)
        c.network.fill_backlog("10.0.0.2")
        await c.nodes[2].join(["10.0.0.1"])
        await trio.sleep(400)
        assert not is_evidence_possible(c.nodes[1].node("n2"))
        c.network.fill_backlog("10.0.0.2", full=False)
        await trio.sleep(400)
        assert is_evidence_possible(c.nodes[1].node("n2"))


async def test_nothing_is_tried_where_it_is_turned_off(autojump_clock: MockClock) -> None:
    async with cluster() as c:
        await c.start_many(3, dead_on_refusal=False, push_pull_interval=0)
        await trio.sleep(30)
        assert 2 == c.network.statistics().streams
