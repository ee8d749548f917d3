"""What each node reported when: the events of all nodes in one list, with what was done to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from .. import _attrs as attrs
from .._events import Event, EventsDropped, EventType, MemberEvent, Query, UserEvent


@final
@attrs.frozen(kw_only=True)
class TimelineEntry:
    """One moment of one node.

    Args:
      time: when (trio clock, seconds).
      node: the name of the node; "" for what happened to the network.
      event: what the node reported to its application; None for what was done to it.
      what: in words.
    """

    time: float
    node: str
    event: Event | None
    what: str

    def __str__(self) -> str:
        return f"{self.time:10.3f}  {self.node or '(network)':<12}  {self.what}"


def in_words(event: Event) -> str:
    """An event on one line."""
    match event:
        case MemberEvent():
            return f"{event.type}: {', '.join(member.name for member in event.members)}"
        case UserEvent():
            return f"user {event.name} ({len(event.payload)} bytes)"
        case Query():
            return f"query {event.name} from {event.source_node}"
        case EventsDropped():
            return f"{event.count} events dropped"


@final
@attrs.define(eq=False)
class Timeline:
    """A growing list of entries, in the order in which they happened."""

    _entries: list[TimelineEntry] = attrs.field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[TimelineEntry]:
        return iter(tuple(self._entries))

    def __str__(self) -> str:
        return "\n".join(map(str, self._entries))

    def since(self, count: int) -> list[TimelineEntry]:
        """All entries but the first ``count``: what is new to who has read so many."""
        return self._entries[count:]

    def note(self, time: float, node: str, event: Event | str) -> None:
        """Add an event of a node, or a sentence about what was done to it."""
        if isinstance(event, str):
            entry = TimelineEntry(time=time, node=node, event=None, what=event)
        else:
            entry = TimelineEntry(time=time, node=node, event=event, what=in_words(event))
        self._entries.append(entry)

    def seen_by(self, node: str) -> list[TimelineEntry]:
        """What one node reported to its application."""
        return [entry for entry in self._entries if entry.node == node and entry.event is not None]

    def about(self, member: str, kind: EventType | None = None) -> list[TimelineEntry]:
        """The member events of all nodes about one member.

        Args:
          member: its name.
          kind: only this kind; None means all five.
        """
        return [
            entry
            for entry in self._entries
            if isinstance(entry.event, MemberEvent)
            and kind in (None, entry.event.type)
            and any(each.name == member for each in entry.event.members)
        ]

    def user_events(self, name: str) -> list[TimelineEntry]:
        """The deliveries of user events of one name."""
        return [
            entry
            for entry in self._entries
            if isinstance(entry.event, UserEvent) and entry.event.name == name
        ]
