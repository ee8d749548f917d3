"""Network coordinates in a mixed cluster: both sides estimate the same round-trip times.

On loopback all nodes would sit in one point, so our node delays each packet that arrives for
a while; that is what agents measure when they probe us, and we when we probe them.
"""

from __future__ import annotations

import re
from pathlib import Path

import trio

import trioserf
from tests.interop.addresses import free_host
from tests.interop.agents import CommandFailed, GoAgent, go_agent
from tests.interop.faulty_transport import FaultyTransport
from tests.interop.nodes import trioserf_node
from tests.interop.waiting import becomes, limit

DELAY = 0.04
"""Round-trip time between this node and any other (seconds), but for what loopback adds."""


async def rtt_by(agent: GoAgent, a: str, b: str) -> float | None:
    """What ``serf rtt`` estimates (seconds)."""
    try:
        text = await agent.command("rtt", a, b)
    except CommandFailed:
        return None  # "Could not find a coordinate for node"
    match = re.search(r"rtt: ([0-9.]+) ms", text)
    assert match is not None, text
    return float(match[1]) / 1000


@limit(60)
async def test_our_estimates_and_those_of_an_agent_agree(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    transport = FaultyTransport(free_host(), delay=DELAY)
    memberlist = trioserf.MemberlistConfig.lan(transport=transport)
    async with (
        go_agent(binary, tmp_path, name="go-1") as one,
        go_agent(binary, tmp_path, name="go-2") as two,
        trioserf_node(nursery, name="py-1", memberlist=memberlist) as node,
    ):
        await two.join(one.address)
        await node.serf.join([one.address])

        async def agreed() -> bool:
            pairs = [("py-1", "go-1"), ("py-1", "go-2"), ("go-1", "go-2")]
            local = [node.serf.rtt(a, b) for a, b in pairs]
            theirs = [await rtt_by(agent, a, b) for agent in (one, two) for a, b in pairs]
            estimates = [local, theirs[:3], theirs[3:]]
            return all(
                None not in (first, second, between)
                and abs(first - DELAY) < DELAY / 4
                and abs(second - DELAY) < DELAY / 4
                and between < DELAY / 2
                for first, second, between in estimates
            )

        await becomes(True, agreed, seconds=45)
        assert node.serf.rtt("go-1") == node.serf.rtt("go-1", "py-1")
        assert 0 == node.serf.statistics().coordinate_resets


@limit(30)
async def test_coordinates_that_a_trioserf_node_does_not_keep_harm_no_agent(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as one,
        go_agent(binary, tmp_path, name="go-2") as two,
        trioserf_node(nursery, name="py-1", disable_coordinates=True) as node,
    ):
        await two.join(one.address)
        await node.serf.join([one.address])

        async def known() -> tuple[bool, bool]:
            return (
                await rtt_by(one, "go-1", "go-2") is not None,
                await rtt_by(one, "go-1", "py-1") is not None,
            )

        await becomes((True, False), known)
        assert "alive" == node.status_of("go-2")
