"""A whole life on IPv4 and on IPv6: join, events both ways, a failure, a leave.

Two nodes of this library, and one beside an agent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.interop.addresses import NO_IPV6, free_host, free_port, ipv6_works
from tests.interop.agents import go_agent
from tests.interop.nodes import TrioserfNode, trioserf_node
from tests.interop.waiting import becomes, limit

FAMILIES = [
    "ipv4",
    pytest.param("ipv6", marks=pytest.mark.skipif(not ipv6_works(), reason=NO_IPV6)),
]


def host_of(family: str) -> str:
    return free_host() if family == "ipv4" else "[::1]"


@asynccontextmanager
async def node_on(family: str, nursery: trio.Nursery, name: str) -> AsyncIterator[TrioserfNode]:
    bind = f"{host_of(family)}:0"
    async with trioserf_node(nursery, name=name, bind=bind, profile="local") as node:
        assert node.address.startswith("[::1]:") is (family == "ipv6")
        yield node


@pytest.mark.parametrize("family", FAMILIES)
@limit(60)
async def test_two_nodes_live_fail_and_leave(nursery: trio.Nursery, family: str) -> None:
    async with (
        node_on(family, nursery, "py-1") as one,
        node_on(family, nursery, "py-2") as two,
        node_on(family, nursery, "py-3") as three,
    ):
        assert 1 == await two.serf.join([one.address])
        assert 1 == await three.serf.join([f"py-1/{one.address}"])
        for node in (one, two, three):
            await becomes(dict.fromkeys(("py-1", "py-2", "py-3"), "alive"), node.statuses)
        await one.serf.user_event("deploy", b"from 1")
        await becomes([b"from 1"], lambda: two.user_events("deploy"))
        await two.serf.user_event("deploy", b"from 2")
        await becomes([b"from 1", b"from 2"], lambda: one.user_events("deploy"))
        await three.serf.leave()
        await becomes("left", lambda: one.status_of("py-3"))
        await two.serf.aclose()
        await becomes("failed", lambda: one.status_of("py-2"), seconds=30)


@pytest.mark.parametrize("ending", ["the agent fails", "a node fails", "both leave"])
@pytest.mark.parametrize("family", FAMILIES)
@limit(60)
async def test_a_node_and_an_agent_live_fail_and_leave(
    binary: Path, tmp_path: Path, nursery: trio.Nursery, family: str, ending: str
) -> None:
    host = host_of(family)
    address = f"{host}:{free_port(host)}"
    both = {"go-1": "alive", "py-1": "alive", "py-2": "alive"}
    async with (
        go_agent(binary, tmp_path, name="go-1", address=address, profile="local") as agent,
        node_on(family, nursery, "py-1") as one,
        node_on(family, nursery, "py-2") as two,
    ):
        assert 1 == await one.serf.join([address])
        await agent.join(two.address)
        await becomes(both, one.statuses)
        await becomes(both, two.statuses)
        await becomes(both, agent.statuses)
        assert one.address == (await agent.members())["py-1"].addr
        await agent.event("deploy", "from-go")
        await becomes([b"from-go"], lambda: one.user_events("deploy"))
        await one.serf.user_event("deploy", b"from-py")
        await becomes(2, lambda: len(agent.recorded("user", "deploy")))
        # One failure for each run: with two of three gone the last one takes its time.
        if ending == "both leave":
            await two.serf.leave()
            await becomes("left", lambda: agent.status_of("py-2"))
            await agent.leave()
            await becomes("left", lambda: one.status_of("go-1"))
        elif ending == "a node fails":
            await two.serf.aclose()
            await becomes("failed", lambda: agent.status_of("py-2"), seconds=20)
            await becomes("failed", lambda: one.status_of("py-2"), seconds=20)
        else:
            agent.kill()
            await becomes("failed", lambda: one.status_of("go-1"), seconds=20)
            await becomes("failed", lambda: two.status_of("go-1"), seconds=20)
