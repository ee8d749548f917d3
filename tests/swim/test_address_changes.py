from __future__ import annotations

from typing import Any

import pytest

from trioserf._memberlist_config import MemberlistConfig
from trioserf._swim.address_changes import FORMER_ADDRESSES, AddressChanges, AddressDecision
from trioserf._swim.nodes import Node, NodeStatus

from .builders import alive, ip, node


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
    assert 5 == changes.reached(b, alive("b"))
    assert 0 == changes.reached(b, ELSEWHERE)
    changes.remember(b)
    b.update(incarnation=2)
    changes.remember(b)
    b.move(ip("x"), 7946)
    assert 5 == changes.reached(b, alive("b"))
    assert 0 == changes.reached(b, alive("b", addr=ip("y")))
    assert 2 == changes.reached(b, ELSEWHERE)


def test_only_so_many_former_addresses_are_remembered() -> None:
    changes = new_address_changes()
    b = known(NodeStatus.ALIVE)
    for port in range(1, FORMER_ADDRESSES + 2):
        b.move(ip("b"), port)
        changes.remember(b)
    b.move(ip("b"), 99)
    assert 0 == changes.reached(b, alive("b", port=1))
    assert 5 == changes.reached(b, alive("b", port=2))
