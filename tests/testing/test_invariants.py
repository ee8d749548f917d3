"""Invariants find what is wrong: here a test changes the tables of a running cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from trioserf import EventType, MemberEvent, UserEvent
from trioserf._swim.nodes import NodeStatus
from trioserf._wire.messages import Dead, encode_message
from trioserf.testing import SimCluster
from trioserf.testing.determinism import run
from trioserf.testing.invariants import (
    Incarnations,
    InvariantViolation,
    Memory,
    Sizes,
    all_invariants,
    watched,
)


@asynccontextmanager
async def three_nodes() -> AsyncIterator[SimCluster]:
    async with SimCluster(seed=1) as cluster, watched(cluster, step=0.1) as watch:
        await cluster.spawn(3)
        await cluster.converged()
        await trio.sleep(1)
        assert watch.steps > 10
        yield cluster


def record(cluster: SimCluster, of: str):  # type: ignore[no-untyped-def]
    """The record that the first node has of another."""
    return cluster[0].serf.memberlist.node(of)


async def test_a_healthy_cluster_violates_nothing(autojump_clock: MockClock) -> None:
    async with three_nodes() as cluster:
        await cluster[0].serf.user_event("deploy")
        await cluster[1].serf.set_tags({"role": "web"})
        await cluster.crash(2)
        await cluster.converged()
        await cluster.restart(2)
        await cluster.leave(1)
        await cluster.converged()


async def run_ahead(cluster: SimCluster) -> None:
    record(cluster, "node-2").update(incarnation=9)
    await trio.sleep(0.2)


async def return_to_one(cluster: SimCluster) -> None:
    for _ in range(3):
        await cluster[1].serf.set_tags({})
    await trio.sleep(0.2)
    record(cluster, "node-2").update(incarnation=1)
    await trio.sleep(0.2)


async def resurrect(cluster: SimCluster) -> None:
    await cluster.crash("node-3")
    await cluster.converged()
    await trio.sleep(0.2)
    cluster.cut(None, 0)  # or a dead message that is still gossiped mends it unseen
    record(cluster, "node-3").update(status=NodeStatus.ALIVE)
    await trio.sleep(0.2)


async def despair(cluster: SimCluster) -> None:
    record(cluster, "node-1").update(status=NodeStatus.DEAD)
    await trio.sleep(0.2)


async def invent(cluster: SimCluster) -> None:
    record(cluster, "node-2").name = "nobody"
    await trio.sleep(0.2)


async def deliver_twice(cluster: SimCluster) -> None:
    for _ in range(2):
        cluster.timeline.note(0.0, "node-1", UserEvent(3, "deploy", b""))
    await trio.sleep(0.2)


async def report_what_is_not(cluster: SimCluster) -> None:
    ghost = cluster[1].serf.local_member
    gone = MemberEvent(type=EventType.MEMBER_FAILED, members=(ghost,))
    cluster.timeline.note(0.0, "node-1", gone)
    await trio.sleep(2)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (run_ahead, "has incarnation 9 of node-2, which never had more than"),
        (return_to_one, r"went back from incarnation \d of node-2 to 1"),
        (resurrect, "resurrected node-3"),
        (despair, "node-1 lists itself in status dead"),
        (invent, r"knows \['nobody'\], which was never started"),
        (deliver_twice, "delivered deploy of time 3 twice"),
        (report_what_is_not, "the events of node-1 do not add up to its members: node-2"),
    ],
)
async def test_what_is_wrong_ends_the_block(
    change: Callable[..., object], complaint: str, autojump_clock: MockClock
) -> None:
    with pytest.raises(InvariantViolation, match=complaint):
        async with three_nodes() as cluster:
            await change(cluster)  # type: ignore[misc]


async def test_a_queue_that_grows_beyond_the_cluster_is_found(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(2)
        await cluster.converged()
        assert [] == list(Sizes().complaints(cluster, 0.0))
        queue = cluster[0].serf.memberlist._queue
        for number in range(3):
            queue.queue(encode_message(Dead(1, f"n{number}", "x")), name=f"n{number}")
        assert [f"node-1 has {len(queue)} queued messages about nodes: expected at most 2"] == list(
            Sizes().complaints(cluster, 0.0)
        )


async def test_a_flood_of_events_in_a_queue_is_found(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster:
        (node,) = await cluster.spawn(1, max_queue_depth=3, gossip_interval=1000.0)
        for number in range(5):
            node.serf.user_event_nowait(f"event-{number}")
        assert ["node-1 has 5 messages in the event queue: expected at most 3"] == list(
            Sizes().complaints(cluster, 0.0)
        )


def simulate_a_while(*, leak: Callable[[object], object] = lambda entry: None) -> None:
    """Ten minutes of a small cluster that is used all the time, watched for memory."""

    async def main() -> None:
        async with SimCluster(seed=1, record=False) as cluster:
            cluster.network.trace = leak
            memory = Memory(slack=0)
            await cluster.spawn(2, event_buffer=16, query_buffer=16)
            async with watched(cluster, step=30, invariants=(memory,)):
                for number in range(20):
                    await cluster[0].serf.user_event(f"event-{number}", bytes(100))
                    await cluster[1].serf.ask(f"query-{number}", timeout=1)
                    await trio.sleep(29)

    run(1, main)


@pytest.mark.slow
def test_a_while_takes_no_more_memory_than_a_moment() -> None:
    simulate_a_while()


@pytest.mark.slow
def test_what_is_kept_of_every_packet_is_found() -> None:
    kept: list[object] = []
    with pytest.raises(
        InvariantViolation, match=r"Memory: \d+ blocks of memory more than at first"
    ):
        simulate_a_while(leak=kept.append)


async def test_the_end_of_the_block_is_looked_at_too(autojump_clock: MockClock) -> None:
    with pytest.raises(InvariantViolation, match="status dead"):  # noqa: PT012
        async with SimCluster() as cluster, watched(cluster, step=100):
            await cluster.spawn(1)
            await trio.sleep(1)
            record(cluster, "node-1").update(status=NodeStatus.DEAD)


async def test_what_the_block_raises_comes_out_bare(autojump_clock: MockClock) -> None:
    with pytest.raises(KeyError, match="mine"):  # noqa: PT012
        async with SimCluster() as cluster, watched(cluster, invariants=all_invariants()):
            await cluster.spawn(1)
            raise KeyError("mine")


async def test_a_life_that_nobody_looked_at_is_no_complaint(autojump_clock: MockClock) -> None:
    """A node starts, refutes and crashes between two looks."""
    async with SimCluster() as cluster:
        invariant = Incarnations()
        await cluster.spawn(4, dead_on_refusal=False)
        await cluster.converged()
        assert [] == list(invariant.complaints(cluster, trio.current_time()))
        for _ in range(2):
            await cluster.restart("node-2", join=True)
            await cluster["node-2"].serf.set_tags({"life": str(cluster["node-2"].lives)})
            await trio.sleep(0.5)
        await cluster.crash("node-2")
        assert [] == list(invariant.complaints(cluster, trio.current_time()))
