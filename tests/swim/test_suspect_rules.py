"""Accusations, rule by rule.  The table of node "a" is the one under test."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trioserf._swim.effects import (
    NEXT_INTERVAL,
    SHORT_DELAY,
    Applied,
    Broadcast,
    NodeLeft,
    Refused,
    Refuted,
    SendTo,
    TimeoutDegraded,
)
from trioserf._swim.incarnations import MAX_INCARNATION, STEP, SUSPECT_BAND
from trioserf._swim.table import NodeTable

from .builders import alive, dead, kinds, left, new_table, said, suspect, table_with, the

MANY = "bcdefghij"


def state(table: NodeTable, name: str = "b") -> tuple[str, int]:
    node = table.nodes[name]
    return str(node.status), node.incarnation


# --- suspicion ----------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [suspect("x"), suspect(""), suspect(incarnation=4)])
def test_suspicions_of_unknown_nodes_or_old_lives_are_ignored(claim: Any) -> None:
    table = table_with("b")
    assert [] == table.on_suspect(claim, 1.0)
    assert ("alive", 5) == state(table)


@pytest.mark.parametrize("incarnation", [5, 7])
def test_a_suspicion_is_held_and_passed_on(incarnation: int) -> None:
    table = table_with("b")
    effects = table.on_suspect(suspect(incarnation=incarnation), 1.0)
    assert ["Broadcast", "Applied"] == kinds(effects)
    assert [suspect(incarnation=incarnation)] == said(effects)
    assert Applied("suspect") == effects[1]
    broadcast = the(Broadcast, effects)
    assert ("b", False) == (broadcast.key, broadcast.local)
    assert ("suspect", incarnation) == state(table)
    assert 1.0 == table.nodes["b"].changed_at


def test_a_failed_probe_is_a_suspicion_that_began_here() -> None:
    table = table_with("b")
    effects = table.suspect_failed("b", 5, 1.0)
    assert [suspect(by="a")] == said(effects)
    assert the(Broadcast, effects).local


def test_a_failed_probe_of_an_older_life_is_ignored() -> None:
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
        assert ["Broadcast"] == kinds(effects)
        assert [suspect(by=by)] == said(effects)
        seen.append(table.next_deadline())
    assert pytest.approx(deadlines) == seen


def test_the_accuser_confirms_nothing_and_nobody_confirms_twice() -> None:
    table = table_with(*MANY)
    table.on_suspect(suspect(by="c"), 1.0)
    assert [] == table.on_suspect(suspect(by="c"), 1.0)
    table.on_suspect(suspect(by="d"), 1.0)
    assert [] == table.on_suspect(suspect(by="d"), 1.0)
    running = table.suspicion("b")
    assert running is not None
    assert ("c", "d") == running.from_nodes


def test_a_confirmation_of_a_later_life_is_held_and_passed_on() -> None:
    table = table_with(*MANY)
    table.on_suspect(suspect(), 1.0)
    effects = table.on_suspect(suspect(incarnation=7), 2.0)
    assert [suspect(incarnation=7)] == said(effects), "also of the same from_node"
    assert ("suspect", 7) == state(table)
    assert [] == table.on_alive(alive(incarnation=6), 3.0)
    assert ("suspect", 7) == state(table)


def test_go_does_not_hold_the_later_life_of_a_suspect() -> None:
    table = table_with(*MANY, faithful_go=True)
    table.on_suspect(suspect(), 1.0)
    assert [] == table.on_suspect(suspect(incarnation=7), 2.0)
    assert ("suspect", 5) == state(table)


@pytest.mark.parametrize("claim", [dead(), left()])
def test_who_is_gone_is_not_suspected(claim: Any) -> None:
    table = table_with("b")
    table.on_dead(claim, 1.0)
    before = state(table)
    assert [] == table.on_suspect(suspect(), 2.0)
    assert before == state(table)
    assert table.suspicion("b") is None


# --- end of a suspicion -------------------------------------------------------------------


def test_a_suspect_that_does_not_answer_is_declared_dead_by_us() -> None:
    table = table_with("b", "c")
    table.on_suspect(suspect(incarnation=6), 1.0)
    assert [] == table.expired(4.9)
    effects = table.expired(5.0)
    assert ["Broadcast", "Applied", "NodeLeft", "SendTo"] == kinds(effects)
    assert [dead(incarnation=6, by="a")] * 2 == said(effects)
    assert the(Broadcast, effects).local
    assert ("dead", 6) == state(table)
    assert 5.0 == table.nodes["b"].changed_at
    assert math.inf == table.next_deadline()
    assert [] == table.expired(1e9)


def test_whom_we_declare_dead_is_told_before_the_others() -> None:
    table = table_with("b", "c")
    table.on_suspect(suspect(), 1.0)
    effects = table.expired(5.0)
    assert NEXT_INTERVAL == the(Broadcast, effects).max_delay
    told = the(SendTo, effects)
    assert (table.nodes["b"].address, "b") == (told.address, told.name)
    assert the(Broadcast, effects).message == told.message


def test_a_death_that_others_declared_is_passed_on_with_the_tick() -> None:
    table = table_with("b", "c")
    effects = table.on_dead(dead(by="c"), 1.0)
    assert ["Broadcast", "Applied", "NodeLeft"] == kinds(effects)
    assert NEXT_INTERVAL == the(Broadcast, effects).max_delay


def test_a_leave_goes_early() -> None:
    table = table_with("b", "c")
    assert SHORT_DELAY == the(Broadcast, table.on_dead(dead(by="b"), 1.0)).max_delay
    assert SHORT_DELAY == the(Broadcast, table.leave(2.0)).max_delay


def test_a_death_without_the_hoped_for_confirmations_is_counted() -> None:
    table = table_with(*MANY)
    table.on_suspect(suspect(), 0.0)
    effects = table.expired(24.0)
    assert TimeoutDegraded("b") == effects[0]
    assert ("dead", 5) == state(table)


def test_a_confirmed_death_is_not_degraded() -> None:
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


def test_a_refuted_suspicion_never_ends_in_death() -> None:
    table = table_with("b", "c")
    table.on_suspect(suspect(), 1.0)
    table.on_alive(alive(incarnation=6), 2.0)
    assert math.inf == table.next_deadline()
    assert [] == table.expired(1e9)
    assert ("alive", 6) == state(table)


# --- death --------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [dead("x"), dead(""), dead(incarnation=4), left("x")])
def test_deaths_of_unknown_nodes_or_old_lives_are_ignored(claim: Any) -> None:
    table = table_with("b")
    assert [] == table.on_dead(claim, 1.0)
    assert ("alive", 5) == state(table)


@pytest.mark.parametrize(
    ("claim", "status"), [(dead(incarnation=6), "dead"), (left(incarnation=6), "left")]
)
@pytest.mark.parametrize("suspected", [False, True])
def test_a_dead_node_failed_unless_it_said_so_itself(
    claim: Any, status: str, suspected: bool
) -> None:
    table = table_with("b")
    if suspected:
        table.on_suspect(suspect(), 1.0)
    effects = table.on_dead(claim, 2.0)
    assert ["Broadcast", "Applied", "NodeLeft"] == kinds(effects)
    assert [claim] == said(effects)
    assert Applied("dead") == effects[1]
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
def test_the_dead_do_not_leave_nor_do_the_left_die(
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
def test_a_life_between_two_accusations_does_not_resurrect(first: Any, later: Any) -> None:
    table = table_with("b")
    table.on_dead(first, 1.0)
    if isinstance(later, type(dead())):
        effects = table.on_dead(later, 2.0)
        assert [later] == said(effects), "others must know as well"
        assert ["Broadcast"] == kinds(effects)
        assert [] == table.on_dead(later, 2.0)
    else:
        assert [] == table.on_suspect(later, 2.0)
    for incarnation in (6, 7, 8):
        assert "NodeJoined" not in kinds(table.on_alive(alive(incarnation=incarnation), 3.0))
    assert "NodeJoined" in kinds(table.on_alive(alive(incarnation=9), 4.0))


def test_in_go_a_life_between_two_accusations_resurrects() -> None:
    table = table_with("b", faithful_go=True)
    table.on_dead(dead(), 1.0)
    assert [] == table.on_dead(dead(incarnation=8), 2.0)
    assert [] == table.on_suspect(suspect(incarnation=8), 2.0)
    assert ("dead", 5) == state(table)
    assert "NodeJoined" in kinds(table.on_alive(alive(incarnation=6), 3.0))


# --- ourselves ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claim", [suspect("a", 1), suspect("a", 7), dead("a", 1), dead("a", 7), left("a", 7)]
)
def test_we_outbid_accusations_of_ourselves(claim: Any) -> None:
    table = new_table()
    judge = table.on_suspect if isinstance(claim, type(suspect())) else table.on_dead
    effects = judge(claim, 1.0)
    following = claim.incarnation + 1
    assert Refuted(following) == the(Refuted, effects)
    assert [alive("a", following)] == said(effects)
    assert the(Broadcast, effects).local
    assert ("alive", following) == state(table, "a")
    assert [] == judge(claim, 1.0), "old news now"


def test_the_refutation_tells_our_present_metadata() -> None:
    table = new_table()
    table.update_local(0.0, b"m")
    assert [alive("a", 3, meta=b"m")] == said(table.on_suspect(suspect("a", 2), 1.0))


@pytest.mark.parametrize("incarnation", [1, 7, MAX_INCARNATION])
def test_once_we_left_accusations_are_ignored(incarnation: int) -> None:
    table = new_table()
    table.leave(0.0)
    assert [] == table.on_suspect(suspect("a", incarnation), 1.0)
    assert [] == table.on_dead(dead("a", incarnation), 1.0)
    assert [] == table.on_dead(left("a", incarnation), 1.0)
    assert ("left", 1) == state(table, "a")


# --- implausible incarnations -------------------------------------------------------------


@pytest.mark.parametrize("incarnation", [SUSPECT_BAND, MAX_INCARNATION])
@pytest.mark.parametrize("kind", [suspect, dead])
def test_an_implausible_accusation_of_another_node_is_dropped(kind: Any, incarnation: int) -> None:
    table = table_with("b")
    claim = kind("b", incarnation)
    judge = table.on_suspect if kind is suspect else table.on_dead
    assert [Refused("b", f"implausible incarnation {incarnation}")] == judge(claim, 1.0)
    assert ("alive", 5) == state(table)


@pytest.mark.parametrize("kind", [suspect, dead])
def test_the_last_incarnation_neither_evicts_us_nor_stops_us(kind: Any) -> None:
    table = new_table()
    judge = table.on_suspect if kind is suspect else table.on_dead
    for round_ in range(3):
        effects = judge(kind("a", MAX_INCARNATION), 1.0)
        assert ["Refused", "Broadcast"] == kinds(effects)
        assert [alive("a", 2 + round_)] == said(effects)
    assert [alive("a", 10)] == said(table.on_suspect(suspect("a", 9), 2.0))


def test_the_highest_plausible_accusation_is_outbid_and_everybody_believes_the_answer() -> None:
    accused, witness, late = new_table("b"), table_with("b"), table_with("b")
    claim = dead(incarnation=SUSPECT_BAND - 1)
    [answer] = said(accused.on_dead(claim, 1.0))
    witness.on_dead(claim, 1.0)
    for table in (witness, late):
        table.on_alive(answer, 1.0)  # type: ignore[arg-type]
        assert ("alive", SUSPECT_BAND) == state(table)
    accusation = suspect(incarnation=SUSPECT_BAND)
    witness.on_suspect(accusation, 2.0)
    assert ("suspect", SUSPECT_BAND) == state(witness)
    [answer] = said(accused.on_suspect(accusation, 2.0))
    witness.on_alive(answer, 2.0)  # type: ignore[arg-type]
    assert ("alive", SUSPECT_BAND + 1) == state(witness)


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
    assert [alive("a", 0)] == said(table.on_dead(dead("a", MAX_INCARNATION), 1.0))
