"""The table as a whole: starting, leaving, forgetting."""

from __future__ import annotations

import random
from typing import Any

import pytest

from trioserf._exceptions import InvalidState, LocalProtocolError, MergeRefused
from trioserf._memberlist_config import MemberlistConfig
from trioserf._swim.effects import (
    Applied,
    Broadcast,
    NodeDropped,
    NodeForgotten,
    NodeJoined,
    NodeLeft,
    NodeUpdated,
)
from trioserf._swim.incarnations import MAX_INCARNATION
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.table import NodeTable

from .builders import (
    PORT,
    VERSIONS,
    alive,
    dead,
    ip,
    kinds,
    left,
    new_table,
    sent,
    suspect,
    table_with,
    the,
)


def state(table: NodeTable, name: str = "b") -> tuple[str, int]:
    node = table.nodes[name]
    return str(node.status), node.incarnation


def unstarted(**fields: Any) -> NodeTable:
    return NodeTable(name="a", config=MemberlistConfig(name="a"), rng=random.Random(1), **fields)


# --- start --------------------------------------------------------------------------------


def test_a_node_adds_itself_first() -> None:
    table = unstarted()
    effects = table.start(3.0, addr=ip("a"), port=PORT, meta=b"m", versions=VERSIONS)
    local = table.local_node
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert [alive("a", 1, meta=b"m")] == sent(effects)
    assert the(Broadcast, effects).local
    assert NodeJoined(local) == effects[-1]
    assert ("alive", 1) == state(table, "a")
    assert 3.0 == local.changed_at
    assert ("a", False, 1, 1) == (
        table.name,
        table.leaving,
        table.num_nodes,
        table.live_count(),
    )
    assert local is table.nodes["a"]


def test_the_first_incarnation_may_be_higher() -> None:
    table = unstarted()
    table.start(0.0, addr=ip("a"), port=PORT, meta=b"", versions=VERSIONS, incarnation=9)
    assert ("alive", 9) == state(table, "a")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"port": 0}, "port 0"),
        ({"addr": b""}, "an address of 0 bytes"),
        ({"meta": bytes(513)}, "metadata of 513 bytes"),
        ({"versions": bytes(6)}, "versions 000000000000"),
        ({"versions": VERSIONS + b"\0"}, "versions of 7 bytes"),
        ({"incarnation": 0}, "incarnation 0"),
    ],
)
def test_a_node_that_peers_would_refuse_does_not_start(fields: dict[str, Any], reason: str) -> None:
    table = unstarted()
    good = {"addr": ip("a"), "port": PORT, "meta": b"", "versions": VERSIONS}
    with pytest.raises(LocalProtocolError, match=reason):
        table.start(0.0, **{**good, **fields})
    assert 0 == table.num_nodes


def test_before_the_start_there_is_no_local_node() -> None:
    table = unstarted()
    for call in (
        lambda: table.local_node,
        lambda: table.update_local(0.0, b""),
        lambda: table.leave(0.0),
    ):
        with pytest.raises(InvalidState, match="has not been started"):
            call()


def test_the_hook_may_refuse_the_local_node() -> None:
    def refuse(node: Node) -> None:
        raise MergeRefused(node.name)

    table = unstarted(alive_check=refuse)
    with pytest.raises(MergeRefused):
        table.start(0.0, addr=ip("a"), port=PORT, meta=b"", versions=VERSIONS)
    assert 0 == table.num_nodes


# --- update and leave ---------------------------------------------------------------------


def test_new_metadata_is_announced_in_a_new_incarnation() -> None:
    table = new_table()

    def finished() -> None: ...

    effects = table.update_local(1.0, b"m", finished)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)
    assert [alive("a", 2, meta=b"m")] == sent(effects)
    broadcast = the(Broadcast, effects)
    assert (True, finished) == (broadcast.local, broadcast.on_finished)
    assert NodeUpdated(table.local_node) == effects[-1]
    assert b"m" == table.local_node.meta


def test_the_same_metadata_is_announced_again_without_an_update() -> None:
    table = new_table()
    assert ["Broadcast", "Applied"] == kinds(table.update_local(1.0, b""))
    assert ("alive", 2) == state(table, "a")


def test_metadata_has_a_limit() -> None:
    table = new_table()
    table.update_local(1.0, bytes(512))
    with pytest.raises(LocalProtocolError, match="metadata of 513 bytes: expected at most 512"):
        table.update_local(1.0, bytes(513))
    assert ("alive", 2) == state(table, "a")


