"""Answers that cannot come directly come through a relay: through an agent, and through us.

One trioserf node refuses every packet on the direct way between the asking and the answering node,
so an answer that arrives was relayed.  In a cluster of three and with two relays, both others
are chosen: by us always, by Go most of the time, for it draws nine times with replacement, and in
one of forty cases one of the two never comes up.  So where an agent answers, it is asked until it
chose both, three times at most.

Source: hashicorp/serf v0.9.4, serf/query.go, kRandomMembers.
"""

from __future__ import annotations

from pathlib import Path

import trio

import trioserf
from tests.interop.addresses import free_host
from tests.interop.agents import Answers, go_agent
from tests.interop.faulty_transport import FaultyTransport
from tests.interop.nodes import trioserf_node
from tests.interop.waiting import becomes, limit

TRIES = 3


def faulty() -> tuple[FaultyTransport, trioserf.MemberlistConfig]:
    transport = FaultyTransport(free_host())
    return transport, trioserf.MemberlistConfig.lan(transport=transport, enable_compression=False)


@limit(40)
async def test_our_answer_reaches_an_agent_through_another_agent(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    transport, memberlist = faulty()
    answers = {"load": lambda _payload: b"0.17"}
    async with (
        go_agent(binary, tmp_path, name="go-asks") as asks,
        go_agent(binary, tmp_path, name="go-relays") as relays,
        trioserf_node(nursery, name="py-1", memberlist=memberlist, answers=answers) as node,
    ):
        await relays.join(asks.address)
        await node.serf.join([asks.address])
        everybody = dict.fromkeys(["go-asks", "go-relays", "py-1"], "alive")
        for member in (asks, relays, node):
            await becomes(everybody, member.statuses)
        transport.drops_to.add(asks.address)
        alone = await asks.query("load", nodes=["py-1"], timeout="500ms")
        relayed = await asks.query("load", nodes=["py-1"], relay_factor=2, timeout="1s")
        assert 2 == len(node.queries("load"))
    assert Answers(frozenset(), {}) == alone
    assert Answers(frozenset({"py-1"}), {"py-1": "0.17"}) == relayed


@limit(40)
async def test_the_answer_of_an_agent_is_relayed_by_another_trioserf_node(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    transport, memberlist = faulty()
    async with (
        go_agent(
            binary, tmp_path, name="go-answers", handlers=["query:load=printf 0.42"]
        ) as answers,
        trioserf_node(nursery, name="py-asks", memberlist=memberlist) as asks,
        trioserf_node(nursery, name="py-relays") as relays,
    ):
        await asks.serf.join([answers.address])
        await relays.serf.join([answers.address])
        everybody = dict.fromkeys(["go-answers", "py-asks", "py-relays"], "alive")
        for member in (answers, asks, relays):
            await becomes(everybody, member.statuses)
        transport.drops_from.add(answers.address)
        to = ["go-answers"]
        alone = await asks.serf.ask("load", filter_nodes=to, request_ack=True, timeout=0.5)
        for _ in range(TRIES):
            relayed = await asks.serf.ask(
                "load", filter_nodes=to, request_ack=True, relay_factor=2, timeout=1
            )
            if relayed.acks and relayed.responses:
                break
    assert ([], []) == (list(alone.acks), list(alone.responses))
    assert ["go-answers"] == list(relayed.acks)
    assert [("go-answers", b"0.42")] == [(r.node, r.payload) for r in relayed.responses]


@limit(40)
async def test_a_trioserf_node_relays_between_two_agents(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """Between agents the direct way cannot be shut, so what we pass on is read on our side."""
    transport, memberlist = faulty()
    async with (
        go_agent(binary, tmp_path, name="go-asks") as asks,
        go_agent(
            binary, tmp_path, name="go-answers", handlers=["query:load=printf 0.42"]
        ) as answers,
        trioserf_node(nursery, name="py-relays", memberlist=memberlist) as node,
    ):
        await answers.join(asks.address)
        await node.serf.join([asks.address])
        everybody = dict.fromkeys(["go-answers", "go-asks", "py-relays"], "alive")
        for member in (answers, asks, node):
            await becomes(everybody, member.statuses)
        for _ in range(TRIES):
            got = await asks.query("load", nodes=["go-answers"], relay_factor=2, timeout="1s")
            passed_on = [to for data, to in transport.sent if b"0.42" in data]
            if passed_on:
                break
    assert [asks.address] == passed_on
    assert Answers(frozenset({"go-answers"}), {"go-answers": "0.42"}) == got
