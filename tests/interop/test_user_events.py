"""User events cross between the implementations, byte for byte, up to the size limit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import trio

import trioserf
from tests.interop.agents import CommandFailed, go_agent
from tests.interop.nodes import trioserf_node
from tests.interop.waiting import becomes, limit

LARGEST = 482
"""Most bytes of name and payload that encode within the usual limit of 512 bytes, for a name
of at most 31 bytes and a Lamport time below 128."""


def noise(size: int) -> bytes:
    """Bytes that no compression can shorten, and that do not end in a newline."""
    return random.Random(size).randbytes(size - 1) + b"."


@limit(30)
async def test_user_events_pass_both_ways(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as one,
        go_agent(binary, tmp_path, name="go-2") as two,
        trioserf_node(nursery, name="py-1") as node,
        trioserf_node(nursery, name="py-2") as other,
    ):
        await two.join(one.address)
        await node.serf.join([one.address])
        await other.serf.join([two.address])

        await node.serf.user_event("ours", b"\x00\xff v42", coalesce=False)
        for agent in (one, two):
            await becomes(
                [b"\x00\xff v42"],
                lambda agent=agent: [e.payload for e in agent.recorded("user", "ours")],
            )
        await becomes([b"\x00\xff v42"], lambda: other.user_events("ours"))
        assert [b"\x00\xff v42"] == node.user_events("ours")

        await one.event("theirs", "Grüße")
        for ours in (node, other):
            await becomes(["Grüße".encode()], lambda ours=ours: ours.user_events("theirs"))


@limit(30)
async def test_events_without_a_payload_arrive(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1") as node,
    ):
        await node.serf.join([agent.address])
        await node.serf.user_event("ours", coalesce=False)
        await agent.event("theirs")
        await becomes([b""], lambda: [e.stdin for e in agent.recorded("user", "ours")])
        await becomes([b""], lambda: node.user_events("theirs"))


@limit(30)
async def test_the_largest_event_passes_both_ways_and_one_byte_more_is_refused(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    payload = noise(LARGEST - len("ours"))
    text = "x" * (LARGEST - len("theirs"))
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1") as node,
    ):
        await node.serf.join([agent.address])
        await node.serf.user_event("ours", payload, coalesce=False)
        await becomes([payload], lambda: [e.payload for e in agent.recorded("user", "ours")])
        await agent.event("theirs", text)
        await becomes([text.encode()], lambda: node.user_events("theirs"))

        with pytest.raises(trioserf.UserEventTooLarge):
            await node.serf.user_event("ours", payload + b"!", coalesce=False)
        with pytest.raises(CommandFailed, match="exceeds configured limit of 512 bytes"):
            await agent.event("theirs", text + "!")


@limit(30)
async def test_a_raised_limit_lets_events_through_that_fill_a_packet(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    payload, text = noise(1250), "y" * 1250
    limits = {"user_event_size_limit": 1300}
    async with (
        go_agent(binary, tmp_path, name="go-1", options=limits) as agent,
        trioserf_node(nursery, name="py-1", **limits) as node,
    ):
        await node.serf.join([agent.address])
        await node.serf.user_event("ours", payload, coalesce=False)
        await becomes([payload], lambda: [e.payload for e in agent.recorded("user", "ours")])
        await agent.event("theirs", text)
        await becomes([text.encode()], lambda: node.user_events("theirs"))


@limit(30)
async def test_whether_an_event_may_be_coalesced_crosses_the_wire(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    # An event that a state exchange brings before the gossip does is never one to coalesce.
    gossip_alone = trioserf.MemberlistConfig.lan(push_pull_interval=0)
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1", memberlist=gossip_alone) as node,
    ):
        await node.serf.join([agent.address])
        for number in (b"1", b"2", b"3"):
            await node.serf.user_event("newest", number)
            await node.serf.user_event("each", number, coalesce=False)
        await becomes(
            {b"1", b"2", b"3"}, lambda: {e.payload for e in agent.recorded("user", "each")}
        )
        await becomes([b"3"], lambda: [e.payload for e in agent.recorded("user", "newest")])

        await agent.event("theirs", "1", coalesce=True)
        await agent.event("theirs", "2", coalesce=False)
        await becomes({b"1", b"2"}, lambda: set(node.user_events("theirs")))
        marks = {
            event.payload: event.coalesce
            for _, event in node.events
            if isinstance(event, trioserf.UserEvent) and event.name == "theirs"
        }
        assert {b"1": True, b"2": False} == marks


@limit(60)
async def test_a_burst_among_both_kinds_loses_nothing(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1") as one,
        trioserf_node(nursery, name="py-2") as two,
    ):
        for node in (one, two):
            await node.serf.join([agent.address])
        await becomes(3, lambda: len(one.serf.members().alive))
        await becomes(3, lambda: len(two.serf.members().alive))

        async def send(node: Any) -> None:
            for number in range(100):
                await node.serf.user_event(node.serf.name, b"%d" % number, coalesce=False)

        async with trio.open_nursery() as senders:
            senders.start_soon(send, one)
            senders.start_soon(send, two)
        expected = sorted(b"%d" % number for number in range(100))
        for name in ("py-1", "py-2"):
            for node in (one, two):
                await becomes(expected, lambda n=node, e=name: sorted(n.user_events(e)))
            await becomes(
                expected,
                lambda e=name: sorted(event.payload for event in agent.recorded("user", e)),
                seconds=30,
            )
