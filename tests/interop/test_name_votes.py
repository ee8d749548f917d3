"""Two nodes of one name: the others vote, and the one in the minority ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

import trioserf
from tests.interop.agents import GoAgent, go_agent
from tests.interop.nodes import TrioserfNode, trioserf_node
from tests.interop.waiting import becomes, limit, stays

NAME = "twin"
MINORITY = "minority in name conflict resolution"


@asynccontextmanager
async def two_voters(binary: Path, tmp_path: Path) -> AsyncIterator[tuple[GoAgent, GoAgent]]:
    async with (
        go_agent(binary, tmp_path, name="go-1") as one,
        go_agent(binary, tmp_path, name="go-2") as two,
    ):
        await two.join(one.address)
        await becomes({"go-1": "alive", "go-2": "alive"}, one.statuses)
        yield one, two


async def address_of_twin(agent: GoAgent) -> str | None:
    row = (await agent.members()).get(NAME)
    return None if row is None or row.status != "alive" else row.addr


async def all_learn(voters: Iterable[GoAgent], address: str) -> None:
    """Wait until every voter knows the name, and at this address."""
    for agent in voters:
        await becomes(address, lambda agent=agent: address_of_twin(agent))


async def keeps_the_name(local: TrioserfNode, voters: Iterable[GoAgent]) -> None:
    """Our node, challenged like the other, outlives its own vote, which takes as long."""
    timeout = local.serf.default_query_timeout()
    await stays(trioserf.SerfState.ALIVE, lambda: local.serf.state, seconds=timeout + 1)
    for agent in voters:
        assert local.address == await address_of_twin(agent)


@limit(45)
async def test_the_second_trioserf_node_loses_the_vote_of_two_agents_and_ends(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        two_voters(binary, tmp_path) as (one, two),
        trioserf_node(nursery, name=NAME) as first,
        trioserf_node(nursery, name=NAME) as second,
    ):
        await first.serf.join([one.address])
        await all_learn((one, two), first.address)
        await second.serf.join([two.address])
        await second.serf.wait_closed()
        assert trioserf.SerfState.SHUTDOWN is second.serf.state
        await keeps_the_name(first, (one, two))


@limit(45)
async def test_an_agent_with_the_name_of_a_trioserf_node_loses_the_vote(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        two_voters(binary, tmp_path) as (one, two),
        trioserf_node(nursery, name=NAME) as local,
        go_agent(binary, tmp_path, name=NAME) as theirs,
    ):
        await local.serf.join([one.address])
        await all_learn((one, two), local.address)
        await theirs.join(two.address)
        await theirs.wait_for_log(MINORITY, seconds=20)
        await becomes(True, lambda: theirs.process.exit_status is not None)
        await keeps_the_name(local, (one, two))


@limit(45)
async def test_a_trioserf_node_loses_against_an_agent_that_had_the_name_before(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        two_voters(binary, tmp_path) as (one, two),
        go_agent(binary, tmp_path, name=NAME) as theirs,
        trioserf_node(nursery, name=NAME) as local,
    ):
        await theirs.join(one.address)
        await all_learn((one, two), theirs.address)
        await local.serf.join([two.address])
        await local.serf.wait_closed()
        await stays(None, lambda: theirs.process.exit_status, seconds=4)
        for agent in (one, two):
            assert theirs.address == await address_of_twin(agent)


@limit(45)
async def test_our_vote_makes_an_agent_lose(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """The only voters are trioserf nodes: their answers are what the agents count."""
    (elsewhere := tmp_path / "second").mkdir()
    async with (
        trioserf_node(nursery, name="py-1") as one,
        trioserf_node(nursery, name="py-2") as two,
        go_agent(binary, tmp_path, name=NAME) as first,
        go_agent(binary, elsewhere, name=NAME) as second,
    ):
        await two.serf.join([one.address])
        await first.join(one.address)
        await becomes("alive", lambda: two.status_of(NAME))
        await second.join(two.address)
        await second.wait_for_log(MINORITY, seconds=20)
        await becomes(True, lambda: second.process.exit_status is not None)
        assert first.process.exit_status is None
        for node in (one, two):
            assert first.address == node.members()[NAME].addr
