"""The table as a whole: starting, leaving, forgetting."""

from __future__ import annotations

import random
from typing import Any

import pytest

from trioserf._exceptions import InvalidState, LocalProtocolError, MergeRefused, RemoteProtocolError
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
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.refutation import MAX_INCARNATION
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
    place,
    record,
    sent,
    state,
    suspect,
    table_with,
    the,
)


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
        with pytest.raises(InvalidState, match="'a' has not been started"):
            call()


def test_the_hook_is_not_asked_about_the_local_node() -> None:
    def refuse(node: Node) -> None:
        raise MergeRefused(node.name)

    table = unstarted(alive_check=refuse)
    table.start(0.0, addr=ip("a"), port=PORT, meta=b"", versions=VERSIONS)
    assert 1 == table.num_nodes
    # Whatever the hook thinks of it, it must be able to refute.
    assert ["Refuted", "Broadcast"] == kinds(table.on_alive(alive("a", 9), 1.0))
    assert "ProbeAddress" in kinds(table.on_alive(alive("a", 9, addr=ip("x")), 1.0))


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


def test_the_last_update_stays_at_the_end_of_the_range_and_is_stale_to_go_itself() -> None:
    for faithful in (False, True):
        table = new_table(faithful_go=faithful)
        table.local_node.update(incarnation=MAX_INCARNATION)
        effects = table.update_local(1.0, b"m")
        assert MAX_INCARNATION == table.local_node.incarnation
        assert (b"" if faithful else b"m") == table.local_node.meta
        assert bool(effects) is not faithful


def test_a_leave_is_a_dead_message_from_its_own_node() -> None:
    table = table_with("b")

    def finished() -> None: ...

    effects = table.leave(1.0, finished)
    assert ["Broadcast", "Applied", "NodeLeft"] == kinds(effects)
    assert [left("a", 1)] == sent(effects)
    assert Applied("dead", "a", by="a") == effects[1]
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
    assert set("bcdf") == {node.name for node in table.order.gossip_targets(9, 30.0, rng)}
    assert set("bcf") == {node.name for node in table.order.gossip_targets(9, 30.1, rng)}
    assert 2 == len(table.order.gossip_targets(2, 0.0, rng))


def test_suspicions_can_be_looked_at() -> None:
    table = table_with("b")
    assert table.suspicion("b") is None
    table.on_suspect(suspect(by="c"), 7.0)
    running = table.suspicion("b")
    assert running is not None
    assert (["c"], 7.0) == (running.from_nodes, running.started)


# --- push/pull ----------------------------------------------------------------------------


def test_records_have_everything_with_its_status() -> None:
    table = table_with(*"bcde")
    table.on_suspect(suspect("c"), 0.0)
    table.on_dead(dead("d"), 0.0)
    table.on_dead(left("e"), 0.0)
    assert [
        record("a", 1),
        record("b"),
        record("c", status=NodeStatus.SUSPECT),
        record("d", status=NodeStatus.DEAD),
        record("e", status=NodeStatus.LEFT),
    ] == sorted(table.records(), key=lambda record: record.name)


def test_an_alive_record_is_applied_as_an_alive_message() -> None:
    table = new_table()
    effects = table.merge([record("b", meta=b"m"), record("c")], 1.0)
    assert ["Broadcast", "Applied", "NodeJoined"] * 2 == kinds(effects)
    assert [alive("b", meta=b"m"), alive("c")] == sent(effects)


def test_a_left_record_is_a_leave() -> None:
    table = table_with("b")
    effects = table.merge([record("b", status=NodeStatus.LEFT)], 1.0)
    assert [left("b"), left("b")] == sent(effects), "to others, and back to the node itself"
    assert ("left", 5) == state(table)


@pytest.mark.parametrize("status", [NodeStatus.DEAD, NodeStatus.SUSPECT])
def test_a_dead_or_suspect_record_is_a_local_suspicion(status: NodeStatus) -> None:
    table = table_with("b")
    effects = table.merge([record("b", status=status)], 1.0)
    assert [suspect("b", by="a")] == sent(effects)
    assert ("suspect", 5) == state(table)


