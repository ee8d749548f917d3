from __future__ import annotations

import random

from trioserf._swim.node_store import NodeStore
from trioserf._swim.nodes import NodeStatus

from .builders import node


def test_an_empty_store_has_no_local_node() -> None:
    assert NodeStore("a", random.Random(1)).local_node is None


def test_records_are_counted_by_status() -> None:
    store = NodeStore("a", random.Random(1))
    b, c = node("b"), node("c", status=NodeStatus.DEAD)
    store.insert(b)
    store.insert(c)
    assert {0: 1, 1: 0, 2: 1, 3: 0} == store.counts
    store.set_status(b, NodeStatus.SUSPECT, 5.0)
    assert {0: 0, 1: 1, 2: 1, 3: 0} == store.counts
    assert (NodeStatus.SUSPECT, 5.0) == (b.status, b.changed_at)
    assert 1 == store.live


def test_a_new_record_may_stand_anywhere_in_the_probing_order() -> None:
    places = set()
    for seed in range(100):
        store = NodeStore("a", random.Random(seed))
        for name in "bcd":
            store.insert(node(name))
        last = node("e")
        store.insert(last)
        assert 4 == len(store.sequence) == len(store.nodes)
        places.add(store.sequence.index(last))
    assert {0, 1, 2} == places


def test_only_records_dead_or_left_for_long_enough_are_dropped() -> None:
    store = NodeStore("a", random.Random(1))
    local = node("a", status=NodeStatus.LEFT, changed_at=0.0)
    store.local_node = local
    store.insert(local)
    for name, status, changed_at in [
        ("b", NodeStatus.ALIVE, 0.0),
        ("c", NodeStatus.SUSPECT, 0.0),
        ("d", NodeStatus.DEAD, 9.9),
        ("e", NodeStatus.LEFT, 9.9),
        ("f", NodeStatus.DEAD, 10.0),
    ]:
        store.insert(node(name, status=status, changed_at=changed_at))
    sequence = store.sequence
    assert {"d", "e"} == {node.name for node in store.remove_gone(10.0)}
    assert {"a", "b", "c", "f"} == set(store.nodes)
    assert store.sequence is sequence
    assert {"a", "b", "c", "f"} == {node.name for node in sequence}
    assert {0: 1, 1: 1, 2: 1, 3: 1} == store.counts
    assert [] == store.remove_gone(10.0)
