"""What is kept of nodes that were removed.  The table of node "a" is the one under test."""

from __future__ import annotations

from typing import Any

import pytest

from trioserf._swim import dropped_nodes
from trioserf._swim.dropped_nodes import DroppedNodes
from trioserf._swim.effects import NodeDropped, SendTo
from trioserf._swim.incarnations import SUSPECT_BAND
from trioserf._swim.nodes import NodeStatus
from trioserf._swim.table import NodeTable

from .builders import alive, dead, ip, kinds, left, node, place, record, sent, table_with, the

WINDOW, MEMORY = 30.0, 1000.0


def after_removal(incarnation: int = 5, **config: Any) -> NodeTable:
    """Node b failed, was removed, and its record dropped, at 31.1 s."""
    table = table_with("b", "c", gossip_to_the_dead_time=WINDOW, seed_memory=MEMORY, **config)
    table.on_dead(dead("b", incarnation), 1.0)
    table.remove("b")
    table.purge(31.1)
    assert "b" not in table.nodes
    return table


@pytest.mark.parametrize("faithful_go", [True, False], ids=["go", "trioserf"])
def test_a_removed_node_is_not_brought_back_by_a_stale_alive_message(faithful_go: bool) -> None:
    table = after_removal(faithful_go=faithful_go)
    effects = table.on_alive(alive("b", 5), 40.0, source=place("b"))
    assert faithful_go is ("b" in table.nodes)
    if not faithful_go:
        assert ["SendTo"] == kinds(effects)
        assert [dead("b", 5, by="a")] == sent(effects)
        assert place("b") == the(SendTo, effects).address


def test_neither_by_the_state_of_a_peer() -> None:
    table = after_removal()
    table.merge([record("b", 5)], 40.0)
    assert "b" not in table.nodes


@pytest.mark.parametrize(
    ("peer", "addr", "applied"),
    [("10.0.0.98", ip("b"), True), ("10.0.0.99", ip("b"), False), ("10.0.0.98", b"\x0a", False)],
    ids=["itself", "another", "malformed"],
)
def test_what_a_node_sends_of_itself_on_a_stream_is_applied(
    peer: str, addr: bytes, applied: bool
) -> None:
    table = after_removal()
    table.merge_checked([record("b", 1, addr=addr)], 40.0, peer=peer)
    assert applied is ("b" in table.nodes)


def test_a_higher_incarnation_comes_back_and_is_a_node_like_any_other() -> None:
    table = after_removal()
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 6), 40.0))
    table.on_dead(dead("b", 6), 41.0)
    assert "NodeDropped" in kinds(table.purge(100.0))
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1), 101.0))


def test_at_another_address_any_incarnation_is_new() -> None:
    table = after_removal()
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1, addr=ip("z")), 40.0))


def test_a_former_address_is_remembered_too() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(dead("b", 5), 1.0)
    table.on_alive(alive("b", 1, addr=ip("z")), 2.0)
    table.on_dead(left("b", 1), 3.0)
    table.purge(40.0)
    table.on_alive(alive("b", 5), 41.0)
    assert "b" not in table.nodes
    table.on_alive(alive("b", 6), 42.0)
    assert "b" in table.nodes


def test_a_node_that_left_counts_as_removed() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(left("b"), 1.0)
    table.purge(40.0)
    effects = table.on_alive(alive("b", 5), 41.0, source=place("b"))
    assert [left("b")] == sent(effects), "as the node itself sent it"


def test_a_node_that_failed_may_return_with_any_incarnation() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    b = table.nodes["b"]
    table.on_dead(dead("b"), 1.0)
    assert b is the(NodeDropped, table.purge(40.0)).node
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1), 41.0))


def test_a_node_may_be_removed_after_its_record_was_dropped() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(dead("b"), 1.0)
    assert "NodeDropped" in kinds(table.purge(40.0))
    table.remove("b")
    table.on_alive(alive("b", 5), 41.0)
    assert "b" not in table.nodes


def test_a_removed_node_is_not_looked_for() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(dead("b"), 1.0)
    table.remove("b")
    assert ["NodeForgotten"] == kinds(table.purge(40.0))


def test_a_live_node_cannot_be_removed() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    for name in ("a", "b", "unknown"):
        table.remove(name)
    table.on_dead(dead("b"), 1.0)
    assert "NodeDropped" in kinds(table.purge(40.0))


def test_a_node_that_returned_is_not_removed_any_more() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(dead("b"), 1.0)
    table.remove("b")
    table.on_alive(alive("b", 6), 2.0)
    table.on_dead(dead("b", 6), 3.0)
    assert "NodeDropped" in kinds(table.purge(40.0))


def test_after_a_time_it_is_forgotten() -> None:
    table = after_removal()
    table.purge(31.1 + MEMORY)
    assert ["SendTo"] == kinds(table.on_alive(alive("b", 5), 1031.1, source=place("b")))
    table.purge(31.2 + MEMORY)
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 5), 1031.3))


def test_an_incarnation_in_the_band_is_not_remembered() -> None:
    table = table_with(gossip_to_the_dead_time=WINDOW)
    table.on_alive(alive("b", SUSPECT_BAND), 0.0, source=place("b"))
    table.on_dead(left("b", SUSPECT_BAND), 1.0)
    table.purge(40.0)
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1), 41.0))


def test_the_number_of_dropped_nodes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped_nodes, "MAX_DROPPED", 3)
    dropped = DroppedNodes(MEMORY)
    for name in "bcdef":
        dropped.drop(node(name, status=NodeStatus.LEFT), 1.0)
    assert 3 == len(dropped)
    assert [None, None] == [dropped.removed(name) for name in "bc"]
    assert dropped.removed("f") is not None
