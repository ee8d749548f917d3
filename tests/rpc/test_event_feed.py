"""The feed of events; what clients see of it is in `test_connection`."""

from __future__ import annotations

import pytest
import trio

from trioserf._events import Event, EventsDropped, Query, UserEvent
from trioserf._rpc.event_feed import EventFeed, EventStream
from trioserf._rpc.outbox import Outbox
from trioserf._rpc.records import QueryRecord, pack_event
from trioserf._wire.event_filters import parse_event_filters


def stream(wanted: str, *, size: int = 10) -> tuple[EventStream, list[Query]]:
    """A stream, and the queries that its client was given numbers for."""
    queries: list[Query] = []

    def add_query(query: Query) -> int:
        queries.append(query)
        return len(queries)

    queue = Outbox(lambda: None).open(1, lambda: None, size=size)
    return EventStream(queue, parse_event_filters(wanted), add_query), queries


def query(name: str) -> Query:
    return Query(1, name, b"", source_node="", deadline=0.0)


def test_an_event_goes_to_those_who_want_it() -> None:
    feed = EventFeed()
    feed.publish(query("early"))
    (one, _), (two, _) = stream("user:a"), stream("user:b,query")
    feed.add(one)
    feed.add(two)
    event = UserEvent(5, "a", b"x", False)
    feed.publish(event)
    assert ([pack_event(event)], []) == (list(one.queue.records), list(two.queue.records))
    feed.discard(one)
    feed.discard(one)
    feed.publish(event)
    assert 1 == len(one.queue.records)


def test_a_query_that_finds_no_room_gets_no_number() -> None:
    feed = EventFeed()
    wanted, queries = stream("query", size=2)
    feed.add(wanted)
    for name in "abc":
        feed.publish(query(name))
    assert ["a", "b"] == [each.name for each in queries]
    numbers = [r.id for r in wanted.queue.records if isinstance(r, QueryRecord)]
    assert [1, 2] == numbers
    assert 1 == wanted.queue.dropped


async def test_events_that_the_feed_missed_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    send, receive = trio.open_memory_channel[Event](2)
    async with send:
        await send.send(EventsDropped(3))
    await EventFeed().run(receive)
    assert "Dropping 3 events to all clients" in caplog.text
