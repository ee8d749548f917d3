"""Removing members by command, pruning, and reaping."""

from __future__ import annotations

import pytest

from trioserf._cluster.effects import Broadcast, Prune
from trioserf._cluster.members import MemberRegistry
from trioserf._events import EventType, Member, MemberStatus, SerfState
from trioserf._wire.serf_messages import JoinIntent, LeaveIntent, decode_serf

from .samples import OWN, config, happenings, node, warnings
from .test_members import ALIVE, FAILED, JOIN, LEAVE, REAP, registry_with


def test_a_failed_node_that_is_removed_counts_as_left() -> None:
    """Checklist 49, 50, the rule."""
    registry = MemberRegistry(OWN, config())
    registry.clock.increment()
    registry.on_node_join(node("third"), 0.0)
    told = registry.on_node_join(node("foo"), 0.0)
    told += registry.on_node_leave(node("foo"), 1.0)
    queued, effects = registry.leave_intent("foo", 2.0, serf_state=ALIVE)
    assert queued
    assert [(JOIN, "foo"), (FAILED, "foo"), (LEAVE, "foo")] == happenings(told + effects)
    broadcast = effects[-1]
    assert isinstance(broadcast, Broadcast)
    assert LeaveIntent(1, "foo", False) == decode_serf(broadcast.message)


def test_the_time_of_leaving_stays_the_time_of_the_failure() -> None:
    registry = MemberRegistry(OWN, config(tombstone_timeout=10.0))
    registry.on_node_join(node("foo"), 0.0)
    registry.on_node_leave(node("foo"), 1.0)
    registry.clock.increment()
    registry.leave_intent("foo", 9.0, serf_state=ALIVE)
    assert [] == registry.reap(11.0)
    assert [(REAP, "foo")] == happenings(registry.reap(11.1))


def test_removing_an_unknown_name_on_a_lone_node_succeeds() -> None:
    """Checklist 51."""
    registry = MemberRegistry(OWN, config())
    registry.on_node_join(node(OWN), 0.0)
    assert (False, []) == registry.leave_intent("foo", 0.0, serf_state=ALIVE)
    assert 0 == registry.intents.lookup("foo", "leave")


def test_removing_this_node_is_refuted_at_once() -> None:
    registry = MemberRegistry(OWN, config())
    registry.on_node_join(node(OWN), 0.0)
    registry.on_node_join(node("foo"), 0.0)
    registry.clock.increment()
    queued, effects = registry.leave_intent(OWN, 0.0, serf_state=ALIVE)
    assert queued
    messages = [decode_serf(one.message) for one in effects if isinstance(one, Broadcast)]
    assert [JoinIntent(2, OWN), LeaveIntent(1, OWN, False)] == messages
    assert registry.local_member.status is MemberStatus.ALIVE


@pytest.mark.parametrize("status", [MemberStatus.FAILED, MemberStatus.LEFT])
def test_pruning_a_member_that_is_down_forgets_it_at_once(status: MemberStatus) -> None:
    """Checklist 52, 53."""
    registry = registry_with("foo", status)
    again, effects = registry.on_leave_intent(LeaveIntent(20, "foo", True), 0.0, serf_state=ALIVE)
    assert again
    assert (REAP, "foo") == happenings(effects)[-1]
    assert registry.get("foo") is None
    assert registry.num_failed == registry.num_left == 0


@pytest.mark.parametrize("status", [MemberStatus.ALIVE, MemberStatus.LEAVING])
def test_pruning_a_member_that_is_up_gives_it_time_to_leave(status: MemberStatus) -> None:
    """Checklist 53."""
    registry = registry_with("foo", status)
    again, effects = registry.on_leave_intent(LeaveIntent(20, "foo", True), 0.0, serf_state=ALIVE)
    assert again
    (prune,) = effects
    assert isinstance(prune, Prune)
    assert "foo" == prune.name
    registry.on_node_leave(node("foo"), 1.0)
    assert [(REAP, "foo")] == happenings(registry.finish_prune(prune))
    assert registry.get("foo") is None


def test_pruning_a_member_that_stays_leaving_forgets_it() -> None:
    registry = registry_with("foo", MemberStatus.LEAVING)
    _, (prune,) = registry.on_leave_intent(LeaveIntent(20, "foo", True), 0.0, serf_state=ALIVE)
    assert isinstance(prune, Prune)
    assert [(REAP, "foo")] == happenings(registry.finish_prune(prune))


def test_pruning_a_leaving_member_that_refutes_keeps_it() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    _, (prune,) = registry.on_leave_intent(LeaveIntent(20, "foo", True), 0.0, serf_state=ALIVE)
    assert isinstance(prune, Prune)
    registry.on_join_intent(JoinIntent(21, "foo"), 1.0)
    assert [] == registry.finish_prune(prune)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.ALIVE


