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


def held(status: NodeStatus, changed_at: float = 0.0) -> Node:
    return node("b", status=status, incarnation=5, changed_at=changed_at)


ELSEWHERE = alive("b", 1, addr=ip("x"))


@pytest.mark.parametrize("status", [NodeStatus.DEAD, NodeStatus.LEFT])
def test_a_name_that_is_gone_moves_at_once(status: NodeStatus) -> None:
    assert AddressDecision.ACCEPT is new_address_changes().decide(held(status), ELSEWHERE, 0.0)


@pytest.mark.parametrize("status", [NodeStatus.ALIVE, NodeStatus.SUSPECT])
def test_a_live_name_is_challenged_once(status: NodeStatus) -> None:
    address_changes = new_address_changes()
    b = held(status)
    assert AddressDecision.PROBE is address_changes.decide(b, ELSEWHERE, 10.0)
    assert AddressDecision.WAIT is address_changes.decide(b, ELSEWHERE, 10.1)
    assert AddressDecision.WAIT is address_changes.decide(b, alive("b", 9, addr=ip("y")), 10.1)
    assert AddressDecision.PROBE is address_changes.decide(b, ELSEWHERE, 12.0), (
        "no result ever came"
    )


def test_silence_of_the_old_address_yields_the_name() -> None:
    address_changes = new_address_changes()
    b = held(NodeStatus.ALIVE)
    address_changes.decide(b, ELSEWHERE, 10.0)
    assert address_changes.conclude(b, False, 10.5)
    assert not address_changes.conclude(b, False, 10.5), "a result counts once"


def test_an_answer_of_the_old_address_keeps_the_name_for_a_while() -> None:
    address_changes = new_address_changes()
    b = held(NodeStatus.ALIVE)
    address_changes.decide(b, ELSEWHERE, 10.0)
    assert not address_changes.conclude(b, True, 10.5)
    assert AddressDecision.REFUSE is address_changes.decide(b, ELSEWHERE, 13.4)
    assert not address_changes.conclude(b, False, 13.4), "a late result of another question"
    assert AddressDecision.PROBE is address_changes.decide(b, ELSEWHERE, 13.5)


def test_silence_means_nothing_if_the_record_changed_meanwhile() -> None:
    address_changes = new_address_changes()
    b = held(NodeStatus.ALIVE)
    address_changes.decide(b, ELSEWHERE, 10.0)
    b.move(ip("y"), 1)
    assert not address_changes.conclude(b, False, 10.5)
    address_changes.decide(b, ELSEWHERE, 11.0)
    b.update(incarnation=6)
    assert not address_changes.conclude(b, False, 11.5)
    assert AddressDecision.PROBE is address_changes.decide(b, ELSEWHERE, 11.6)


def test_an_answer_from_one_place_says_nothing_of_another() -> None:
    address_changes = new_address_changes()
    b = held(NodeStatus.ALIVE)
    address_changes.decide(b, ELSEWHERE, 10.0)
    address_changes.conclude(b, True, 10.5)
    b.move(ip("y"), 1)
    assert AddressDecision.PROBE is address_changes.decide(b, ELSEWHERE, 10.6)


def test_a_reclaim_time_that_was_set_is_waited_for_but_the_old_address_is_asked() -> None:
    address_changes = new_address_changes(dead_node_reclaim_time=10.0)
    b = held(NodeStatus.DEAD, changed_at=100.0)
    assert AddressDecision.PROBE is address_changes.decide(b, ELSEWHERE, 109.9)
    assert AddressDecision.ACCEPT is address_changes.decide(b, ELSEWHERE, 110.0)
    assert AddressDecision.ACCEPT is address_changes.decide(
        held(NodeStatus.LEFT, 100.0), ELSEWHERE, 100.0
    )


@pytest.mark.parametrize(
    ("status", "reclaim", "age", "move"),
    [
        (NodeStatus.LEFT, 0.0, 0.0, AddressDecision.ACCEPT),
        (NodeStatus.DEAD, 0.0, 1000.0, AddressDecision.REFUSE),
        (NodeStatus.DEAD, 10.0, 10.0, AddressDecision.REFUSE),
        (NodeStatus.DEAD, 10.0, 10.1, AddressDecision.ACCEPT),
        (NodeStatus.ALIVE, 10.0, 1000.0, AddressDecision.REFUSE),
        (NodeStatus.SUSPECT, 10.0, 1000.0, AddressDecision.REFUSE),
    ],
)
def test_as_in_go_the_dead_keep_their_name_unless_a_reclaim_time_is_over(
    status: NodeStatus, reclaim: float, age: float, move: AddressDecision
) -> None:
    address_changes = new_address_changes(dead_node_reclaim_time=reclaim, faithful_go=True)
    assert move is address_changes.decide(held(status, 100.0), ELSEWHERE, 100.0 + age)


def test_a_claim_from_a_former_address_must_be_newer_than_what_was_known_there() -> None:
    address_changes = new_address_changes()
    b = held(NodeStatus.ALIVE)
    address_changes.remember(b)
    b.move(ip("x"), 7946)
    b.update(incarnation=1, status=NodeStatus.DEAD)
    assert AddressDecision.STALE is address_changes.decide(b, alive("b", 5), 0.0)
    assert AddressDecision.ACCEPT is address_changes.decide(b, alive("b", 6), 0.0)
    assert AddressDecision.ACCEPT is address_changes.decide(b, alive("b", 1, port=1), 0.0)
    address_changes.forget("b")
    assert AddressDecision.ACCEPT is address_changes.decide(b, alive("b", 5), 0.0)


def test_what_was_reached_at_an_address_is_never_forgotten_by_coming_back_lower() -> None:
    address_changes = new_address_changes()
    b = held(NodeStatus.ALIVE)
    assert 5 == address_changes.reached(b, alive("b"))
    assert 0 == address_changes.reached(b, ELSEWHERE)
    address_changes.remember(b)
    b.update(incarnation=2)
    address_changes.remember(b)
    b.move(ip("x"), 7946)
    assert 5 == address_changes.reached(b, alive("b"))
    assert 0 == address_changes.reached(b, alive("b", addr=ip("y")))
    assert 2 == address_changes.reached(b, ELSEWHERE)


def test_only_so_many_former_addresses_are_remembered() -> None:
    address_changes = new_address_changes()
    b = held(NodeStatus.ALIVE)
    for port in range(1, FORMER_ADDRESSES + 2):
        b.move(ip("b"), port)
        address_changes.remember(b)
    b.move(ip("b"), 99)
    assert 0 == address_changes.reached(b, alive("b", port=1))
    assert 5 == address_changes.reached(b, alive("b", port=2))
