"""Merging events that come in quick succession."""

from __future__ import annotations

from .._events import Event, MemberEvent, UserEvent


class MemberCoalescer:
    """Holds member events and gives, per kind, one event with the last state of each member.

    Args:
      period: longest time that an event is held (seconds).
      quiescent: how long no further event must come for an earlier flush (seconds).
    """

    def __init__(self, *, period: float, quiescent: float) -> None: ...

    def handles(self, event: Event) -> bool:
        """Whether `add` takes this event; others pass at once."""
        ...

    def add(self, event: Event, now: float) -> None:
        """Hold an event that `handles` accepts."""
        ...

    def next_deadline(self) -> float:
        """When to flush; ``math.inf`` while nothing is held."""
        ...

    def expired(self, now: float) -> list[MemberEvent]:
        """`flush` if the deadline has come."""
        ...

    def flush(self) -> list[MemberEvent]:
        """Give up what is held, at once."""
        ...


class UserCoalescer:
    """Holds user events that may be coalesced; gives the newest of each name.

    Arguments as for `MemberCoalescer`.
    """

    def __init__(self, *, period: float, quiescent: float) -> None: ...

    def handles(self, event: Event) -> bool:
        """Whether `add` takes this event; others pass at once."""
        ...

    def add(self, event: Event, now: float) -> None:
        """Hold an event that `handles` accepts."""
        ...

    def next_deadline(self) -> float:
        """When to flush; ``math.inf`` while nothing is held."""
        ...

    def expired(self, now: float) -> list[UserEvent]:
        """`flush` if the deadline has come."""
        ...

    def flush(self) -> list[UserEvent]:
        """Give up what is held, at once."""
        ...
