"""Alive messages with another address, and about the local node.  The table is that of "a"."""

from __future__ import annotations

from typing import Any

import pytest

from trioserf._swim.effects import (
    Broadcast,
    Conflict,
    ProbeAddress,
    Refuted,
    SendTo,
)
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
    sent,
    suspect,
    table_with,
    the,
)

MAPPED = bytes(10) + b"\xff\xff"

MAPPED = bytes(10) + b"\xff\xff"


def state(table: NodeTable, name: str = "b") -> tuple[str, int]:
    node = table.nodes[name]
    return str(node.status), node.incarnation


# --- other addresses ----------------------------------------------------------------------


@pytest.mark.parametrize("message", [dead(), left()])
@pytest.mark.parametrize("fields", [{"addr": ip("x")}, {"port": 80}])
def test_a_failed_node_may_return_from_another_address_at_once(
    message: Any, fields: dict[str, Any]
) -> None:
    table = table_with("b")
    table.on_dead(message, 1.0)
    effects = table.on_alive(alive(incarnation=1, **fields), 1.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert ("alive", 1) == state(table)
    b = table.nodes["b"]
    assert (fields.get("addr", ip("b")), fields.get("port", PORT)) == (b.addr, b.port)


@pytest.mark.parametrize("suspected", [False, True])
def test_the_address_of_a_live_node_is_probed_before_its_name_moves(suspected: bool) -> None:
    table = table_with("b")
    if suspected:
        table.on_suspect(suspect(), 0.5)
    b = table.nodes["b"]
    message = alive(incarnation=1, addr=ip("x"), meta=b"m")
    before = table.records()
    assert [ProbeAddress(b, place("b"), message)] == table.on_alive(message, 1.0)
    assert [] == table.on_alive(alive(incarnation=9, addr=ip("y")), 1.1)
    assert before == table.records()

    effects = table.address_probed(message, False, 1.5)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)
    assert [message] == sent(effects)
    assert ("alive", 1) == state(table)
    assert place("x") == b.address
    assert table.suspicion("b") is None


def test_a_new_address_alone_is_an_update() -> None:
    table = table_with("b")
    table.on_alive(alive(incarnation=1, addr=ip("x")), 1.0)
    effects = table.address_probed(alive(incarnation=1, addr=ip("x")), False, 1.5)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)


def test_a_name_whose_old_address_acks_does_not_move() -> None:
    table = table_with("b")
    b = table.nodes["b"]
    message = alive(incarnation=9, addr=ip("x"), meta=b"m")
    table.on_alive(message, 1.0)
    conflict = the(Conflict, table.address_probed(message, True, 1.2))
    assert b is conflict.existing
    assert ("b", ip("x"), b"m", VERSIONS, 9) == (
        conflict.other.name,
        conflict.other.addr,
        conflict.other.meta,
        conflict.other.versions,
        conflict.other.incarnation,
    )
    assert ("alive", 5) == state(table)
    assert place("b") == b.address
    assert ["Conflict"] == kinds(table.on_alive(message, 2.0)), "not probed again so soon"
    assert ["ProbeAddress"] == kinds(table.on_alive(message, 10.0))