def test_a_second_prune_during_the_wait_starts_no_second_wait() -> None:
    registry = registry_with("foo", MemberStatus.LEAVING)
    _, (prune,) = registry.on_leave_intent(LeaveIntent(20, "foo", True), 0.0, serf_state=ALIVE)
    assert isinstance(prune, Prune)
    again = registry.on_leave_intent(LeaveIntent(21, "foo", True), 0.0, serf_state=ALIVE)
    assert (True, []) == again
    registry.on_join_intent(JoinIntent(22, "foo"), 1.0)
    registry.finish_prune(prune)
    # The next prune may wait anew.
    _, effects = registry.on_leave_intent(LeaveIntent(23, "foo", True), 2.0, serf_state=ALIVE)
    assert 1 == len(effects)


def test_the_end_of_a_wait_leaves_a_later_record_alone() -> None:
    registry = registry_with("foo", MemberStatus.LEAVING)
    _, (prune,) = registry.on_leave_intent(LeaveIntent(20, "foo", True), 0.0, serf_state=ALIVE)
    assert isinstance(prune, Prune)
    registry.erase("foo")
    assert [] == registry.finish_prune(prune)
    registry.on_node_join(node("foo"), 1.0)
    registry.on_leave_intent(LeaveIntent(30, "foo", False), 1.0, serf_state=ALIVE)
    assert [] == registry.finish_prune(prune)
    assert registry.get("foo") is not None


def test_a_pruned_name_is_passed_on_once_more() -> None:
    registry = registry_with("foo", MemberStatus.LEFT)
    leave = LeaveIntent(20, "foo", True)
    again, _ = registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    assert again
    assert (True, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    assert (False, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)


# --- reaping


def test_the_reaper_forgets_old_tombstones_and_old_intents() -> None:
    """Checklist 66, 68."""
    registry = MemberRegistry(OWN, config(tombstone_timeout=6.0, recent_intent_timeout=7.0))
    for name, left_at in [("now", 10.0), ("5 s", 5.0), ("10 s", 0.0)]:
        registry.on_leave_intent(LeaveIntent(1, name, False), left_at, serf_state=ALIVE)
        registry.on_node_join(node(name), left_at)
        registry.on_node_leave(node(name), left_at)
    registry.on_join_intent(JoinIntent(1, "old"), 0.0)
    registry.on_join_intent(JoinIntent(1, "new"), 10.0)
    assert [(REAP, "10 s")] == happenings(registry.reap(10.0))
    assert ["now", "5 s"] == [one.name for one in registry.left()]
    assert registry.intents.lookup("old", "join") is None
    assert 1 == registry.intents.lookup("new", "join")


def test_failed_members_have_a_timeout_of_their_own() -> None:
    """Checklist 38, the rule."""
    registry = MemberRegistry(OWN, config(reconnect_timeout=1.0, tombstone_timeout=5.0))
    told = registry.on_node_join(node("foo"), 0.0)
    told += registry.on_node_leave(node("foo"), 1.0)
    told += registry.reap(2.0)
    assert 1 == registry.num_failed
    told += registry.reap(2.1)
    assert ["EventMemberReap: foo 10.0.0.1"] == warnings(told)
    assert [(JOIN, "foo"), (FAILED, "foo"), (REAP, "foo")] == happenings(told)
    assert 0 == registry.num_members


def test_the_override_is_asked_for_failed_and_for_left_members() -> None:
    """Checklist 48."""
    asked: list[tuple[str, float]] = []

    def override(member: Member, timeout: float) -> float:
        asked.append((member.name, timeout))
        return 0.000001

    registry = MemberRegistry(
        OWN,
        config(reconnect_timeout=30.0, tombstone_timeout=40.0, reconnect_timeout_override=override),
    )
    for name in ("failed", "left"):
        registry.on_node_join(node(name), 0.0)
    registry.on_leave_intent(LeaveIntent(1, "left", False), 0.0, serf_state=ALIVE)
    for name in ("failed", "left"):
        registry.on_node_leave(node(name), 1.0)
    reaped = happenings(registry.reap(2.0))
    assert [(EventType.MEMBER_REAP, "failed"), (EventType.MEMBER_REAP, "left")] == reaped
    assert [("failed", 30.0), ("left", 40.0)] == asked


def test_a_node_that_left_and_was_reaped_is_told_to_nobody() -> None:
    """Checklist 22, the rule."""
    registry = registry_with("foo", MemberStatus.LEFT)
    registry.reap(1e6)
    assert {OWN: 0} == registry.status_ltimes()
    assert () == registry.left()


def test_prune_waits_also_when_this_node_leaves() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    queued, effects = registry.leave_intent("foo", 0.0, serf_state=SerfState.LEAVING, prune=True)
    assert queued, "the other member was alive, and must hear of it"
    assert [Prune, Broadcast] == [type(effect) for effect in effects]
