"""Votes on who keeps a name."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._events import SerfState


async def test_the_vote_about_a_name_goes_to_the_majority(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c")
        a._delegate.resolver.request()
        await trio.sleep(10)
        assert SerfState.ALIVE is a.state
        assert 3 == len(b.members().alive) == len(c.members().alive)


async def test_a_vote_without_voters_is_lost(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        a._delegate.resolver.request()
        await a.wait_closed()
        assert SerfState.SHUTDOWN is a.state


async def test_a_node_that_cannot_send_queries_keeps_its_name(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", protocol_version=3)
        a._delegate.resolver.request()
        await trio.sleep(10)
        assert SerfState.ALIVE is a.state


async def test_conflicts_during_a_vote_start_no_second_one(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _b = await net.joined("a", "b")
        before = int(a.stats()["query_time"])
        a._delegate.resolver.request()
        await trio.sleep(0.1)
        a._delegate.resolver.request()
        await trio.sleep(20)
        assert before + 1 == int(a.stats()["query_time"])
