"""The events of the node, handed to every stream that wants them.

There is one reader of the node's events for all clients.  A record is encoded once, whatever
the number of streams.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc_event_stream.go; agent.go, eventLoop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from .. import _attrs as attrs
from .._events import Event, EventsDropped, MemberEvent, Query
from .._text import printable
from .._wire.event_filters import EventFilter
from .log_feed import AGENT_LOG, IPC_LOG
from .outbox import EncodedRecord, RecordQueue
from .records import NodeEvent, QueryRecord, event_kind, pack_event, pack_query_rest

BUFFER_SIZE: Final = 4096
"""Events that may wait while this task does not run; then streams miss some."""


def _logged(event: NodeEvent) -> str:
    """An event as Go's agent logs it, for scripts that look for that."""
    if isinstance(event, MemberEvent):
        return str(event.type)
    return f"{'query' if isinstance(event, Query) else 'user-event'}: {printable(event.name)}"


@attrs.define(eq=False)
class EventStream:
    """One stream of one client.

    Args:
      queue: where its records go.
      filters: the events that it wants.
      add_query: notes a query that this client may answer, and gives the number for it.
    """

    queue: RecordQueue
    filters: tuple[EventFilter, ...]
    add_query: Callable[[Query], int]

    def put(self, event: NodeEvent, kind: tuple[str, str], encoded: bytes) -> None:
        """Hand on an event, if it is wanted and there is room."""
        if not any(wanted.matches(*kind) for wanted in self.filters):
            return
        record: EncodedRecord = encoded
        if isinstance(event, Query) and not self.queue.full:
            record = QueryRecord(self.add_query(event), encoded)
        self.queue.put(record)


@attrs.define(eq=False)
class EventFeed:
    """All streams of all clients."""

    _streams: dict[EventStream, None] = attrs.field(factory=dict, init=False)

    def add(self, stream: EventStream) -> None:
        """From now on it gets what it wants."""
        self._streams[stream] = None

    def discard(self, stream: EventStream) -> None:
        """No more events.  Idempotent."""
        self._streams.pop(stream, None)

    async def run(self, events: trio.MemoryReceiveChannel[Event]) -> None:
        """Task: hands on everything that the node tells, until the node ends."""
        async for event in events:
            if isinstance(event, EventsDropped):
                IPC_LOG.warning("Dropping %d events to all clients", event.count)
            else:
                AGENT_LOG.info("Received event: %s", _logged(event))
                self.publish(event)

    def publish(self, event: NodeEvent) -> None:
        """Hand one event to every stream that wants it."""
        if not self._streams:
            return
        kind = event_kind(event)
        encoded = pack_query_rest(event) if isinstance(event, Query) else pack_event(event)
        for stream in self._streams:
            stream.put(event, kind, encoded)
