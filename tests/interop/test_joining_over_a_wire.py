"""Joining where nodes are far from each other, near, or in two zones, by one name for all.

On loopback the nearest node is as near as all others, which hides what distance does to a join.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.interop.agents import GoAgent, go_agent
from tests.interop.nodes import NodeProcess, node_process
from tests.interop.waiting import becomes, limit
from tests.interop.wire import Packet, Wire, WiredHost, why_not, wired, zones

NAME = "cluster.internal"
V4 = [f"10.79.0.{number}" for number in (1, 2, 3, 4)]
V6 = [f"fd79::{number}" for number in (1, 2, 3, 4)]

Node = GoAgent | NodeProcess


@pytest.fixture(autouse=True)
def _allowed() -> None:
    if reason := why_not():
        pytest.skip(reason)


@asynccontextmanager
async def running(
    wire: Wire, kinds: Sequence[str], folder: Path, binary: Path, *, with_self: bool
) -> AsyncIterator[list[Node]]:
    """One node on each host; all join by one name, at the same time.

    Args:
      kinds: ``py`` or ``go``, one for each host.
      with_self: whether the name gives each host its own address as well.
    """
    nodes: dict[int, Node] = {}

    async def start(number: int, kind: str, host: WiredHost, stack: AsyncExitStack) -> None:
        others = [one.ip for one in wire.hosts if with_self or one is not host]
        inside = host.knowing(folder, {NAME: others})
        name = f"{kind}-{number + 1}"
        if kind == "go":
            arguments = [f"-retry-join={NAME}", "-retry-interval=1s"]
            nodes[number] = await stack.enter_async_context(
                go_agent(
                    binary,
                    folder,
                    name=name,
                    address=host.gossip,
                    inside=inside,
                    arguments=arguments,
                )
            )
        else:
            nodes[number] = await stack.enter_async_context(
                node_process(
                    folder, name=name, join=NAME, address=host.gossip, inside=inside, wait=False
                )
            )

    async with AsyncExitStack() as stack:
        # In this order; a process of this library is up after a second, as an agent is.
        order = sorted(range(len(kinds)), key=lambda number: kinds[number] == "go")
        for number in order:
            await start(number, kinds[number], wire.hosts[number], stack)
        yield [nodes[number] for number in range(len(kinds))]


async def all_meet(nodes: Sequence[Node]) -> None:
    everybody = {node.name: "alive" for node in nodes}

    async def views() -> list[dict[str, str]]:
        return [
            await node.statuses() if isinstance(node, GoAgent) else node.statuses()
            for node in nodes
        ]

    await becomes([everybody] * len(nodes), views, seconds=20)


@pytest.mark.parametrize("with_self", [True, False])
@pytest.mark.parametrize("delay", [0.0002, 0.002, 0.02])
@limit(60)
async def test_one_name_for_all_nodes_brings_all_together(
    binary: Path, tmp_path: Path, delay: float, with_self: bool
) -> None:
    kinds = ["py"] * 3
    async with (
        wired([(ip,) for ip in V4[:3]], lambda packet: delay) as wire,
        running(wire, kinds, tmp_path, binary, with_self=with_self) as nodes,
    ):
        await all_meet(nodes)
        assert wire.carried["tcp"] > 0


@pytest.mark.parametrize("with_self", [True, False])
@pytest.mark.parametrize("addresses", [V4, V6], ids=["ipv4", "ipv6"])
@limit(60)
async def test_nodes_of_both_kinds_meet_by_one_name(
    binary: Path, tmp_path: Path, addresses: Sequence[str], with_self: bool
) -> None:
    kinds = ["py", "go", "py"]
    async with (
        wired([(ip,) for ip in addresses[:3]], lambda packet: 0.005) as wire,
        running(wire, kinds, tmp_path, binary, with_self=with_self) as nodes,
    ):
        await all_meet(nodes)


@pytest.mark.parametrize("kinds", [["py"] * 4, ["py", "go", "go", "py"]], ids=["py", "mixed"])
@pytest.mark.parametrize("with_self", [True, False])
@limit(60)
async def test_two_zones_become_one_cluster(
    binary: Path, tmp_path: Path, kinds: Sequence[str], with_self: bool
) -> None:
    rule = zones(V4[:2], V4[2:], near=0.0002, far=0.02)
    async with (
        wired([(ip,) for ip in V4], rule) as wire,
        running(wire, kinds, tmp_path, binary, with_self=with_self) as nodes,
    ):
        await all_meet(nodes)


@limit(90)
async def test_a_node_that_loses_its_address_takes_the_new_one(
    binary: Path, tmp_path: Path
) -> None:
    async with wired([(ip,) for ip in V4[:3]], lambda packet: 0.001) as wire:
        one, two, three = wire.hosts
        async with (
            go_agent(binary, tmp_path, name="go-1", address=one.gossip, inside=one.inside) as agent,
            node_process(
                tmp_path, name="py-2", join=one.gossip, address=two.gossip, inside=two.inside
            ) as other,
            node_process(
                tmp_path, name="py-3", join=one.gossip, address="0.0.0.0:7946", inside=three.inside
            ) as node,
        ):
            assert three.gossip == node.address
            everybody = {"go-1": "alive", "py-2": "alive", "py-3": "alive"}
            await becomes(everybody, agent.statuses)
            await three.set_addresses("10.79.0.33")
            # The agent keeps the old address until it has forgotten that the node failed there.
            await becomes(["py-3"], lambda: moves(other, "10.79.0.33"), seconds=40)
            await becomes("alive", lambda: other.statuses().get("py-3"), seconds=20)


def moves(node: NodeProcess, host: str) -> list[str]:
    """Names of the members that were last seen at this host."""
    return sorted(name for name, seen in node.hosts().items() if seen == host)


@limit(40)
async def test_the_wire_carries_delays_and_loses_by_its_rule() -> None:
    lost = {"udp"}

    def rule(packet: Packet) -> float | None:
        return None if packet.protocol in lost else 0.05

    async with wired([(V4[0], V6[0]), (V4[1], V6[1])], rule) as wire:
        one, _ = wire.hosts
        for target in (V4[1], V6[1]):
            took = float(await python(one, REFUSED_AFTER, target))
            assert 0.1 <= took < 2
        assert 4 == wire.carried["tcp"]
        await python(one, SEND, V4[1])
        await becomes(1, lambda: wire.lost["udp"])


REFUSED_AFTER = """
import socket, sys, time
start = time.monotonic()
try:
    socket.create_connection((sys.argv[1], 9))
except ConnectionRefusedError:
    print(time.monotonic() - start)
"""
SEND = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], 9))
"""


async def python(host: WiredHost, program: str, *arguments: str) -> str:
    """What a program prints that runs on this host."""
    command = [*host.inside, sys.executable, "-c", program, *arguments]
    return (await trio.run_process(command, capture_stdout=True)).stdout.decode()
