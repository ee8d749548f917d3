"""The state of a peer, record by record."""

from __future__ import annotations

from typing import Any

import pytest

from trioserf._exceptions import MergeRefused, RemoteProtocolError
from trioserf._swim.incarnations import MAX_INCARNATION
from trioserf._swim.nodes import NodeStatus
from trioserf._swim.table import NodeTable

from .builders import (
    alive,
    dead,
    ip,
    kinds,
    left,
    new_table,
    place,
    record,
    sent,
    suspect,
    table_with,
)


def state(table: NodeTable, name: str = "b") -> tuple[str, int]:
    node = table.nodes[name]
    return str(node.status), node.incarnation


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
    assert [left("b")] == sent(effects)
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