@pytest.mark.parametrize("status", [-1, 4, 99])
def test_a_record_of_unknown_status_is_ignored(status: int) -> None:
    table = table_with("b")
    before = table.records()
    assert [] == table.merge([record("b", 9, status), record("c", 9, status)], 1.0)
    assert before == table.records()


@pytest.mark.parametrize("status", [NodeStatus.DEAD, NodeStatus.LEFT, NodeStatus.SUSPECT])
def test_a_suspect_or_dead_record_of_the_local_node_is_refuted(status: NodeStatus) -> None:
    table = new_table()
    effects = table.merge([record("a", 7, status)], 1.0)
    assert [alive("a", 8)] == sent(effects)


def test_two_tables_agree_after_one_exchange_each_way() -> None:
    one, two = table_with("b", "c"), new_table("z")
    two.on_alive(alive("y"), 0.0)
    theirs = two.records()
    two.merge(one.records(), 1.0)
    one.merge(theirs, 1.0)
    by_name = [sorted(t.records(), key=lambda r: r.name) for t in (one, two)]
    assert by_name[0] == by_name[1]
    assert [] == one.merge(two.records(), 2.0)
    assert [] == two.merge(one.records(), 2.0)


def test_old_records_change_nothing() -> None:
    table = table_with("b", "c", "d")
    table.on_dead(dead("c", 7, by="x"), 0.0)
    before = table.records()
    stale = [record("b", 4), record("b", 5), record("a", 1)]
    stale += [record("d", 4, status) for status in NodeStatus]
    assert [] == table.merge(stale, 1.0)
    assert before == table.records()


def test_an_alive_record_of_the_local_node_with_other_content_is_refuted() -> None:
    table = new_table()
    assert [alive("a", 2)] == sent(table.merge([record("a", 1, meta=b"m")], 1.0))


@pytest.mark.parametrize("fields", [{"addr": ip("x")}, {"port": 80}])
def test_a_stale_record_with_another_address_leads_to_a_probe(fields: dict[str, Any]) -> None:
    table = table_with("b")
    assert ["ProbeAddress"] == kinds(table.merge([record("b", 1, **fields)], 1.0))


def test_a_stale_record_of_a_dead_node_gets_a_reply_too() -> None:
    table = table_with("b")
    table.on_dead(dead(), 0.0)
    assert ["SendTo"] == kinds(table.merge([record("b", 1)], 1.0))


def test_records_with_the_last_incarnation_are_treated_as_messages_are() -> None:
    table = table_with("b")
    for status in NodeStatus:
        assert ["Refused"] == kinds(table.merge([record("b", MAX_INCARNATION, status)], 1.0))
    assert ("alive", 5) == state(table)
    table.merge([record("b", MAX_INCARNATION)], 1.0, source=place("b"))
    assert ("alive", MAX_INCARNATION) == state(table), "from the node itself"
    table.merge([record("b", 6)], 1.0, source=place("b"))
    assert ("alive", 6) == state(table)


def test_one_bad_record_does_not_keep_out_the_others() -> None:
    table = new_table()
    effects = table.merge([record(""), record("b", versions=None), record("c")], 1.0)
    assert ["Refused", "Refused", "Broadcast", "Applied", "NodeJoined"] == kinds(effects)


def test_versions_that_cannot_live_together_refuse_everything() -> None:
    table = table_with("b")
    before = table.records()
    with pytest.raises(RemoteProtocolError, match="speaks protocol 9"):
        table.merge([record("c"), record("d", versions=bytes((1, 5, 9, 2, 5, 4)))], 1.0)
    assert before == table.records()


def test_as_in_go_a_record_without_versions_refuses_everything() -> None:
    table = new_table(faithful_go=True)
    with pytest.raises(RemoteProtocolError):
        table.merge([record("b"), record("c", status=NodeStatus.DEAD, versions=None)], 1.0)
    assert 1 == table.num_nodes


