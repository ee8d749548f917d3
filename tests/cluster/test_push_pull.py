"""Serf's part of a push/pull: what is sent, and what is merged."""

from __future__ import annotations

import random
import time
from typing import Any

import attrs
import pytest

from trioserf._cluster.effects import Broadcast, Count, Effect, SendTo
from trioserf._cluster.lamport import LamportClock
from trioserf._cluster.member_record import member_address
from trioserf._cluster.members import MemberRegistry
from trioserf._cluster.push_pull import (
    EVENTS_PIECE,
    INTENTS_PIECE,
    LEFT_PIECE,
    local_state,
    merge_pieces,
    merge_remote_state,
    state_encoder,
    state_version,
)
from trioserf._cluster.queries import QueryLog
from trioserf._cluster.user_events import UserEventLog
from trioserf._config import Config
from trioserf._events import EventType, MemberStatus, SerfState, UserEvent
from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    PushPull,
    UserEventMessage,
    UserEventRecord,
    UserEventSlot,
    decode_push_pull,
    encode_serf,
)

from .samples import LOCAL, config, happenings, node, published, stored


@attrs.define(eq=False)
class Part:
    """The rules of one node."""

    config: Config
    members: MemberRegistry
    events: UserEventLog
    queries: QueryLog

    def state(self) -> bytes:
        return local_state(self.members, self.events, self.queries)

    def merge(
        self, remote: PushPull | bytes, *, ignore_old: bool = False, first: bool = False
    ) -> list[Effect]:
        return merge_remote_state(
            remote if isinstance(remote, bytes) else encode_serf(remote),
            now=1.0,
            serf_state=SerfState.ALIVE,
            ignore_old=ignore_old,
            members=self.members,
            events=self.events,
            queries=self.queries,
            first=first,
        )


def part(**fields: Any) -> Part:
    settings = config(**fields)
    members = MemberRegistry(settings, clock=LamportClock(1))
    made = Part(
        settings,
        members,
        UserEventLog(settings, clock=LamportClock(1)),
        QueryLog(settings, random.Random(1), members.members, clock=LamportClock(1)),
    )
    made.members.on_node_join(node(LOCAL), 0.0)
    return made


def test_the_state_has_its_type_the_clocks_and_the_members() -> None:
    """Checklist 21, 23."""
    here = part(event_buffer=16)
    here.members.clock.witness(41)
    here.events.clock.witness(49)
    here.queries.clock.witness(99)
    here.members.on_node_join(node("foo"), 0.0)
    here.members.on_leave_intent(LeaveIntent(7, "foo", False), 0.0, serf_state=SerfState.ALIVE)
    here.members.on_node_leave(node("foo"), 0.0)
    here.events.on_user_event(UserEventMessage(49, "a", b"b", False))
    raw = here.state()
    assert 2 == raw[0]
    assert PushPull(
        ltime=42,
        status_ltimes={LOCAL: 0, "foo": 7},
        left_members=("foo",),
        event_ltime=50,
        events=(
            None,
            UserEventSlot(49, (UserEventRecord("a", b"b"),)),
            *[None] * 14,
        ),
        query_ltime=100,
    ) == decode_push_pull(raw)


def test_the_state_has_the_bytes_of_go() -> None:
    """Captured from a Go node of v0.9.4: an empty slot, and two events of time 49."""
    here = part(event_buffer=2)
    here.members.erase(LOCAL)
    here.members.on_node_join(node("n1"), 0.0)
    here.members.on_join_intent(JoinIntent(20, "n1"), 0.0)
    here.members.clock.witness(41)
    here.queries.clock.witness(99)
    here.events.on_user_event(UserEventMessage(49, "a", b"b", False))
    here.events.on_user_event(UserEventMessage(49, "c", None, False))
    assert (
        bytes.fromhex(
            "0286 aa4576656e744c54696d65 32 a64576656e7473 92 c0 82 a64576656e7473 92"
            "82 a44e616d65 a161 a75061796c6f6164 a162 82 a44e616d65 a163 a75061796c6f6164 c0"
            "a54c54696d65 31 a54c54696d65 2a ab4c6566744d656d62657273 90 aa51756572794c54696d65 64"
            "ac5374617475734c54696d6573 81 a26e31 14"
        )
        == here.state()
    )


