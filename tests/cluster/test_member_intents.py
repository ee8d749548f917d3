"""Intents about members, and about names that are not members yet."""

from __future__ import annotations

import pytest

from trioserf._cluster.effects import SendTo
from trioserf._cluster.members import MemberRegistry
from trioserf._events import MemberEvent, MemberStatus
from trioserf._wire.serf_messages import JoinIntent, LeaveIntent, encode_serf

from .samples import OWN, config, node, published
from .test_members import ALIVE, registry_with


def test_a_stored_join_intent_gives_a_new_node_its_status_time() -> None:
    """Checklist 54, 25."""
    registry = MemberRegistry(OWN, config())
    assert (True, []) == registry.on_join_intent(JoinIntent(5, "foo"), 0.0)
    registry.on_node_join(node("foo"), 1.0)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.ALIVE
    assert 5 == registry.status_ltime("foo")


def test_a_stored_leave_intent_makes_a_new_node_leaving() -> None:
    """Checklist 55."""
    registry = MemberRegistry(OWN, config())
    registry.on_join_intent(JoinIntent(5, "foo"), 0.0)
    registry.on_leave_intent(LeaveIntent(6, "foo", False), 0.0, serf_state=ALIVE)
    effects = registry.on_node_join(node("foo"), 1.0)
    (event,) = published(effects)
    assert isinstance(event, MemberEvent)
    assert event.members[0].status is MemberStatus.LEAVING
    assert 6 == registry.status_ltime("foo")
    assert not registry.others_alive()


def test_who_joins_as_leaving_is_told() -> None:
    for faithful in (False, True):
        registry = MemberRegistry(OWN, config(faithful=faithful))
        registry.on_leave_intent(LeaveIntent(6, "foo", False), 0.0, serf_state=ALIVE)
        effects = registry.on_node_join(node("foo"), 1.0)
        told = [effect.message for effect in effects if isinstance(effect, SendTo)]
        assert ([] if faithful else [encode_serf(LeaveIntent(6, "foo", False))]) == told


@pytest.mark.parametrize("faithful", [False, True])
def test_a_leave_as_new_as_the_own_join_is_refuted(faithful: bool) -> None:
    registry = MemberRegistry(OWN, config(faithful=faithful))
    registry.on_node_join(node(OWN), 0.0)
    registry.on_join_intent(JoinIntent(5, OWN), 0.0)
    _, effects = registry.on_leave_intent(LeaveIntent(5, OWN, False), 1.0, serf_state=ALIVE)
    assert (0 if faithful else 1) == len(effects)
    assert (5 if faithful else 6) == registry.status_ltime(OWN)
    _, effects = registry.on_leave_intent(LeaveIntent(5, OWN, False), 2.0, serf_state=ALIVE)
    assert [] == effects


@pytest.mark.parametrize("kind", ["join", "leave"])
def test_a_stored_intent_is_used_once(kind: str) -> None:
    registry = MemberRegistry(OWN, config())
    if kind == "join":
        registry.on_join_intent(JoinIntent(5, "foo"), 0.0)
    else:
        registry.on_leave_intent(LeaveIntent(5, "foo", False), 0.0, serf_state=ALIVE)
    registry.on_node_join(node("foo"), 1.0)
    registry.erase("foo")
    registry.on_node_join(node("foo"), 2.0)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.ALIVE
    assert 0 == registry.status_ltime("foo")


def test_go_uses_a_stored_intent_as_often_as_the_node_appears() -> None:
    registry = MemberRegistry(OWN, config(faithful=True))
    registry.on_leave_intent(LeaveIntent(5, "foo", False), 0.0, serf_state=ALIVE)
    registry.on_node_join(node("foo"), 1.0)
    registry.erase("foo")
    registry.on_node_join(node("foo"), 2.0)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.LEAVING


def test_a_leave_of_an_unknown_node_is_passed_on_once() -> None:
    """Checklist 56."""
    registry = MemberRegistry(OWN, config())
    leave = LeaveIntent(10, "foo", False)
    assert (True, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    assert 10 == registry.intents.lookup("foo", "leave")
    assert (False, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    assert 11 == registry.clock.time


def test_a_join_of_an_unknown_node_is_passed_on_once() -> None:
    """Checklist 59."""
    registry = MemberRegistry(OWN, config())
    assert (True, []) == registry.on_join_intent(JoinIntent(10, "foo"), 0.0)
    assert 10 == registry.intents.lookup("foo", "join")
    assert (False, []) == registry.on_join_intent(JoinIntent(10, "foo"), 0.0)


def test_an_old_leave_changes_nothing() -> None:
    """Checklist 57."""
    registry = registry_with("foo", MemberStatus.ALIVE)
    for ltime in (10, 12):
        leave = LeaveIntent(ltime, "foo", False)
        assert (False, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    assert 0 == len(registry.intents)
    assert 12 == registry.status_ltime("foo")


def test_a_newer_leave_makes_an_alive_member_leaving() -> None:
    """Checklist 58, 42."""
    registry = registry_with("foo", MemberStatus.ALIVE)
    leave = LeaveIntent(14, "foo", False)
    assert (True, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.LEAVING
    assert 0 == len(registry.intents)
    assert 15 == registry.clock.time


def test_an_old_join_changes_nothing() -> None:
    """Checklist 60."""
    registry = registry_with("foo", MemberStatus.ALIVE)
    assert (False, []) == registry.on_join_intent(JoinIntent(10, "foo"), 0.0)
    assert 0 == len(registry.intents)
    assert 12 == registry.status_ltime("foo")


def test_a_newer_join_is_passed_on() -> None:
    """Checklist 61."""
    registry = registry_with("foo", MemberStatus.ALIVE)
    assert (True, []) == registry.on_join_intent(JoinIntent(14, "foo"), 0.0)
    assert 14 == registry.status_ltime("foo")
    assert 15 == registry.clock.time


def test_a_newer_join_ends_leaving() -> None:
    """Checklist 62."""
    registry = registry_with("foo", MemberStatus.LEAVING)
    assert (True, []) == registry.on_join_intent(JoinIntent(14, "foo"), 0.0)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.ALIVE
    assert 14 == registry.status_ltime("foo")
    assert 15 == registry.clock.time


def test_two_leaves_do_not_keep_each_other_alive() -> None:
    """Checklist 45, the rule: each leave is news once, also for a member that left."""
    registry = registry_with("foo", MemberStatus.LEFT)
    for ltime, news in [(20, True), (20, False), (19, False), (21, True), (20, False)]:
        leave = LeaveIntent(ltime, "foo", False)
        assert (news, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
