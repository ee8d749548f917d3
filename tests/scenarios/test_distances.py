"""Near and far: joins and gossip at latencies of 0.2, 2 and 20 ms, and between two zones.

With equal links, or on loopback, the nearest node is as near as every other, which hides what
distance does: the first that answers may be this node itself, or always one of its own zone.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

import pytest
import trio
from trio.testing import MockClock

from trioserf import EventType, MemberEvent, MemberStatus, UserEvent
from trioserf.testing import SimCluster, SimNode

NAME = "cluster.internal"
LATENCIES = [0.0002, 0.002, 0.02]
PLACES = [*LATENCIES, "zones"]
"""Latencies between all nodes (seconds), or two zones: 0.2 ms within each, 20 ms between them."""


class Names(trio.abc.HostnameResolver):
    """Host names of a test: each name stands for addresses that depend on nothing else."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        trio.socket.set_custom_hostname_resolver(self)  # for this run of trio

    async def getaddrinfo(
        self, host: object, port: object, family: int = 0, type: int = 0, proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[object, ...]]:  # fmt: skip
        await trio.lowlevel.checkpoint()
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown name")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in self.addresses[name]
        ]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise NotImplementedError


def cluster_at(place: float | str, seed: int = 1) -> SimCluster:
    return SimCluster(seed=seed, latency=0.0002 if isinstance(place, str) else place)


def set_apart(cluster: SimCluster, place: float | str) -> None:
    """Two zones, every second node in each, if that is the place."""
    if place == "zones":
        cluster.change_link(
            [node.name for node in cluster.nodes[::2]],
            [node.name for node in cluster.nodes[1::2]],
            both_ways=True,
            latency=0.02,
        )


async def join_by_name(nodes: Iterable[SimNode], names: Names, *, with_self: bool) -> None:
    """All at the same time: the first try of each, as on the day when all are started."""
    nodes = list(nodes)

    async def join(node: SimNode) -> None:
        await node.serf.join([f"{own_name(node)}:7946"])

    def own_name(node: SimNode) -> str:
        return NAME if with_self else f"{node.name}.{NAME}"

    names.addresses[NAME] = [node.host for node in nodes]
    for node in nodes:
        others = [other.host for other in nodes if other is not node]
        names.addresses[f"{node.name}.{NAME}"] = others
    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(join, node)


@pytest.mark.parametrize("with_self", [True, False])
@pytest.mark.parametrize("place", PLACES)
async def test_one_name_for_all_nodes_brings_all_together(
    autojump_clock: MockClock, place: float | str, with_self: bool
) -> None:
    names = Names()
    async with cluster_at(place) as cluster:
        await cluster.spawn(6, join=None)
        set_apart(cluster, place)
        await join_by_name(cluster.nodes, names, with_self=with_self)
        assert await cluster.converged(within=10) < 5


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
async def test_islands_of_a_name_that_was_incomplete_become_one_cluster(
    autojump_clock: MockClock, place: float | str
) -> None:
    """Each island joined by a name that gave it alone; later the name gives all."""
    names = Names()
    async with cluster_at(place) as cluster:
        await cluster.spawn(6, join=None)
        set_apart(cluster, place)
        hosts = [node.host for node in cluster.nodes]
        for name, island in (("a." + NAME, slice(0, 3)), ("b." + NAME, slice(3, 6))):
            names.addresses[name] = hosts[island]
            for node in cluster.nodes[island]:
                await node.serf.join([f"{name}:7946"])
        await trio.sleep(60)
        assert [3] * 6 == [node.serf.num_nodes for node in cluster.nodes]
        names.addresses = dict.fromkeys(names.addresses, hosts)
        assert await cluster.converged(within=300) < 120


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
async def test_gossip_reaches_all_and_nobody_is_failed(
    autojump_clock: MockClock, place: float | str
) -> None:
    async with cluster_at(place) as cluster:
        await cluster.spawn(10)
        set_apart(cluster, place)
        await cluster.converged()
        async with cluster[9].serf.subscribe(UserEvent) as events:
            for number in range(20):
                await cluster[number % 9].serf.user_event("deploy", b"%d" % number)
            with trio.fail_after(5):
                got = [await events.receive() for _ in range(20)]
        payloads = {event.payload for event in got if isinstance(event, UserEvent)}
        assert {b"%d" % number for number in range(20)} == payloads
        async with cluster[0].serf.subscribe(MemberEvent) as events:
            await trio.sleep(120)
            assert 0 == events.statistics().current_buffer_used, "nobody is suspected for long"
            await cluster.crash(9)
            with trio.fail_after(30):
                event = await events.receive()
            assert isinstance(event, MemberEvent)
            assert EventType.MEMBER_FAILED is event.type
            await cluster.leave(8)
            with trio.fail_after(5):
                event = await events.receive()
            assert isinstance(event, MemberEvent)
            assert EventType.MEMBER_LEAVE is event.type
        views = [node.serf.members().get(cluster[8].name) for node in cluster.running]
        assert {MemberStatus.LEFT} == {member.status for member in views if member is not None}
