"""How nodes end: a leave is seen as left, an abrupt end as failed, and soon enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

import trioserf
from tests.interop.agents import GoAgent, go_agent
from tests.interop.nodes import NodeProcess, node_process, trioserf_node
from tests.interop.waiting import becomes, found, limit, stays

LATER = 0.5
"""Seconds by which we may trail Go's detection: the dead message of one node reaches the others
with the next gossip (0.2 s), and both sides are looked at every 0.05 s."""


@asynccontextmanager
async def process_with_two_agents(
    binary: Path, folder: Path
) -> AsyncIterator[tuple[NodeProcess, GoAgent, GoAgent]]:
    """A process with a trioserf node, "py-1", that both agents list as alive."""
    async with (
        go_agent(binary, folder, name="go-1") as one,
        go_agent(binary, folder, name="go-2") as two,
        node_process(folder, name="py-1", join=one.address) as node,
    ):
        await two.join(one.address)
        await becomes("alive", lambda: two.status_of("py-1"))
        yield node, one, two


@limit(30)
async def test_the_leave_of_a_trioserf_node_is_seen_as_left(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as one,
        go_agent(binary, tmp_path, name="go-2") as two,
    ):
        await two.join(one.address)
        async with trioserf_node(nursery, name="py-1") as node:
            await node.serf.join([one.address])
            await becomes("alive", lambda: two.status_of("py-1"))
            await node.serf.leave()
            for agent in (one, two):
                await becomes("left", lambda agent=agent: agent.status_of("py-1"))
        await stays("left", lambda: one.status_of("py-1"), seconds=1)


@limit(30)
async def test_a_block_left_normally_leaves_and_the_name_may_come_back(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        async with trioserf_node(nursery, name="py-1", leave_on_exit=True) as node:
            await node.serf.join([agent.address])
            await becomes("alive", lambda: agent.status_of("py-1"))
        await becomes("left", lambda: agent.status_of("py-1"))
        async with trioserf_node(nursery, name="py-1") as again:
            await again.serf.join([agent.address])
            await becomes("alive", lambda: agent.status_of("py-1"))
            await becomes(again.members(), agent.members)


@limit(30)
async def test_the_leave_of_an_agent_is_seen_as_left(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1") as node,
    ):
        await node.serf.join([agent.address])
        await becomes("alive", lambda: agent.status_of("py-1"))
        await agent.leave()
        await becomes("left", lambda: node.status_of("go-1"))
        assert node.time_of(trioserf.EventType.MEMBER_LEAVE, "go-1") is not None
        assert node.time_of(trioserf.EventType.MEMBER_FAILED, "go-1") is None


@limit(45)
async def test_the_abrupt_end_of_an_agent_is_seen_by_trioserf_no_later_than_by_go(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-observer") as observer,
        go_agent(binary, tmp_path, name="go-victim") as victim,
        trioserf_node(nursery, name="py-observer") as node,
    ):
        await victim.join(observer.address)
        await node.serf.join([observer.address])
        await becomes("alive", lambda: victim.status_of("py-observer"))
        victim.kill()
        by_go = await observer.wait_for_log("EventMemberFailed: go-victim", seconds=30)
        by_us = await found(
            lambda: node.time_of(trioserf.EventType.MEMBER_FAILED, "go-victim"), seconds=10
        )
        await becomes("failed", lambda: observer.status_of("go-victim"))
    assert by_us <= by_go + LATER


@limit(45)
async def test_the_abrupt_end_of_a_trioserf_node_is_seen_as_failed_by_every_member(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as one,
        go_agent(binary, tmp_path, name="go-2") as two,
        trioserf_node(nursery, name="py-observer") as node,
        node_process(tmp_path, name="py-victim", join=one.address) as victim,
    ):
        await two.join(one.address)
        await node.serf.join([one.address])
        for observer in (one, two, node):
            await becomes("alive", lambda observer=observer: observer.status_of("py-victim"))
        victim.process.kill()
        by_go = await one.wait_for_log("EventMemberFailed: py-victim", seconds=30)
        by_us = await found(
            lambda: node.time_of(trioserf.EventType.MEMBER_FAILED, "py-victim"), seconds=10
        )
        for observer in (one, two, node):
            await becomes("failed", lambda observer=observer: observer.status_of("py-victim"))
    assert by_us <= by_go + LATER


@limit(40)
async def test_a_trioserf_node_stopped_for_three_seconds_is_never_declared_failed(
    binary: Path, tmp_path: Path
) -> None:
    async with process_with_two_agents(binary, tmp_path) as (node, one, two):
        node.process.stop()
        await trio.sleep(3)
        node.process.resume()
        await stays("alive", lambda: one.status_of("py-1"), seconds=6)
        await becomes(await one.members(), two.members)
        assert "EventMemberFailed: py-1" not in one.log + two.log
        assert [] == node.events("member-failed")


@limit(60)
async def test_a_trioserf_node_stopped_until_it_is_declared_failed_comes_back_by_itself(
    binary: Path, tmp_path: Path
) -> None:
    async with process_with_two_agents(binary, tmp_path) as (node, one, two):
        node.process.stop()
        await becomes("failed", lambda: one.status_of("py-1"), seconds=30)
        node.process.resume()
        for agent in (one, two):
            await becomes("alive", lambda agent=agent: agent.status_of("py-1"), seconds=20)
        await stays("alive", lambda: one.status_of("py-1"), seconds=2)
