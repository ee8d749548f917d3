"""User events: sent, delivered once, remembered for a while."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.effects import Broadcast, Count, Drop, ExchangeState, Publish
from trioserf._cluster.lamport import LamportClock
from trioserf._cluster.user_events import (
    LEAST_BYTES,
    MAX_KEPT,
    MAX_KNOWN,
    MAX_SLOT_EVENTS,
    RINGS,
    UserEventLog,
)
from trioserf._config import USER_EVENT_SIZE_LIMIT
from trioserf._events import UserEvent
from trioserf._exceptions import UserEventTooLarge
from trioserf._wire.codec import decode, encode
from trioserf._wire.serf_messages import (
    PushPull,
    UserEventMessage,
    UserEventRecord,
    UserEventSlot,
    decode_serf,
)

from .samples import config, published


def log(**fields: Any) -> UserEventLog:
    return UserEventLog(config(**fields), clock=LamportClock(1))


def event(ltime: int, name: str = "e", payload: bytes | None = b"p") -> UserEventMessage:
    return UserEventMessage(ltime, name, payload, False)


def test_sending_publishes_here_and_queues_for_the_others() -> None:
    events = log()
    effects = events.originate("deploy", b"v1", coalesce=True)
    assert [Count("serf.events"), Publish(UserEvent(1, "deploy", b"v1", True))] == effects[:2]
    queued = effects[2]
    assert isinstance(queued, Broadcast)
    assert ("event", True) == (queued.queue, queued.local)
    assert UserEventMessage(1, "deploy", b"v1", True) == decode_serf(queued.message)
    assert 2 == events.clock.time


def test_events_are_counted_in_one_counter_whatever_their_name() -> None:
    events = log()
    counts = [
        effect
        for name in ("a", "b")
        for effect in events.originate(name, b"", coalesce=False)
        if isinstance(effect, Count)
    ]
    assert [Count("serf.events"), Count("serf.events")] == counts


def test_the_same_event_sent_twice_is_delivered_twice() -> None:
    events = log()
    first = published(events.originate("deploy", b"v1", coalesce=False))
    second = published(events.originate("deploy", b"v1", coalesce=False))
    assert [1, 2] == [one.ltime for one in first + second if isinstance(one, UserEvent)]


def test_an_empty_payload_is_sent_as_nil() -> None:
    effects = log().originate("deploy", b"", coalesce=False)
    queued = effects[-1]
    assert isinstance(queued, Broadcast)
    assert queued.message.endswith(b"\xa7Payload\xc0")
    assert [UserEvent(1, "deploy", b"", False)] == published(effects)


@pytest.mark.parametrize("size", [513, 600])
def test_an_event_over_the_limit_is_refused_before_it_is_encoded(size: int) -> None:
    """Checklist 70."""
    events = log()
    with pytest.raises(UserEventTooLarge, match="user event exceeds") as caught:
        events.originate("n" * 13, bytes(size - 13), coalesce=False)
    assert f"{size} bytes" in str(caught.value)
    assert 1 == events.clock.time
    assert events.slots()[1] is None


def test_an_event_over_the_limit_is_refused_after_it_is_encoded() -> None:
    events = log()
    with pytest.raises(UserEventTooLarge, match="encoded user event exceeds") as caught:
        events.originate("n", bytes(482), coalesce=False)
    assert "513 bytes" in str(caught.value)
    assert 1 == events.clock.time
    events.originate("n", bytes(481), coalesce=False)


def test_received_events_are_delivered_in_order() -> None:
    """Checklist 69, the rule."""
    events = log()
    results = [
        events.on_user_event(event(ltime, payload=payload))
        for ltime, payload in [(5, b"first"), (6, b"second")]
    ]
    assert [True, True] == [again for again, _ in results]
    payloads = [
        one.payload
        for _, effects in results
        for one in published(effects)
        if isinstance(one, UserEvent)
    ]
    assert [b"first", b"second"] == payloads
    assert 7 == events.clock.time


@pytest.mark.parametrize("faithful", [False, True])
def test_an_event_older_than_the_ring_is_dropped(faithful: bool) -> None:
    """Checklist 71."""
    events = UserEventLog(config(faithful=faithful))
    rings = 1 if faithful else RINGS
    events.clock.witness(512 * rings + 1000 - 1)
    again, effects = events.on_user_event(event(1))
    assert not again
    assert [] == published(effects)
    assert ["old_event"] == [e.reason for e in effects if isinstance(e, Drop)]


@pytest.mark.parametrize("faithful", [False, True])
def test_the_oldest_event_of_the_ring_is_delivered(faithful: bool) -> None:
    events = UserEventLog(config(event_buffer=4, faithful=faithful))
    rings = 1 if faithful else RINGS
    events.clock.witness(6 + 4 * rings)
    assert events.on_user_event(event(6))[0] is False
    assert events.on_user_event(event(7))[0] is True


def test_an_event_may_be_some_rings_behind() -> None:
    """It is delivered once; state exchanges have the ring of Go all the same."""
    events = log(event_buffer=8)
    for ltime in range(1, 31):
        if ltime != 9:
            events.on_user_event(event(ltime))
    assert [True, False] == [events.on_user_event(event(9))[0] for _ in range(2)]
    assert [False] * 30 == [events.on_user_event(event(n))[0] for n in range(1, 31)]
    assert list(range(23, 31)) == sorted(slot.ltime for slot in events.slots() if slot)


def test_what_is_remembered_of_old_events_is_bounded() -> None:
    events = log(event_buffer=8)
    for ltime in range(1, 1000):
        events.on_user_event(event(ltime))
        assert (RINGS + 1) * 8 >= len(list(events.recent))


def test_events_of_one_time_are_all_delivered() -> None:
    """Checklist 72."""
    events = log()
    given_events = [event(1, "foo", b"a"), event(1, "foo", b"b"), event(1, "bar", b"a")]
    results = []
    for msg in given_events:
        again, effects = events.on_user_event(msg)
        assert again
        results += published(effects)
    assert [
        ("foo", b"a"),
        ("foo", b"b"),
        ("bar", b"a"),
    ] == [(one.name, one.payload) for one in results if isinstance(one, UserEvent)]


@pytest.mark.parametrize("payload", [None, b"", b"p"])
def test_a_duplicate_is_dropped_and_nil_equals_empty(payload: bytes | None) -> None:
    events = log()
    assert events.on_user_event(event(3, payload=payload))[0]
    assert (False, []) == events.on_user_event(event(3, payload=payload or b""))


def test_events_before_the_minimal_time_are_ignored() -> None:
    """Checklist 73, 106, the rule."""
    events = UserEventLog(config(), min_time=10)
    assert (False, []) == events.on_user_event(event(9))
    assert events.on_user_event(event(10))[0]
    assert 11 == events.clock.time


def test_a_slot_belongs_to_the_newest_time_that_used_it() -> None:
    """Checklist 27."""
    events = log(event_buffer=4)
    events.on_user_event(event(1))
    events.on_user_event(event(5, "new"))
    assert (
        None,
        UserEventSlot(5, (UserEventRecord("new", b"p"),)),
        None,
        None,
    ) == events.slots()


@pytest.mark.parametrize("ltime", [2**64 - 1, 2**63, 2**40, 2**32])
def test_an_event_of_an_implausible_time_is_dropped(ltime: int) -> None:
    events = log()
    dropped = False, [Count("trioserf.serf.implausible_time")]
    assert dropped == events.on_user_event(event(ltime), 0.0)
    assert 1 == events.clock.time
    assert {None} == set(events.slots())


def test_after_a_jump_peers_that_do_not_know_of_it_are_still_accepted_once() -> None:
    events = log()
    for ltime in range(1, 101):
        assert events.on_user_event(event(ltime), 0.0)[0]
    again, effects = events.on_user_event(event(2**31), 0.0)
    assert again
    assert ExchangeState() in effects
    for ltime in range(101, 400):
        again, effects = events.on_user_event(event(ltime), 0.0)
        assert again, ltime
        assert [UserEvent(ltime, "e", b"p", False)] == published(effects)
        assert ExchangeState() in effects
    for ltime in (1, 100, 101, 399, 2**31):
        assert not events.on_user_event(event(ltime), 0.0)[0]
    assert events.on_user_event(event(2**31 + 1), 0.0)[0]


def test_times_on_both_sides_of_a_gap_do_not_take_each_others_slots() -> None:
    events = log(event_buffer=8)
    events.on_user_event(event(3), 0.0)
    events.on_user_event(event(1003), 0.0)
    assert 3 == 1003 % 8
    for ltime in (3, 1003):
        assert not events.on_user_event(event(ltime), 0.0)[0]


@given(st.lists(st.integers(0, 3000) | st.integers(10**6, 10**6 + 40), max_size=120))
def test_no_event_is_delivered_twice_whatever_times_are_used(ltimes: list[int]) -> None:
    events = log(event_buffer=4)
    seen: set[int] = set()
    for now, ltime in enumerate(ltimes):
        for _ in range(2):
            new = bool(published(events.on_user_event(event(ltime), float(now))[1]))
            assert not (new and ltime in seen), ltime
            seen |= {ltime} if new else set()


def test_in_go_the_last_time_of_all_wraps_the_clock() -> None:
    events = UserEventLog(config(faithful=True), clock=LamportClock(1))
    assert events.on_user_event(event(2**64 - 1))[0]
    assert 0 == events.clock.time
    events.originate("e", b"", coalesce=False)
    assert 1 == events.clock.time


def test_a_push_pull_carries_the_whole_ring() -> None:
    """Checklist 23."""
    events = log(event_buffer=8)
    assert 8 == encode(PushPull(events=events.slots())).count(b"\xc0")
    assert b"\x98" + b"\xc0" * 8 == events.encoded_slots()


def test_the_encoded_ring_follows_the_events_and_is_kept_between_them() -> None:
    events = log(event_buffer=3)
    for ltime, payload in [(1, b"a"), (2, None), (2, b"b"), (4, b"c")]:
        events.on_user_event(event(ltime, payload=payload))
        raw = events.encoded_slots()
        assert raw in encode(PushPull(events=events.slots()))
        assert events.slots() == decode(PushPull, b"\x81\xa6Events" + raw).events
        assert events.encoded_slots() is raw


SMALL_EVENTS = st.builds(
    UserEventMessage,
    st.integers(0, 40),
    st.sampled_from("ab"),
    st.sampled_from([None, b"", b"x"]),
    st.booleans(),
)


@given(st.lists(SMALL_EVENTS, max_size=80), st.integers(1, 8), st.integers(0, 10))
def test_an_event_is_delivered_at_most_once(
    messages: list[UserEventMessage], size: int, min_time: int
) -> None:
    """Checklist 69, 71-73: at most one delivery per time, name and payload."""
    events = UserEventLog(config(event_buffer=size), min_time=min_time)
    delivered = set()
    for msg in messages:
        again, effects = events.on_user_event(msg)
        results = published(effects)
        assert bool(results) == again
        for one in results:
            assert isinstance(one, UserEvent)
            key = (one.ltime, one.name, one.payload)
            assert key not in delivered
            assert one.ltime >= min_time
            delivered.add(key)
        assert log_copy(events).encoded_slots() == events.encoded_slots()


def log_copy(events: UserEventLog) -> UserEventLog:
    """A log that learned the same ring from nothing but its slots."""
    copy = UserEventLog(config(event_buffer=len(events.slots())))
    for slot in events.slots():
        for record in () if slot is None else slot.events:
            assert slot is not None
            assert record is not None
            copy.clock.time = 0
            copy.on_user_event(UserEventMessage(slot.ltime, record.name, record.payload, False))
    return copy


# --- bounds


def test_an_event_over_the_hard_limit_of_go_is_refused() -> None:
    events = log()
    fits = event(5, "n", bytes(USER_EVENT_SIZE_LIMIT - 1))
    assert events.on_user_event(fits)[0]
    for name, payload in (("n", bytes(USER_EVENT_SIZE_LIMIT)), ("ü" * 5000, b"")):
        refused = False, [Count("trioserf.serf.event_too_long")]
        assert refused == events.on_user_event(event(9, name, payload))
    assert 6 == events.clock.time


@pytest.mark.parametrize("times", [1, 600])
@pytest.mark.parametrize("length", [0, 1200, 9000])
def test_a_flood_of_events_leaves_a_ring_of_bounded_size(times: int, length: int) -> None:
    events = log()
    for number in range(10_000):
        events.on_user_event(event(1 + number % times, f"{number}", bytes(length)))
    assert len(events.encoded_slots()) < 2 * LEAST_BYTES
    kept = [record for slot in events.slots() if slot for record in slot.events]
    assert 0 < len(kept) <= MAX_KEPT
    # The newest are those that are kept.
    last = max(slot.ltime for slot in events.slots() if slot)
    assert min(times, 10_000) == last


def test_events_that_lost_their_contents_are_not_delivered_again() -> None:
    events = log()
    flood = [event(7, f"{number}", bytes(1000)) for number in range(3000)]
    assert all(events.on_user_event(one)[0] for one in flood)
    kept = [record for slot in events.slots() if slot for record in slot.events]
    assert "2999" == kept[-1].name if kept[-1] else False
    assert len(kept) < 1100
    assert not any(events.on_user_event(one)[0] for one in flood)


def test_one_lamport_time_has_room_for_so_many_events_and_the_next_is_as_empty_as_before() -> None:
    events = log()
    accepted = [events.on_user_event(event(7, f"{number}"))[0] for number in range(5000)]
    assert [True] * MAX_SLOT_EVENTS == accepted[:MAX_SLOT_EVENTS]
    assert not any(accepted[MAX_SLOT_EVENTS:])
    full = False, [Count("trioserf.serf.event_slot_full")]
    assert full == events.on_user_event(event(7, "one more"))
    assert events.on_user_event(event(8, "one more"))[0]
    assert published(events.originate("here", b"", coalesce=False))


def test_too_many_known_events_make_the_lowest_times_stale() -> None:
    events = log()
    for number in range(MAX_KNOWN + 1):
        assert events.on_user_event(event(1 + number // 1000, f"{number}", b""))[0]
    assert events.recent.floor >= 1
    assert not events.on_user_event(event(1, "0", b""))[0]
    dropped = events.on_user_event(event(1, "new", b""))
    problem = f"received old event new of time 1 (now {events.clock.time})"
    assert (False, [Drop("old_event", problem)]) == dropped
    assert events.on_user_event(event(60, "new", b""))[0]


def test_a_state_that_is_too_long_has_the_newest_events() -> None:
    events = log(event_buffer=8)
    for ltime in range(1, 9):
        events.on_user_event(event(ltime, "e", bytes(1000)))
    whole = events.encoded_slots()
    assert whole == events.encoded_slots(len(whole))
    part = events.encoded_slots(3500)
    assert len(part) <= 3500
    slots = decode(PushPull, b"\x81\xa6Events" + part).events
    assert {6, 7, 8} == {slot.ltime for slot in slots if slot}
    assert len(events.encoded_slots(0)) == 9
