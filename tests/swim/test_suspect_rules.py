"""Suspect and dead messages, rule by rule.  The table of node "a" is the one under test."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioserf._swim.effects import (
    NEXT_INTERVAL,
    SHORT_DELAY,
    Applied,
    Broadcast,
    Confirmed,
    NodeLeft,
    Refused,
    Refuted,
    SendTo,
    TimeoutDegraded,
)
from trioserf._swim.nodes import NodeStatus
from trioserf._swim.refutation import MAX_INCARNATION, STEP, SUSPECT_BAND

from .builders import alive, dead, kinds, left, new_table, sent, state, suspect, table_with, the

MANY = "bcdefghij"


# --- suspicion ----------------------------------------------------------------------------


@pytest.mark.parametrize("message", [suspect("x"), suspect(""), suspect(incarnation=4)])
def test_suspicions_of_unknown_nodes_or_lower_incarnations_are_ignored(message: Any) -> None:
    table = table_with("b")
    assert [] == table.on_suspect(message, 1.0)
    assert ("alive", 5) == state(table)


@pytest.mark.parametrize("incarnation", [5, 7])
def test_a_suspicion_is_applied_and_gossiped_on(incarnation: int) -> None:
    table = table_with("b")
    effects = table.on_suspect(suspect(incarnation=incarnation), 1.0)
    assert ["Broadcast", "Applied"] == kinds(effects)
    assert [suspect(incarnation=incarnation)] == sent(effects)
    assert Applied("suspect", "b", by=suspect().from_node) == effects[1]
    broadcast = the(Broadcast, effects)
    assert ("b", False) == (broadcast.key, broadcast.local)
    assert ("suspect", incarnation) == state(table)
    assert 1.0 == table.nodes["b"].changed_at


def test_a_failed_probe_is_a_suspicion_that_began_here() -> None:
    table = table_with("b")
    effects = table.suspect_failed("b", 5, 1.0)
    assert [suspect(by="a")] == sent(effects)
    assert the(Broadcast, effects).local


def test_a_failed_probe_of_a_lower_incarnation_is_ignored() -> None:
    table = table_with("b")
    assert [] == table.suspect_failed("b", 4, 1.0)
    assert [] == table.suspect_failed("x", 4, 1.0)


def test_in_a_small_cluster_a_suspicion_takes_the_shortest_time() -> None:
    table = table_with("b", "c")
    table.on_suspect(suspect(), 100.0)
    assert 104.0 == table.next_deadline()
    running = table.suspicion("b")
    assert running is not None
    assert not running.degraded


@pytest.mark.parametrize(
    ("config", "others", "deadlines"),
    [
        ({}, "bcd", [124.0, 111.381, 104.0]),
        ({"suspicion_mult": 3}, "bc", [118.0, 103.0]),
        ({"suspicion_mult": 6, "probe_interval": 5.0}, "bcdef", [280.0]),
    ],
)
def test_confirmations_of_others_bring_the_deadline_nearer(
    config: dict[str, Any], others: str, deadlines: list[float]
) -> None:
    table = table_with(*others, **config)
    table.on_suspect(suspect(), 100.0)
    seen = [table.next_deadline()]
    for by in "de"[: len(deadlines) - 1]:
        effects = table.on_suspect(suspect(by=by), 101.0)
        assert ["Broadcast", "Confirmed"] == kinds(effects)
        assert Confirmed("b", by) == effects[1]
        assert [suspect(by=by)] == sent(effects)
        seen.append(table.next_deadline())
    assert pytest.approx(deadlines) == seen


def test_the_first_to_suspect_confirms_nothing_and_no_node_confirms_twice() -> None:
    table = table_with(*MANY)
    table.on_suspect(suspect(by="c"), 1.0)
    assert [] == table.on_suspect(suspect(by="c"), 1.0)
    table.on_suspect(suspect(by="d"), 1.0)
    assert [] == table.on_suspect(suspect(by="d"), 1.0)
    running = table.suspicion("b")
    assert running is not None
    assert ["c", "d"] == running.from_nodes


def test_a_confirmation_with_a_higher_incarnation_is_kept_and_gossiped_on() -> None:
    table = table_with(*MANY)
    table.on_suspect(suspect(), 1.0)
    effects = table.on_suspect(suspect(incarnation=7), 2.0)
    assert [suspect(incarnation=7)] == sent(effects), "also from the same node"
    assert ("suspect", 7) == state(table)
    assert [] == table.on_alive(alive(incarnation=6), 3.0)
    assert ("suspect", 7) == state(table)


def test_go_does_not_keep_the_higher_incarnation_of_a_suspect() -> None:
    table = table_with(*MANY, faithful_go=True)
    table.on_suspect(suspect(), 1.0)
    assert [] == table.on_suspect(suspect(incarnation=7), 2.0)
    assert ("suspect", 5) == state(table)


@pytest.mark.parametrize("message", [dead(), left()])
def test_a_dead_or_left_node_is_not_suspected(message: Any) -> None:
    table = table_with("b")
    table.on_dead(message, 1.0)
    before = state(table)
    assert [] == table.on_suspect(suspect(), 2.0)
    assert before == state(table)
    assert table.suspicion("b") is None


# --- end of a suspicion -------------------------------------------------------------------


def test_a_suspect_that_does_not_refute_is_declared_dead() -> None:
    table = table_with("b", "c")
    table.on_suspect(suspect(incarnation=6), 1.0)
    assert [] == table.expired(4.9)
    effects = table.expired(5.0)
    assert ["Broadcast", "Applied", "NodeLeft", "SendTo"] == kinds(effects)
    assert [dead(incarnation=6, by="a")] * 2 == sent(effects)
    assert the(Broadcast, effects).local
    assert ("dead", 6) == state(table)
    assert 5.0 == table.nodes["b"].changed_at
    assert math.inf == table.next_deadline()
    assert [] == table.expired(1e9)


def test_a_node_declared_dead_is_sent_the_message_before_others() -> None:
    table = table_with("b", "c")
    table.on_suspect(suspect(), 1.0)
    effects = table.expired(5.0)
    assert NEXT_INTERVAL == the(Broadcast, effects).max_delay
    send = the(SendTo, effects)
    assert (table.nodes["b"].address, "b") == (send.address, send.name)
    assert the(Broadcast, effects).message == send.message


def test_a_few_nodes_send_a_leave_back_to_the_node_that_it_is_about() -> None:
    """So a node that did not leave refutes it; all of a large cluster would be too many."""
    sending = 0
    for seed in range(300):
        table = table_with(*(f"n{number}" for number in range(30)), seed=seed)
        for effect in table.on_dead(left("n7"), 1.0):
            if isinstance(effect, SendTo):
                assert (table.nodes["n7"].address, "n7") == (effect.address, effect.name)
                sending += 1
    assert 20 < sending < 40
    table = table_with("b", faithful_go=True)
    assert ["Broadcast", "Applied", "NodeLeft"] == kinds(table.on_dead(left("b"), 1.0))
    assert "SendTo" not in kinds(table.leave(2.0)), "this node knows that it leaves"


def test_a_dead_message_from_others_waits_for_the_next_gossip_interval() -> None:
    table = table_with("b", "c")
    effects = table.on_dead(dead(by="c"), 1.0)
    assert ["Broadcast", "Applied", "NodeLeft"] == kinds(effects)
    assert NEXT_INTERVAL == the(Broadcast, effects).max_delay


def test_a_leave_does_not_wait_for_the_next_gossip_interval() -> None:
    table = table_with("b", "c")
    assert SHORT_DELAY == the(Broadcast, table.on_dead(dead(by="b"), 1.0)).max_delay
    assert SHORT_DELAY == the(Broadcast, table.leave(2.0)).max_delay


def test_a_declared_death_without_the_wanted_confirmations_is_counted() -> None:
    table = table_with(*MANY)
    table.on_suspect(suspect(), 0.0)
    effects = table.expired(24.0)
    assert TimeoutDegraded("b") == effects[0]
    assert ("dead", 5) == state(table)


def test_a_suspicion_with_all_confirmations_is_not_degraded() -> None:
    table = table_with(*MANY)
    table.on_suspect(suspect(by="c"), 0.0)
    table.on_suspect(suspect(by="d"), 0.0)
    table.on_suspect(suspect(by="e"), 0.0)
    assert TimeoutDegraded("b") not in table.expired(4.0)
    assert ("dead", 5) == state(table)


def test_several_suspicions_end_in_order() -> None:
    table = table_with("b", "c")
    table.on_suspect(suspect("c"), 1.0)
    table.on_suspect(suspect("b"), 2.0)
    assert 5.0 == table.next_deadline()
    effects = table.expired(100.0)
    assert ["c", "b"] == [e.node.name for e in effects if isinstance(e, NodeLeft)]


def test_after_a_refutation_the_node_is_not_declared_dead() -> None:
    table = table_with("b", "c")
    table.on_suspect(suspect(), 1.0)
    table.on_alive(alive(incarnation=6), 2.0)
    assert math.inf == table.next_deadline()
    assert [] == table.expired(1e9)
    assert ("alive", 6) == state(table)


# --- death --------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [dead("x"), dead(""), dead(incarnation=4), left("x")])
def test_dead_messages_about_unknown_nodes_or_lower_incarnations_are_ignored(message: Any) -> None:
    table = table_with("b")
    assert [] == table.on_dead(message, 1.0)
    assert ("alive", 5) == state(table)


@pytest.mark.parametrize(
    ("message", "status"), [(dead(incarnation=6), "dead"), (left(incarnation=6), "left")]
)
@pytest.mark.parametrize("suspected", [False, True])
def test_a_dead_message_from_its_own_node_is_a_leave(
    message: Any, status: str, suspected: bool
) -> None:
    table = table_with("b")
    if suspected:
        table.on_suspect(suspect(), 1.0)
    effects = table.on_dead(message, 2.0)
    back = ["SendTo"] if status == "left" else []
    assert ["Broadcast", "Applied", "NodeLeft", *back] == kinds(effects)
    assert {message} == set(sent(effects))
    was = NodeStatus.SUSPECT if suspected else NodeStatus.ALIVE
    assert Applied("dead", "b", by=message.from_node, was=was) == effects[1]
    assert NodeLeft(table.nodes["b"]) == effects[2]
    assert not the(Broadcast, effects).local
    assert (status, 6) == state(table)
    assert 2.0 == table.nodes["b"].changed_at
    assert table.suspicion("b") is None
    assert math.inf == table.next_deadline()


@pytest.mark.parametrize(
    ("first", "second", "status"), [(dead(), left(), "dead"), (left(), dead(), "left")]
)
@pytest.mark.parametrize("higher", [0, 2])
def test_dead_nodes_do_not_leave_and_left_nodes_are_not_declared_dead(
    first: Any, second: Any, status: str, higher: int
) -> None:
    table = table_with("b")
    table.on_dead(first, 1.0)
    second = type(second)(second.incarnation + higher, second.node, second.from_node)
    assert "NodeLeft" not in kinds(table.on_dead(second, 2.0))
    assert (status, 5 + higher) == state(table)
    assert 1.0 == table.nodes["b"].changed_at


@pytest.mark.parametrize("later", [dead(incarnation=8), suspect(incarnation=8)])
@pytest.mark.parametrize("first", [dead(), left()])
def test_an_alive_message_between_two_suspicions_does_not_resurrect(first: Any, later: Any) -> None:
    table = table_with("b")
    table.on_dead(first, 1.0)
    if isinstance(later, type(dead())):
        effects = table.on_dead(later, 2.0)
        assert [later] == sent(effects), "other nodes must learn of it as well"
        assert ["Broadcast"] == kinds(effects)
        assert [] == table.on_dead(later, 2.0)
    else:
        assert [] == table.on_suspect(later, 2.0)
    for incarnation in (6, 7, 8):
        assert "NodeJoined" not in kinds(table.on_alive(alive(incarnation=incarnation), 3.0))
    assert "NodeJoined" in kinds(table.on_alive(alive(incarnation=9), 4.0))


def test_in_go_an_alive_message_between_two_suspicions_resurrects() -> None:
    table = table_with("b", faithful_go=True)
    table.on_dead(dead(), 1.0)
    assert [] == table.on_dead(dead(incarnation=8), 2.0)
    assert [] == table.on_suspect(suspect(incarnation=8), 2.0)
    assert ("dead", 5) == state(table)
    assert "NodeJoined" in kinds(table.on_alive(alive(incarnation=6), 3.0))


# --- the local node -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "message", [suspect("a", 1), suspect("a", 7), dead("a", 1), dead("a", 7), left("a", 7)]
)
def test_suspect_and_dead_messages_about_the_local_node_are_refuted(message: Any) -> None:
    table = new_table()
    apply = table.on_suspect if isinstance(message, type(suspect())) else table.on_dead
    effects = apply(message, 1.0)
    following = message.incarnation + 1
    kind: Any = "suspect" if isinstance(message, type(suspect())) else "dead"
    assert Refuted(following, kind, message.from_node) == the(Refuted, effects)
    assert [alive("a", following)] == sent(effects)
    assert the(Broadcast, effects).local
    assert ("alive", following) == state(table, "a")
    assert [] == apply(message, 1.0), "stale now"


def test_the_refutation_has_the_present_metadata() -> None:
    table = new_table()
    table.update_local(0.0, b"m")
    assert [alive("a", 3, meta=b"m")] == sent(table.on_suspect(suspect("a", 2), 1.0))


@pytest.mark.parametrize("incarnation", [1, 7, MAX_INCARNATION])
def test_after_leaving_suspect_and_dead_messages_are_ignored(incarnation: int) -> None:
    table = new_table()
    table.leave(0.0)
    assert [] == table.on_suspect(suspect("a", incarnation), 1.0)
    assert [] == table.on_dead(dead("a", incarnation), 1.0)
    assert [] == table.on_dead(left("a", incarnation), 1.0)
    assert ("left", 1) == state(table, "a")


# --- implausible incarnations -------------------------------------------------------------


@pytest.mark.parametrize("incarnation", [SUSPECT_BAND, MAX_INCARNATION])
@pytest.mark.parametrize("kind", [suspect, dead])
def test_an_implausible_suspicion_of_another_node_is_dropped(kind: Any, incarnation: int) -> None:
    table = table_with("b")
    message = kind("b", incarnation)
    apply = table.on_suspect if kind is suspect else table.on_dead
    assert [Refused("b", f"implausible incarnation {incarnation}")] == apply(message, 1.0)
    assert ("alive", 5) == state(table)


@pytest.mark.parametrize("kind", [suspect, dead])
def test_the_last_incarnation_neither_evicts_nor_stops_the_local_node(kind: Any) -> None:
    table = new_table()
    apply = table.on_suspect if kind is suspect else table.on_dead
    for round_ in range(3):
        effects = apply(kind("a", MAX_INCARNATION), 1.0)
        assert ["Refused", "Broadcast"] == kinds(effects)
        assert [alive("a", 2 + round_)] == sent(effects)
    assert [alive("a", 10)] == sent(table.on_suspect(suspect("a", 9), 2.0))


def test_the_highest_plausible_suspicion_is_refuted_and_all_accept_the_refutation() -> None:
    subject, peer, late = new_table("b"), table_with("b"), table_with("b")
    message = dead(incarnation=SUSPECT_BAND - 1)
    [refutation] = sent(subject.on_dead(message, 1.0))
    peer.on_dead(message, 1.0)
    for table in (peer, late):
        table.on_alive(refutation, 1.0)  # type: ignore[arg-type]
        assert ("alive", SUSPECT_BAND) == state(table)
    message = suspect(incarnation=SUSPECT_BAND)
    peer.on_suspect(message, 2.0)
    assert ("suspect", SUSPECT_BAND) == state(peer)
    [refutation] = sent(subject.on_suspect(message, 2.0))
    peer.on_alive(refutation, 2.0)  # type: ignore[arg-type]
    assert ("alive", SUSPECT_BAND + 1) == state(peer)


def test_short_steps_are_plausible_also_in_the_band() -> None:
    table = table_with("b")
    table.on_alive(alive(incarnation=SUSPECT_BAND + 5), 0.0)
    assert ["Refused"] == kinds(table.on_suspect(suspect(incarnation=SUSPECT_BAND + 6 + STEP), 1.0))
    table.on_suspect(suspect(incarnation=SUSPECT_BAND + 5 + STEP), 1.0)
    assert ("suspect", SUSPECT_BAND + 5 + STEP) == state(table)


def test_in_go_the_last_incarnation_wraps_and_evicts() -> None:
    table = table_with("b", faithful_go=True)
    table.on_dead(dead(incarnation=MAX_INCARNATION), 1.0)
    assert ("dead", MAX_INCARNATION) == state(table)
    assert [alive("a", 0)] == sent(table.on_dead(dead("a", MAX_INCARNATION), 1.0))
