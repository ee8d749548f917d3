"""What is noted about nodes, and that it stays within its bounds."""

import random
import tracemalloc

import pytest
import trio

from trioserf._config import MemberlistConfig
from trioserf._memberlist.history import (
    MAX_NOTES,
    MAX_PER_NODE,
    MAX_ROUTINE,
    MAX_SOURCES,
    History,
)
from trioserf._memberlist.loop_lag import LoopLag
from trioserf._memberlist.node_log import node_log
from trioserf._swim.effects import Applied, Refuted
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.probing import ProbeReport, ProbeRound, StreamPing
from trioserf.abc import Address

from .kit import cluster

HELPER = Address("10.0.0.3", 7946)


class Fixture:
    """A history with a clock that the test sets, and a table that it fills."""

    def __init__(self, *names):
        self.now = 0.0
        self.nodes = {
            name: Node(name=name, addr=bytes((10, 0, 0, number)), port=7946, incarnation=number)
            for number, name in enumerate(names, 1)
        }
        lag = LoopLag(0.25, node_log("memberlist", "n1"))
        self.history = History(self.nodes, "n1", lambda: self.now, lag)

    def whats(self, name):
        return [note.what for note in self.history.notes(name)]


def probe_of(f, name, *helpers, reached=False):
    """A probe that is over; its helpers said nothing yet."""
    probe = ProbeRound(
        f.nodes[name],
        local=f.nodes["n1"],
        seq_no=7,
        now=f.now,
        config=MemberlistConfig(),
        score=0,
    )
    probe.choose_helpers([f.nodes[helper] for helper in helpers], random.Random(1))
    probe.stream = StreamPing.ACKED if reached else StreamPing.CONNECTING
    return probe


def test_a_failure_is_noted_from_the_first_probe_to_the_end():
    f = Fixture("n1", "n2")
    history = f.history
    history.applied(Applied("alive", "n2", was=NodeStatus.DEAD), HELPER)
    history.probed(probe_of(f, "n2"))
    history.applied(Applied("suspect", "n2", by="n1"), None)
    history.note("n2", "confirmed", by="n3", source=HELPER)
    history.applied(Applied("dead", "n2", by="n1", was=NodeStatus.SUSPECT), None)
    kept = f.nodes.pop("n2")
    history.note("n2", "forgotten")
    assert ["joined", "probe unanswered", "suspected"] == f.whats("n2")[:3]
    assert ["confirmed", "declared dead", "forgotten"] == f.whats("n2")[3:]
    assert kept is history.record("n2")
    assert ("n3", HELPER, 2) == (lambda n: (n.by, n.source, n.incarnation))(history.notes("n2")[3])


@pytest.mark.parametrize(
    ("was", "moved", "whats"),
    [
        (NodeStatus.SUSPECT, None, ["refuted"]),
        (NodeStatus.DEAD, None, ["returned"]),
        (NodeStatus.DEAD, HELPER, ["moved", "returned"]),
        (NodeStatus.ALIVE, HELPER, ["moved"]),
        (NodeStatus.ALIVE, None, ["updated"]),
    ],
)
def test_an_alive_message_is_noted_for_what_it_changed(was, moved, whats):
    f = Fixture("n1", "n2")
    f.history.applied(Applied("suspect", "n2", by="n1"), None)
    f.history.applied(Applied("alive", "n2", was=was, moved_from=moved), HELPER)
    assert whats == f.whats("n2")[1:]


def test_a_leave_and_a_refutation_of_this_node_are_noted():
    f = Fixture("n1", "n2")
    f.history.applied(Applied("dead", "n2", by="n2"), HELPER)
    f.history.refuted(Refuted(7, "dead", "n2"), HELPER)
    assert ["left"] == f.whats("n2")
    (note,) = f.history.notes("n1")
    assert ("refutation", "n2", "dead") == (note.what, note.by, note.detail)


def test_what_happens_again_is_one_note_with_a_count():
    f = Fixture("n1", "n2", "n3")
    for second in range(5):
        f.now = float(second)
        f.history.probed(probe_of(f, "n2", "n3" if second == 4 else "n1", reached=True))
    (note,) = f.history.notes("n2")
    assert (5, 0.0, 4.0) == (note.count, note.since, note.at)
    assert isinstance(note.detail, ProbeReport)
    assert (("n3", "silent"),) == note.detail.helpers, "the newest"
    f.history.note("n2", "refused", detail="port 0")
    f.history.note("n2", "refused", detail="port 0")
    f.history.note("n2", "refused", detail="no name")
    assert [5, 2, 1] == [note.count for note in f.history.notes("n2")]