def test_a_late_probe_result_is_judged_by_the_record_of_now() -> None:
    message = alive(incarnation=1, addr=ip("x"))
    table = table_with("b")
    table.on_alive(message, 1.0)
    table.on_alive(alive(incarnation=6), 1.2)
    assert [] == table.address_probed(message, False, 1.5), "it refuted meanwhile"
    assert ["Conflict"] == kinds(table.address_probed(message, True, 1.5))

    table.on_dead(dead(incarnation=6), 2.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(
        table.address_probed(message, True, 2.0)
    ), "dead meanwhile"

    table = new_table()
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(
        table.address_probed(message, False, 2.0)
    ), "forgotten meanwhile"


def test_a_stale_message_with_a_former_address_does_not_resurrect() -> None:
    table = table_with("b")
    table.on_dead(dead(), 1.0)
    table.on_alive(alive(incarnation=1, addr=ip("x")), 2.0)
    assert [] == table.on_alive(alive(incarnation=4), 2.5), "no probe while alive"
    table.on_dead(dead(incarnation=1), 3.0)
    effects = table.on_alive(alive(incarnation=5), 4.0)
    assert ["SendTo"] == kinds(effects)
    assert [dead(incarnation=5, by="a")] == sent(effects)
    assert place("b") == the(SendTo, effects).address
    assert ("dead", 1) == state(table)
    assert "NodeJoined" in kinds(table.on_alive(alive(incarnation=6), 5.0))
    assert ("alive", 6) == state(table)


def test_a_former_address_is_forgotten_with_the_record() -> None:
    table = table_with("b", gossip_to_the_dead_time=30.0)
    table.on_dead(dead(), 1.0)
    table.on_alive(alive(incarnation=1, addr=ip("x")), 2.0)
    table.on_dead(dead(incarnation=1), 3.0)
    table.purge(100.0)
    table.on_alive(alive(incarnation=1, addr=ip("x")), 101.0)
    table.on_dead(dead(incarnation=1), 102.0)
    assert "NodeJoined" in kinds(table.on_alive(alive(incarnation=4), 103.0))


def test_an_ipv4_address_in_another_form_is_the_same_address() -> None:
    table = table_with("b")
    other_form = MAPPED + ip("b")
    assert [] == table.on_alive(alive(incarnation=5, addr=other_form), 1.0)
    effects = table.on_alive(alive(incarnation=6, addr=other_form), 1.0)
    assert ["Broadcast", "Applied"] == kinds(effects)
    assert other_form == table.nodes["b"].addr


def test_as_in_go_another_address_is_a_conflict() -> None:
    table = table_with("b", "c", faithful_go=True)
    for message in (
        alive(incarnation=9, addr=ip("x")),
        alive(incarnation=9, addr=MAPPED + ip("b")),
    ):
        assert ["Conflict"] == kinds(table.on_alive(message, 1.0))
    table.on_dead(dead(), 1.0)
    assert ["Conflict"] == kinds(table.on_alive(alive(incarnation=9, addr=ip("x")), 1.0))
    assert ("dead", 5) == state(table)
    table.on_dead(left("c"), 1.0)
    effects = table.on_alive(alive("c", incarnation=1, addr=ip("x")), 1.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert ("alive", 1) == state(table, "c")


def test_as_in_go_a_reclaim_time_frees_the_name_of_a_dead_node() -> None:
    table = table_with("b", faithful_go=True, dead_node_reclaim_time=10.0)
    table.on_dead(dead(), 1.0)
    assert ["Conflict"] == kinds(table.on_alive(alive(addr=ip("x")), 11.0))
    assert "NodeJoined" in kinds(table.on_alive(alive(addr=ip("x")), 11.1))


# --- the local node -----------------------------------------------------------------------


def test_messages_of_the_local_node_come_back_stale() -> None:
    table = new_table()
    table.update_local(0.0, b"m")
    table.update_local(0.0, b"n")
    assert [] == table.on_alive(alive("a", 2, meta=b"m"), 1.0)
    assert [] == table.on_alive(alive("a", 3, meta=b"n"), 1.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"incarnation": 1, "meta": b"m"},
        {"incarnation": 1, "versions": bytes((1, 5, 3, 2, 5, 4))},
        {"incarnation": 7},
        {"incarnation": 7, "meta": b"m"},
    ],
)
def test_a_newer_alive_message_about_the_local_node_is_refuted(fields: dict[str, Any]) -> None:
    table = new_table()
    effects = table.on_alive(alive("a", **fields), 1.0)
    following = fields["incarnation"] + 1
    assert Refuted(following) == the(Refuted, effects)
    assert [alive("a", following)] == sent(effects)
    assert the(Broadcast, effects).local
    assert ("alive", following) == state(table, "a")
    assert b"" == table.local_node.meta


def test_a_refutation_replaces_what_is_queued_about_the_local_node() -> None:
    table = new_table()
    keys = {
        the(Broadcast, effects).key
        for effects in (
            table.update_local(0.0, b"m"),
            table.on_alive(alive("a", 9), 0.0),
            table.on_suspect(suspect("a", 12), 0.0),
            table.leave(0.0),
        )
    }
    assert {"a"} == keys


def test_after_leaving_alive_messages_about_the_local_node_are_ignored() -> None:
    table = new_table()
    table.on_alive(alive("a", 5, addr=ip("x")), 0.0)
    table.leave(0.0)
    for message in (alive("a", 9), alive("a", 9, addr=ip("x")), alive("a", 0)):
        assert [] == table.on_alive(message, 1.0)
    assert [] == table.address_probed(alive("a", 5, addr=ip("x")), True, 1.0)
    assert ("left", 1) == state(table, "a")


def test_a_malformed_message_about_the_local_node_is_refused() -> None:
    assert ["Refused"] == kinds(new_table().on_alive(alive("a", 9, versions=None), 1.0))


def test_the_former_address_of_the_local_node_is_no_conflict() -> None:
    """The node restarted at another address, and a peer still has the former one."""
    table = new_table()
    message = alive("a", 7, addr=ip("x"))
    assert [ProbeAddress(table.local_node, place("x"), message)] == table.on_alive(message, 1.0)
    assert [] == table.on_alive(message, 1.1)
    effects = table.address_probed(message, False, 1.5)
    assert [alive("a", 8)] == sent(effects)
    assert Refuted(8) == effects[0]
    assert place("a") == table.local_node.address

    table.on_alive(alive("a", 8, addr=ip("x")), 5.0)
    effects = table.address_probed(alive("a", 8, addr=ip("x")), False, 5.5)
    assert [alive("a", 9)] == sent(effects)

    table.on_alive(alive("a", 3, addr=ip("x")), 9.0)
    assert [] == table.address_probed(alive("a", 3, addr=ip("x")), False, 9.5)


def test_another_node_with_the_local_name_is_a_conflict_once_it_acks() -> None:
    table = new_table()
    message = alive("a", 7, addr=ip("x"))
    table.on_alive(message, 1.0)
    conflict = the(Conflict, table.address_probed(message, True, 1.5))
    assert (table.local_node, ip("x")) == (conflict.existing, conflict.other.addr)
    assert ["Conflict"] == kinds(table.on_alive(message, 1.6))
    assert [] == table.address_probed(message, False, 1.7), "a result of no probe under way"
    assert ("alive", 1) == state(table, "a")


def test_as_in_go_the_local_name_at_another_address_is_a_conflict_at_once() -> None:
    table = new_table(faithful_go=True)
    assert ["Conflict"] == kinds(table.on_alive(alive("a", 7, addr=ip("x")), 1.0))


def test_the_local_address_in_another_form_is_the_local_one() -> None:
    table = new_table()
    effects = table.on_alive(alive("a", 7, addr=MAPPED + ip("a")), 1.0)
    assert [alive("a", 8)] == sent(effects)
