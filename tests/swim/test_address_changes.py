from __future__ import annotations

from typing import Any

import pytest

from trioserf._memberlist_config import MemberlistConfig
from trioserf._swim.address_changes import FORMER_ADDRESSES, AddressChanges, AddressDecision
from trioserf._swim.effects import (
    Conflict,
    FormerAddress,
    ProbeAddress,
    Refuted,
    SendTo,
)
from trioserf._swim.nodes import Node, NodeStatus

from .builders import (
    PORT,
    VERSIONS,
    alive,
    dead,
    ip,
    kinds,
    left,
    new_table,
    node,
    place,
    probed,
    sent,
    state,
    suspect,
    table_with,
    the,
)


def new_address_changes(**config: Any) -> AddressChanges:
    return AddressChanges(
        MemberlistConfig(name="a", probe_interval=1.0, probe_timeout=0.5, **config)
    )


def known(status: NodeStatus, changed_at: float = 0.0) -> Node:
    return node("b", status=status, incarnation=5, changed_at=changed_at)


ELSEWHERE = alive("b", 1, addr=ip("x"))


@pytest.mark.parametrize("status", [NodeStatus.DEAD, NodeStatus.LEFT])
def test_the_name_of_a_dead_or_left_node_moves_at_once(status: NodeStatus) -> None:
    assert AddressDecision.ACCEPT is new_address_changes().decide(known(status), ELSEWHERE, 0.0)


@pytest.mark.parametrize("status", [NodeStatus.ALIVE, NodeStatus.SUSPECT])
def test_the_address_of_a_live_node_is_probed_once(status: NodeStatus) -> None:
    changes = new_address_changes()
    b = known(status)
    assert AddressDecision.PROBE is changes.decide(b, ELSEWHERE, 10.0)
    assert AddressDecision.WAIT is changes.decide(b, ELSEWHERE, 10.1)
    assert AddressDecision.WAIT is changes.decide(b, alive("b", 9, addr=ip("y")), 10.1)
    assert AddressDecision.PROBE is changes.decide(b, ELSEWHERE, 12.0), "no result ever came"


def test_without_an_ack_from_the_old_address_the_name_moves() -> None:
    changes = new_address_changes()
    b = known(NodeStatus.ALIVE)
    changes.decide(b, ELSEWHERE, 10.0)
    assert changes.conclude(b, False, 10.5)
    assert not changes.conclude(b, False, 10.5), "a result counts once"


def test_an_ack_from_the_old_address_keeps_the_name_for_a_while() -> None:
    changes = new_address_changes()
    b = known(NodeStatus.ALIVE)
    changes.decide(b, ELSEWHERE, 10.0)
    assert not changes.conclude(b, True, 10.5)
    assert AddressDecision.REFUSE is changes.decide(b, ELSEWHERE, 13.4)
    assert not changes.conclude(b, False, 13.4), "a late result of another probe"
    assert AddressDecision.PROBE is changes.decide(b, ELSEWHERE, 13.5)


def test_silence_means_nothing_if_the_record_changed_meanwhile() -> None:
    changes = new_address_changes()
    b = known(NodeStatus.ALIVE)
    changes.decide(b, ELSEWHERE, 10.0)
    b.move(ip("y"), 1)
    assert not changes.conclude(b, False, 10.5)
    changes.decide(b, ELSEWHERE, 11.0)
    b.update(incarnation=6)
    assert not changes.conclude(b, False, 11.5)
    assert AddressDecision.PROBE is changes.decide(b, ELSEWHERE, 11.6)


def test_an_ack_from_one_address_says_nothing_of_another() -> None:
    changes = new_address_changes()
    b = known(NodeStatus.ALIVE)
    changes.decide(b, ELSEWHERE, 10.0)
    changes.conclude(b, True, 10.5)
    b.move(ip("y"), 1)
    assert AddressDecision.PROBE is changes.decide(b, ELSEWHERE, 10.6)


