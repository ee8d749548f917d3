"""Failed members are removed and pruned, by an agent and by us, everywhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

import trioserf
from tests.interop.agents import GoAgent, go_agent
from tests.interop.nodes import TrioserfNode, node_process, trioserf_node
from tests.interop.waiting import becomes, limit, stays

DETECTION = 30.0
"""Seconds until the last of four nodes declares two others dead, with room for a busy machine."""


async def all_see(status: str | None, name: str, *observers: GoAgent | TrioserfNode) -> None:
    for observer in observers:
        await becomes(status, partial(_status, observer, name), seconds=DETECTION)


async def _status(observer: GoAgent | TrioserfNode, name: str) -> str | None:
    if isinstance(observer, TrioserfNode):
        return observer.status_of(name)
    return await observer.status_of(name)


@limit(60)
async def test_our_force_leave_and_prune_bind_an_agent(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        go_agent(binary, tmp_path, name="go-removed") as removed,
        go_agent(binary, tmp_path, name="go-pruned") as pruned,
        trioserf_node(nursery, name="py-1") as node,
    ):
        await node.serf.join([agent.address, removed.address, pruned.address])
        for name in ("go-removed", "go-pruned"):
            await all_see("alive", name, agent, node)
        removed.kill()
        pruned.kill()
        for name in ("go-removed", "go-pruned"):
            await all_see("failed", name, agent, node)

        await node.serf.remove_failed_node("go-removed")
        await all_see("left", "go-removed", agent, node)
        assert node.time_of(trioserf.EventType.MEMBER_LEAVE, "go-removed") is not None

        await node.serf.remove_failed_node("go-pruned", prune=True)
        await all_see(None, "go-pruned", agent, node)
        assert node.time_of(trioserf.EventType.MEMBER_REAP, "go-pruned") is not None

        await node.serf.remove_failed_node("go-removed", prune=True)
        await all_see(None, "go-removed", agent, node)
        await stays({"go-1": "alive", "py-1": "alive"}, agent.statuses, seconds=1)
        assert {"go-1": "alive", "py-1": "alive"} == node.statuses()


@limit(60)
async def test_a_trioserf_node_obeys_the_force_leave_and_prune_of_an_agent(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1") as node,
        node_process(tmp_path, name="py-removed", join=agent.address) as removed,
        node_process(tmp_path, name="py-pruned", join=agent.address) as pruned,
    ):
        await node.serf.join([agent.address])
        for name in ("py-removed", "py-pruned"):
            await all_see("alive", name, agent, node)
        removed.process.kill()
        pruned.process.kill()
        for name in ("py-removed", "py-pruned"):
            await all_see("failed", name, agent, node)

        await agent.command("force-leave", "py-removed")
        await all_see("left", "py-removed", agent, node)
        assert node.time_of(trioserf.EventType.MEMBER_LEAVE, "py-removed") is not None

        await agent.command("force-leave", "-prune", "py-pruned")
        await all_see(None, "py-pruned", agent, node)
        assert node.time_of(trioserf.EventType.MEMBER_REAP, "py-pruned") is not None

        await agent.command("force-leave", "-prune", "py-removed")
        await all_see(None, "py-removed", agent, node)
        await stays({"go-1": "alive", "py-1": "alive"}, node.statuses, seconds=1)


@limit(30)
async def test_a_node_that_is_alive_refutes_a_force_leave(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """A third node is there because Go broadcasts nothing when no other member is left alive."""
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1") as node,
        trioserf_node(nursery, name="py-2") as third,
    ):
        await node.serf.join([agent.address])
        await third.serf.join([agent.address])
        for name in ("go-1", "py-1", "py-2"):
            await all_see("alive", name, agent, node, third)
        await agent.command("force-leave", "py-1")
        await all_see("alive", "py-1", agent, node, third)
        await node.serf.remove_failed_node("go-1")
        await all_see("alive", "go-1", agent, node, third)
        assert node.time_of(trioserf.EventType.MEMBER_LEAVE, "go-1") is None
