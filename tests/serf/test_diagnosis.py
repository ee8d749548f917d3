"""Causes in words, where the canned incidents of the scenarios do not come.

Those that do are in ``tests/scenarios/test_explanations.py``.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trioserf._events import MemberStatus
from trioserf._memberlist.history import DroppedInput, History
from trioserf._memberlist.loop_lag import LoopLag
from trioserf._memberlist.node_log import node_log
from trioserf._serf.diagnosis import (
    causes_of_address,
    causes_of_member,
    causes_of_this_node,
    kind_of,
)
from trioserf._serf.known import Known
from trioserf._serf.serf import Serf
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.probing import ProbeReport, ProbeRound, StreamPing
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


# --- from a record alone ------------------------------------------------------------------

NOW = 1000.0
ELSEWHERE = Address("10.0.9.9", 7946)


def node(name: str, status: NodeStatus = NodeStatus.ALIVE, *, ago: float = 50.0) -> Node:
    """Node ``b`` is at 10.0.0.2, and so on."""
    addr = bytes((10, 0, 0, ord(name[0]) - ord("a") + 1))
    return Node(name=name, addr=addr, port=7946, status=status, changed_at=NOW - ago)


def known(*others: Node, health: int = 0, left: tuple[str, ...] = ()) -> Known:
    """What node ``a`` knows, who has these others in its table; nothing was noted yet."""
    local = node("a")
    nodes = {each.name: each for each in (local, *others)}
    log = node_log("memberlist", "a")
    history = History(nodes, "a", lambda: NOW, LoopLag(1.0, log))
    memberlist: Any = SimpleNamespace(
        history=history,
        name="a",
        local_node=local,
        nodes=lambda: list(nodes.values()),
        health_score=health,
    )
    members: Any = [
        SimpleNamespace(name=name, status=MemberStatus.LEFT if name in left else MemberStatus.ALIVE)
        for name in nodes
    ]
    return Known(memberlist=memberlist, members=members)


def report(**fields: Any) -> ProbeReport:
    """Of a probe that nobody and nothing answered."""
    missed = {"reached": False, "waited": 0.5, "late": False, "sent": True, "helpers": ()}
    return ProbeReport(**{**missed, "stream": StreamPing.CONNECTING, **fields})


def causes(here: Known, name: str, record: Node | None) -> list[str]:
    return list(causes_of_member(here, name, here.history.notes(name), record))


def causes_here(here: Known) -> list[str]:
    return list(causes_of_this_node(here, here.history.notes("a")))


def test_of_a_name_alone_nothing_is_known() -> None:
    [cause] = causes(known(), "b", None)
    assert cause.startswith("Only its name is known")


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (
            StreamPing.REFUSED,
            "Its host is up and refuses connections at 10.0.0.2:7946: the process has ended "
            "(a crash, or it was killed). 1 of 2 helpers had no answer from it either.",
        ),
        (
            StreamPing.CONNECTED,
            "Its host accepts connections at 10.0.0.2:7946, but the process answers nothing: it is "
            "blocked or stopped (a blocked event loop, SIGSTOP, a debugger, no CPU). 1 of 2 "
            "helpers had no answer from it either.",
        ),
        (
            StreamPing.FAILED,
            "At 10.0.0.2:7946 something accepts connections, but answers no ping: it is no node of "
            "this cluster, or has another key or label. 1 of 2 helpers had no answer from it "
            "either.",
        ),
        (
            StreamPing.CONNECTING,
            "No packet and no connection to 10.0.0.2:7946 is answered: its host is down, or cut "
            "off from the others, too. 1 of 2 helpers had no answer from it either.",
        ),
    ],
)
def test_what_a_stream_met_and_what_helpers_said(stream: StreamPing, text: str) -> None:
    b = node("b", NodeStatus.DEAD)
    here = known(b)
    helpers = (("c", "nack"), ("d", "silent"))
    here.history.note("b", "probe unanswered", detail=report(helpers=helpers, stream=stream))
    assert [text, "It never answered this node."] == causes(here, "b", b)


@pytest.mark.parametrize(
    ("notes", "refused"),
    [
        ([("refuses", "seen by c")], True),
        ([("declared dead", "its host refuses its ports, seen by c")], True),
        ([("refuses", "seen by c"), ("declared dead", "")], True),
        ([("refuses", "seen by c"), ("refuted", "")], False),
        ([("refuses", "seen by c"), ("returned", "")], False),
    ],
)
def test_ports_that_were_refused_tell_a_crash_unless_the_node_lived_after_it(
    notes: list[tuple[Any, str]], refused: bool
) -> None:
    b = node("b", NodeStatus.DEAD)
    b.answered(NOW - 60)
    here = known(b)
    for what, detail in notes:
        here.history.note("b", what, detail=detail)
    text = " ".join(causes(here, "b", b))
    assert refused == ("the process has ended" in text)
    assert refused == text.endswith("seen by c.")


def test_a_failed_member_that_was_removed_is_said_to_be_listed_as_left() -> None:
    b = node("b", NodeStatus.DEAD)
    here = known(b)
    here.history.left("b")
    assert causes(here, "b", b)[0].startswith("After it had failed it was removed on purpose")


@pytest.mark.parametrize(
    ("changed_at", "text"),
    [
        (NOW - 50.0, "It left by itself, 50 s ago: nothing failed."),
        (None, "It left by itself: nothing failed."),
    ],
)
def test_one_that_left_did_not_fail(changed_at: float | None, text: str) -> None:
    b = node("b", NodeStatus.LEFT)
    b.changed_at = float("-inf") if changed_at is None else changed_at
    assert [text] == causes(known(b), "b", b)


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        (None, "it started anew there"),
        ("10.0.9.9:7946 answered", "it started anew there"),
        ("10.0.9.9:7946 did not answer", "no node of its name answered at the old address"),
    ],
)
def test_why_a_node_moved(probe: str | None, why: str) -> None:
    b = node("b")
    here = known(b)
    if probe is not None:
        here.history.note("b", "address probed", detail=probe)
    here.history.note("b", "moved", detail=ELSEWHERE)
    text = causes(here, "b", b)[0]
    assert f"It moved from {ELSEWHERE} to 10.0.0.2:7946 0.00 s ago: {why}." == text


def test_a_name_conflict_names_both_addresses_until_the_other_is_the_one_listed() -> None:
    b = node("b")
    here = known(b)
    for _ in range(2):
        here.history.note("b", "conflict", detail=ELSEWHERE)
    text = causes(here, "b", b)[0]
    assert "Two nodes use the name 'b' (a name conflict): the one at 10.0.0.2:7946" in text
    assert f"one at {ELSEWHERE} was refused 2 times" in text
    b.move(bytes((10, 0, 9, 9)), 7946)
    assert "conflict" not in " ".join(causes(here, "b", b))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ("bc", "1 other member failed at about the same time ('c')"),
        ("bcd", "2 other members failed at about the same time ('d' and 'c')"),
        ("b", ""),
    ],
)
def test_members_that_failed_together_may_have_something_in_common(names: str, text: str) -> None:
    failed = [node(name, NodeStatus.DEAD, ago=50.0 + 10 * at) for at, name in enumerate(names)]
    long_ago = node("x", NodeStatus.DEAD, ago=500.0)
    here = known(*failed, long_ago, node("y"))
    found = [each for each in causes(here, "b", failed[0]) if "at about the same time" in each]
    assert bool(text) == bool(found)
    assert all(each.startswith(text) for each in found)
    crashed = report(stream=StreamPing.REFUSED)
    here.history.note("b", "probe unanswered", detail=crashed)  # then it has a cause of its own
    assert "at about the same time" not in " ".join(causes(here, "b", failed[0]))


@pytest.mark.parametrize(
    ("helpers", "stream", "pinged", "how", "where"),
    [
        (
            (("c", "ack"), ("d", "silent")),
            StreamPing.ACKED,
            True,
            "by way of 'c'",
            "UDP is blocked in that direction.",
        ),
        ((), StreamPing.ACKED, True, "on a stream (TCP)", "UDP is blocked in that direction."),
        ((), StreamPing.CONNECTED, False, "by way of others", "or in both."),
    ],
)
def test_lost_acks_tell_in_which_direction_packets_are_lost(
    helpers: tuple[Any, ...], stream: StreamPing, pinged: bool, how: str, where: str
) -> None:
    b = node("b")
    here = known(b)
    reached = report(reached=True, helpers=helpers, stream=stream)
    for _ in range(3):
        here.history.note("b", "reached indirectly", detail=reached).since = NOW - 30
    if pinged:
        b.pinged_at = NOW - 2
    first, second = causes(here, "b", b)
    assert first.startswith("It is alive, but 3 direct pings within 30 s had no ack in time")
    assert first.endswith(f"it was reached {how}.")
    assert second.endswith(where)
    assert pinged == ("the last 2.0 s ago" in second)


def test_a_few_lost_acks_and_those_of_long_ago_are_nothing() -> None:
    b = node("b")
    b.answered(NOW - 1)
    here = known(b)
    for _ in range(2):
        here.history.note("b", "reached indirectly", detail=report(reached=True))
    assert ["It is alive and answered 1.0 s ago."] == causes(here, "b", b)
    here.history.note("b", "reached indirectly", detail=report(reached=True)).at = NOW - 200
    assert ["It is alive and answered 1.0 s ago."] == causes(here, "b", b)


@pytest.mark.parametrize("what", ["refuted", "returned"])
@pytest.mark.parametrize(
    ("stream", "then"),
    [
        (StreamPing.CONNECTED, "its event loop was blocked, or the process was stopped."),
        (StreamPing.REFUSED, "its host refused connections: the process was restarted."),
        (StreamPing.CONNECTING, ""),
        (None, ""),
    ],
)
def test_one_that_lives_again_was_stopped_or_restarted(
    what: Any, stream: StreamPing | None, then: str
) -> None:
    b = node("b")
    here = known(b)
    if stream is not None:
        here.history.note("b", "probe unanswered", detail=report(stream=stream))
    here.history.note("b", what)
    first, *rest = causes(here, "b", b)
    if what == "refuted":
        assert "it was suspected and refuted that once" in first
    else:
        assert first.startswith("It had failed or left, and is alive again")
    assert bool(then) == bool(rest)
    assert all(each.endswith(then) for each in rest)


def test_one_that_was_not_probed_yet_is_said_to_be_alive() -> None:
    b = node("b")
    assert ["It is said to be alive; this node has not probed it yet."] == causes(known(b), "b", b)


@pytest.mark.parametrize(
    ("others", "text"),
    [
        ([], "This node is alone: it knows no other member."),
        (
            [node("b", NodeStatus.SUSPECT)],
            "The only other member, 'b', does not answer; none was ever reached.",
        ),
        (
            [node("b", NodeStatus.SUSPECT), node("c", NodeStatus.DEAD)],
            "This node is isolated: none of the 2 other members answers; none was ever reached. "
            "Its own network is the likeliest cause.",
        ),
        (
            [
                node("b", NodeStatus.DEAD, ago=90.0),
                node("c", NodeStatus.DEAD, ago=60.0),
                node("d", NodeStatus.DEAD, ago=400.0),
                node("e"),
            ],
            "2 of 4 other members failed within 30 s, 60 s ago ('b' and 'c'): a partition, if they "
            "still run. Reached are 'e'.",
        ),
        ([node("b", NodeStatus.DEAD), node("c")], "Nothing unusual is known about this node."),
    ],
    ids=["alone", "one", "isolated", "partition", "one of two"],
)
def test_how_many_others_are_gone_tells_whose_fault_it_is(others: list[Node], text: str) -> None:
    assert [text] == causes_here(known(*others))


def test_those_that_left_are_no_others() -> None:
    here = known(node("b", NodeStatus.LEFT), left=("b",))
    assert ["This node is alone: it knows no other member."] == causes_here(here)


def test_an_isolated_node_says_when_it_was_last_in_contact() -> None:
    b, c = node("b", NodeStatus.DEAD), node("c", NodeStatus.DEAD)
    b.answered(NOW - 30)
    c.pinged_at = NOW - 20
    assert "the last contact was 20 s ago" in causes_here(known(b, c))[0]


def test_a_node_that_was_blocked_or_doubts_itself_says_so() -> None:
    here = known(node("b"), health=3)
    here.history.loop_lag.blocked(2.5, NOW - 4)
    blocked, doubts = causes_here(here)
    assert blocked.startswith("This node's event loop was blocked once, for up to 2.5 s, last 4.0")
    assert doubts.startswith("Its health score is 3")


@pytest.mark.parametrize(
    ("by", "source", "detail", "text"),
    [
        ("b", None, "suspect", "'b' suspected it or declared it dead"),
        ("", "10.0.0.2", "dead", "'b' suspected it or declared it dead"),
        ("", "10.0.7.7", "dead", "'10.0.7.7' suspected it or declared it dead"),
        ("", None, "dead", "'a peer' suspected it or declared it dead"),
        ("", None, "alive", "Alive messages of an earlier run of it were refuted (once"),
    ],
)
def test_who_doubted_this_node(by: str, source: str | None, detail: str, text: str) -> None:
    here = known(node("b"))
    here.history.note("a", "refutation", by=by, source=source, detail=detail)
    assert causes_here(here)[0].startswith(text)


@pytest.mark.parametrize(
    ("layer", "problem", "text"),
    [
        ("decrypt", "no key", "What 10.0.0.2 (b) sends cannot be decrypted"),
        ("stream", "remote state is not encrypted", "What 10.0.0.2 (b) sends is not encrypted"),
        ("stream", "remote state is encrypted", "What 10.0.0.2 (b) sends is encrypted, and this"),
        ("label", "another", "What 10.0.0.2 (b) sends has another label"),
        ("exchange", "timeout", "State exchange with 10.0.0.2 (b) failed"),
        ("refused", "port 0", "Messages about 10.0.0.2 (b) were refused"),
        ("crc", "wrong", "What 10.0.0.2 (b) sends was dropped"),
    ],
)
def test_dropped_input_is_explained_for_its_member_its_host_and_this_node(
    layer: str, problem: str, text: str
) -> None:
    b = node("b")
    b.answered(NOW - 1)
    here = known(b)
    here.history.dropped(layer, b.address, "an older one")
    here.history.inputs()[0].at = NOW - 5
    here.history.dropped(layer, b.address, problem)
    of_host = list(causes_of_address(here, "10.0.0.2", [b], []))
    for found in (causes(here, "b", b), causes_here(here), of_host):
        [one] = [each for each in found if each.startswith(text)]
        assert one.endswith(f"(2 times, last 0.00 s ago): {problem}.")
    before = causes(here, "b", b).index("It is alive and answered 1.0 s ago.")
    assert (0 if layer == "exchange" else 1) == before


def test_input_of_a_stranger_is_explained_with_its_host_alone() -> None:
    here = known(node("b"))
    here.history.dropped("crc", ELSEWHERE, "wrong")
    assert causes_here(here)[0].startswith("What 10.0.9.9 sends was dropped (once,")


def test_an_address_tells_who_is_there_and_whose_name_it_uses() -> None:
    b = node("b", NodeStatus.DEAD)
    here = known(b)
    here.history.note("c", "conflict", detail=b.address)
    here.history.note("c", "conflict", detail=ELSEWHERE)
    here.history.note("c", "moved", detail=b.address)
    notes = here.history.notes("c")
    assert [
        "The node there uses the name 'c', which another node has.",
        "The member 'b' is there: dead, 50 s ago.",
    ] == list(causes_of_address(here, "10.0.0.2", [b], notes))
    assert ["Nothing is known of 10.0.0.7: no member is there, and nothing of it was dropped."] == (
        list(causes_of_address(here, "10.0.0.7", [], []))
    )


@pytest.mark.parametrize("subject", ["nobody", "10.0.0.300", "nobody:7946", "[::1"])
async def test_what_is_neither_a_member_nor_an_address_is_unknown(
    autojump_clock: MockClock, subject: str
) -> None:
    async with pair() as (serf, _record):
        explanation = serf.explain(subject)
        assert ("unknown", "a") == (explanation.kind, explanation.node)
        assert f"This node knows no member {subject!r}" in explanation.causes[0]