def test_a_reclaim_time_that_was_set_is_waited_for_but_the_old_address_is_probed() -> None:
    changes = new_address_changes(dead_node_reclaim_time=10.0)
    b = known(NodeStatus.DEAD, changed_at=100.0)
    assert AddressDecision.PROBE is changes.decide(b, ELSEWHERE, 109.9)
    assert AddressDecision.ACCEPT is changes.decide(b, ELSEWHERE, 110.0)
    assert AddressDecision.ACCEPT is changes.decide(known(NodeStatus.LEFT, 100.0), ELSEWHERE, 100.0)


@pytest.mark.parametrize(
    ("status", "reclaim", "age", "decision"),
    [
        (NodeStatus.LEFT, 0.0, 0.0, AddressDecision.ACCEPT),
        (NodeStatus.DEAD, 0.0, 1000.0, AddressDecision.REFUSE),
        (NodeStatus.DEAD, 10.0, 10.0, AddressDecision.REFUSE),
        (NodeStatus.DEAD, 10.0, 10.1, AddressDecision.ACCEPT),
        (NodeStatus.ALIVE, 10.0, 1000.0, AddressDecision.REFUSE),
        (NodeStatus.SUSPECT, 10.0, 1000.0, AddressDecision.REFUSE),
    ],
)
def test_as_in_go_dead_nodes_keep_their_name_until_a_reclaim_time_is_over(
    status: NodeStatus, reclaim: float, age: float, decision: AddressDecision
) -> None:
    changes = new_address_changes(dead_node_reclaim_time=reclaim, faithful_go=True)
    assert decision is changes.decide(known(status, 100.0), ELSEWHERE, 100.0 + age)


def test_a_message_with_a_former_address_needs_a_higher_incarnation_than_there() -> None:
    changes = new_address_changes()
    b = known(NodeStatus.ALIVE)
    changes.remember(b)
    b.move(ip("x"), 7946)
    b.update(incarnation=1, status=NodeStatus.DEAD)
    assert AddressDecision.STALE is changes.decide(b, alive("b", 5), 0.0)
    assert AddressDecision.ACCEPT is changes.decide(b, alive("b", 6), 0.0)
    assert AddressDecision.ACCEPT is changes.decide(b, alive("b", 1, port=1), 0.0)
    changes.forget("b")
    assert AddressDecision.ACCEPT is changes.decide(b, alive("b", 5), 0.0)


def test_the_incarnation_reached_at_an_address_never_goes_down() -> None:
    changes = new_address_changes()
    b = known(NodeStatus.ALIVE)
    assert 5 == changes.highest_incarnation_at(b, alive("b"))
    assert 0 == changes.highest_incarnation_at(b, ELSEWHERE)
    changes.remember(b)
    b.update(incarnation=2)
    changes.remember(b)
    b.move(ip("x"), 7946)
    assert 5 == changes.highest_incarnation_at(b, alive("b"))
    assert 0 == changes.highest_incarnation_at(b, alive("b", addr=ip("y")))
    assert 2 == changes.highest_incarnation_at(b, ELSEWHERE)


def test_only_so_many_former_addresses_are_remembered() -> None:
    changes = new_address_changes()
    b = known(NodeStatus.ALIVE)
    for port in range(1, FORMER_ADDRESSES + 2):
        b.move(ip("b"), port)
        changes.remember(b)
    b.move(ip("b"), 99)
    assert 0 == changes.highest_incarnation_at(b, alive("b", port=1))
    assert 5 == changes.highest_incarnation_at(b, alive("b", port=2))


MAPPED = bytes(10) + b"\xff\xff"

MAPPED = bytes(10) + b"\xff\xff"


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

    effects = probed(table, message, False, 1.5)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)
    assert [message] == sent(effects)
    assert ("alive", 1) == state(table)
    assert place("x") == b.address
    assert table.suspicion("b") is None


def test_a_new_address_alone_is_an_update() -> None:
    table = table_with("b")
    table.on_alive(alive(incarnation=1, addr=ip("x")), 1.0)
    effects = probed(table, alive(incarnation=1, addr=ip("x")), False, 1.5)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)


