"""What moves a member from one status to another, and the events of it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioserf._cluster.effects import Broadcast, Count, Drop, NodeForgotten, Prune, SendTo
from trioserf._cluster.intents import UNKNOWN_BURST
from trioserf._cluster.lamport import EPOCH, LIMIT, REFUSED
from trioserf._cluster.member_record import MAX_NEVER_REACHED
from trioserf._cluster.members import MemberRegistry, send_leave_intent
from trioserf._events import EventType, Member, MemberEvent, MemberStatus, SerfState
from trioserf._wire.serf_messages import JoinIntent, LeaveIntent, decode_serf, encode_serf

from .samples import LOCAL, config, happenings, node, published, stored, warnings

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
    registry = MemberRegistry(config(**fields))
    registry.on_node_join(node(LOCAL), 0.0)
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


def known(registry: MemberRegistry, name: str) -> Member:
    member = registry.get(name)
    assert member is not None
    return member


def local_status(registry: MemberRegistry) -> MemberStatus:
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


def test_memberlist_notifications_about_unknown_nodes_are_ignored() -> None:
    registry = MemberRegistry(config())
    assert [] == registry.on_node_leave(node("foo"), 0.0)
    assert [] == registry.on_node_update(node("foo"), 0.0)
    assert () == registry.members()


def test_a_member_shows_what_memberlist_says_of_it() -> None:
    registry = MemberRegistry(config())
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
    registry = MemberRegistry(config())
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


def test_go_publishes_an_update_that_changes_nothing() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE, faithful=True)
    assert [(UPDATE, "foo")] == happenings(registry.on_node_update(node("foo"), 1.0))


# --- this node


def test_a_leave_of_this_node_is_refuted_while_it_is_alive() -> None:
    registry = MemberRegistry(config())
    registry.on_node_join(node(LOCAL), 0.0)
    again, effects = registry.on_leave_intent(LeaveIntent(7, LOCAL, True), 0.0, serf_state=ALIVE)
    assert not again
    (queued,) = effects
    assert isinstance(queued, Broadcast)
    assert JoinIntent(8, LOCAL) == decode_serf(queued.message)
    assert ("intent", True, LOCAL, 8) == (queued.queue, queued.local, queued.name, queued.ltime)
    assert local_status(registry) is MemberStatus.ALIVE
    assert 9 == registry.clock.time


def test_a_leave_of_this_node_is_taken_while_it_leaves() -> None:
    registry = MemberRegistry(config())
    registry.on_node_join(node(LOCAL), 0.0)
    leave = LeaveIntent(7, LOCAL, False)
    assert (True, []) == registry.on_leave_intent(leave, 0.0, serf_state=SerfState.LEAVING)
    assert local_status(registry) is MemberStatus.LEAVING


def test_announcing_this_node_uses_the_clock_and_moves_it() -> None:
    """Checklist 42: the first announcement has status time 1."""
    registry = MemberRegistry(config())
    registry.clock.increment()
    registry.on_node_join(node(LOCAL), 0.0)
    (queued,) = registry.join_intent(0.0)
    assert isinstance(queued, Broadcast)
    assert JoinIntent(1, LOCAL) == decode_serf(queued.message)
    assert 1 == registry.status_ltime(LOCAL)
    assert 2 == registry.clock.time


def test_a_lone_node_leaves_without_a_broadcast() -> None:
    registry = MemberRegistry(config())
    registry.clock.increment()
    registry.on_node_join(node(LOCAL), 0.0)
    queued, effects = registry.leave_intent(LOCAL, 0.0, serf_state=SerfState.LEAVING)
    assert not queued
    assert [] == effects
    assert local_status(registry) is MemberStatus.LEAVING
    assert 2 == registry.clock.time
    assert [(LEAVE, LOCAL)] == happenings(registry.on_node_leave(node(LOCAL), 1.0))
    assert local_status(registry) is MemberStatus.LEFT


def test_leaving_is_broadcast_and_calls_back_when_sent() -> None:
    registry = MemberRegistry(config())
    registry.clock.increment()
    registry.on_node_join(node(LOCAL), 0.0)
    registry.on_node_join(node("foo"), 0.0)
    notices: list[bool] = []
    queued, effects = registry.leave_intent(
        LOCAL, 0.0, serf_state=SerfState.LEAVING, on_finished=lambda: notices.append(True)
    )
    assert queued
    (effect,) = effects
    assert isinstance(effect, Broadcast)
    assert LeaveIntent(1, LOCAL, False) == decode_serf(effect.message)
    assert effect.on_finished is not None
    effect.on_finished()
    assert [True] == notices


def test_the_local_member_outlives_its_reaping() -> None:
    """Checklist 40, the rule."""
    registry = MemberRegistry(config(tags={"role": "web"}))
    assert LOCAL == registry.local_member.name
    assert {"role": "web"} == dict(registry.local_member.tags)
    assert local_status(registry) is MemberStatus.NONE
    registry.clock.increment()
    registry.on_node_join(node(LOCAL, {"role": "web"}), 0.0)
    registry.leave_intent(LOCAL, 0.0, serf_state=SerfState.LEAVING)
    registry.on_node_leave(node(LOCAL), 0.0)
    assert [(REAP, LOCAL)] == happenings(registry.reap(1e6))
    assert 0 == registry.num_members
    assert () == registry.members()
    assert local_status(registry) is MemberStatus.LEFT
    assert 7946 == registry.local_member.port


def test_local_member_shows_new_tags_at_once() -> None:
    """Checklist 19, the rule."""
    registry = MemberRegistry(config())
    registry.on_node_join(node(LOCAL), 0.0)
    registry.on_node_update(node(LOCAL, {"a": "b"}), 0.0)
    assert {"a": "b"} == dict(registry.local_member.tags)
    assert local_status(registry) is MemberStatus.ALIVE


# --- reads


def test_numbers_and_lists() -> None:
    """Checklist 47, the rule."""
    registry = registry_with("foo", MemberStatus.FAILED)
    assert 2 == registry.num_members
    assert ["foo", LOCAL] == [one.name for one in registry.members()]
    assert ["foo"] == [one.name for one in registry.failed()]
    assert [] == registry.left_names()
    assert {"foo": 12, LOCAL: 0} == registry.status_ltimes()
    assert 0 == registry.status_ltime("nobody")
    assert registry.get("nobody") is None


def test_only_other_alive_members_count_as_others() -> None:
    registry = MemberRegistry(config())
    registry.on_node_join(node(LOCAL), 0.0)
    assert not registry.others_alive()
    registry.on_node_join(node("foo"), 0.0)
    assert registry.others_alive()
    registry.on_node_leave(node("foo"), 0.0)
    assert not registry.others_alive()


def test_times_of_a_peer_are_merged_if_they_are_newer() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    registry.merge_join_intents({"foo": 11, LOCAL: 1, "new": 0, "left": 9}, {"left"}, 0.0)
    assert {"foo": 12, LOCAL: 1} == registry.status_ltimes()
    assert ("join", 0) == stored(registry.intents, "new")
    assert registry.intents.get("left") is None


def test_in_go_the_clock_sees_every_time_of_a_peer() -> None:
    """It shows when the clock has wrapped."""
    for faithful, time in ((True, 7), (False, 3)):
        registry = registry_with("foo", MemberStatus.ALIVE, faithful=faithful)
        registry.on_join_intent(JoinIntent(20, "foo"), 0.0)
        registry.clock.time = 3
        registry.merge_join_intents({"foo": 6}, (), 0.0)
        assert time == registry.clock.time


def test_forgetting_drops_what_is_cached() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    effects = registry.erase("foo")
    assert NodeForgotten("foo") == effects[0]
    assert [(REAP, "foo")] == happenings(effects)
    assert [] == registry.erase("foo")


# --- intents


def test_a_stored_join_intent_gives_a_new_node_its_status_time() -> None:
    """Checklist 54, 25."""
    registry = MemberRegistry(config())
    assert (True, []) == registry.on_join_intent(JoinIntent(5, "foo"), 0.0)
    registry.on_node_join(node("foo"), 1.0)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.ALIVE
    assert 5 == registry.status_ltime("foo")


def test_a_stored_leave_intent_makes_a_new_node_leaving() -> None:
    """Checklist 55."""
    registry = MemberRegistry(config())
    registry.on_join_intent(JoinIntent(5, "foo"), 0.0)
    registry.on_leave_intent(LeaveIntent(6, "foo", False), 0.0, serf_state=ALIVE)
    effects = registry.on_node_join(node("foo"), 1.0)
    (event,) = published(effects)
    assert isinstance(event, MemberEvent)
    assert event.members[0].status is MemberStatus.LEAVING
    assert 6 == registry.status_ltime("foo")
    assert not registry.others_alive()


def test_a_member_that_joins_as_leaving_is_notified() -> None:
    for faithful in (False, True):
        registry = MemberRegistry(config(faithful=faithful))
        registry.on_leave_intent(LeaveIntent(6, "foo", False), 0.0, serf_state=ALIVE)
        effects = registry.on_node_join(node("foo"), 1.0)
        sent = [effect.message for effect in effects if isinstance(effect, SendTo)]
        assert ([] if faithful else [encode_serf(LeaveIntent(6, "foo", False))]) == sent


@pytest.mark.parametrize("faithful", [False, True])
def test_a_leave_as_new_as_the_local_join_is_refuted(faithful: bool) -> None:
    registry = MemberRegistry(config(faithful=faithful))
    registry.on_node_join(node(LOCAL), 0.0)
    registry.on_join_intent(JoinIntent(5, LOCAL), 0.0)
    _, effects = registry.on_leave_intent(LeaveIntent(5, LOCAL, False), 1.0, serf_state=ALIVE)
    assert (0 if faithful else 1) == len(effects)
    assert (5 if faithful else 6) == registry.status_ltime(LOCAL)
    _, effects = registry.on_leave_intent(LeaveIntent(5, LOCAL, False), 2.0, serf_state=ALIVE)
    assert [] == effects


@pytest.mark.parametrize("kind", ["join", "leave"])
def test_a_stored_intent_is_used_once(kind: str) -> None:
    registry = MemberRegistry(config())
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
    registry = MemberRegistry(config(faithful=True))
    registry.on_leave_intent(LeaveIntent(5, "foo", False), 0.0, serf_state=ALIVE)
    registry.on_node_join(node("foo"), 1.0)
    registry.erase("foo")
    registry.on_node_join(node("foo"), 2.0)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.LEAVING


def test_a_leave_of_an_unknown_node_is_rebroadcast_once() -> None:
    """Checklist 56."""
    registry = MemberRegistry(config())
    leave = LeaveIntent(10, "foo", False)
    assert (True, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    assert ("leave", 10) == stored(registry.intents, "foo")
    assert (False, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    assert 11 == registry.clock.time


@pytest.mark.parametrize("faithful", [False, True])
def test_intents_about_unknown_names_are_rate_limited(faithful: bool) -> None:
    """Beyond the limit they are as if they had never come."""
    registry = registry_with("foo", MemberStatus.ALIVE, faithful=faithful)
    joins = range(100, 100 + 2 * UNKNOWN_BURST)
    heard = [registry.on_join_intent(JoinIntent(t, f"nobody-{t}"), 0.0) for t in joins]
    taken = [again for again, _ in heard]
    assert [True] * UNKNOWN_BURST + [faithful] * UNKNOWN_BURST == taken
    assert sum(taken) == len(registry.intents)
    assert 100 + sum(taken) == registry.clock.time, "the clock has not seen the others"
    leave = LeaveIntent(9000, "somebody", True)
    again, effects = registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)
    assert faithful is again
    assert faithful or isinstance(effects[0], Drop)
    # A copy is taken once there is room.
    again, _ = registry.on_leave_intent(attrs.evolve(leave, ltime=9001), 1.0, serf_state=ALIVE)
    assert again


@pytest.mark.parametrize("faithful", [False, True])
def test_an_intent_about_an_impossible_name_is_not_kept(faithful: bool) -> None:
    """No node of such a name is ever entered; a state exchange may bring thousands of them."""
    registry = registry_with("foo", MemberStatus.ALIVE, faithful=faithful)
    for private in (False, True):
        name = f"{private}" + "x" * 1500
        again, _ = registry.on_join_intent(JoinIntent(100, name), 0.0, private=private)
        assert faithful is again
    again, _ = registry.on_leave_intent(LeaveIntent(101, "y" * 1401, False), 0.0, serf_state=ALIVE)
    assert faithful is again
    assert (3 if faithful else 0) == len(registry.intents)


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("leaves", [False, True])
def test_members_that_were_never_reached_are_not_kept_without_bound(
    leaves: bool, faithful: bool
) -> None:
    """Whether they failed or left; those that were reached stay, and so do as many as are alive."""
    registry = registry_with("foo", MemberStatus.FAILED, faithful=faithful)
    count = 3 * MAX_NEVER_REACHED
    for number in range(count):
        ghost = node(f"ghost-{number}", reached=False)
        registry.on_node_join(ghost, float(number))
        if leaves:
            leave = LeaveIntent(100 + number, ghost.name, False)
            registry.on_leave_intent(leave, float(number), serf_state=ALIVE)
        registry.on_node_leave(ghost, float(number))
    assert count + 2 == registry.num_members
    effects = registry.reap(float(count))
    kept = MAX_NEVER_REACHED + 1  # this node is alive
    assert (count if faithful else kept) + 2 == registry.num_members
    assert faithful or (REAP, "ghost-0") in happenings(effects)
    assert registry.get(f"ghost-{count - 1}") is not None
    assert registry.get("foo") is not None
    assert () == tuple(registry.reap(float(count))), "so many may stay"


def test_intents_of_members_and_of_push_pulls_are_not_rate_limited() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    while registry.intents.take_unknown(0.0):
        pass
    assert (True, []) == registry.on_join_intent(JoinIntent(20, "foo"), 0.0)
    registry.merge_join_intents({"pushed": 7}, (), 0.0)
    assert ("join", 7) == stored(registry.intents, "pushed")
    registry.leave_intent("removed", 0.0, serf_state=ALIVE)
    assert registry.intents.get("removed") is not None


def test_a_join_of_an_unknown_node_is_rebroadcast_once() -> None:
    """Checklist 59."""
    registry = MemberRegistry(config())
    assert (True, []) == registry.on_join_intent(JoinIntent(10, "foo"), 0.0)
    assert ("join", 10) == stored(registry.intents, "foo")
    assert (False, []) == registry.on_join_intent(JoinIntent(10, "foo"), 0.0)


def test_a_stale_leave_changes_nothing() -> None:
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


def test_a_stale_join_changes_nothing() -> None:
    """Checklist 60."""
    registry = registry_with("foo", MemberStatus.ALIVE)
    assert (False, []) == registry.on_join_intent(JoinIntent(10, "foo"), 0.0)
    assert 0 == len(registry.intents)
    assert 12 == registry.status_ltime("foo")


def test_a_newer_join_is_rebroadcast() -> None:
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


def test_two_leaves_are_not_rebroadcast_for_ever() -> None:
    """Checklist 45, the rule: each leave is rebroadcast once, also for a member that left."""
    registry = registry_with("foo", MemberStatus.LEFT)
    for ltime, rebroadcast in [(20, True), (20, False), (19, False), (21, True), (20, False)]:
        leave = LeaveIntent(ltime, "foo", False)
        assert (rebroadcast, []) == registry.on_leave_intent(leave, 0.0, serf_state=ALIVE)


# --- force-leave, pruning and reaping


def test_a_failed_node_that_is_removed_counts_as_left() -> None:
    """Checklist 49, 50, the rule."""
    registry = MemberRegistry(config())
    registry.clock.increment()
    registry.on_node_join(node("third"), 0.0)
    before = registry.on_node_join(node("foo"), 0.0)
    before += registry.on_node_leave(node("foo"), 1.0)
    queued, effects = registry.leave_intent("foo", 2.0, serf_state=ALIVE)
    assert queued
    assert [(JOIN, "foo"), (FAILED, "foo"), (LEAVE, "foo")] == happenings(before + effects)
    broadcast = effects[-1]
    assert isinstance(broadcast, Broadcast)
    assert LeaveIntent(1, "foo", False) == decode_serf(broadcast.message)


def test_the_time_of_leaving_stays_the_time_of_the_failure() -> None:
    registry = MemberRegistry(config(tombstone_timeout=10.0))
    registry.on_node_join(node("foo"), 0.0)
    registry.on_node_leave(node("foo"), 1.0)
    registry.clock.increment()
    registry.leave_intent("foo", 9.0, serf_state=ALIVE)
    assert [] == registry.reap(11.0)
    assert [(REAP, "foo")] == happenings(registry.reap(11.1))


def test_removing_an_unknown_name_on_a_lone_node_succeeds() -> None:
    """Checklist 51."""
    registry = MemberRegistry(config())
    registry.on_node_join(node(LOCAL), 0.0)
    assert (False, []) == registry.leave_intent("foo", 0.0, serf_state=ALIVE)
    assert ("leave", 0) == stored(registry.intents, "foo")


def test_removing_this_node_is_refuted_at_once() -> None:
    registry = MemberRegistry(config())
    registry.on_node_join(node(LOCAL), 0.0)
    registry.on_node_join(node("foo"), 0.0)
    registry.clock.increment()
    queued, effects = registry.leave_intent(LOCAL, 0.0, serf_state=ALIVE)
    assert queued
    messages = [decode_serf(one.message) for one in effects if isinstance(one, Broadcast)]
    assert [JoinIntent(2, LOCAL), LeaveIntent(1, LOCAL, False)] == messages
    assert registry.local_member.status is MemberStatus.ALIVE


@pytest.mark.parametrize("status", [MemberStatus.FAILED, MemberStatus.LEFT])
def test_pruning_a_member_that_is_down_erases_it_at_once(status: MemberStatus) -> None:
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


def test_an_intent_that_this_node_did_not_make_is_outdone() -> None:
    """Peers may list this node as leaving, by a forged leave that it refused."""
    registry = MemberRegistry(config())
    registry.on_node_join(node(LOCAL), 0.0)
    registry.join_intent(0.0)
    assert [] == registry.outdo_forged_intents(1.0)
    registry.merge_join_intents({LOCAL: 500}, (), 2.0)
    (broadcast,) = registry.outdo_forged_intents(2.0)
    assert isinstance(broadcast, Broadcast)
    assert JoinIntent(501, LOCAL) == decode_serf(broadcast.message)
    assert 501 == registry.status_ltime(LOCAL)
    assert [] == registry.outdo_forged_intents(3.0)


def test_a_leave_at_the_edge_of_what_is_plausible_is_refuted() -> None:
    registry = MemberRegistry(config())
    registry.on_node_join(node(LOCAL), 0.0)
    forged = 2 * EPOCH - 1
    _, effects = registry.on_leave_intent(LeaveIntent(forged, LOCAL, False), 0.0, serf_state=ALIVE)
    assert registry.clock.time < forged, "the clock stays where peers can follow"
    (message,) = [decode_serf(one.message) for one in effects if isinstance(one, Broadcast)]
    assert JoinIntent(forged + 1, LOCAL) == message
    assert forged + 1 == registry.status_ltime(LOCAL)
    registry.leave_intent(LOCAL, 1.0, serf_state=SerfState.LEAVING)
    assert forged + 2 == registry.status_ltime(LOCAL)
    assert registry.local_member.status is MemberStatus.LEAVING
    assert registry.clock.time < forged, "nor do the answers move it"


def test_pruning_a_member_that_stays_waits_until_it_is_gone() -> None:
    registry = registry_with("foo", MemberStatus.LEAVING)
    _, (prune,) = registry.on_leave_intent(LeaveIntent(20, "foo", True), 0.0, serf_state=ALIVE)
    assert isinstance(prune, Prune)
    assert [] == registry.finish_prune(prune)
    assert registry.get("foo") is not None
    effects = registry.on_node_leave(node("foo"), 9.0)
    assert [(EventType.MEMBER_LEAVE, "foo"), (REAP, "foo")] == happenings(effects)
    assert registry.get("foo") is None
    assert registry.num_left == 0


def test_a_member_that_refutes_after_the_wait_is_not_pruned_later() -> None:
    registry = registry_with("foo", MemberStatus.LEAVING)
    _, (prune,) = registry.on_leave_intent(LeaveIntent(20, "foo", True), 0.0, serf_state=ALIVE)
    assert isinstance(prune, Prune)
    registry.finish_prune(prune)
    registry.on_join_intent(JoinIntent(21, "foo"), 1.0)
    registry.on_node_leave(node("foo"), 9.0)
    found = registry.get("foo")
    assert found is not None
    assert found.status is MemberStatus.FAILED


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


# reaping


def test_reaping_erases_old_tombstones_and_old_intents() -> None:
    """Checklist 66, 68."""
    registry = MemberRegistry(config(tombstone_timeout=6.0, recent_intent_timeout=7.0))
    for name, left_at in [("now", 10.0), ("5 s", 5.0), ("10 s", 0.0)]:
        registry.on_leave_intent(LeaveIntent(1, name, False), left_at, serf_state=ALIVE)
        registry.on_node_join(node(name), left_at)
        registry.on_node_leave(node(name), left_at)
    registry.on_join_intent(JoinIntent(1, "old"), 0.0)
    registry.on_join_intent(JoinIntent(1, "new"), 10.0)
    assert [(REAP, "10 s")] == happenings(registry.reap(10.0))
    assert ["now", "5 s"] == registry.left_names()
    assert registry.intents.get("old") is None
    assert ("join", 1) == stored(registry.intents, "new")


def test_a_member_that_stays_is_reminded_that_it_leaves() -> None:
    registry = registry_with("foo", MemberStatus.LEAVING)
    reminder = [send_leave_intent(known(registry, "foo"), 13)]
    assert [] == registry.reap(1.0), "it may leave yet"
    assert reminder == registry.reap(2.0)
    assert reminder == registry.reap(3.0), "what was sent may have been lost"
    registry.on_join_intent(JoinIntent(14, "foo"), 3.0)
    assert [] == registry.reap(4.0)
    registry.on_leave_intent(LeaveIntent(15, "foo", False), 4.0, serf_state=ALIVE)
    assert [] == registry.reap(5.0), "it leaves anew"
    registry.on_node_leave(node("foo"), 5.0)
    assert [] == registry.reap(6.0) + registry.reap(7.0)


@pytest.mark.parametrize("gone", ["erased", "back"])
def test_a_member_that_is_gone_or_back_is_not_reminded(gone: str) -> None:
    registry = registry_with("foo", MemberStatus.LEAVING)
    registry.reap(1.0)
    if gone == "erased":
        registry.erase("foo")
    else:
        registry.on_node_join(node("foo"), 1.0)
    assert [] == registry.reap(2.0)


def test_a_leave_of_this_node_is_no_reason_to_remind_it() -> None:
    registry = registry_with(LOCAL, MemberStatus.ALIVE)
    registry.leave_intent(LOCAL, 0.0, serf_state=SerfState.LEAVING)
    assert local_status(registry) is MemberStatus.LEAVING
    assert [] == registry.reap(1.0) + registry.reap(2.0)


def test_in_faithful_mode_nobody_is_reminded() -> None:
    registry = registry_with("foo", MemberStatus.LEAVING, faithful=True)
    assert [] == registry.reap(1.0) + registry.reap(2.0)


def test_failed_members_have_a_timeout_of_their_own() -> None:
    """Checklist 38, the rule."""
    registry = MemberRegistry(config(reconnect_timeout=1.0, tombstone_timeout=5.0))
    before = registry.on_node_join(node("foo"), 0.0)
    before += registry.on_node_leave(node("foo"), 1.0)
    before += registry.reap(2.0)
    assert 1 == registry.num_failed
    before += registry.reap(2.1)
    assert ["EventMemberReap: foo 10.0.0.1"] == warnings(before)
    assert [(JOIN, "foo"), (FAILED, "foo"), (REAP, "foo")] == happenings(before)
    assert 0 == registry.num_members


def test_the_override_is_asked_for_failed_and_for_left_members() -> None:
    """Checklist 48."""
    asked: list[tuple[str, float]] = []

    def override(member: Member, timeout: float) -> float:
        asked.append((member.name, timeout))
        return 0.000001

    registry = MemberRegistry(
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


def test_a_node_that_left_and_was_reaped_is_not_in_the_push_pull() -> None:
    """Checklist 22, the rule."""
    registry = registry_with("foo", MemberStatus.LEFT)
    registry.reap(1e6)
    assert {LOCAL: 0} == registry.status_ltimes()
    assert [] == registry.left_names()


def test_prune_waits_also_when_this_node_leaves() -> None:
    registry = registry_with("foo", MemberStatus.ALIVE)
    queued, effects = registry.leave_intent("foo", 0.0, serf_state=SerfState.LEAVING, prune=True)
    assert queued, "the other member was alive, and must receive it"
    assert [Prune, Broadcast] == [type(effect) for effect in effects]


# --- properties


NAMES = (LOCAL, "a", "b")
LTIMES = st.integers(0, 12) | st.integers(2**64 - 3, 2**64 - 1)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("up", "down", "update", "join", "leave", "prune", "force", "announce", "reap", "wait")
        ),
        st.sampled_from(NAMES),
        LTIMES,
    ),
    max_size=40,
)


@attrs.define(eq=False)
class Model:
    """A registry, a memberlist that notifies only of changes, and a reader of the events."""

    registry: MemberRegistry = attrs.field(factory=lambda: MemberRegistry(config()))
    up: set[str] = attrs.field(factory=set)
    seen: dict[str, Member] = attrs.field(factory=dict)
    waits: list[Prune] = attrs.field(factory=list)
    now: float = 0.0

    def step(self, kind: str, name: str, ltime: int) -> None:
        registry = self.registry
        self.now += 1.0
        effects = []
        match kind:
            case "up" if name not in self.up:
                self.up.add(name)
                effects = registry.on_node_join(node(name, port=1 + ltime % 3), self.now)
            case "down" if name in self.up:
                self.up.discard(name)
                effects = registry.on_node_leave(node(name), self.now)
            case "update" if name in self.up:
                effects = registry.on_node_update(node(name, {"t": str(ltime % 2)}), self.now)
            case "join":
                _, effects = registry.on_join_intent(JoinIntent(ltime, name), self.now)
            case "leave" | "prune":
                leave = LeaveIntent(ltime, name, kind == "prune")
                _, effects = registry.on_leave_intent(leave, self.now, serf_state=SerfState.ALIVE)
            case "force":
                _, effects = registry.leave_intent(name, self.now, serf_state=SerfState.ALIVE)
            case "announce":
                effects = registry.join_intent(self.now)
            case "reap":
                effects = registry.reap(self.now + (1e6 if ltime % 2 else 0))
            case "wait" if self.waits:
                effects = registry.finish_prune(self.waits.pop())
            case _:
                pass
        self.waits += [effect for effect in effects if isinstance(effect, Prune)]
        for event in published(effects):
            assert isinstance(event, MemberEvent)
            self.read(event)

    def read(self, event: MemberEvent) -> None:
        (member,) = event.members
        before = self.seen.get(member.name)
        if event.type is EventType.MEMBER_REAP:
            assert before is not None, "only who was seen can be forgotten"
            del self.seen[member.name]
        else:
            if before is not None and event.type is not EventType.MEMBER_JOIN:
                assert before != member, "an event shows a change"
            self.seen[member.name] = member


def without_intentions(member: Member) -> Member:
    """A member as its events show it: that it is leaving is no event."""
    if member.status is MemberStatus.LEAVING:
        return attrs.evolve(member, status=MemberStatus.ALIVE)
    return member


@given(STEPS)
@settings(max_examples=300)
def test_folding_the_events_gives_the_members(steps: list[tuple[str, str, int]]) -> None:
    model = Model()
    for step in steps:
        model.step(*step)
        registry = model.registry
        shown = tuple(without_intentions(model.seen[name]) for name in sorted(model.seen))
        assert shown == tuple(map(without_intentions, registry.members()))
        by_status = [one.status for one in registry.members()]
        assert by_status.count(MemberStatus.FAILED) == registry.num_failed
        assert by_status.count(MemberStatus.LEFT) == registry.num_left
        assert len(by_status) == registry.num_members
        assert set(registry.failed()) <= set(registry.members())
        assert set(registry.left_names()) <= {one.name for one in registry.members()}


@given(STEPS)
@settings(max_examples=150)
def test_a_join_is_published_only_for_a_member_that_was_down(
    steps: list[tuple[str, str, int]],
) -> None:
    model = Model()
    for kind, name, ltime in steps:
        before = model.registry.get(name)
        was_up = kind == "up" and name in model.up
        seen = dict(model.seen)
        model.step(kind, name, ltime)
        if was_up:
            assert model.seen == seen
        if kind == "up" and before is not None and name in model.up and not was_up:
            assert before.status in (MemberStatus.FAILED, MemberStatus.LEFT)


@given(STEPS)
@settings(max_examples=150)
def test_intents_end_by_themselves(steps: list[tuple[str, str, int]]) -> None:
    """What was rebroadcast is not rebroadcast a second time while its member is known."""
    model = Model()
    for kind, name, ltime in steps:
        model.step(kind, name, ltime)
        if kind in ("join", "leave") and model.registry.get(name) is not None:
            registry, serf_state = model.registry, SerfState.ALIVE
            if name != LOCAL:
                leave = LeaveIntent(ltime, name, False)
                nothing = False, ([] if ltime < LIMIT else [*REFUSED])
                assert nothing == registry.on_join_intent(JoinIntent(ltime, name), 0.0)
                assert nothing == registry.on_leave_intent(leave, 0.0, serf_state=serf_state)
        assert 0 <= model.registry.clock.time < LIMIT
