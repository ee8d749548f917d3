from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from trioserf._memberlist_config import MemberlistConfig
from trioserf._swim.effects import NodeDropped, NodeForgotten
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.probing import (
    RECHECK_INTERVALS,
    SCANNED_AT_ONCE,
    SHUFFLED_AT_ONCE,
    ProbeReport,
    ProbeResult,
    ProbeRound,
    ProbeSchedule,
    StreamPing,
)
from trioserf._wire.messages import IndirectPing, Ping, decode_message
from trioserf.abc import Address

from .builders import VERSIONS, dead, ip, left, node, suspect, table_with

# --- schedule -----------------------------------------------------------------------------


def names(schedule: ProbeSchedule, count: int, now: float = 0.0) -> list[str]:
    found = []
    for _ in range(count):
        chosen, _effects = schedule.next_node(now)
        assert chosen is not None
        found.append(chosen.name)
    return found


def test_a_node_alone_probes_nothing() -> None:
    schedule = ProbeSchedule(table_with(), random.Random(1))
    for _ in range(5):
        assert (None, []) == schedule.next_node(0.0)


def test_every_other_node_is_probed_once_in_a_round() -> None:
    schedule = ProbeSchedule(table_with(*"bcdefg"), random.Random(1))
    for _ in range(4):
        assert set("bcdefg") == set(names(schedule, 6))


def test_rounds_come_in_different_orders() -> None:
    schedule = ProbeSchedule(table_with(*"bcdefg"), random.Random(1))
    assert 1 < len({tuple(names(schedule, 6)) for _ in range(5)})


def test_rounds_of_a_large_table_come_in_different_orders_without_a_shuffle_at_once() -> None:
    """Shuffling a hundred thousand nodes would hold everything else for a tenth of a second."""

    class StepByStep(random.Random):
        def shuffle(self, x: Any) -> None:
            raise AssertionError(f"{len(x)} nodes are shuffled at once")

    table = table_with()
    everybody = {f"node-{number}" for number in range(SHUFFLED_AT_ONCE)}
    for name in everybody:
        table._store.insert(node(name))
    schedule = ProbeSchedule(table, StepByStep(1))
    rounds = [names(schedule, len(everybody)) for _ in range(2)]
    assert [everybody] * 2 == [set(round_) for round_ in rounds]
    assert rounds[0] != rounds[1]


def test_no_node_waits_longer_than_two_rounds() -> None:
    schedule = ProbeSchedule(table_with(*"bcdefg"), random.Random(1))
    sequence = names(schedule, 600)
    for name in "bcdefg":
        places = [i for i, probed in enumerate(sequence) if probed == name]
        assert max(b - a for a, b in pairwise(places)) <= 2 * 6 - 1


def test_suspects_are_probed_but_not_dead_or_left_nodes() -> None:
    table = table_with(*"bcde")
    table.on_suspect(suspect("b"), 0.0)
    table.on_dead(dead("c"), 0.0)
    table.on_dead(left("d"), 0.0)
    schedule = ProbeSchedule(table, random.Random(1))
    assert {"b": 10, "e": 10} == Counter(names(schedule, 20))


@pytest.mark.parametrize("faithful", [False, True])
def test_made_up_nodes_do_not_keep_real_ones_from_being_probed(faithful: bool) -> None:
    ghosts = [f"ghost-{number}" for number in range(300)]
    table = table_with("b", "c", *ghosts)
    for name in "bc":
        table.nodes[name].answered(0.0)
    schedule = ProbeSchedule(table, random.Random(1), MemberlistConfig.lan(faithful_go=faithful))
    sequence = []
    for second in range(1, 500):
        sequence += names(schedule, 1, float(second))
    for name in "bc":
        places = [0, *(i for i, probed in enumerate(sequence) if probed == name), len(sequence)]
        longest = max(b - a for a, b in pairwise(places))
        assert (longest > RECHECK_INTERVALS + 4) is faithful
    probed = Counter(sequence)
    assert max(probed[name] for name in ghosts) <= 3
    assert sum(probed[name] for name in ghosts) > 400