def test_a_name_whose_old_address_acks_does_not_move() -> None:
    table = table_with("b")
    b = table.nodes["b"]
    message = alive(incarnation=9, addr=ip("x"), meta=b"m")
    table.on_alive(message, 1.0)
    conflict = the(Conflict, probed(table, message, True, 1.2))
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
    assert [] == probed(table, message, False, 1.5), "it refuted meanwhile"
    assert ["Conflict"] == kinds(probed(table, message, True, 1.5))

    table.on_dead(dead(incarnation=6), 2.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(probed(table, message, True, 2.0)), (
        "dead meanwhile"
    )

    table = new_table()
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(probed(table, message, False, 2.0)), (
        "forgotten meanwhile"
    )


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


def test_the_former_address_of_the_local_node_is_no_conflict() -> None:
    """The node restarted at another address, and a peer still has the former one."""
    table = new_table()
    message = alive("a", 7, addr=ip("x"))
    assert [ProbeAddress(table.local_node, place("x"), message)] == table.on_alive(message, 1.0)
    assert [] == table.on_alive(message, 1.1)
    effects = probed(table, message, False, 1.5)
    assert [alive("a", 8)] == sent(effects)
    # Once for each address: what peers with Go's rules do about it takes time.
    assert [FormerAddress(table.local_node, place("x")), Refuted(8)] == effects[:2]
    assert place("a") == table.local_node.address

    table.on_alive(alive("a", 8, addr=ip("x")), 5.0)
    effects = probed(table, alive("a", 8, addr=ip("x")), False, 5.5)
    assert [alive("a", 9)] == sent(effects)
    assert Refuted(9) == effects[0]

    table.on_alive(alive("a", 3, addr=ip("x")), 9.0)
    assert [] == probed(table, alive("a", 3, addr=ip("x")), False, 9.5)


def test_another_node_with_the_local_name_is_a_conflict_once_it_acks() -> None:
    table = new_table()
    message = alive("a", 7, addr=ip("x"))
    table.on_alive(message, 1.0)
    conflict = the(Conflict, probed(table, message, True, 1.5))
    assert (table.local_node, ip("x")) == (conflict.existing, conflict.other.addr)
    assert ["Conflict"] == kinds(table.on_alive(message, 1.6))
    assert [] == probed(table, message, False, 1.7), "a result of no probe under way"
    assert ("alive", 1) == state(table, "a")


def test_as_in_go_the_local_name_at_another_address_is_a_conflict_at_once() -> None:
    table = new_table(faithful_go=True)
    assert ["Conflict"] == kinds(table.on_alive(alive("a", 7, addr=ip("x")), 1.0))


def test_the_local_address_in_another_form_is_the_local_one() -> None:
    table = new_table()
    effects = table.on_alive(alive("a", 7, addr=MAPPED + ip("a")), 1.0)
    assert [alive("a", 8)] == sent(effects)


def test_the_warned_of_addresses_of_the_local_node_are_bounded() -> None:
    table = new_table()
    for port in range(1, 3 * FORMER_ADDRESSES):
        message = alive("a", 1, addr=ip("x"), port=port)
        assert ["ProbeAddress"] == kinds(table.on_alive(message, 10.0 * port))
        effects = probed(table, message, False, 10.0 * port + 1)
        assert "FormerAddress" in kinds(effects)
    assert FORMER_ADDRESSES == len(table._alive_rules._address_changes._local_addresses)


def test_the_local_node_may_move() -> None:
    table = new_table()
    effects = table.move_local(ip("x"), 99, 5.0)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)
    assert [alive("a", 2, addr=ip("x"), port=99)] == sent(effects)
    # What is said of its former address is known to it: no warning.
    message = alive("a", 2)
    table.on_alive(message, 6.0)
    assert ["Refuted", "Broadcast"] == kinds(probed(table, message, False, 6.5))
    table.leave(7.0)
    assert [] == table.move_local(ip("y"), 99, 8.0)
