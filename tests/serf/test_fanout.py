"""The end of the event pipeline: readers, their buffers and their gaps."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._events import Event, EventsDropped, EventType, MemberEvent, UserEvent
from trioserf._memberlist.node_log import node_log
from trioserf._memberlist.receiver import BATCH
from trioserf._serf.fanout import MAX_WAITING, READING_TURNS, Fanout, check_kinds
from trioserf._wire.messages import UserMessage
from trioserf._wire.serf_messages import UserEventMessage, encode_serf
from trioserf.abc import Packet


def make_fanout() -> Fanout:
    return Fanout(node_log("serf", "n1"))


def user(number: int) -> UserEvent:
    return UserEvent(number, "tick", b"")


def drain(channel: trio.MemoryReceiveChannel[Event]) -> list[Event]:
    events = []
    while True:
        try:
            events.append(channel.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return events


async def test_every_reader_gets_every_event() -> None:
    fanout = make_fanout()
    readers = [fanout.add(10), fanout.add(10)]
    fanout.put(user(1))
    fanout.put(user(2))
    for reader in readers:
        assert [user(1), user(2)] == drain(reader.receive_channel)


async def test_a_reader_gets_only_the_kinds_it_wants() -> None:
    fanout = make_fanout()
    users = fanout.add(10, [UserEvent])
    failures = fanout.add(10, [EventType.MEMBER_FAILED])
    failed = MemberEvent(EventType.MEMBER_FAILED, ())
    left = MemberEvent(EventType.MEMBER_LEAVE, ())
    for event in (user(1), left, failed):
        fanout.put(event)
    assert [user(1)] == drain(users.receive_channel)
    assert [failed] == drain(failures.receive_channel)


async def test_the_gap_is_marked_behind_the_last_event_before_it() -> None:
    fanout = make_fanout()
    reader = fanout.add(3)
    for number in range(8):
        fanout.put(user(number))
    expected = [user(0), user(1), user(2), EventsDropped(5)]
    assert expected == drain(reader.receive_channel)
    assert 5 == fanout.dropped


async def test_events_after_the_gap_come_after_its_mark() -> None:
    fanout = make_fanout()
    reader = fanout.add(3)
    for number in range(5):
        fanout.put(user(number))
    channel = reader.receive_channel
    assert [user(0), user(1)] == [channel.receive_nowait(), channel.receive_nowait()]
    fanout.put(user(5))
    fanout.put(user(6))
    fanout.put(user(7))
    expected = [user(2), EventsDropped(2), user(5), EventsDropped(2)]
    assert expected == drain(channel)


async def test_a_mark_that_was_read_does_not_change_any_more() -> None:
    fanout = make_fanout()
    reader = fanout.add(1)
    for number in range(3):
        fanout.put(user(number))
    _, mark = drain(reader.receive_channel)
    for number in range(3, 6):
        fanout.put(user(number))
    assert EventsDropped(2) == mark
    assert [user(3), EventsDropped(2)] == drain(reader.receive_channel)


async def test_a_slow_reader_costs_other_readers_nothing() -> None:
    fanout = make_fanout()
    slow, quick = fanout.add(1), fanout.add(100)
    for number in range(50):
        fanout.put(user(number))
    assert [user(number) for number in range(50)] == drain(quick.receive_channel)
    assert 49 == slow.dropped


async def test_each_gap_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    fanout = make_fanout()
    reader = fanout.add(1)
    for number in range(10):
        fanout.put(user(number))
    drain(reader.receive_channel)
    for number in range(10):
        fanout.put(user(number))
    assert 2 == len([record for record in caplog.records if "too slow" in record.message])


async def test_a_reader_that_closed_its_channel_is_forgotten() -> None:
    fanout = make_fanout()
    reader = fanout.add(1)
    reader.receive_channel.close()
    fanout.put(user(1))
    assert 0 == len(fanout)


async def test_a_clone_keeps_the_reader_alive() -> None:
    fanout = make_fanout()
    reader = fanout.add(5)
    clone = reader.receive_channel.clone()
    reader.receive_channel.close()
    fanout.put(user(1))
    assert [user(1)] == drain(clone)
    clone.close()


async def test_closing_ends_every_channel_after_what_is_in_it() -> None:
    fanout = make_fanout()
    reader = fanout.add(5)
    fanout.put(user(1))
    fanout.close()
    assert [user(1)] == [event async for event in reader.receive_channel]


async def test_a_reader_of_a_closed_fanout_meets_the_end() -> None:
    fanout = make_fanout()
    fanout.close()
    assert [] == [event async for event in fanout.add(5).receive_channel]


async def test_a_subscription_ends_with_its_block(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        fanout = a._delegate.fanout
        before = len(fanout)
        async with a.subscribe() as events:
            assert before + 1 == len(fanout)
        assert before == len(fanout)
        with pytest.raises(trio.ClosedResourceError):
            events.receive_nowait()


async def test_events_missed_by_past_readers_stay_counted() -> None:
    fanout = make_fanout()
    reader = fanout.add(1)
    for number in range(5):
        fanout.put(user(number))
    fanout.discard(reader)
    assert 4 == fanout.dropped


async def test_a_class_stands_for_all_its_kinds() -> None:
    fanout = make_fanout()
    members, everything = fanout.add(9, [MemberEvent]), fanout.add(9, [])
    events = [MemberEvent(kind, ()) for kind in EventType if kind < EventType.USER]
    for event in [user(1), *events, user(2)]:
        fanout.put(event)
    fanout.close()
    assert events == [event async for event in members.receive_channel]
    assert [user(1), *events, user(2)] == [event async for event in everything.receive_channel]


def test_a_kind_that_is_no_event_is_refused() -> None:
    for wrong in ("user", 5, [MemberEvent], None, object()):
        with pytest.raises(TypeError, match="expected an EventType"):
            check_kinds([wrong])  # type: ignore[list-item]


async def test_the_mark_of_a_gap_may_be_asked_for_and_comes_anyway() -> None:
    fanout = make_fanout()
    reader = fanout.add(1, [UserEvent, EventsDropped])
    for event in (user(1), MemberEvent(EventType.MEMBER_JOIN, ()), user(2)):
        fanout.put(event)
    fanout.close()
    assert [user(1), EventsDropped(1)] == [event async for event in reader.receive_channel]


def test_a_buffer_must_hold_something() -> None:
    with pytest.raises(ValueError, match="max_buffer_size=0"):
        make_fanout().add(0)


async def test_an_unread_default_channel_is_no_slow_reader(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fanout = make_fanout()
    default = fanout.add(2, name="events", optional=True)
    other = fanout.add(2, [UserEvent])
    for number in range(10):
        fanout.put(user(number))
    assert 8 == fanout.dropped == other.dropped
    assert {"events": 0, "subscribe(UserEvent) #1": 8} == fanout.dropped_by_reader()
    assert ["subscribe(UserEvent) #1"] == [
        str(record.args[0])
        for record in caplog.records
        if "too slow" in record.message and record.args
    ]
    # Who begins to read late sees the gap all the same, and counts from then on.
    found = [default.receive_channel.receive_nowait() for _ in range(3)]
    assert EventsDropped(8) == found[2]
    assert {"events": 8, "subscribe(UserEvent) #1": 8} == fanout.dropped_by_reader()
    for number in range(4):
        fanout.put(user(number))
    assert {"events": 10, "subscribe(UserEvent) #1": 12} == fanout.dropped_by_reader()
    assert 1 == len([r for r in caplog.records if r.args and str(r.args[0]) == "events"])


async def test_a_reader_is_behind_while_it_takes_much_that_waits() -> None:
    fanout = make_fanout()
    reader, busy = fanout.add(100), fanout.add(100)
    for number in range(MAX_WAITING + 4):
        fanout.put(user(number))
    assert not fanout.is_behind(), "nobody has taken anything yet"
    for _ in range(3):
        await reader.receive_channel.receive()
        for _ in range(READING_TURNS):
            assert fanout.is_behind()
        assert not fanout.is_behind(), "it takes nothing"
    await reader.receive_channel.receive()
    assert not fanout.is_behind(), "so few may wait"
    await busy.receive_channel.receive()
    assert fanout.is_behind()


async def test_a_flood_of_events_does_not_run_ahead_of_those_who_read_it(
    autojump_clock: MockClock,
) -> None:
    """Hundreds in one batch of messages: at most some dozens wait for a reader that only reads."""
    async with cluster() as net:
        (one, two) = await net.joined("one", "two")
        async with one.subscribe(max_buffer_size=10_000) as events:
            most, seen, count = 0, 0, 500
            ltime = one.statistics().event_time
            handoff = one.memberlist._handoff
            source = two.memberlist.advertise_address
            for number in range(count):
                body = encode_serf(UserEventMessage(ltime + number, "flood", b"", False))
                handoff.put(UserMessage(body), Packet(b"", source, trio.current_time()))
            async for _ in events:
                seen += 1
                most = max(most, events.statistics().current_buffer_used)
                if seen == count:
                    break
    assert most <= BATCH + MAX_WAITING


async def test_a_reader_that_goes_away_while_there_is_room_gets_nothing_more() -> None:
    fanout = make_fanout()
    reader, other = fanout.add(10), fanout.add(10)
    fanout.put(user(1))
    reader.receive_channel.close()
    assert not reader.put(user(2))
    fanout.put(user(2))
    fanout.put(user(3))
    assert [user(1), user(2), user(3)] == drain(other.receive_channel)
