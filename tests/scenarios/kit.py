"""What scenarios share: watched clusters, and messages that are forged or repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from trioserf import Config, Member, MemberStatus
from trioserf._wire.messages import encode_message
from trioserf.abc import Address
from trioserf.testing import JoinVia, SimCluster
from trioserf.testing.agreement import agreement_bound
from trioserf.testing.invariants import Invariant, Watch, watched

OUTSIDE = Address("10.9.9.9", 7946)
"""Where forged and repeated packets come from."""


@asynccontextmanager
async def cluster_of(
    nodes: int,
    *,
    loss: float = 0.0,
    seed: int | None = None,
    step: float = 0.2,
    join: JoinVia = "first",
    record: bool = True,
    invariants: Sequence[Invariant] | None = None,
    **fields: Any,
) -> AsyncIterator[tuple[SimCluster, Watch]]:
    """A whole cluster, joined and agreed, then the loss; watched from first to last.

    The bytes of compression are a question of their own, and its time is most of a simulation.
    """
    async with (
        SimCluster(seed=nodes if seed is None else seed, record=record) as cluster,
        watched(cluster, step=step, invariants=invariants) as watch,
    ):
        await cluster.spawn(nodes, join=join, enable_compression=False, **fields)
        await cluster.converged()
        await trio.sleep(step)
        cluster.network.change_link(loss=loss)
        yield cluster, watch


async def agrees_in_time(
    cluster: SimCluster, *, loss: float = 0.0, parted: bool = False, config: Config | None = None
) -> float:
    """Wait for agreement within the computed bound; the seconds it took."""
    config = config or cluster.nodes[0].config
    bound = agreement_bound(config, len(cluster), loss=loss, parted=parted)
    return await cluster.converged(within=bound.total)


def inject(cluster: SimCluster, message: Any, *receivers: str) -> None:
    """Send nodes a message in a packet from outside."""
    for name in receivers or [node.name for node in cluster.running]:
        to = Address(cluster[name].host, 7946)
        cluster.network.inject(encode_message(message), source=OUTSIDE, to=to)


def views(cluster: SimCluster, of: str) -> set[MemberStatus | None]:
    """The status that a member has at the other running nodes."""
    return {node.view().get(of) for node in cluster.running if node.name != of}


def member(cluster: SimCluster, of: str, by: str | int = 0) -> Member:
    """What a node knows of a member."""
    known = cluster[by].serf.members().get(of)
    assert known is not None, f"{of} is unknown"
    return known


def incarnation(cluster: SimCluster, of: str, by: str | int = 0) -> int:
    """The incarnation of a node in the record that another one has."""
    node = cluster[by].serf.memberlist.node(of)
    assert node is not None, f"{of} is unknown"
    return node.incarnation


async def stays_for(seconds: float, cluster: SimCluster, of: str, status: MemberStatus) -> None:
    """Assert again and again the status that a member has at the others."""
    end = trio.current_time() + seconds
    while trio.current_time() < end:
        assert {status} == views(cluster, of)
        await trio.sleep(0.1)
