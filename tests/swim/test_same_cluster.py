"""Whether a peer at a former address is of this cluster."""

from __future__ import annotations

import pytest

from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.same_cluster import is_only, is_same_cluster, name_at
from trioserf._wire.messages import NodeRecord
from trioserf.abc import Address

VERSIONS = b"\x01\x05\x02\x00\x00\x00"
ALIVE, DEAD, LEFT = NodeStatus.ALIVE, NodeStatus.DEAD, NodeStatus.LEFT
WHERE = Address("10.0.0.3", 7946)


def record(name: str, last: int, status: int = ALIVE, addr: bytes | None = None) -> NodeRecord:
    place = bytes((10, 0, 0, last)) if addr is None else addr
    return NodeRecord(name, place, 7946, b"", 1, int(status), VERSIONS)


def node(name: str, last: int, status: NodeStatus = ALIVE) -> Node:
    return Node(name=name, addr=bytes((10, 0, 0, last)), port=7946, status=status)


KNOWN = {one.name: one for one in (node("me", 1), node("b", 2), node("c", 3, DEAD))}


@pytest.mark.parametrize(
    ("records", "same"),
    [
        ([record("c", 3)], True),
        ([record("x", 3)], False),
        ([], False),
        # A member in common: at its address, whatever each thinks of it.
        ([record("x", 3), record("b", 2)], True),
        ([record("x", 3), record("b", 2, DEAD)], True),
        ([record("x", 3), record("me", 1, DEAD)], True),
        # One that is gone here may have moved.
        ([record("x", 3), record("c", 9)], True),
        # One that is alive here and there is two nodes with one name.
        ([record("x", 3), record("b", 9)], False),
        ([record("x", 3), record("b", 9), record("c", 8)], False),
        ([record("x", 3), record("b", 9, DEAD), record("c", 8)], True),
        # This node's name elsewhere may be its own former address, or another node.
        ([record("x", 3), record("me", 9)], False),
        # What is no address tells nothing.
        ([record("x", 3), record("b", 0, addr=b"abc")], False),
    ],
)
def test_a_member_in_common_makes_one_cluster(records: list[NodeRecord], same: bool) -> None:
    assert same is is_same_cluster(records, "c", WHERE, KNOWN, "me")


def test_the_name_at_an_address_is_that_of_the_live_node_there() -> None:
    assert "new" == name_at([record("old", 3, DEAD), record("new", 3), record("b", 2)], WHERE)
    assert "" == name_at([record("old", 3, LEFT)], WHERE)


@pytest.mark.parametrize(
    ("records", "only"),
    [
        ([record("me", 1)], True),
        ([record("me", 1), record("c", 3, DEAD)], True),
        ([record("me", 9)], False),
        ([record("me", 1), record("b", 2)], False),
        # A peer that leaves has its own record as left; it is alive or unknown here.
        ([record("me", 1), record("b", 2, LEFT)], False),
        ([record("me", 1), record("x", 4, LEFT)], False),
        ([record("x", 4, LEFT)], False),
        ([], False),
    ],
)
def test_a_state_in_which_nobody_else_lives_is_that_of_this_node(
    records: list[NodeRecord], only: bool
) -> None:
    assert only is is_only(records, KNOWN["me"], KNOWN)