def test_the_state_is_written_as_the_codec_writes_it() -> None:
    here = part()
    here.members.on_node_join(node("n\udcff"), 0.0)
    here.events.originate("a", b"b", coalesce=False)
    raw = here.state()
    assert encode_serf(decode_push_pull(raw)) == raw


def test_merging_sets_the_clocks_of_a_lower_node() -> None:
    """Checklist 24."""
    here = part()
    here.merge(PushPull(ltime=42, event_ltime=50, query_ltime=100))
    assert 42 == here.members.clock.time
    assert 50 == here.events.clock.time
    assert 100 == here.queries.clock.time
    here.merge(PushPull())
    assert 42 == here.members.clock.time


def test_names_that_are_no_members_become_stored_intents() -> None:
    """Checklist 25, 26."""
    here = part()
    here.merge(PushPull(ltime=42, status_ltimes={"up": 20, "gone": 15}, left_members=("gone",)))
    assert ("join", 20) == stored(here.members.intents, "up")
    assert ("leave", 16) == stored(here.members.intents, "gone")


def test_a_member_that_left_elsewhere_is_leaving_here() -> None:
    here = part()
    here.members.on_node_join(node("foo"), 0.0)
    here.members.on_join_intent(JoinIntent(15, "foo"), 0.0)
    here.merge(PushPull(status_ltimes={"foo": 16}, left_members=("foo",)))
    found = here.members.get("foo")
    assert found is not None
    assert found.status is MemberStatus.LEAVING
    assert [(EventType.MEMBER_LEAVE, "foo")] == happenings(
        here.members.on_node_leave(node("foo"), 1.0)
    )


def test_a_leave_entry_without_a_newer_intent_is_ignored() -> None:
    remote = PushPull(status_ltimes={"foo": 15}, left_members=("foo",))
    for faithful, status in [(True, MemberStatus.LEAVING), (False, MemberStatus.ALIVE)]:
        here = part(faithful=faithful)
        here.members.on_node_join(node("foo"), 0.0)
        here.members.on_join_intent(JoinIntent(15, "foo"), 0.0)
        assert [] == here.merge(remote)
        found = here.members.get("foo")
        assert found is not None
        assert status is found.status


def test_a_member_that_becomes_leaving_by_an_entry_is_notified() -> None:
    here = part()
    here.members.on_node_join(node("foo"), 0.0)
    effects = here.merge(PushPull(status_ltimes={"foo": 16}, left_members=("foo",)))
    found = here.members.get("foo")
    assert found is not None
    leave = encode_serf(LeaveIntent(17, "foo", False))
    assert [SendTo(member_address(found), "foo", leave)] == effects


def test_a_failed_member_that_left_elsewhere_left() -> None:
    here = part()
    here.members.on_node_join(node("foo"), 0.0)
    here.members.on_node_leave(node("foo"), 0.5)
    effects = here.merge(PushPull(left_members=("foo",)))
    assert [(EventType.MEMBER_LEAVE, "foo")] == happenings(effects)
    assert 1 == here.members.status_ltime("foo")


def test_a_newer_join_from_elsewhere_ends_leaving() -> None:
    here = part()
    here.members.on_node_join(node("foo"), 0.0)
    here.members.on_leave_intent(LeaveIntent(5, "foo", False), 0.0, serf_state=SerfState.ALIVE)
    here.merge(PushPull(status_ltimes={"foo": 6}))
    found = here.members.get("foo")
    assert found is not None
    assert found.status is MemberStatus.ALIVE
    assert 6 == here.members.status_ltime("foo")
    assert 7 == here.members.clock.time


def test_being_listed_as_left_is_refuted() -> None:
    here = part()
    effects = here.merge(PushPull(ltime=9, status_ltimes={LOCAL: 3}, left_members=(LOCAL,)))
    assert [Broadcast] == [type(effect) for effect in effects]
    assert here.members.local_member.status is MemberStatus.ALIVE


def test_events_from_elsewhere_are_delivered_but_never_as_coalescing() -> None:
    """Checklist 27."""
    here = part()
    slot = UserEventSlot(45, (UserEventRecord("test", b"p"), None))
    effects = here.merge(PushPull(event_ltime=46, events=(None, slot)))
    assert [UserEvent(45, "test", b"p", False)] == published(effects)
    assert UserEventSlot(45, (UserEventRecord("test", b"p"),)) == here.events.slots()[45]
    assert [] == here.merge(PushPull(event_ltime=46, events=(None, slot)))


