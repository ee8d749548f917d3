"""Members: from which side a join comes, and with which key, all sides see the same cluster."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

import trioserf
from tests.interop.agents import CommandFailed, go_agent
from tests.interop.nodes import trioserf_node
from tests.interop.waiting import becomes, limit

KEY_SIZES = [None, 16, 24, 32]
"""Bytes of the encryption key; None for a cluster in clear text."""


def make_key(size: int | None) -> bytes | None:
    return None if size is None else secrets.token_bytes(size)


@pytest.mark.parametrize("key_size", KEY_SIZES)
@limit(30)
async def test_a_trioserf_node_joins_an_agent(
    binary: Path, tmp_path: Path, nursery: trio.Nursery, key_size: int | None
) -> None:
    key = make_key(key_size)
    async with (
        go_agent(binary, tmp_path, name="go-1", key=key, tags={"role": "db"}) as agent,
        trioserf_node(nursery, name="py-1", key=key, tags={"role": "web"}) as node,
    ):
        assert 1 == await node.serf.join([agent.address])
        assert {"go-1": "alive", "py-1": "alive"} == node.statuses()
        await becomes(node.members(), agent.members)


@pytest.mark.parametrize("key_size", KEY_SIZES)
@limit(30)
async def test_an_agent_joins_a_trioserf_node(
    binary: Path, tmp_path: Path, nursery: trio.Nursery, key_size: int | None
) -> None:
    key = make_key(key_size)
    async with (
        go_agent(binary, tmp_path, name="go-1", key=key, tags={"role": "db"}) as agent,
        trioserf_node(nursery, name="py-1", key=key, tags={"role": "web"}) as node,
    ):
        await agent.join(node.address)
        assert {"go-1": "alive", "py-1": "alive"} == await agent.statuses()
        await becomes(await agent.members(), node.members)
        assert node.time_of(trioserf.EventType.MEMBER_JOIN, "go-1") is not None


@limit(30)
async def test_a_node_without_the_key_is_let_in_by_neither_side(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    key, other = secrets.token_bytes(32), secrets.token_bytes(32)
    async with (
        go_agent(binary, tmp_path, name="go-1", key=key) as agent,
        trioserf_node(nursery, name="py-1", key=other) as node,
    ):
        with pytest.raises(trioserf.JoinError):
            await node.serf.join([agent.address])
        with pytest.raises(CommandFailed):
            await agent.join(node.address)
        assert {"py-1": "alive"} == node.statuses()
        assert {"go-1": "alive"} == await agent.statuses()


@pytest.mark.parametrize("key_size", [None, 32])
@limit(90)
async def test_three_agents_and_two_trioserf_nodes_see_one_cluster(
    binary: Path, tmp_path: Path, nursery: trio.Nursery, key_size: int | None
) -> None:
    key = make_key(key_size)

    def tags(number: int) -> Mapping[str, str]:
        return {"role": "web" if number % 2 else "db", "number": str(number), "city": "Köln"}

    async with (
        go_agent(binary, tmp_path, name="go-1", key=key, tags=tags(1)) as one,
        go_agent(binary, tmp_path, name="go-2", key=key, tags=tags(2)) as two,
        go_agent(binary, tmp_path, name="go-3", key=key, tags=tags(3)) as three,
        trioserf_node(nursery, name="py-4", key=key, tags=tags(4)) as four,
        trioserf_node(nursery, name="py-5", key=key, tags=tags(5)) as five,
    ):
        await two.join(one.address)
        await four.serf.join([two.address])
        await three.join(four.address)
        await five.serf.join([four.address])
        names = ["go-1", "go-2", "go-3", "py-4", "py-5"]
        # Gossip may miss a node; the next push/pull, 30 s later at the latest, does not.
        await becomes(dict.fromkeys(names, "alive"), one.statuses, seconds=35)
        expected = await one.members()
        assert [dict(tags(number)) for number in range(1, 6)] == [
            dict(expected[name].tags) for name in names
        ]
        await becomes(expected, two.members, seconds=35)
        await becomes(expected, three.members, seconds=35)
        await becomes(expected, four.members, seconds=35)
        await becomes(expected, five.members, seconds=35)


@limit(30)
async def test_an_agent_that_does_not_compress_is_understood(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1", arguments=["-disable-compression"]) as agent,
        trioserf_node(nursery, name="py-1") as node,
    ):
        await node.serf.join([agent.address])
        await becomes(node.members(), agent.members)


@limit(30)
async def test_tags_changed_on_one_side_are_seen_on_the_other(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1", tags={"role": "db", "old": "1"}) as agent,
        trioserf_node(nursery, name="py-1", tags={"role": "web", "old": "1"}) as node,
    ):
        await node.serf.join([agent.address])
        await becomes({"role": "web", "old": "1"}, lambda: agent.tags_of("py-1"))

        await node.serf.set_tags({"role": "cache", "größe": "9 µm"})
        await becomes({"role": "cache", "größe": "9 µm"}, lambda: agent.tags_of("py-1"))

        await agent.set_tags(set_={"role": "log"}, delete=["old"])
        await becomes({"role": "log"}, lambda: node.tags_of("go-1"))
        assert node.time_of(trioserf.EventType.MEMBER_UPDATE, "go-1") is not None
