"""Which events are wanted: ``member-join,user:deploy``, as streams and handlers say it.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/event_handler.go, ParseEventFilter,
EventFilter.Invoke, EventFilter.Valid.
"""

from __future__ import annotations

from typing import NamedTuple

_ALWAYS_PLAIN = frozenset(
    {"*", "member-join", "member-leave", "member-failed", "member-update", "member-reap"}
)
_NAMED = ("user", "query")


class EventFilter(NamedTuple):
    """One wanted kind of event.

    Args:
      event: ``*``, one of the five member kinds, ``user`` or ``query``.
      name: only user events or queries of this name; "" for any.
    """

    event: str
    name: str = ""

    def matches(self, event: str, name: str) -> bool:
        """Whether an event of this kind and name ("" for member events) is wanted."""
        if self.event == "*":
            return True
        return self.event == event and (not self.name or self.name == name)


def parse_event_filters(text: str) -> tuple[EventFilter, ...]:
    """The filters of a list with commas; an empty text wants everything.

    Raises:
      ValueError: one of them is no filter.
    """
    return tuple(_parse(part) for part in (text or "*").split(","))


def _parse(part: str) -> EventFilter:
    if part in _ALWAYS_PLAIN:
        return EventFilter(part)
    event, colon, name = part.partition(":")
    if event in _NAMED:
        return EventFilter(event, name if colon else "")
    raise ValueError(f"{part!r}: expected *, a kind of member event, user[:NAME] or query[:NAME]")
