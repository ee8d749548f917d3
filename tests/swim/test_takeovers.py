from __future__ import annotations

from typing import Any

import pytest

from trioserf._memberlist_config import MemberlistConfig
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.takeovers import FORMER_ADDRESSES, Move, Takeovers

from .builders import alive, ip, node


def new_takeovers(**config: Any) -> Takeovers:
    return Takeovers(MemberlistConfig(name="a", probe_interval=1.0, probe_timeout=0.5, **config))


def held(status: NodeStatus, changed_at: float = 0.0) -> Node:
    return node("b", status=status, incarnation=5, changed_at=changed_at)


ELSEWHERE = alive("b", 1, addr=ip("x"))


@pytest.mark.parametrize("status", [NodeStatus.DEAD, NodeStatus.LEFT])
def test_a_name_that_is_gone_moves_at_once(status: NodeStatus) -> None:
    assert Move.ACCEPT is new_takeovers().decide(held(status), ELSEWHERE, 0.0)


@pytest.mark.parametrize("status", [NodeStatus.ALIVE, NodeStatus.SUSPECT])
def test_a_live_name_is_challenged_once(status: NodeStatus) -> None:
    takeovers = new_takeovers()
    b = held(status)
    assert Move.CHALLENGE is takeovers.decide(b, ELSEWHERE, 10.0)
    assert Move.WAIT is takeovers.decide(b, ELSEWHERE, 10.1)
    assert Move.WAIT is takeovers.decide(b, alive("b", 9, addr=ip("y")), 10.1)
    assert Move.CHALLENGE is takeovers.decide(b, ELSEWHERE, 12.0), "no result ever came"


def test_silence_of_the_old_address_yields_the_name() -> None:
    takeovers = new_takeovers()
    b = held(NodeStatus.ALIVE)
    takeovers.decide(b, ELSEWHERE, 10.0)
    assert takeovers.conclude(b, False, 10.5)
    assert not takeovers.conclude(b, False, 10.5), "a result counts once"


def test_an_answer_of_the_old_address_keeps_the_name_for_a_while() -> None:
    takeovers = new_takeovers()
    b = held(NodeStatus.ALIVE)
    takeovers.decide(b, ELSEWHERE, 10.0)
    assert not takeovers.conclude(b, True, 10.5)
    assert Move.REFUSE is takeovers.decide(b, ELSEWHERE, 13.4)
    assert not takeovers.conclude(b, False, 13.4), "a late result of another question"
    assert Move.CHALLENGE is takeovers.decide(b, ELSEWHERE, 13.5)


def test_silence_means_nothing_if_the_record_changed_meanwhile() -> None:
    takeovers = new_takeovers()
    b = held(NodeStatus.ALIVE)
    takeovers.decide(b, ELSEWHERE, 10.0)
    b.move(ip("y"), 1)
    assert not takeovers.conclude(b, False, 10.5)
    takeovers.decide(b, ELSEWHERE, 11.0)
    b.update(incarnation=6)
    assert not takeovers.conclude(b, False, 11.5)
    assert Move.CHALLENGE is takeovers.decide(b, ELSEWHERE, 11.6)


def test_an_answer_from_one_place_says_nothing_of_another() -> None:
    takeovers = new_takeovers()
    b = held(NodeStatus.ALIVE)
    takeovers.decide(b, ELSEWHERE, 10.0)
    takeovers.conclude(b, True, 10.5)
    b.move(ip("y"), 1)
    assert Move.CHALLENGE is takeovers.decide(b, ELSEWHERE, 10.6)


def test_a_reclaim_time_that_was_set_is_waited_for_but_the_old_address_is_asked() -> None:
    takeovers = new_takeovers(dead_node_reclaim_time=10.0)
    b = held(NodeStatus.DEAD, changed_at=100.0)
    assert Move.CHALLENGE is takeovers.decide(b, ELSEWHERE, 109.9)
    assert Move.ACCEPT is takeovers.decide(b, ELSEWHERE, 110.0)
    assert Move.ACCEPT is takeovers.decide(held(NodeStatus.LEFT, 100.0), ELSEWHERE, 100.0)


@pytest.mark.parametrize(
    ("status", "reclaim", "age", "move"),
    [
        (NodeStatus.LEFT, 0.0, 0.0, Move.ACCEPT),
        (NodeStatus.DEAD, 0.0, 1000.0, Move.REFUSE),
        (NodeStatus.DEAD, 10.0, 10.0, Move.REFUSE),
        (NodeStatus.DEAD, 10.0, 10.1, Move.ACCEPT),
        (NodeStatus.ALIVE, 10.0, 1000.0, Move.REFUSE),
        (NodeStatus.SUSPECT, 10.0, 1000.0, Move.REFUSE),
    ],
)
def test_as_in_go_the_dead_keep_their_name_unless_a_reclaim_time_is_over(
    status: NodeStatus, reclaim: float, age: float, move: Move
) -> None:
    takeovers = new_takeovers(dead_node_reclaim_time=reclaim, faithful_go=True)
    assert move is takeovers.decide(held(status, 100.0), ELSEWHERE, 100.0 + age)


def test_a_claim_from_a_former_address_must_be_newer_than_what_was_known_there() -> None:
    takeovers = new_takeovers()
    b = held(NodeStatus.ALIVE)
    takeovers.remember(b)
    b.move(ip("x"), 7946)
    b.update(incarnation=1, status=NodeStatus.DEAD)
    assert Move.STALE is takeovers.decide(b, alive("b", 5), 0.0)
    assert Move.ACCEPT is takeovers.decide(b, alive("b", 6), 0.0)
    assert Move.ACCEPT is takeovers.decide(b, alive("b", 1, port=1), 0.0)
    takeovers.forget("b")
    assert Move.ACCEPT is takeovers.decide(b, alive("b", 5), 0.0)


def test_what_was_reached_at_an_address_is_never_forgotten_by_coming_back_lower() -> None:
    takeovers = new_takeovers()
    b = held(NodeStatus.ALIVE)
    assert 5 == takeovers.reached(b, alive("b"))
    assert 0 == takeovers.reached(b, ELSEWHERE)
    takeovers.remember(b)
    b.update(incarnation=2)
    takeovers.remember(b)
    b.move(ip("x"), 7946)
    assert 5 == takeovers.reached(b, alive("b"))
    assert 0 == takeovers.reached(b, alive("b", addr=ip("y")))
    assert 2 == takeovers.reached(b, ELSEWHERE)


def test_only_so_many_former_addresses_are_remembered() -> None:
    takeovers = new_takeovers()
    b = held(NodeStatus.ALIVE)
    for port in range(1, FORMER_ADDRESSES + 2):
        b.move(ip("b"), port)
        takeovers.remember(b)
    b.move(ip("b"), 99)
    assert 0 == takeovers.reached(b, alive("b", port=1))
    assert 5 == takeovers.reached(b, alive("b", port=2))