def test_a_helper_may_answer_when_the_probe_is_over():
    """Go's helpers wait for half a second, which is what is left of the probe."""
    f = Fixture("n1", "n2", "n3")
    f.history.probed(probe_of(f, "n2", "n3"))
    f.history.late_nack(6, HELPER)
    (note,) = f.history.notes("n2")
    assert {"n3": "silent"} == dict(note.detail.helpers)
    f.history.late_nack(7, HELPER)
    assert {"n3": "nack"} == dict(note.detail.helpers)


def test_one_node_has_so_many_notes():
    f = Fixture("n1", "n2")
    for number in range(3 * MAX_PER_NODE):
        f.history.note("n2", "refused", detail=str(number))
    assert MAX_PER_NODE == len(f.history.notes("n2"))
    assert str(3 * MAX_PER_NODE - 1) == f.history.notes("n2")[-1].detail


def test_all_nodes_have_so_many_notes_and_the_one_left_alone_longest_goes():
    f = Fixture("n1")
    for round_ in range(3):
        for number in range(MAX_NOTES):
            f.history.note(f"m{number}", "refused", detail=str(round_))
    names = f.history.names()
    assert MAX_NOTES >= sum(len(f.history.notes(name)) for name in names)
    assert f"m{MAX_NOTES - 1}" == names[-1]
    assert [] == f.history.notes("m0")


def test_joins_of_a_large_cluster_are_not_kept_for_each():
    f = Fixture("n1")
    for number in range(5000):
        f.history.applied(Applied("alive", f"m{number}", was=NodeStatus.DEAD), HELPER)
    assert [] == f.history.names()
    assert [] == f.whats("m1")
    assert ["joined"] == f.whats("m4999")
    assert MAX_ROUTINE == sum(len(f.whats(f"m{number}")) for number in range(5000))


def test_dropped_input_is_kept_by_host_and_layer():
    f = Fixture("n1")
    for port in range(1000):
        f.now = float(port)
        f.history.dropped("decrypt", Address("10.0.0.9", port), ValueError("no key fits"))
    f.history.dropped("refused", "n2", "port 0")
    first, second = f.history.inputs()
    assert (Address("10.0.0.9", 999), "decrypt", 1000) == (first.source, first.layer, first.count)
    assert ("no key fits", 0.0, 999.0) == (first.problem, first.since, first.at)
    assert ("n2", 1) == (second.source, second.count)


def test_dropped_input_of_many_hosts_is_bounded_and_texts_are_cut():
    f = Fixture("n1")
    for number in range(3 * MAX_SOURCES):
        f.history.dropped("decrypt", Address(f"10.1.{number}.1", 1), "x" * 5000)
    inputs = f.history.inputs()
    assert MAX_SOURCES == len(inputs)
    assert f"10.1.{3 * MAX_SOURCES - 1}.1" == inputs[-1].source.host
    assert 200 == len(inputs[-1].problem)


def test_failed_exchanges_are_kept_by_address():
    f = Fixture("n1", "n2")
    for port in (1, 2, 2):
        f.history.exchange_failed(Address("10.0.0.9", port), OSError("refused"))
    assert [("exchange", 1), ("exchange", 2)] == [
        (each.layer, each.count) for each in f.history.inputs()
    ]


def test_the_whole_record_takes_less_than_a_megabyte():
    tracemalloc.start()
    try:
        f = Fixture("n1")
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20_000):
            f.now = number * 1.5
            f.history.note(f"m{number % 4000}", "refused", detail="x" * 40 + str(number))
            f.history.dropped("decrypt", Address(f"10.{number % 250}.0.1", 1), "x" * 1000)
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        tracemalloc.stop()


async def test_an_answered_probe_is_a_contact_and_no_note(autojump_clock):
    async with cluster() as c:
        nodes = [await c.start(number) for number in (1, 2)]
        await nodes[1].join(["10.0.0.1"])
        await trio.sleep(10)
        for node, other in (nodes, nodes[::-1]):
            record = node.node(other.name)
            assert trio.current_time() - record.answered_at < 2
            assert trio.current_time() - record.pinged_at < 2
            assert 0 < record.rtt < 0.1
            assert [] == node.history.names()


@pytest.mark.parametrize(
    ("status", "whats"),
    [
        (NodeStatus.DEAD, ["removed"]),
        (NodeStatus.LEFT, []),
        (NodeStatus.ALIVE, []),
    ],
)
def test_only_a_failed_node_is_removed_on_purpose(status, whats):
    f = Fixture("n1", "n2")
    f.nodes["n2"].update(status=status)
    f.history.left("n2")
    f.history.left("nobody")
    assert whats == f.whats("n2")
    assert [] == f.whats("nobody")
