"""Causes in words, where the canned incidents of the scenarios do not come.

Those that do are in ``tests/scenarios/test_explanations.py``.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from trioserf._memberlist.history import DroppedInput
from trioserf._serf.diagnosis import kind_of
from trioserf._serf.serf import Serf
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.probing import ProbeRound, StreamPing
from trioserf.abc import Address

from .clusters import address, cluster, until


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Serf, Node]]:
    """A node, and the record of the other, which is stopped: what is noted is the test's."""
    async with cluster() as c:
        nodes = await c.joined("a", "b", "c")
        yield nodes[0], nodes[0].memberlist._table.nodes["b"]


def failed_probe(
    serf: Serf, target: Node, *replies: str, stream: StreamPing, sent: bool = True
) -> None:
    memberlist = serf.memberlist
    probe = ProbeRound(
        target,
        local=memberlist.local_node,
        seq_no=1,
        now=trio.current_time(),
        config=memberlist.config,
        score=0,
    )
    helpers = [
        Node(name=f"h{number}", addr=bytes((10, 0, 1, number)), port=7946)
        for number, _ in enumerate(replies)
    ]
    probe.choose_helpers(helpers, random.Random(1))
    for helper, reply in zip(helpers, replies, strict=True):
        if reply == "nack":
            probe.on_nack(helper.address)
    if not sent:
        probe.send_failed()
    probe.stream = stream
    memberlist.history.probed(probe)


@pytest.mark.parametrize(
    ("replies", "stream", "sent", "text"),
    [
        (("nack", "nack"), StreamPing.CONNECTING, True, "its host is down, or cut off"),
        (("silent", "silent"), StreamPing.CONNECTING, True, "this node itself is cut off"),
        ((), StreamPing.CONNECTING, True, "there was no other node to ask"),
        ((), StreamPing.FAILED, True, "it is no node of this cluster"),
        ((), StreamPing.NOT_TRIED, False, "there is no route to its host"),
    ],
)
async def test_what_a_failed_probe_met_is_the_cause(
    autojump_clock: MockClock, replies: tuple[str, ...], stream: StreamPing, sent: bool, text: str
) -> None:
    async with pair() as (serf, record):
        failed_probe(serf, record, *replies, stream=stream, sent=sent)
        record.status = NodeStatus.SUSPECT
        explanation = serf.explain("b")
        record.status = NodeStatus.ALIVE
        assert explanation.suspect
        assert "declared dead unless it refutes" in explanation.causes[0]
        assert text in " ".join(explanation.causes)


async def test_a_failure_that_another_node_found_is_asked_for_there(
    autojump_clock: MockClock,
) -> None:
    async with pair() as (serf, record):
        serf.memberlist.history.note("b", "declared dead", by="c")
        record.status = NodeStatus.DEAD
        text = " ".join(serf.explain("b").causes)
        record.status = NodeStatus.ALIVE
        assert "'c' found it out; this node had no failed probe of its own" in text


async def test_one_that_comes_and_goes_is_said_to(autojump_clock: MockClock) -> None:
    async with pair() as (serf, record):
        for _ in range(3):
            serf.memberlist.history.note("b", "suspected", by="c")
            serf.memberlist.history.note("b", "refuted")
        failed_probe(serf, record, stream=StreamPing.CONNECTED)
        text = " ".join(serf.explain("b").causes)
        assert "it was suspected and refuted that 3 times" in text
        assert "its event loop was blocked" in text
        record.status = NodeStatus.DEAD
        text = " ".join(serf.explain("b").causes)
        record.status = NodeStatus.ALIVE
        assert "it comes and goes" in text


async def test_a_slow_node_answers_late(autojump_clock: MockClock) -> None:
    async with pair() as (serf, record):
        memberlist = serf.memberlist
        for _ in range(3):
            probe = ProbeRound(
                record,
                local=memberlist.local_node,
                seq_no=1,
                now=trio.current_time(),
                config=memberlist.config,
                score=0,
            )
            probe.on_ack(probe.direct_deadline + 0.2, record.address)
            memberlist.history.probed(probe)
        assert "It is alive but slow: 3 probes" in " ".join(serf.explain("b").causes)


async def test_a_node_that_only_streams_reach_is_said_to(autojump_clock: MockClock) -> None:
    async with pair() as (serf, record):
        record.pinged_at = 0.0
        for _ in range(3):
            failed_probe(serf, record, stream=StreamPing.ACKED)
        text = " ".join(serf.explain("b").causes)
        assert "it was reached on a stream (TCP)" in text
        assert "UDP is blocked in that direction, or in both" in text


@pytest.mark.parametrize(
    ("layer", "problem", "kind"),
    [
        ("decrypt", "no installed keys could decrypt the message", "key"),
        ("stream", "no installed keys could decrypt the message", "key"),
        ("stream", "remote state is encrypted and encryption is not configured", "encrypted"),
        ("stream", "encryption is configured but remote state is not encrypted", "plain"),
        ("label", "label b'red', expected b''", "label"),
        ("exchange", "10.0.0.9:7946 closed the stream", "exchange"),
        ("refused", "port 0", "refused"),
        ("crc", "the checksum does not fit", "other"),
    ],
)
def test_input_is_known_by_its_layer_and_text(layer: str, problem: str, kind: str) -> None:
    assert kind == kind_of(DroppedInput(Address("h", 1), layer, problem, 1, 0.0, 0.0))


async def test_two_nodes_on_one_host_differ_by_their_ports(
    autojump_clock: MockClock,
) -> None:
    async with pair() as (serf, record):
        history = serf.memberlist.history
        other = serf.memberlist._table.nodes["c"]
        other.move(record.addr, 1234)
        history.dropped("decrypt", Address(record.address.host, 1234), "no installed keys")
        assert () == serf.explain("b").inputs
        assert ["decrypt"] == [each.layer for each in serf.explain("c").inputs]
        assert 1 == len(serf.explain(record.address.host).inputs)
        assert ("b", "c") == serf.explain(record.address.host).members


async def test_the_only_other_member_that_is_gone_may_be_anybodys_fault(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as c:
        first, second = await c.joined("a", "b")
        await trio.sleep(5)
        await second.aclose()
        await until(lambda: first.members().failed)
        assert "The only other member, 'b', does not answer" in first.explain().causes[0]
        assert "This node is alone" not in str(first.explain())


async def test_exchanges_that_failed_are_found_by_address(autojump_clock: MockClock) -> None:
    async with cluster() as c:
        node = await c.start("a")
        with pytest.raises(ExceptionGroup):
            await node.join([f"{address(node).partition(':')[0]}:1"])
        text = str(node.explain(f"{address(node).partition(':')[0]}:1"))
        assert "State exchange with" in text
        assert "exchange failed" in text
