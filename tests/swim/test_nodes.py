from __future__ import annotations

import math

import pytest

from trioserf._swim.nodes import NodeStatus
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


def test_nodes_are_compared_by_identity() -> None:
    assert node() != node()
