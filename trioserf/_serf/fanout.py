"""The end of the event pipeline: every reader gets its own copy, in its own buffer.

A slow reader never slows the node.  Its buffer fills; further events are counted
and not stored.  The count stands in the buffer behind the last event that was stored, as
`EventsDropped`, so the reader meets it exactly where the events are missing, and may then do
what it thinks right: read ``members()`` anew, for example.

While the gap grows its mark is still in the buffer, unseen by anyone, and the count in it is
raised in place.  Once the reader has taken anything there is room again, and the next event
goes behind the mark; so each gap has one mark, and the mark the right number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, TypeVar

import trio

from .. import _attrs as attrs
from .._events import Event, EventsDropped, EventType, MemberEvent, Query, UserEvent
from .._memberlist.node_log import Log
from .._text import short_repr
from .pipeline import NodeEvent

MemberKind: TypeAlias = (
    type[MemberEvent]
    | Literal[
        EventType.MEMBER_JOIN,
        EventType.MEMBER_LEAVE,
        EventType.MEMBER_FAILED,
        EventType.MEMBER_UPDATE,
        EventType.MEMBER_REAP,
    ]
)
UserKind: TypeAlias = type[UserEvent] | Literal[EventType.USER]
QueryKind: TypeAlias = type[Query] | Literal[EventType.QUERY]
EventKind: TypeAlias = EventType | type[MemberEvent | UserEvent | Query | EventsDropped]
"""What `Serf.subscribe` takes: one kind of event, or a class for all of its kinds.

