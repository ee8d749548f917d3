"""Queues that grow without end and queues that starve: in Go they do, in trioserf not."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

from trioserf._wire.messages import Alive, UserMessage, encode_message
from trioserf._wire.serf_messages import JoinIntent, encode_serf
from trioserf.testing import SimCluster
from trioserf.testing.invariants import (
    Incarnations,
    Invariant,
    LocalNodeAlive,
    Sizes,
    all_invariants,
)

from .kit import cluster_of, inject, member

both = pytest.mark.parametrize("faithful_go", [True, False], ids=["go", "trioserf"])

FLOOD = 300
"""Alive messages to rebroadcast; three of them fill a packet to the last 30 bytes."""
QUIET = {"probe_interval": 0.0, "push_pull_interval": 600.0}
"""Nothing but gossip, so that every packet is filled by the queues."""
PHANTOMS = [f"phantom-{number}" for number in range(FLOOD)]


def invariants_with_phantoms() -> tuple[Invariant, ...]:
    return (Incarnations(forged=True), LocalNodeAlive(), Sizes(*PHANTOMS))


# --- queues are bounded -------------------------------------------------------------------


@pytest.mark.slow
@both
async def test_intents_about_one_node_do_not_pile_up(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    """A node that is pruned and comes back, again and again, as in a loop of two masters."""
    invariants = [each for each in all_invariants() if not (faithful_go and _is_sizes(each))]
    async with cluster_of(3, faithful_go=faithful_go, invariants=invariants) as (cluster, _):
        now = cluster[0].serf.statistics().member_time
        for ltime in range(now + 1, now + 501):
            message = encode_serf(JoinIntent(ltime, "node-3"))
            inject(cluster, UserMessage(message), "node-1")
        deepest = 0
        for _ in range(50):
            await trio.sleep(0.01)
            deepest = max(deepest, cluster[0].serf.statistics().queues["intent"].depth)
        if faithful_go:
            assert deepest > 300
        else:
            assert deepest <= 3


def _is_sizes(invariant: Invariant) -> bool:
    return isinstance(invariant, Sizes)


# --- no message starves ----------------------------------------------------------------------


def flood(cluster: SimCluster) -> None:
    """Let the first node receive many others at once, which it broadcasts.

    They live at the addresses of real nodes, so that what is gossiped to them is heard.
    Each message takes 455 bytes.
    """
    real = cluster[1].serf.memberlist.local_node
    for number, name in enumerate(PHANTOMS):
        home = cluster[1 + number % (len(cluster) - 1)].serf.memberlist.local_node
        message = Alive(1, name, home.addr, home.port, b"x" * 300, real.versions)
        missing = 455 - len(encode_message(message))
        inject(cluster, attrs.evolve(message, meta=b"x" * (300 + missing)), "node-1")


@pytest.mark.slow
@both
async def test_user_events_pass_while_nodes_flood_the_packets(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    watch = invariants_with_phantoms()
    async with cluster_of(3, faithful_go=faithful_go, invariants=watch, **QUIET) as (
        cluster,
        _,
    ):
        flood(cluster)
        await trio.sleep(0.05)
        await cluster[0].serf.user_event("deploy")
        await trio.sleep(2)
        reached = {entry.node for entry in cluster.timeline.user_events("deploy")}
        expected = {"node-1"} if faithful_go else {"node-1", "node-2", "node-3"}
        assert expected == reached


@pytest.mark.slow
@both
async def test_what_began_here_passes_while_others_flood_the_packets(
    faithful_go: bool, autojump_clock: MockClock
) -> None:
    watch = invariants_with_phantoms()
    async with cluster_of(3, faithful_go=faithful_go, invariants=watch, **QUIET) as (
        cluster,
        _,
    ):
        flood(cluster)
        await trio.sleep(0.05)
        cluster[0].start_soon(_change_tags, cluster)
        await trio.sleep(2)
        seen = {member(cluster, "node-1", by).tags.get("role") for by in (1, 2)}
        assert {None if faithful_go else "web"} == seen


async def _change_tags(cluster: SimCluster) -> None:
    with trio.move_on_after(3):
        await cluster[0].serf.set_tags({"role": "web"})


@pytest.mark.slow
async def test_a_flood_ends(autojump_clock: MockClock) -> None:
    watch = invariants_with_phantoms()
    async with cluster_of(3, invariants=watch, step=1.0) as (cluster, _):
        flood(cluster)
        await cluster.until(lambda: _queued(cluster[0]) > len(PHANTOMS) // 2, within=5)
        await cluster.until(lambda: not any(_queued(node) for node in cluster), within=120)


def _queued(node: object) -> int:
    statistics = node.serf.memberlist.statistics()  # type: ignore[attr-defined]
    return int(statistics.queued_broadcasts)
