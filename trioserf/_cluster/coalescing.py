"""Merging events that come in quick succession.

The first pending event starts the coalesce period, the longest time that anything is delayed;
each further one restarts the quiescent period.  Whichever ends first flushes everything.

Source: hashicorp/serf v0.9.4, serf/coalesce.go, coalesce_member.go, coalesce_user.go.
"""

from __future__ import annotations

import math
from typing import Final

from .. import _attrs as attrs
from .._events import Event, EventType, Member, MemberEvent, UserEvent

_UP: Final = {EventType.MEMBER_JOIN, EventType.MEMBER_UPDATE}
_STATUSES: Final = {EventType.MEMBER_JOIN, EventType.MEMBER_FAILED, EventType.MEMBER_LEAVE}
"""Events that say whether a member is up; an update behind one of them takes nothing back."""


class _Window:
    """When the pending events are to be flushed."""

    def __init__(self, period: float, quiescent: float) -> None:
        self._period = period
        self._quiescent = quiescent
        self._period_end = math.inf
        self._quiescent_end = math.inf

    def restart(self, now: float) -> None:
        if self._period_end == math.inf:
            self._period_end = now + self._period
        self._quiescent_end = now + self._quiescent

    @property
    def deadline(self) -> float:
        return min(self._period_end, self._quiescent_end)

    def close(self) -> None:
        self._period_end = self._quiescent_end = math.inf


class MemberCoalescer:
    """Merges member events: per type, one event with the last state of each member.

    A member whose last state is the one published before is left out.

    DIFFERS: where one period has several changes of a member, readers get all that matters:

    * An old update is not repeated; Go does so at every later flush
      (test_an_update_is_published_once).
    * A member that joined and changed, or that failed and changed, is published as both; Go
      publishes the update alone (test_a_join_followed_by_an_update_is_published_as_both,
      test_an_update_of_a_failed_member_does_not_hide_the_failure).
    * A return with new tags or a new address is published; Go drops it
      (test_a_member_that_returns_changed_within_one_period_is_published).
    * What changed back, or joined and was reaped, is not published; Go does
      (test_a_change_reverted_within_one_period_is_not_published,
      test_a_member_that_joined_and_was_reaped_within_one_period_is_not_published).

    Args:
      period: longest time that an event is delayed (seconds).
      quiescent: how long no further event must come for an earlier flush (seconds).
    """

    def __init__(self, *, period: float, quiescent: float) -> None:
        self._window = _Window(period, quiescent)
        self._latest: dict[str, tuple[EventType, Member]] = {}
        self._published: dict[str, tuple[EventType, Member]] = {}
        self._joined: set[str] = set()
        self._changed_twice: set[str] = set()
        self._as_joined: dict[str, Member] = {}

    def handles(self, event: Event) -> bool:
        """Whether `add` takes this event; others pass at once."""
        return isinstance(event, MemberEvent)

    def add(self, event: Event, now: float) -> None:
        """Add an event that `handles` accepts."""
        assert isinstance(event, MemberEvent), "only member events are coalesced here"
        self._window.restart(now)
        for member in event.members:
            kind = event.type
            pending = self._latest.get(member.name)
            if pending is not None:
                self._changed_twice.add(member.name)
                if kind is not EventType.MEMBER_UPDATE:
                    self._as_joined.pop(member.name, None)
                elif pending[0] in _STATUSES:
                    kind = pending[0]
                    if kind is EventType.MEMBER_JOIN:
                        self._as_joined.setdefault(member.name, pending[1])
            elif kind is EventType.MEMBER_JOIN and member.name not in self._published:
                self._joined.add(member.name)
            self._latest[member.name] = (kind, member)

    def next_deadline(self) -> float:
        """When to flush; ``math.inf`` while nothing is pending."""
        return self._window.deadline

    def expired(self, now: float) -> list[MemberEvent]:
        """`flush` if the deadline has come."""
        return self.flush() if now >= self._window.deadline else []

    def flush(self) -> list[MemberEvent]:
        """The merged events, at once."""
        self._window.close()
        groups: dict[EventType, list[Member]] = {}
        changed: list[Member] = []
        for name, (kind, member) in self._latest.items():
            if self._is_published(name, kind, member):
                continue
            joined = self._as_joined.get(name) if name not in self._published else None
            if joined is not None and not _look_alike(joined, member):
                changed.append(member)
                groups.setdefault(kind, []).append(joined)
                self._published[name] = (kind, member)
                continue
            if kind is EventType.MEMBER_REAP:
                self._published.pop(name, None)
            else:
                before = self._published.get(name)
                if kind is EventType.MEMBER_UPDATE and before is not None:
                    self._published[name] = (before[0], member)
                else:
                    self._published[name] = (kind, member)
            groups.setdefault(kind, []).append(member)
        for pending in (self._latest, self._joined, self._changed_twice, self._as_joined):
            pending.clear()
        if changed:  # behind the joins
            groups[EventType.MEMBER_UPDATE] = groups.pop(EventType.MEMBER_UPDATE, []) + changed
        return [MemberEvent(kind, tuple(members)) for kind, members in groups.items()]

    def _is_published(self, name: str, kind: EventType, member: Member) -> bool:
        """Whether the reader knows this already."""
        if kind is EventType.MEMBER_REAP:
            return name in self._joined
        before = self._published.get(name)
        if before is None or not _look_alike(before[1], member):
            return False
        if kind is EventType.MEMBER_UPDATE:
            # As in Go, a single update is always published.
            return name in self._changed_twice
        return kind is before[0] or {kind, before[0]} == _UP


def _look_alike(before: Member, after: Member) -> bool:
    """Whether they differ in nothing but the status, which the type of the event shows.

    A leave intent changes the status without an event.
    """
    return attrs.evolve(before, status=after.status) == after


class UserCoalescer:
    """Merges user events that may be coalesced: the newest of each name.

    Events of one name and one Lamport time are all kept.

    Arguments as for `MemberCoalescer`.
    """

    def __init__(self, *, period: float, quiescent: float) -> None:
        self._window = _Window(period, quiescent)
        self._newest: dict[str, list[UserEvent]] = {}

    def handles(self, event: Event) -> bool:
        """Whether `add` takes this event; others pass at once."""
        return isinstance(event, UserEvent) and event.coalesce

    def add(self, event: Event, now: float) -> None:
        """Add an event that `handles` accepts."""
        assert isinstance(event, UserEvent), "only user events are coalesced here"
        self._window.restart(now)
        pending = self._newest.get(event.name)
        if pending is None or event.ltime > pending[0].ltime:
            self._newest[event.name] = [event]
        elif event.ltime == pending[0].ltime:
            pending.append(event)

    def next_deadline(self) -> float:
        """When to flush; ``math.inf`` while nothing is pending."""
        return self._window.deadline

    def expired(self, now: float) -> list[UserEvent]:
        """`flush` if the deadline has come."""
        return self.flush() if now >= self._window.deadline else []

    def flush(self) -> list[UserEvent]:
        """The merged events, at once."""
        self._window.close()
        events = [event for pending in self._newest.values() for event in pending]
        self._newest.clear()
        return events
