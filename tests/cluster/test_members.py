"""What moves a member from one status to another, and what is told about it."""

from __future__ import annotations

from typing import Any

import pytest

from trioserf._cluster.effects import Broadcast, Count, NodeForgotten
from trioserf._cluster.members import MemberRegistry
from trioserf._events import EventType, MemberEvent, MemberStatus, SerfState
from trioserf._wire.serf_messages import JoinIntent, LeaveIntent, decode_serf

from .samples import OWN, config, happenings, node, published, warnings

JOIN, LEAVE, FAILED, UPDATE, REAP = (
    EventType.MEMBER_JOIN,
    EventType.MEMBER_LEAVE,
    EventType.MEMBER_FAILED,
    EventType.MEMBER_UPDATE,
    EventType.MEMBER_REAP,
)
ALIVE = SerfState.ALIVE


def registry_with(name: str, status: MemberStatus, **fields: Any) -> MemberRegistry:
    """A registry in which ``name`` was driven to ``status``, its status time being 12."""
    registry = MemberRegistry(OWN, config(**fields))
    registry.on_node_join(node(OWN), 0.0)
    registry.on_node_join(node(name), 0.0)
    registry.on_join_intent(JoinIntent(12, name), 0.0)
    if status in (MemberStatus.LEAVING, MemberStatus.LEFT):
        registry.on_leave_intent(LeaveIntent(13, name, False), 0.0, serf_state=ALIVE)
    if status in (MemberStatus.LEFT, MemberStatus.FAILED):
        registry.on_node_leave(node(name), 0.0)
    found = registry.get(name)
    assert found is not None
    assert found.status is status
    return registry


def own_status(registry: MemberRegistry) -> MemberStatus:
    return registry.local_member.status


STATE_TABLE = [
    # from, input, to, events
    ("alive", "memberlist join", "alive", [JOIN]),
    ("alive", "memberlist leave", "failed", [FAILED]),
    ("alive", "leave intent", "leaving", []),
    ("alive", "join intent", "alive", []),
    ("alive", "reap", "alive", []),
    ("alive", "update", "alive", [UPDATE]),
    ("leaving", "memberlist join", "alive", [JOIN]),
    ("leaving", "memberlist leave", "left", [LEAVE]),
    ("leaving", "leave intent", "leaving", []),
    ("leaving", "join intent", "alive", []),
    ("leaving", "reap", "leaving", []),
    ("leaving", "update", "leaving", [UPDATE]),
    ("left", "memberlist join", "alive", [JOIN]),
    ("left", "memberlist leave", "left", []),
    ("left", "leave intent", "left", []),
    ("left", "join intent", "left", []),
    ("left", "reap", None, [REAP]),
    ("left", "update", "left", [UPDATE]),
    ("failed", "memberlist join", "alive", [JOIN]),
    ("failed", "memberlist leave", "failed", []),
    ("failed", "leave intent", "left", [LEAVE]),
    ("failed", "join intent", "failed", []),
    ("failed", "reap", None, [REAP]),
    ("failed", "update", "failed", [UPDATE]),
]


@pytest.mark.parametrize(("start", "stimulus", "end", "events"), STATE_TABLE)
def test_the_state_table(
    start: str, stimulus: str, end: str | None, events: list[EventType]
) -> None:
    registry = registry_with("foo", MemberStatus[start.upper()])
    again = True
    match stimulus:
        case "memberlist join":
            effects = registry.on_node_join(node("foo"), 1.0)
        case "memberlist leave":
            effects = registry.on_node_leave(node("foo"), 1.0)
        case "leave intent":
            again, effects = registry.on_leave_intent(
                LeaveIntent(14, "foo", False), 1.0, serf_state=ALIVE
            )
        case "join intent":
            again, effects = registry.on_join_intent(JoinIntent(14, "foo"), 1.0)
        case "reap":
            effects = registry.reap(1e6)
        case _:
            effects = registry.on_node_update(node("foo", {"a": "b"}), 1.0)
    assert again
    assert [(event, "foo") for event in events] == happenings(effects)
    found = registry.get("foo")
    assert end == (None if found is None else str(found.status))
    assert (end == "failed") == registry.num_failed
    assert (end == "left") == registry.num_left
    if "intent" in stimulus:
        assert 14 == registry.status_ltime("foo")


@pytest.mark.parametrize("status", ["left", "failed"])
def test_memberlist_cannot_take_down_what_is_down(status: str) -> None:
    registry = registry_with("foo", MemberStatus[status.upper()])
    effects = registry.on_node_leave(node("foo"), 1.0)
    assert [f"Bad state when leave: {status} (foo)"] == warnings(effects)