def test_in_a_large_table_nodes_that_were_reached_are_due_again_without_a_scan_of_all() -> None:
    table = table_with("b", "c", "d")
    for number in range(4 * SCANNED_AT_ONCE):
        table._store.insert(node(f"ghost-{number}"))
    for name in "bcd":
        table.nodes[name].answered(0.0)
    schedule = ProbeSchedule(table, random.Random(1), MemberlistConfig.lan())
    looks = 0

    class Counted(list[Node]):
        def __iter__(self) -> Iterator[Node]:
            nonlocal looks
            looks += 1
            return super().__iter__()

    table.sequence = Counted(table.sequence)
    sequence = []
    for second in range(1, 401):
        if second == 200:
            table.on_dead(dead("d"), 200.0)
        sequence += names(schedule, 1, float(second))
    assert 90 <= looks <= 110, "every fourth interval or so"
    for name in "bc":
        places = [0, *(i for i, probed in enumerate(sequence) if probed == name), 400]
        assert max(b - a for a, b in pairwise(places)) <= RECHECK_INTERVALS + 4
    assert "d" in sequence[:200]
    assert "d" not in sequence[200:]


def test_between_two_scans_one_that_died_or_had_its_turn_is_passed_over() -> None:
    table = table_with("b", "c", "d", "e")
    for number in range(4 * SCANNED_AT_ONCE):
        table._store.insert(node(f"ghost-{number}"))
    for place, name in enumerate("bcde"):
        table.nodes[name].answered(float(place))
    schedule = ProbeSchedule(table, random.Random(1), MemberlistConfig.lan())
    assert "b" == names(schedule, 2, 100.0)[0]
    table.on_dead(dead("c"), 100.1)
    table.nodes["d"].answered(100.1)
    first, second = names(schedule, 2, 100.5)
    assert "e" == first
    assert second.startswith("ghost")
    assert all(name.startswith("ghost") for name in names(schedule, 2, 100.6)), "none is due"


def test_when_most_were_reached_others_keep_half_of_the_probes() -> None:
    reached, others = [f"r{i}" for i in range(100)], [f"n{i}" for i in range(100)]
    table = table_with(*reached, *others)
    for name in reached:
        table.nodes[name].answered(0.0)
    schedule = ProbeSchedule(table, random.Random(1), MemberlistConfig.lan())
    sequence = []
    for second in range(1, 401):
        sequence += names(schedule, 1, float(second))
    for name in others:
        places = [i for i, probed in enumerate(sequence) if probed == name]
        assert places, "each within two rounds, of which one is longer"
        assert places[0] < 320


@pytest.mark.parametrize("others", ["b", "bc", "bcd"])
def test_no_interval_is_wasted_while_a_peer_is_alive(others: str) -> None:
    table = table_with(*others)
    for name in others[1:]:
        table.on_dead(dead(name), 0.0)
    for seed in range(20):
        assert ["b"] * 20 == names(ProbeSchedule(table, random.Random(seed)), 20)


def test_if_all_others_are_dead_or_left_nothing_is_probed() -> None:
    table = table_with(*"bc")
    table.on_dead(dead("b"), 0.0)
    table.on_dead(dead("c"), 0.0)
    schedule = ProbeSchedule(table, random.Random(1))
    assert [None] * 6 == [schedule.next_node(1.0)[0] for _ in range(6)]


def test_at_the_end_of_a_round_records_of_long_dead_or_left_nodes_are_dropped() -> None:
    table = table_with(*"bcd", gossip_to_the_dead_time=30.0)
    b = table.nodes["b"]
    table.on_dead(dead("b"), 0.0)
    table.on_dead(left("c"), 0.0)
    schedule = ProbeSchedule(table, random.Random(1))
    assert {"d"} == set(names(schedule, 8, now=30.0))
    assert 4 == table.num_nodes
    effects = [effect for _ in range(4) for effect in schedule.next_node(30.1)[1]]
    assert 2 == table.num_nodes
    assert {NodeForgotten("b"), NodeForgotten("c")} == {
        e for e in effects if isinstance(e, NodeForgotten)
    }
    assert [b] == [effect.node for effect in effects if isinstance(effect, NodeDropped)]


def test_a_shrunken_table_does_not_disturb_the_schedule() -> None:
    table = table_with(*"bcde")
    schedule = ProbeSchedule(table, random.Random(1))
    names(schedule, 4)
    for name in "bcd":
        table.on_dead(dead(name), 0.0)
    table.purge(1000.0)
    assert ["e", "e"] == names(schedule, 2)


# --- one probe ----------------------------------------------------------------------------


def probe(
    target: Node | None = None, *, score: int = 0, now: float = 100.0, **config: Any
) -> ProbeRound:
    settings = MemberlistConfig(name="a", **config)
    return ProbeRound(
        target or node("b", incarnation=5),
        local=node("a", incarnation=1),
        seq_no=17,
        now=now,
        config=settings,
        score=score,
    )


PING = Ping(seq_no=17, node="b", source_addr=ip("a"), source_port=7946, source_node="a")


