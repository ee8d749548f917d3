from __future__ import annotations

import random

import pytest

from trioserf._exceptions import InvalidState
from trioserf._swim.nodes import NodeStatus
from trioserf._swim.roster import Roster

from .builders import node


def test_an_empty_roster_has_no_own_node() -> None:
    with pytest.raises(InvalidState, match="'a' has not been started"):
        Roster("a", random.Random(1)).own_node()


def test_records_are_counted_by_status() -> None:
    roster = Roster("a", random.Random(1))
    b, c = node("b"), node("c", status=NodeStatus.DEAD)
    roster.insert(b)
    roster.insert(c)
    assert {0: 1, 1: 0, 2: 1, 3: 0} == roster.counts
    roster.set_status(b, NodeStatus.SUSPECT, 5.0)
    assert {0: 0, 1: 1, 2: 1, 3: 0} == roster.counts
    assert (NodeStatus.SUSPECT, 5.0) == (b.status, b.changed_at)
    assert 1 == roster.live


def test_a_new_record_may_stand_anywhere_in_the_probing_order() -> None:
    places = set()
    for seed in range(100):
        roster = Roster("a", random.Random(seed))
        for name in "bcd":
            roster.insert(node(name))
        last = node("e")
        roster.insert(last)
        assert 4 == len(roster.sequence) == len(roster.nodes)
        places.add(roster.sequence.index(last))
    assert {0, 1, 2} == places


def test_only_what_is_gone_for_long_enough_is_dropped() -> None:
    roster = Roster("a", random.Random(1))
    own = node("a", status=NodeStatus.LEFT, changed_at=0.0)
    roster.own = own
    roster.insert(own)
    for name, status, changed_at in [
        ("b", NodeStatus.ALIVE, 0.0),
        ("c", NodeStatus.SUSPECT, 0.0),
        ("d", NodeStatus.DEAD, 9.9),
        ("e", NodeStatus.LEFT, 9.9),
        ("f", NodeStatus.DEAD, 10.0),
    ]:
        roster.insert(node(name, status=status, changed_at=changed_at))
    sequence = roster.sequence
    assert {"d", "e"} == {node.name for node in roster.remove_gone(10.0)}
    assert {"a", "b", "c", "f"} == set(roster.nodes)
    assert roster.sequence is sequence
    assert {"a", "b", "c", "f"} == {node.name for node in sequence}
    assert {0: 1, 1: 1, 2: 1, 3: 1} == roster.counts
    assert [] == roster.remove_gone(10.0)
