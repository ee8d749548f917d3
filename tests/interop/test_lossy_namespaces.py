"""Mixed clusters on hosts of their own, under loss, cuts, partitions, and stopped processes.

Every second node is a Go agent.  With the profile ``local`` a failure is known within about six
seconds, even to a minority, for one confirmation is enough.  What gossip misses is repaired by the
exchange of states, each 15 s (``local``) or 30 s (``lan``); hence the long wait for agreement,
which mostly takes a second or two.  The agents look for who has failed every two seconds instead
of every thirty.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.interop.agents import GoAgent, go_agent
from tests.interop.namespaces import Host, Network, hosts, why_not
from tests.interop.nodes import NodeProcess, node_process
from tests.interop.waiting import becomes, limit, stays

Node = GoAgent | NodeProcess


@pytest.fixture(autouse=True)
def _allowed() -> None:
    if reason := why_not():
        pytest.skip(reason)


@attrs.frozen
class Cluster:
    """Nodes that run, one on each host."""

    network: Network
    nodes: Sequence[Node]

    def host_of(self, node: Node) -> Host:
        return self.network.hosts[self.nodes.index(node)]

    async def views(self, observers: Sequence[Node] = ()) -> list[dict[str, str]]:
        """Name to status as each observer sees it; by default everybody is one."""
        return [await view(node) for node in observers or self.nodes]

    def with_failed(self, *failed: Node) -> dict[str, str]:
        """The view in which these, and no others, have failed."""
        return {n.name: "failed" if n in failed else "alive" for n in self.nodes}

    async def all_agree(self) -> None:
        """Wait until everybody sees everybody alive."""
        await becomes([self.with_failed()] * len(self.nodes), self.views, seconds=40)


async def view(node: Node) -> dict[str, str]:
    return await node.statuses() if isinstance(node, GoAgent) else node.statuses()


def failed(seen: Mapping[str, str]) -> set[str]:
    """Names of those who have failed in this view."""
    return {name for name, status in seen.items() if status == "failed"}


def saw_failed(node: Node, other: Node) -> bool:
    """Whether ``node`` ever reported a failure of ``other``."""
    if isinstance(node, GoAgent):
        return f"EventMemberFailed: {other.name} " in node.log
    return other.name in node.events("member-failed")


@asynccontextmanager
async def mixed(
    binary: Path, tmp_path: Path, size: int, *, profile: str = "local"
) -> AsyncIterator[Cluster]:
    """A cluster of real agents and trioserf nodes in turns, which agree on each other."""
    async with hosts(size) as network, AsyncExitStack() as stack:
        nodes: list[Any] = []
        first = network.hosts[0].gossip
        for index, host in enumerate(network.hosts):
            if index % 2 == 0:
                agent = go_agent(
                    *(binary, tmp_path),
                    name=f"go-{index}",
                    profile=profile,
                    address=host.gossip,
                    inside=host.inside,
                    options={"reconnect_interval": "2s"},
                )
                nodes.append(await stack.enter_async_context(agent))
            else:
                node = node_process(
                    tmp_path,
                    name=f"py-{index}",
                    join=first,
                    address=host.gossip,
                    inside=host.inside,
                )
                nodes.append(await stack.enter_async_context(node))
        cluster = Cluster(network, nodes)
        await nodes[0].join(*(host.gossip for host in network.hosts[1:]))
        await cluster.all_agree()
        yield cluster


@limit(90)
async def test_at_ten_percent_loss_no_node_is_failed_for_good(binary: Path, tmp_path: Path) -> None:
    async with mixed(binary, tmp_path, 6, profile="lan") as cluster:
        await cluster.network.lose(10)
        await trio.sleep(6)
        await cluster.network.lose(0)
        await cluster.all_agree()


@limit(90)
async def test_both_kinds_stopped_until_they_are_declared_failed_come_back(
    binary: Path, tmp_path: Path
) -> None:
    async with mixed(binary, tmp_path, 5) as cluster:
        stopped, others = cluster.nodes[1:3], [cluster.nodes[0], *cluster.nodes[3:]]
        for node in stopped:
            node.process.stop()
        expected = [cluster.with_failed(*stopped)] * len(others)
        await becomes(expected, lambda: cluster.views(others), seconds=25)
        for node in stopped:
            node.process.resume()
        await cluster.all_agree()


@limit(90)
async def test_a_link_cut_in_one_direction_fails_no_node_while_others_relay(
    binary: Path, tmp_path: Path
) -> None:
    async with mixed(binary, tmp_path, 4) as cluster:
        go_0, py_1, go_2, py_3 = (cluster.host_of(node) for node in cluster.nodes)
        await cluster.network.cut(go_0, py_1)
        await cluster.network.cut(py_3, go_2)
        await stays([cluster.with_failed()] * 4, cluster.views, seconds=5)
        await cluster.network.heal()
        await cluster.all_agree()
        pairs = [(a, b) for a in cluster.nodes for b in cluster.nodes]
        assert [] == [(a.name, b.name) for a, b in pairs if saw_failed(a, b)]


@limit(90)
async def test_a_partition_is_seen_from_both_sides_and_heals(binary: Path, tmp_path: Path) -> None:
    async with mixed(binary, tmp_path, 6) as cluster:
        here, there = cluster.nodes[:3], cluster.nodes[3:]
        beyond = [{node.name for node in there}] * 3 + [{node.name for node in here}] * 3
        await cluster.network.split(cluster.host_of(node) for node in here)

        async def noticed() -> list[bool]:
            """Whether each declared a node failed, and only who is on the other side."""
            views = [failed(seen) for seen in await cluster.views()]
            return [set() < lost <= other for lost, other in zip(views, beyond, strict=True)]

        await becomes([True] * 6, noticed, seconds=30)
        await cluster.network.heal()
        await cluster.all_agree()