def test_an_alive_node_gets_a_ping() -> None:
    assert [PING] == [decode_message(message) for message in probe().first_messages()]


def test_a_suspect_gets_the_suspect_message_with_the_ping() -> None:
    messages = probe(node("b", incarnation=5, status=NodeStatus.SUSPECT)).first_messages()
    assert [PING, suspect("b", 5, by="a")] == [decode_message(message) for message in messages]


def test_a_probe_is_about_the_node_as_it_was() -> None:
    target = node("b", incarnation=5)
    round_ = probe(target)
    target.update(incarnation=6, status=NodeStatus.SUSPECT)
    assert 1 == len(round_.first_messages())
    assert 5 == round_.node.incarnation


def test_health_stretches_the_interval_but_not_the_direct_wait() -> None:
    well, ill = probe(), probe(score=3)
    assert (1.0, 100.5, 101.0, False) == (
        well.interval,
        well.direct_deadline,
        well.deadline,
        well.degraded,
    )
    assert (4.0, 100.5, 104.0, True) == (
        ill.interval,
        ill.direct_deadline,
        ill.deadline,
        ill.degraded,
    )


def test_the_direct_wait_ends_with_the_probe() -> None:
    assert 101.0 == probe(probe_timeout=3.0).direct_deadline


def test_a_direct_ack_is_a_success_and_measures_the_round_trip() -> None:
    round_ = probe()
    assert (False, None) == (round_.acked, round_.rtt)
    round_.on_ack(100.25)
    assert (True, 0.25) == (round_.acked, round_.rtt)
    assert ProbeResult(failed=False, delta=-1) == round_.result()


def test_a_late_ack_is_a_success_that_measures_nothing() -> None:
    round_ = probe()
    round_.on_ack(100.6)
    assert round_.rtt is None
    assert ProbeResult(failed=False, delta=-1) == round_.result()


def test_a_stream_that_answers_is_a_success() -> None:
    round_ = probe()
    round_.stream = StreamPing.ACKED
    assert ProbeResult(failed=False, delta=-1) == round_.result()


@pytest.mark.parametrize("stream_answered", [False, True])
def test_success_in_spite_of_a_refused_packet_leaves_the_health_score(
    stream_answered: bool,
) -> None:
    round_ = probe()
    round_.send_failed()
    if stream_answered:
        round_.stream = StreamPing.ACKED
    else:
        round_.on_ack(100.7)
    assert ProbeResult(failed=False, delta=0) == round_.result()


def test_without_helpers_a_failure_costs_one_point() -> None:
    round_ = probe()
    assert [] == round_.choose_helpers([node("a"), node("b")], random.Random(1))
    assert ProbeResult(failed=True, delta=1) == round_.result()


@pytest.mark.parametrize(("nacks", "delta"), [(0, 3), (1, 2), (3, 0), (5, 0)])
def test_each_missing_nack_costs_a_point(nacks: int, delta: int) -> None:
    round_ = probe()
    assert 3 == len(round_.choose_helpers([node(name) for name in "abcde"], random.Random(1)))
    for _ in range(nacks):
        round_.on_nack()
    assert ProbeResult(failed=True, delta=delta) == round_.result()


def test_helpers_that_know_no_nacks_are_not_missed() -> None:
    old = bytes((1, 3, 2, 0, 0, 0))
    round_ = probe()
    helpers = round_.choose_helpers([node("c", versions=old)], random.Random(1))
    message = decode_message(helpers[0][1])
    assert isinstance(message, IndirectPing)
    assert not message.nack
    assert ProbeResult(failed=True, delta=1) == round_.result()


def test_helpers_are_alive_and_neither_the_local_node_nor_the_target() -> None:
    nodes = [
        node("a"),
        node("b"),
        node("c", status=NodeStatus.SUSPECT),
        node("d", status=NodeStatus.DEAD),
        node("e", status=NodeStatus.LEFT),
        node("f"),
        node("g"),
    ]
    for seed in range(10):
        helpers = probe().choose_helpers(nodes, random.Random(seed))
        assert {"f", "g"} == {helper.name for helper, _ in helpers}


