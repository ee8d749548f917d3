"""Votes on who keeps a name."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.cluster.samples import node
from tests.serf.clusters import cluster
from trioserf._events import SerfState
from trioserf._wire.messages import Alive
from trioserf._wire.serf_messages import (
    MemberRecord,
    QueryResponseMessage,
    encode_conflict_response,
    encode_serf,
)


async def test_the_vote_about_a_name_goes_to_the_majority(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c")
        a._delegate.resolver.request()
        await trio.sleep(10)
        assert SerfState.ALIVE is a.state
        assert 3 == len(b.members().alive) == len(c.members().alive)


async def test_a_vote_without_voters_is_won(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        a._delegate.resolver.request()
        await trio.sleep(30)
        assert SerfState.ALIVE is a.state


async def test_in_go_a_vote_without_voters_is_lost(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", faithful_go=True)
        a._delegate.resolver.request()
        await a.wait_closed()
        assert SerfState.SHUTDOWN is a.state


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("ghosts", [True, False])
async def test_strangers_and_ghosts_vote_nobody_out(
    autojump_clock: MockClock, alone: bool, ghosts: bool
) -> None:
    """Forty names swear that another node has the name, some of them made up as members."""
    async with cluster() as net:
        nodes = await net.joined(*("a" if alone else "abc"))
        a = nodes[0]
        names = [f"ghost{number}" for number in range(40)]
        if ghosts:
            records = [node(name, addr=bytes([10, 9, 9, n])) for n, name in enumerate(names)]
            alive = [Alive(1, one.name, one.addr, 7946, one.meta, one.versions) for one in records]
            for message in alive:
                effects = a.memberlist._table.on_alive(message, trio.current_time(), source=None)
                a.memberlist._apply(effects)
        a._delegate.resolver.request()
        await trio.sleep(0.01)
        (collector,) = a._core.pending._collectors.values()
        owner = MemberRecord(name="a", addr=bytes([10, 9, 9, 9]), port=1)
        for name in names:
            query, payload = collector.query, encode_conflict_response(owner)
            forged = QueryResponseMessage(query.ltime, query.id, name, 0, payload)
            a._delegate.notify_message(encode_serf(forged))
        await trio.sleep(60)
        assert SerfState.ALIVE is a.state
        if not ghosts:
            assert 40 == a.statistics().counts["trioserf.serf.stranger_answers"]


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