def test_memberlist_news_of_unknown_nodes_is_ignored() -> None:
    registry = MemberRegistry(OWN, config())
    assert [] == registry.on_node_leave(node("foo"), 0.0)
    assert [] == registry.on_node_update(node("foo"), 0.0)
    assert () == registry.members()


def test_a_member_shows_what_memberlist_says_of_it() -> None:
    registry = MemberRegistry(OWN, config())
    seen = node("foo", {"role": "web"}, addr=bytes(10) + b"\xff\xff\x01\x02\x03\x04", port=80)
    effects = registry.on_node_join(seen, 0.0)
    found = registry.get("foo")
    assert found is not None
    assert "1.2.3.4" == str(found.addr)
    assert 80 == found.port
    assert {"role": "web"} == dict(found.tags)
    assert [1, 5, 2] == [found.protocol_min, found.protocol_max, found.protocol_cur]
    assert [2, 5, 4] == [found.delegate_min, found.delegate_max, found.delegate_cur]
    assert [MemberEvent(JOIN, (found,))] == published(effects)
    assert Count("serf.member.join") in effects


def test_a_member_that_returns_with_another_role_shows_it() -> None:
    """Checklist 17, the rule."""
    registry = registry_with("foo", MemberStatus.LEFT)
    registry.on_node_join(node("foo", {"role": "bar"}), 1.0)
    found = registry.get("foo")
    assert found is not None
    assert {"role": "bar"} == dict(found.tags)
    assert 0 == registry.num_left


def test_a_return_keeps_the_status_time() -> None:
    registry = registry_with("foo", MemberStatus.FAILED)
    registry.on_node_join(node("foo"), 1.0)
    assert 12 == registry.status_ltime("foo")


def test_a_short_failure_is_counted_as_a_flap() -> None:
    registry = registry_with("foo", MemberStatus.FAILED, flap_timeout=60.0)
    assert Count("serf.member.flap") in registry.on_node_join(node("foo"), 59.9)
    registry.on_node_leave(node("foo"), 100.0)
    assert Count("serf.member.flap") not in registry.on_node_join(node("foo"), 160.0)


def test_a_return_after_leaving_is_no_flap() -> None:
    registry = registry_with("foo", MemberStatus.LEFT)
    assert Count("serf.member.flap") not in registry.on_node_join(node("foo"), 1.0)


def test_going_down_is_counted_by_its_kind() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    assert Count("serf.member.failed") in registry.on_node_leave(node("foo"), 1.0)
    registry = registry_with("foo", MemberStatus.LEAVING)
    assert Count("serf.member.left") in registry.on_node_leave(node("foo"), 1.0)


def test_broken_metadata_keeps_what_could_be_read() -> None:
    registry = MemberRegistry(OWN, config())
    broken = node("foo", {"role": "web"})
    broken.meta = b"\xff\x82" + broken.meta[2:]
    effects = registry.on_node_join(broken, 0.0)
    found = registry.get("foo")
    assert found is not None
    assert {"role": "web"} == dict(found.tags)
    assert ["Failed to decode tags of foo: kept what could be read"] == warnings(effects)
    assert warnings(effects) == warnings(registry.on_node_update(broken, 0.0))


def test_an_update_that_changes_nothing_is_no_event() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    before = registry.members()
    assert [] == registry.on_node_update(node("foo"), 1.0)
    assert registry.members() is before


def test_go_tells_of_an_update_that_changes_nothing() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE, faithful=True)
    assert [(UPDATE, "foo")] == happenings(registry.on_node_update(node("foo"), 1.0))


# --- this node


def test_a_leave_of_this_node_is_refuted_while_it_is_alive() -> None:
    registry = MemberRegistry(OWN, config())
    registry.on_node_join(node(OWN), 0.0)
    again, effects = registry.on_leave_intent(LeaveIntent(7, OWN, True), 0.0, serf_state=ALIVE)
    assert not again
    (queued,) = effects
    assert isinstance(queued, Broadcast)
    assert JoinIntent(8, OWN) == decode_serf(queued.message)
    assert ("intent", True, OWN, 8) == (queued.queue, queued.local, queued.name, queued.ltime)
    assert own_status(registry) is MemberStatus.ALIVE
    assert 9 == registry.clock.time


def test_a_leave_of_this_node_is_taken_while_it_leaves() -> None:
    registry = MemberRegistry(OWN, config())
    registry.on_node_join(node(OWN), 0.0)
    leave = LeaveIntent(7, OWN, False)
    assert (True, []) == registry.on_leave_intent(leave, 0.0, serf_state=SerfState.LEAVING)
    assert own_status(registry) is MemberStatus.LEAVING