def test_an_update_after_leaving_fails_at_once() -> None:
    table = new_table()
    table.leave(1.0)
    with pytest.raises(InvalidState, match="has left"):
        table.update_local(2.0, b"m")
    assert ("left", 1) == state(table, "a")


def test_the_last_update_stays_at_the_end_of_the_range_and_wraps_in_go() -> None:
    for faithful, expected in ((False, MAX_INCARNATION), (True, 0)):
        table = new_table(faithful_go=faithful)
        table.local_node.update(incarnation=MAX_INCARNATION)
        table.update_local(1.0, b"m")
        assert expected == table.local_node.incarnation


def test_a_leave_is_a_dead_message_from_its_own_node() -> None:
    table = table_with("b")

    def finished() -> None: ...

    effects = table.leave(1.0, finished)
    assert ["Broadcast", "Applied", "NodeLeft"] == kinds(effects)
    assert [left("a", 1)] == sent(effects)
    assert Applied("dead") == effects[1]
    assert NodeLeft(table.local_node) == effects[-1]
    broadcast = the(Broadcast, effects)
    assert ("a", True, finished) == (broadcast.key, broadcast.local, broadcast.on_finished)
    assert ("left", 1) == state(table, "a")
    assert table.leaving
    assert 1 == table.live_count()


def test_leaving_twice_sends_nothing_more() -> None:
    table = new_table()
    table.leave(1.0)
    assert [] == table.leave(2.0)


def test_a_node_that_left_still_applies_messages_about_others() -> None:
    table = table_with("b")
    table.leave(1.0)
    assert "NodeJoined" in kinds(table.on_alive(alive("c"), 2.0))
    assert "NodeLeft" in kinds(table.on_dead(dead(), 2.0))
    assert [("a", 3), ("b", 2), ("c", 0)] == sorted((r.name, r.status) for r in table.records())


# --- forgetting ---------------------------------------------------------------------------


def test_records_of_nodes_long_dead_or_left_are_dropped() -> None:
    table = table_with(*"bcd", gossip_to_the_dead_time=30.0)
    b, c = table.nodes["b"], table.nodes["c"]
    table.on_dead(dead("b"), 1.0)
    table.on_dead(left("c"), 1.0)
    assert [] == table.purge(31.0)
    effects = table.purge(31.1)
    assert {NodeForgotten("b"), NodeForgotten("c")} == {
        e for e in effects if isinstance(e, NodeForgotten)
    }
    assert NodeDropped(b) == the(NodeDropped, effects)
    assert c.status is NodeStatus.LEFT
    assert {"a", "d"} == set(table.nodes) == {node.name for node in table.sequence}
    assert [] == table.on_dead(dead("b", 9), 32.0)
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1), 32.0))


def test_the_local_record_is_never_dropped() -> None:
    table = new_table()
    table.leave(0.0)
    assert [] == table.purge(1e9)
    assert table.local_node is table.nodes["a"]


# --- reads --------------------------------------------------------------------------------


def test_counts_follow_every_change() -> None:
    table = table_with(*"bcdef")
    table.on_suspect(suspect("b"), 0.0)
    table.on_dead(dead("c", by="x"), 0.0)
    table.on_dead(left("d"), 0.0)
    assert {0: 3, 1: 1, 2: 1, 3: 1} == table.counts()
    assert (6, 4) == (table.num_nodes, table.live_count())
    table.purge(1e9)
    assert {0: 3, 1: 1, 2: 0, 3: 0} == table.counts()


def test_gossip_goes_to_all_but_the_local_node_and_those_that_left() -> None:
    table = table_with(*"bcdef", gossip_to_the_dead_time=30.0)
    table.on_suspect(suspect("c"), 0.0)
    table.on_dead(dead("d"), 0.0)
    table.on_dead(left("e"), 0.0)
    rng = random.Random(1)
    assert set("bcdf") == {node.name for node in table.gossip_targets(9, 30.0, rng)}
    assert set("bcf") == {node.name for node in table.gossip_targets(9, 30.1, rng)}
    assert 2 == len(table.gossip_targets(2, 0.0, rng))


def test_suspicions_can_be_looked_at() -> None:
    table = table_with("b")
    assert table.suspicion("b") is None
    table.on_suspect(suspect(by="c"), 7.0)
    running = table.suspicion("b")
    assert running is not None
    assert (("c",), 7.0) == (running.from_nodes, running.started)