def test_a_join_may_ignore_the_events_before_it() -> None:
    """Checklist 73."""
    here = part()
    slots = tuple(UserEventSlot(t, (UserEventRecord("e", None),)) for t in (1, 2))
    assert [] == here.merge(PushPull(event_ltime=3, events=slots), ignore_old=True)
    assert 3 == here.events.min_time
    assert [] == published(here.merge(PushPull(event_ltime=2, events=slots), ignore_old=True))
    assert 3 == here.events.min_time
    assert 1 == len(published(here.events.originate("e", b"", coalesce=False)))


@pytest.mark.parametrize("state", [b"", b"\x03\x80", b"\x02", b"\x02\x81", b"\x02\xc3"])
def test_a_broken_state_changes_nothing(state: bytes) -> None:
    here = part()
    before = here.state()
    with pytest.raises(RemoteProtocolError):
        here.merge(state)
    assert before == here.state()


def test_the_local_state_fits_its_limit_whatever_it_holds() -> None:
    here = part()
    for number in range(300):
        here.events.on_user_event(UserEventMessage(number, "e", bytes(1000), False))
    whole = len(here.state())
    for limit in (whole - 1, whole // 2, 2000):
        state = local_state(here.members, here.events, here.queries, limit)
        assert len(state) <= limit
        slots = [slot for slot in decode_push_pull(state).events if slot]
        assert all(slot.ltime >= 300 - len(slots) for slot in slots)
        assert len(slots) >= (limit - 1500) // 1100


def test_in_go_times_at_the_end_of_the_range_wrap() -> None:
    here = part(faithful=True)
    top = 2**64 - 1
    here.merge(
        PushPull(
            ltime=top,
            event_ltime=top,
            query_ltime=top,
            status_ltimes={"a": top, "b": top},
            left_members=("a",),
            events=(UserEventSlot(top, (UserEventRecord("e", None),)),),
        )
    )
    assert ("leave", 0) == stored(here.members.intents, "a")
    assert 0 == decode_push_pull(here.state()).event_ltime


@pytest.mark.parametrize("top", [2**64 - 1, 2**63, 2**40])
def test_implausible_times_of_a_peer_change_nothing(top: int) -> None:
    here = part()
    here.members.on_node_join(node("b"), 0.0)
    before = here.state()
    effects = here.merge(
        PushPull(
            ltime=top,
            event_ltime=top,
            query_ltime=top,
            status_ltimes={"a": top, "b": top, LOCAL: top},
            left_members=("a", LOCAL),
            events=(UserEventSlot(top, (UserEventRecord("e", None),)),),
        ),
        ignore_old=True,
    )
    assert {Count("trioserf.serf.implausible_time")} == set(effects)
    assert before == here.state()
    assert 0 == here.events.min_time
    assert 0 == len(here.members.intents)


def test_in_its_first_exchange_a_node_accepts_the_clocks_of_its_peer() -> None:
    here = part()
    state = PushPull(
        ltime=2**40,
        event_ltime=2**41,
        query_ltime=2**42,
        status_ltimes={"a": 2**40 - 1},
        left_members=(),
        events=(UserEventSlot(2**41 - 1, (UserEventRecord("e", None),)),),
    )
    effects = here.merge(encode_serf(state), first=True)
    assert [UserEvent(2**41 - 1, "e", b"", False)] == published(effects)
    times = here.members.clock.time, here.events.clock.time, here.queries.clock.time
    assert (2**40, 2**41, 2**42) == times
    assert ("join", 2**40 - 1) == stored(here.members.intents, "a")


def test_two_nodes_agree_after_an_exchange() -> None:
    one, other = part(), part()
    for number in range(5):
        one.members.on_node_join(node(f"n{number}"), 0.0)
        other.members.on_node_join(node(f"n{number}"), 0.0)
        one.members.on_join_intent(JoinIntent(10 + number, f"n{number}"), 0.0)
        one.events.originate(f"e{number}", b"", coalesce=False)
    remote = other.merge(one.state())
    assert 5 == len(published(remote))
    assert one.members.status_ltimes() == other.members.status_ltimes()
    assert one.events.encoded_slots() == other.events.encoded_slots()
    assert [] == one.merge(other.state())


def test_a_thousand_members_are_exchanged_quickly() -> None:
    """An exchange is a matter of a few milliseconds; the bound is generous for slow machines."""
    here = part()
    for number in range(1000):
        name = f"node-{number:04}"
        here.members.on_node_join(node(name), 0.0)
        here.members.on_join_intent(JoinIntent(1 + number, name), 0.0)
    state = here.state()
    started = time.process_time()
    for _ in range(10):
        assert [] == here.merge(state)
        assert state == here.state()
    assert (time.process_time() - started) / 10 < 0.03


def filled() -> Part:
    here = part()
    for number in range(40):
        here.members.on_node_join(node(f"n{number}"), 0.0)
        here.members.on_join_intent(JoinIntent(10 + number, f"n{number}"), 0.0)
        here.events.originate(f"e{number}", bytes(100), coalesce=False)
    here.members.on_leave_intent(LeaveIntent(99, "n1", False), 0.0, serf_state=SerfState.ALIVE)
    here.members.on_node_leave(node("n1"), 0.0)
    return here


@pytest.mark.parametrize("limit", [1 << 20, 12_000, 4_000])
def test_a_state_is_encoded_later_as_it_was(limit: int) -> None:
    here = filled()
    now = local_state(here.members, here.events, here.queries, limit)
    encode = state_encoder(here.members, here.events, here.queries, limit)
    here.members.on_leave_intent(LeaveIntent(200, "n2", False), 1.0, serf_state=SerfState.ALIVE)
    here.members.on_node_leave(node("n2"), 1.0)
    here.members.on_node_join(node("later"), 1.0)
    here.events.originate("later", b"", coalesce=False)
    assert now == encode()
    assert len(now) <= limit


def test_the_version_of_a_state_changes_with_everything_in_it() -> None:
    here = filled()

    def version() -> object:
        return state_version(here.members, here.events, here.queries)

    def leave(ltime: int) -> object:
        intent = LeaveIntent(ltime, "n3", False)
        return here.members.on_leave_intent(intent, 1.0, serf_state=SerfState.ALIVE)

    seen, states = [version()], [here.state()]
    for change in (
        lambda: leave(101),
        lambda: here.members.on_node_leave(node("n3"), 1.0),
        lambda: here.members.on_join_intent(JoinIntent(60, "n4"), 1.0),
        lambda: here.members.on_node_join(node("new"), 1.0),
        lambda: here.members.erase("n5"),
        lambda: here.members.clock.witness(500),
        lambda: here.queries.clock.witness(500),
        lambda: here.events.clock.witness(500),
        lambda: here.events.on_user_event(UserEventMessage(495, "old", b"", False)),
    ):
        change()
        assert version() not in seen
        assert here.state() not in states
        assert version() == version()
        seen.append(version())
        states.append(here.state())


def test_a_large_state_is_merged_in_small_pieces_with_changes_in_between() -> None:
    count = 3 * INTENTS_PIECE
    names = [f"m{number:04}" for number in range(count)]
    slots = [
        UserEventSlot(n, tuple(UserEventRecord(f"e{i}", b"") for i in range(2 * EVENTS_PIECE)))
        for n in range(1, 5)
    ]
    left = tuple(names[: 3 * LEFT_PIECE])
    remote = PushPull(
        5000, dict(zip(names, range(10, 5000), strict=False)), left, 5, tuple(slots), 1
    )
    whole, here = part(), part()
    for name in names:
        whole.members.on_node_join(node(name), 0.0)
        here.members.on_node_join(node(name), 0.0)
    late = node("late")
    whole.merge(remote)
    pieces = merge_pieces(
        remote,
        ignore_old=False,
        members=here.members,
        events=here.events,
        queries=here.queries,
        first=False,
    )
    sizes = []
    for number, piece in enumerate(pieces):
        effects = piece(1.0, SerfState.ALIVE)
        sizes.append(len(effects))
        if number == 3:
            here.members.erase(names[0])
            here.members.on_node_join(late, 1.0)
    assert 1 + 3 + 3 + 1 + 8 == len(sizes)
    assert max(sizes) <= 4 * LEFT_PIECE
    assert whole.events.encoded_slots() == here.events.encoded_slots()
    expected = whole.members.status_ltimes()
    del expected[names[0]]
    assert {**expected, "late": 0} == here.members.status_ltimes()