def test_announcing_this_node_uses_the_clock_and_moves_it() -> None:
    """Checklist 42: the first announcement has status time 1."""
    registry = MemberRegistry(OWN, config())
    registry.clock.increment()
    registry.on_node_join(node(OWN), 0.0)
    (queued,) = registry.join_intent(0.0)
    assert isinstance(queued, Broadcast)
    assert JoinIntent(1, OWN) == decode_serf(queued.message)
    assert 1 == registry.status_ltime(OWN)
    assert 2 == registry.clock.time


def test_leaving_alone_tells_nobody() -> None:
    registry = MemberRegistry(OWN, config())
    registry.clock.increment()
    registry.on_node_join(node(OWN), 0.0)
    queued, effects = registry.leave_intent(OWN, 0.0, serf_state=SerfState.LEAVING)
    assert not queued
    assert [] == effects
    assert own_status(registry) is MemberStatus.LEAVING
    assert 2 == registry.clock.time
    assert [(LEAVE, OWN)] == happenings(registry.on_node_leave(node(OWN), 1.0))
    assert own_status(registry) is MemberStatus.LEFT


def test_leaving_tells_the_others_and_gives_notice() -> None:
    registry = MemberRegistry(OWN, config())
    registry.clock.increment()
    registry.on_node_join(node(OWN), 0.0)
    registry.on_node_join(node("foo"), 0.0)
    notices: list[bool] = []
    queued, effects = registry.leave_intent(
        OWN, 0.0, serf_state=SerfState.LEAVING, on_finished=lambda: notices.append(True)
    )
    assert queued
    (effect,) = effects
    assert isinstance(effect, Broadcast)
    assert LeaveIntent(1, OWN, False) == decode_serf(effect.message)
    assert effect.on_finished is not None
    effect.on_finished()
    assert [True] == notices


def test_the_own_record_outlives_its_reaping() -> None:
    """Checklist 40, the rule."""
    registry = MemberRegistry(OWN, config(tags={"role": "web"}))
    assert OWN == registry.local_member.name
    assert {"role": "web"} == dict(registry.local_member.tags)
    assert own_status(registry) is MemberStatus.NONE
    registry.clock.increment()
    registry.on_node_join(node(OWN, {"role": "web"}), 0.0)
    registry.leave_intent(OWN, 0.0, serf_state=SerfState.LEAVING)
    registry.on_node_leave(node(OWN), 0.0)
    assert [(REAP, OWN)] == happenings(registry.reap(1e6))
    assert 0 == registry.num_members
    assert () == registry.members()
    assert own_status(registry) is MemberStatus.LEFT
    assert 7946 == registry.local_member.port


def test_local_member_shows_new_tags_at_once() -> None:
    """Checklist 19, the rule."""
    registry = MemberRegistry(OWN, config())
    registry.on_node_join(node(OWN), 0.0)
    registry.on_node_update(node(OWN, {"a": "b"}), 0.0)
    assert {"a": "b"} == dict(registry.local_member.tags)
    assert own_status(registry) is MemberStatus.ALIVE


# --- reads


def test_numbers_and_lists() -> None:
    """Checklist 47, the rule."""
    registry = registry_with("foo", MemberStatus.FAILED)
    assert 2 == registry.num_members
    assert ["foo", OWN] == [one.name for one in registry.members()]
    assert ["foo"] == [one.name for one in registry.failed()]
    assert () == registry.left()
    assert {"foo": 12, OWN: 0} == registry.status_ltimes()
    assert 0 == registry.status_ltime("nobody")
    assert registry.get("nobody") is None


def test_only_other_alive_members_count_as_others() -> None:
    registry = MemberRegistry(OWN, config())
    registry.on_node_join(node(OWN), 0.0)
    assert not registry.others_alive()
    registry.on_node_join(node("foo"), 0.0)
    assert registry.others_alive()
    registry.on_node_leave(node("foo"), 0.0)
    assert not registry.others_alive()


def test_newer_lists_unknown_names_and_higher_times() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    ltimes = {"foo": 12, OWN: 1, "new": 0}
    assert [(OWN, 1), ("new", 0)] == registry.newer(ltimes)


def test_forgetting_drops_what_is_cached() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    effects = registry.erase("foo")
    assert NodeForgotten("foo") == effects[0]
    assert [(REAP, "foo")] == happenings(effects)
    assert [] == registry.erase("foo")
