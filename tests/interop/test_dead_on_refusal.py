"""Which ends of nodes are known at once, and what is no end, between kernels of their own.

A wire carries the packets between the hosts and plays the firewalls.  By Go's rules a failure among
four members takes four seconds of suspicion, after a second or more of probing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from tests.interop.agents import GoAgent, go_agent
from tests.interop.nodes import NodeProcess, node_process
from tests.interop.rejections import Kind, Rejection
from tests.interop.waiting import becomes, limit
from tests.interop.wire import Packet, Rule, Wire, why_not, wired

V4 = [f"10.79.0.{number}" for number in (1, 2, 3, 4)]
V6 = [f"fd79::{number}" for number in (1, 2, 3, 4)]
AT_ONCE = 4.0
"""Seconds; sooner than by any suspicion."""
CLOSED = Rejection(Kind.PORT_UNREACHABLE)
RESET = Rejection(Kind.RESET)


@pytest.fixture(autouse=True)
def _allowed() -> None:
    if reason := why_not():
        pytest.skip(reason)


def near(_packet: Packet) -> float:
    return 0.001


def rejecting(packet: Packet) -> Rejection:
    """As a closed port does it."""
    return RESET if packet.protocol == "tcp" else CLOSED


@attrs.define(eq=False)
class Running:
    """Nodes on hosts of their own, one on each."""

    wire: Wire
    nodes: Sequence[NodeProcess | GoAgent]

    def failed(self, name: str) -> list[str]:
        """Who has listed this node as failed by now, also if that is over."""
        return [node.name for node in self.nodes if name in _failures(node)]

    def failures(self) -> dict[str, list[str]]:
        """All that were ever listed so, and by whom."""
        names = [node.name for node in self.nodes]
        return {name: by for name in names if (by := self.failed(name))}


def _failures(node: NodeProcess | GoAgent) -> set[str]:
    if isinstance(node, NodeProcess):
        return set(node.events("member-failed"))
    lines = node.process.output.splitlines()
    return {line.split()[-2] for line in lines if "EventMemberFailed" in line}


@asynccontextmanager
async def running(
    folder: Path, addresses: Sequence[str], *, binary: Path | None = None
) -> AsyncIterator[Running]:
    """Four nodes that know each other; with ``binary`` the second and the fourth are Go's."""
    async with wired([[address] for address in addresses], near) as wire, AsyncExitStack() as stack:
        nodes: list[NodeProcess | GoAgent] = []
        for number, host in enumerate(wire.hosts):
            seed = wire.hosts[0].gossip if number else wire.hosts[1].gossip
            if binary is not None and number % 2:
                agent = go_agent(
                    binary,
                    folder,
                    name=f"go-{number}",
                    address=host.gossip,
                    inside=host.inside,
                    arguments=[f"-retry-join={seed}", "-retry-interval=1s"],
                )
                nodes.append(await stack.enter_async_context(agent))
            else:
                process = node_process(
                    folder,
                    name=f"py-{number}",
                    join=seed,
                    address=host.gossip,
                    inside=host.inside,
                    wait=False,
                    options={"dead_on_refusal": True},
                )
                nodes.append(await stack.enter_async_context(process))
        everybody = {node.name: "alive" for node in nodes}
        for node in nodes:
            if isinstance(node, NodeProcess):
                await becomes(everybody, node.statuses, seconds=30)
        await trio.sleep(3)  # all have connected to each other before
        yield Running(wire, nodes)


@pytest.mark.parametrize(
    ("addresses", "with_go", "victim"),
    [(V4, False, 3), (V6, False, 3), (V4, True, 3)],
)
@limit(90)
async def test_a_killed_process_is_known_to_all_before_any_suspicion_could_end(
    tmp_path: Path, addresses: list[str], with_go: bool, victim: int, binary: Path
) -> None:
    async with running(tmp_path, addresses, binary=binary if with_go else None) as cluster:
        gone = cluster.nodes[victim]
        others = [node.name for node in cluster.nodes if node is not gone]
        gone.process.kill()
        await becomes(others, lambda: cluster.failed(gone.name), seconds=AT_ONCE)
        assert {gone.name: others} == cluster.failures()


@limit(90)
async def test_a_host_that_is_gone_takes_the_suspicion_timeout(tmp_path: Path) -> None:
    async with running(tmp_path, V4) as cluster:
        gone = cluster.nodes[3]

        def rule(packet: Packet) -> float | None:
            return None if V4[3] in (packet.source, packet.target) else 0.001

        cluster.wire.rule = rule
        gone.process.kill()
        await trio.sleep(AT_ONCE)
        assert [] == cluster.failed(gone.name)
        others = [node.name for node in cluster.nodes if node is not gone]
        await becomes(others, lambda: cluster.failed(gone.name), seconds=25)


@attrs.frozen
class Stopped:
    """A process that stands still for so long (seconds)."""

    seconds: float


def towards_fourth(rejection: Rejection, *protocols: str) -> Rule:
    """As the firewall of that host does."""

    def rule(packet: Packet) -> float | Rejection:
        stopped = packet.target == V4[3] and packet.protocol in protocols
        return rejection if stopped else 0.001

    return rule


def between_two(*, both_ways: bool) -> Rule:
    """Between the third and the fourth host alone, as if their ports were closed."""

    def rule(packet: Packet) -> float | Rejection:
        way = V4.index(packet.source), V4.index(packet.target)
        stopped = way == (2, 3) or (both_ways and way == (3, 2))
        return rejecting(packet) if stopped and packet.protocol != "icmp" else 0.001

    return rule


def everywhere(protocol: str) -> Rule:
    """One of the two protocols is refused by everybody, as if those ports were closed."""

    def rule(packet: Packet) -> float | Rejection:
        return rejecting(packet) if packet.protocol == protocol else 0.001

    return rule


NO_END: dict[str, Rule | Stopped] = {
    "TCP rejected by a firewall": towards_fourth(CLOSED, "tcp"),
    "TCP rejected as if closed": towards_fourth(RESET, "tcp"),
    "UDP rejected": towards_fourth(CLOSED, "udp"),
    "between two, one way": between_two(both_ways=False),
    "between two, both ways": between_two(both_ways=True),
    "TCP rejected everywhere": everywhere("tcp"),
    "stopped for a second": Stopped(1.0),
    "stopped for three": Stopped(3.0),
}


@pytest.mark.slow
@limit(180)
async def test_firewalls_and_stopped_processes_are_no_end(tmp_path: Path) -> None:
    async with running(tmp_path, V4) as cluster:
        for what, happens in NO_END.items():
            if isinstance(happens, Stopped):
                cluster.nodes[3].process.stop()
                await trio.sleep(happens.seconds)
                cluster.nodes[3].process.resume()
            else:
                cluster.wire.rule = happens
                await trio.sleep(8)
                cluster.wire.rule = near
            await trio.sleep(3)
            assert (what, {}) == (what, cluster.failures())


@pytest.mark.slow
@limit(90)
async def test_a_whole_host_that_rejects_for_a_moment_is_no_end(tmp_path: Path) -> None:
    """A firewall that is loaded anew: shorter than `refusal_grace`, whatever it answers."""
    async with running(tmp_path, V4) as cluster:

        def rule(packet: Packet) -> float | Rejection:
            if packet.target == V4[3] and packet.protocol != "icmp":
                return rejecting(packet)
            return 0.001

        for _ in range(8):
            cluster.wire.rule = rule
            await trio.sleep(0.3)
            cluster.wire.rule = near
            await trio.sleep(2.5)
        assert {} == cluster.failures()
