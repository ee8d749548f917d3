from __future__ import annotations

import math
import random

import pytest

from trioserf._swim.nodes import NodeStatus, NodeStore
from trioserf.abc import Address

from .builders import ip, node, record


def test_statuses_have_the_numbers_of_push_pull_records_and_plain_names() -> None:
    assert [0, 1, 2, 3] == [int(status) for status in NodeStatus]
    assert ["alive", "suspect", "dead", "left"] == [str(status) for status in NodeStatus]


@pytest.mark.parametrize(
    ("status", "gone"),
    [
        (NodeStatus.ALIVE, False),
        (NodeStatus.SUSPECT, False),
        (NodeStatus.DEAD, True),
        (NodeStatus.LEFT, True),
    ],
)
def test_dead_and_left_nodes_are_gone(status: NodeStatus, gone: bool) -> None:
    assert gone == node(status=status).is_gone


def test_a_new_node_never_changed_its_status() -> None:
    assert -math.inf == node().changed_at


def test_the_address_is_text_and_follows_a_change() -> None:
    moving = node("b")
    assert Address("10.0.0.98", 7946) == moving.address
    assert moving.address is moving.address
    moving.move(bytes(15) + b"\x01", 80)
    assert Address("::1", 80) == moving.address


def test_an_ipv4_address_in_sixteen_bytes_is_kept_as_it_is() -> None:
    mapped = bytes(10) + b"\xff\xff" + ip("b")
    odd = node(addr=mapped)
    assert Address("10.0.0.98", 7946) == odd.address
    assert mapped == odd.addr == odd.record.addr


def test_protocol_versions_are_the_first_three_of_the_vector() -> None:
    example = node(versions=bytes((1, 5, 2, 2, 5, 4)))
    assert (1, 5, 2) == (example.protocol_min, example.protocol_max, example.protocol_cur)


def test_the_record_is_the_same_object_until_the_node_changes() -> None:
    example = node(incarnation=5)
    first = example.record
    assert record(incarnation=5) == first
    assert first is example.record
    example.update(
        incarnation=6, status=NodeStatus.DEAD, meta=b"m", versions=bytes((1, 5, 3, 2, 5, 4))
    )
    assert (
        record(
            incarnation=6,
            status=NodeStatus.DEAD,
            meta=b"m",
            versions=bytes((1, 5, 3, 2, 5, 4)),
        )
        == example.record
    )
    example.move(ip("c"), 80)
    assert (ip("c"), 80) == (example.record.addr, example.record.port)


def test_an_update_changes_only_what_is_given() -> None:
    example = node(incarnation=5, meta=b"m")
    example.update()
    assert record(incarnation=5, meta=b"m") == example.record


def test_a_copy_keeps_the_moment() -> None:
    example = node(incarnation=5)
    copy = example.copy()
    example.update(incarnation=6)
    example.move(ip("c"), 1)
    assert (5, ip("b"), 7946) == (copy.incarnation, copy.addr, copy.port)
    assert Address("10.0.0.98", 7946) == copy.address


def test_a_copy_has_everything() -> None:
    example = node("a")
    fields = [name for name in type(example).__slots__ if name != "__weakref__"]
    for place, name in enumerate(fields):
        setattr(example, name, f"value {place}")
    copy = example.copy()
    assert {name: getattr(example, name) for name in fields} == {
        name: getattr(copy, name) for name in fields
    }


def test_an_answer_is_the_last_that_was_tried() -> None:
    example = node("a")
    assert not example.reached
    example.tried_at = 3.0
    assert not example.reached
    example.answered(4.0)
    assert example.reached
    assert (4.0, 4.0) == (example.tried_at, example.answered_at)


def test_nodes_are_compared_by_identity() -> None:
    assert node() != node()


# --- the records of the cluster ---------------------------------------------------------


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


def test_refusal_is_evidence_only_where_a_stream_worked_in_this_incarnation() -> None:
    one = node("b", incarnation=4)
    assert not one.was_connected
    one.connected_in = 4
    assert one.was_connected
    one.update(incarnation=5)
    assert not one.was_connected
    one.connected_in = 5
    one.move(b"\x0a\x00\x00\x09", 7946)
    assert not one.was_connected
    one.connected_in = 5
    one.update(status=NodeStatus.DEAD)
    assert not one.was_connected