def test_who_brought_the_last_ack_is_asked_again() -> None:
    nodes = [node(name) for name in "cdefghijk"]
    for each in nodes:
        each.answered(1.0)
    target = node("b")
    first = probe(target)
    helpers = [helper for helper, _ in first.choose_helpers(nodes, random.Random(1))]
    first.on_ack(100.9, helpers[1].address)
    assert helpers[1].name == first.helped_by
    target.helped_by = first.helped_by
    for seed in range(10):
        again = probe(target).choose_helpers(nodes, random.Random(seed))
        assert helpers[1].name == again[0][0].name
        assert 3 == len({helper.name for helper, _ in again})
        as_go = probe(target, faithful_go=True).choose_helpers(nodes, random.Random(seed))
        assert 3 == len(as_go)
    assert helpers[1].name != as_go[0][0].name
    helpers[1].status = NodeStatus.SUSPECT
    again = probe(target).choose_helpers(nodes, random.Random(1))
    assert helpers[1].name not in {helper.name for helper, _ in again}
    assert [] == probe(target, indirect_checks=0).choose_helpers(nodes, random.Random(1))


def test_as_many_helpers_are_asked_as_configured() -> None:
    nodes = [node(name) for name in "cdefgh"]
    assert 2 == len(probe(indirect_checks=2).choose_helpers(nodes, random.Random(1)))
    assert [] == probe(indirect_checks=0).choose_helpers(nodes, random.Random(1))


def test_an_indirect_ping_has_everything_a_helper_needs() -> None:
    [(helper, message)] = probe().choose_helpers([node("c")], random.Random(1))
    assert "c" == helper.name
    assert IndirectPing(
        seq_no=17,
        target=ip("b"),
        port=7946,
        node="b",
        nack=True,
        source_addr=ip("a"),
        source_port=7946,
        source_node="a",
    ) == decode_message(message)


@pytest.mark.parametrize(
    ("config", "versions", "wanted"),
    [
        ({}, VERSIONS, True),
        ({}, bytes((1, 3, 2, 0, 0, 0)), True),
        ({}, bytes((1, 2, 2, 0, 0, 0)), False),
        ({"disable_tcp_pings": True}, VERSIONS, False),
        ({"disable_tcp_pings_for_node": lambda name: name == "b"}, VERSIONS, False),
        ({"disable_tcp_pings_for_node": lambda name: name == "c"}, VERSIONS, True),
    ],
)
def test_a_stream_is_tried_unless_turned_off_or_unknown_to_the_node(
    config: dict[str, Any], versions: bytes, wanted: bool
) -> None:
    assert wanted == probe(node("b", versions=versions), **config).wants_stream_ping


# --- what is reported ---------------------------------------------------------------------


def test_the_report_of_a_failed_probe_says_what_each_helper_said() -> None:
    helpers = [node(name, addr=ip(name)) for name in "cde"]
    round_ = probe(indirect_checks=3)
    chosen = round_.choose_helpers([node("a"), node("b"), *helpers], random.Random(1))
    round_.on_nack(Address.from_bytes(ip("c"), 7946))
    round_.unasked.add("d")
    round_.stream = StreamPing.REFUSED
    report = round_.report()
    assert (False, 0.5, False, True) == (
        report.reached,
        report.waited,
        report.late,
        report.sent,
    )
    assert {"c": "nack", "d": "not asked", "e": "silent"} == dict(report.helpers)
    assert [helper.name for helper, _ in chosen] == [name for name, _ in report.helpers]
    assert StreamPing.REFUSED is report.stream


@pytest.mark.parametrize("who", ["b", "c"])
def test_a_late_ack_differs_from_that_of_a_helper(who: str) -> None:
    round_ = probe()
    round_.choose_helpers([node("c", addr=ip("c"))], random.Random(1))
    round_.on_ack(100.7, Address.from_bytes(ip(who), 7946))
    report = round_.report()
    assert (True, who == "b") == (report.reached, report.late)
    assert {"c": "ack" if who == "c" else "silent"} == dict(report.helpers)


def test_a_stream_that_answers_reaches_the_node_too() -> None:
    round_ = probe()
    round_.send_failed()
    round_.stream = StreamPing.ACKED
    report = round_.report()
    assert isinstance(report, ProbeReport)
    assert (True, False) == (report.reached, report.sent)


def test_nodes_that_were_never_reached_do_not_make_a_prober_slow() -> None:
    nodes = [node(f"ghost{i}") for i in range(100)] + [node("c"), node("d")]
    for real in nodes[-2:]:
        real.answered(1.0)
    round_ = probe()
    helpers = [helper.name for helper, _ in round_.choose_helpers(nodes, random.Random(1))]
    assert (["c", "d"], 3) == (sorted(helpers[:2]), len(helpers)), "reached ones are asked first"
    for _ in range(2):
        round_.on_nack()
    assert ProbeResult(failed=True, delta=0) == round_.result(), "a ghost owes no nack"
    faithful = probe(faithful_go=True)
    faithful.choose_helpers(nodes, random.Random(1))
    assert ProbeResult(failed=True, delta=3) == faithful.result()