`EventsDropped` comes anyway, so naming it changes nothing.
"""

A = TypeVar("A", bound=MemberEvent | UserEvent | Query | EventsDropped)
B = TypeVar("B", bound=MemberEvent | UserEvent | Query | EventsDropped)

MAX_WAITING: Final = 16
"""Events that may wait for a reader that is not behind."""
READING_TURNS: Final = 8
"""Turns of the loop in which a reader takes something if it only reads: tasks come in random
order."""
_CLASSES: Final = (MemberEvent, UserEvent, Query, EventsDropped)


def check_kinds(types: Iterable[EventKind]) -> frozenset[EventKind]:
    """The kinds that are wanted; empty for all.

    Raises:
      TypeError: neither an `EventType` nor one of the event classes.
    """
    kinds = tuple(types)
    for item in kinds:
        if not isinstance(item, EventType) and item not in _CLASSES:
            raise TypeError(
                f"{short_repr(item)}: expected an EventType, MemberEvent, UserEvent or Query"
            )
    return frozenset(kinds)


@attrs.define(eq=False)
class Subscription:
    """One reader: its buffer, and the gap at the end of it if there is one.

    Args:
      size: events that may wait (at least 1).
      wanted: kinds of events, and classes for all of their kinds; empty for everything.
      log: gets a warning, once for each gap, that the reader is too slow.
      name: for log and statistics.
      optional: a channel that is there although perhaps nobody wants it.
    """

    size: int
    wanted: frozenset[EventKind]
    log: Log
    name: str = "events"
    optional: bool = False
    _missed: int = attrs.field(default=0, init=False)
    _stored: int = attrs.field(default=0, init=False)
    """Events and marks that went into the buffer."""
    _taken: int = attrs.field(default=0, init=False)
    """Events and marks that had been taken out of it when that was last checked."""
    _still: int = attrs.field(default=READING_TURNS, init=False)
    """How often `_taken` has been the same number since."""
    _warned: bool = attrs.field(default=False, init=False)
    receive_channel: trio.MemoryReceiveChannel[Event] = attrs.field(init=False)
    _send_channel: trio.MemorySendChannel[Event] = attrs.field(init=False)
    _mark: EventsDropped | None = attrs.field(default=None, init=False)
    _room: int = attrs.field(default=0, init=False)
    """Events that find room at least; how many the reader has taken is asked when it is 0."""

    def __attrs_post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"max_buffer_size={self.size!r}: expected 1 or more")
        # One place more than events may use: that of the mark.
        channels = trio.open_memory_channel[Event](self.size + 1)
        self._send_channel, self.receive_channel = channels

    def put(self, event: NodeEvent) -> bool:
        """Store or count the event.  False if there is no reader any more."""
        if self.wanted and type(event) not in self.wanted and event.type not in self.wanted:
            return True
        if not self._room:
            waiting = self._send_channel.statistics()
            if not waiting.open_receive_channels:
                return False
            self._room = max(0, self.size - waiting.current_buffer_used)
            if not self._room:
                self._count_missing()
                return True
            self._mark, self._warned = None, False
        try:
            self._send_channel.send_nowait(event)
        except trio.BrokenResourceError:
            return False
        self._room -= 1
        self._stored += 1
        return True

    @property
    def dropped(self) -> int:
        """Events that this reader missed, all gaps together.

        An optional channel that nobody reads has no reader that is too slow: it counts once
        something was taken out of it.
        """
        return self._missed if self._is_read() else 0

    def _is_read(self) -> bool:
        return (
            not self.optional or self._stored > self._send_channel.statistics().current_buffer_used
        )

    def is_behind(self) -> bool:
        """Whether much waits, and the reader takes it as fast as it can.

        To be asked in each turn of the loop.  One that takes nothing is busy otherwise, and nobody
        waits for it.
        """
        waiting = self._send_channel.statistics().current_buffer_used
        taken = self._stored - waiting
        self._still = 0 if taken > self._taken else self._still + 1
        self._taken = taken
        return waiting > MAX_WAITING and self._still < READING_TURNS

    def _count_missing(self) -> None:
        self._missed += 1
        if not self._warned and self._is_read():
            self._warned = True
            self.log.warning(
                "the reader %s is too slow: its buffer of %d is full and events are dropped",
                self.name,
                self.size,
            )
        if self._mark is None:
            self._mark = EventsDropped(1)
            self._send_channel.send_nowait(self._mark)
            self._stored += 1
        else:
            # Frozen for its reader, who has not seen it: it is the last thing in a full buffer.
            object.__setattr__(self._mark, "count", self._mark.count + 1)

    def close(self) -> None:
        """No more events; the reader still gets those in its buffer."""
        self._send_channel.close()


@attrs.define(eq=False)
class Fanout:
    """All readers of one node's events.

    Args:
      log: for its readers.
    """

    log: Log
    _subscriptions: list[Subscription] = attrs.field(factory=list, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _number: int = attrs.field(default=0, init=False)
    _dropped_before: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._subscriptions)

    @property
    def dropped(self) -> int:
        """Events that readers missed, past readers included."""
        return self._dropped_before + sum(reader.dropped for reader in self._subscriptions)

    def dropped_by_reader(self) -> dict[str, int]:
        """Events that each reader of this moment missed, by its name."""
        return {reader.name: reader.dropped for reader in tuple(self._subscriptions)}

    def add(
        self,
        size: int,
        kinds: Iterable[EventKind] = (),
        *,
        name: str = "",
        optional: bool = False,
    ) -> Subscription:
        """Register a reader; pair it with `discard`.  ``name`` is made up if there is none."""
        wanted = check_kinds(kinds)
        if not name:
            self._number += 1
            texts = []
            for kind in wanted:
                texts.append(kind.__name__ if isinstance(kind, type) else str(kind))
            name = f"subscribe({', '.join(sorted(texts))}) #{self._number}"
        reader = Subscription(size, wanted, self.log, name, optional=optional)
        if self._closed:
            reader.close()
        else:
            self._subscriptions.append(reader)
        return reader

    def discard(self, reader: Subscription) -> None:
        """Forget a reader and end its channel.  Idempotent."""
        if reader in self._subscriptions:
            self._subscriptions.remove(reader)
            self._dropped_before += reader.dropped
        reader.close()

    def put(self, event: NodeEvent) -> None:
        """Give the event to every reader that wants it."""
        for reader in tuple(self._subscriptions):
            if not reader.put(event):
                self.discard(reader)

    def is_behind(self) -> bool:
        """Whether a reader is about to catch up with much that waits for it."""
        # Each is asked: it notes how far it is.
        return sum(reader.is_behind() for reader in self._subscriptions) > 0

    def close(self) -> None:
        """End every channel, after what is in the buffers."""
        self._closed = True
        for reader in list(self._subscriptions):
            self.discard(reader)