def test_the_merge_hook_sees_a_joining_peer_and_may_refuse_it() -> None:
    seen: list[tuple[str, str]] = []

    def check(nodes: Any) -> None:
        seen.extend((node.name, str(node.status)) for node in nodes)
        if any(node.name == "evil" for node in nodes):
            raise MergeRefused("evil")

    table = new_table(hooks={"merge_check": check})
    statuses = [*NodeStatus, 9]
    table.merge([record(f"b{int(s)}", status=s) for s in statuses], 1.0, join=True)
    assert [
        ("b0", "alive"),
        ("b1", "suspect"),
        ("b2", "dead"),
        ("b3", "left"),
        ("b9", "dead"),
    ] == seen
    with pytest.raises(MergeRefused):
        table.merge([record("c"), record("evil")], 2.0, join=True)
    assert {"a", "b0"} == set(table.nodes)
    table.merge([record("c"), record("evil")], 2.0)
    assert {"a", "b0", "c", "evil"} == set(table.nodes), "not called when no node joins"


@pytest.mark.parametrize(
    ("status", "age", "chosen"),
    [
        (NodeStatus.ALIVE, 1000.0, True),
        (NodeStatus.SUSPECT, 1000.0, True),
        (NodeStatus.DEAD, 0.0, True),
        (NodeStatus.DEAD, 30.0, True),
        (NodeStatus.DEAD, 30.1, False),
        (NodeStatus.LEFT, 0.0, False),
    ],
)
def test_gossip_goes_to_live_nodes_and_for_a_while_to_dead_ones(
    status: NodeStatus, age: float, chosen: bool
) -> None:
    table = table_with("b", gossip_to_the_dead_time=30.0)
    b = table.nodes["b"]
    b.update(status=status)
    b.changed_at = 100.0
    targets = table.order.gossip_targets(3, 100.0 + age, random.Random(1))
    assert ([b] if chosen else []) == targets


def test_targets_of_successive_rounds_are_distinct_until_all_were_chosen() -> None:
    table = table_with(*"bcdefghijklm")
    rng = random.Random(3)
    for _ in range(5):
        names = [n.name for _ in range(4) for n in table.order.gossip_targets(3, 0.0, rng)]
        assert set("bcdefghijklm") == set(names)


def test_targets_of_go_are_drawn_anew_each_time() -> None:
    table = table_with(*"bcdefghijklm", faithful_go=True)
    rng = random.Random(3)
    rounds = [
        {n.name for _ in range(4) for n in table.order.gossip_targets(3, 0.0, rng)} for _ in "12345"
    ]
    assert not all(set("bcdefghijklm") == names for names in rounds)


def test_new_messages_go_to_the_successors_and_then_to_the_others() -> None:
    table = table_with(*"bcdefghijklm")
    rng = random.Random(3)
    first = [n.name for n in table.order.first_targets(6, 0.0, rng)]
    assert first == [n.name for n in table.order.first_targets(6, 0.0, rng)]
    later = [n.name for _ in "12" for n in table.order.gossip_targets(3, 0.0, rng)]
    assert set("bcdefghijklm") == {*first, *later}


def test_in_a_large_cluster_new_messages_go_to_any() -> None:
    table = table_with(*(f"n{number}" for number in range(300)))
    rng = random.Random(3)
    first = {n.name for n in table.order.first_targets(6, 0.0, rng)}
    assert 6 == len(first)
    assert not first & {n.name for n in table.order.first_targets(6, 0.0, rng)}


def test_nodes_are_found_by_their_address_in_either_form() -> None:
    table = table_with("b", "c")
    mapped = bytes(10) + b"\xff\xff" + ip("d")
    table.on_alive(alive("d", addr=mapped), 0.0)
    assert ["b"] == [node.name for node in table.at(place("b"))]
    assert ["d"] == [node.name for node in table.at(place("d"))]
    assert [] == table.at(place("b")._replace(port=1))
    assert [] == table.at(place("b")._replace(host="no address"))
