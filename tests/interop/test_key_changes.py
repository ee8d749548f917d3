"""Keys of a mixed cluster, changed while it runs: by us, by `serf keys`, and by a rotation."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

import trioserf
from tests.interop.agents import CommandFailed, GoAgent, go_agent
from tests.interop.nodes import TrioserfNode, trioserf_node
from tests.interop.waiting import becomes, limit

OLD, NEW = (secrets.token_bytes(32) for _ in range(2))


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


@attrs.frozen
class Cluster:
    agent: GoAgent
    one: TrioserfNode
    two: TrioserfNode

    @property
    def trioserf_nodes(self) -> tuple[TrioserfNode, TrioserfNode]:
        return self.one, self.two

    def rings(self) -> list[tuple[bytes, ...]]:
        rings = [node.serf.memberlist.keyring for node in self.trioserf_nodes]
        return [ring.keys if ring else () for ring in rings]

    async def still_talks(self, name: str) -> None:
        """Every node receives an event of the agent, and it receives one of each of them."""
        await self.agent.event(name, "go")
        await self.one.serf.user_event(name, b"py")
        for node in self.trioserf_nodes:
            await becomes([b"go", b"py"], lambda n=node: sorted(n.user_events(name)))
        await becomes(
            [b"go", b"py"], lambda: sorted(e.payload for e in self.agent.recorded("user", name))
        )


@asynccontextmanager
async def cluster(binary: Path, tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Cluster]:
    async with (
        go_agent(binary, tmp_path, name="go-1", key=OLD) as agent,
        trioserf_node(nursery, name="py-1", key=OLD) as one,
        trioserf_node(nursery, name="py-2", key=OLD) as two,
    ):
        await one.serf.join([agent.address])
        await two.serf.join([agent.address])
        everybody = dict.fromkeys(["go-1", "py-1", "py-2"], "alive")
        for member in (agent, one, two):
            await becomes(everybody, member.statuses)
        yield Cluster(agent, one, two)


@limit(60)
async def test_a_trioserf_node_installs_uses_removes_and_lists_keys_of_agents(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        keys = c.one.serf.keys
        installed = await keys.install(NEW)
        assert (3, 3, 0) == (installed.num_nodes, installed.num_resp, installed.num_err)
        listed = await keys.list()
        assert {text(OLD): 3, text(NEW): 3} == dict(listed.keys)
        assert {text(OLD): 3} == dict(listed.primary_keys)
        await keys.use(NEW)
        assert {text(NEW): 3} == dict((await keys.list()).primary_keys)
        await c.still_talks("mixed")
        await keys.remove(OLD)
        assert {text(NEW): 3} == dict((await keys.list()).keys)
        assert [(NEW,), (NEW,)] == c.rings()
        await c.still_talks("moved")


@limit(60)
async def test_an_agent_installs_uses_removes_and_lists_our_keys(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        await c.agent.command("keys", f"-install={text(NEW)}")
        assert [(OLD, NEW), (OLD, NEW)] == c.rings()
        listed = await c.agent.command("keys", "-list")
        for key in (OLD, NEW):
            assert f"{text(key)} [3/3]" in " ".join(listed.split())
        await c.agent.command("keys", f"-use={text(NEW)}")
        assert [NEW, NEW] == [ring[0] for ring in c.rings()]
        await c.still_talks("mixed")
        await c.agent.command("keys", f"-remove={text(OLD)}")
        assert [(NEW,), (NEW,)] == c.rings()
        assert text(OLD) not in await c.agent.command("keys", "-list")


@limit(60)
async def test_refusals_of_agents_and_trioserf_nodes_are_reported_by_name(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        with pytest.raises(trioserf.KeyOperationError) as caught:
            await c.one.serf.keys.use(NEW)
        response = caught.value.response
        assert isinstance(response, trioserf.KeyResponse)
        assert (3, 3, 3) == (response.num_nodes, response.num_resp, response.num_err)
        assert {"go-1", "py-1", "py-2"} == set(response.messages)
        assert 1 == len(set(response.messages.values())), "the same words as Go's"
        with pytest.raises(CommandFailed, match="3/3 nodes reported failure"):
            await c.agent.command("keys", f"-use={text(NEW)}")
        assert [(OLD,), (OLD,)] == c.rings()


@limit(60)
async def test_a_rotation_moves_agents_too(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        report = await c.two.serf.keys.rotate(NEW)
        assert {text(NEW): 3} == dict(report.keys) == dict(report.primary_keys)
        assert [(NEW,), (NEW,)] == c.rings()
        await c.still_talks("rotated")
