"""Merging events that come in quick succession.

The first event held starts the quantum, the longest time that anything is held; each further
one starts the quiescent time anew.  Whichever ends first gives everything up.

Source: hashicorp/serf v0.9.4, serf/coalesce.go, coalesce_member.go, coalesce_user.go.
"""

from __future__ import annotations

import math
from typing import Final

from .. import _attrs as attrs
from .._events import Event, EventType, Member, MemberEvent, UserEvent

_UP: Final = {EventType.MEMBER_JOIN, EventType.MEMBER_UPDATE}


class _Window:
    """When held events are to be given up."""

    def __init__(self, period: float, quiescent: float) -> None:
        self._period = period
        self._quiescent = quiescent
        self._quantum_end = math.inf
        self._quiet_end = math.inf

    def held(self, now: float) -> None:
        if self._quantum_end == math.inf:
            self._quantum_end = now + self._period
        self._quiet_end = now + self._quiescent

    @property
    def deadline(self) -> float:
        return min(self._quantum_end, self._quiet_end)

    def close(self) -> None:
        self._quantum_end = self._quiet_end = math.inf


class MemberCoalescer:
    """Holds member events and gives, per kind, one event with the last state of each member.

    A member whose last state is the one given before is left out.

    DIFFERS: Go repeats an old update at every later flush
    (test_an_update_is_given_once); it gives an update alone for a member that joined and
    changed in one period (test_a_join_followed_by_an_update_stays_a_join); it drops a
    return whose tags or address are new
    (test_a_member_that_returns_changed_within_one_period_is_told); and it tells of a member
    that changed and changed back (test_what_was_undone_within_one_period_is_no_news) or came
    and was forgotten (test_who_came_and_was_forgotten_within_one_period_is_no_news).

    Args:
      period: longest time that an event is held (seconds).
      quiescent: how long no further event must come for an earlier flush (seconds).
    """

    def __init__(self, *, period: float, quiescent: float) -> None:
        self._window = _Window(period, quiescent)
        self._latest: dict[str, tuple[EventType, Member]] = {}
        self._given: dict[str, tuple[EventType, Member]] = {}
        self._newcomers: set[str] = set()
        self._changed_twice: set[str] = set()

    def handles(self, event: Event) -> bool:
        """Whether `add` takes this event; others pass at once."""
        return isinstance(event, MemberEvent)

    def add(self, event: Event, now: float) -> None:
        """Hold an event that `handles` accepts."""
        assert isinstance(event, MemberEvent), "only member events are held here"
        self._window.held(now)
        for member in event.members:
            kind = event.type
            held = self._latest.get(member.name)
            if held is not None:
                self._changed_twice.add(member.name)
                if kind is EventType.MEMBER_UPDATE and held[0] is EventType.MEMBER_JOIN:
                    kind = EventType.MEMBER_JOIN
            elif kind is EventType.MEMBER_JOIN and member.name not in self._given:
                self._newcomers.add(member.name)
            self._latest[member.name] = (kind, member)

    def next_deadline(self) -> float:
        """When to flush; ``math.inf`` while nothing is held."""
        return self._window.deadline

    def expired(self, now: float) -> list[MemberEvent]:
        """`flush` if the deadline has come."""
        return self.flush() if now >= self._window.deadline else []

    def flush(self) -> list[MemberEvent]:
        """Give up what is held, at once."""
        self._window.close()
        groups: dict[EventType, list[Member]] = {}
        for name, (kind, member) in self._latest.items():
            if self._is_no_news(name, kind, member):
                continue
            if kind is EventType.MEMBER_REAP:
                self._given.pop(name, None)
            else:
                self._given[name] = (kind, member)
            groups.setdefault(kind, []).append(member)
        for held in (self._latest, self._newcomers, self._changed_twice):
            held.clear()
        return [MemberEvent(kind, tuple(members)) for kind, members in groups.items()]

    def _is_no_news(self, name: str, kind: EventType, member: Member) -> bool:
        """Whether the reader holds this already."""
        if kind is EventType.MEMBER_REAP:
            return name in self._newcomers
        before = self._given.get(name)
        if before is None or not _look_alike(before[1], member):
            return False
        if kind is EventType.MEMBER_UPDATE:
            # As in Go, a single update is always told.
            return name in self._changed_twice
        return kind is before[0] or {kind, before[0]} == _UP


def _look_alike(before: Member, after: Member) -> bool:
    """Whether they differ in nothing but the status, of which the kind of an event tells.

    An intent to leave changes the status, and is no event.
    """
    return attrs.evolve(before, status=after.status) == after


class UserCoalescer:
    """Holds user events that may be coalesced; gives the newest of each name.

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
        """Hold an event that `handles` accepts."""
        assert isinstance(event, UserEvent), "only user events are held here"
        self._window.held(now)
        held = self._newest.get(event.name)
        if held is None or event.ltime > held[0].ltime:
            self._newest[event.name] = [event]
        elif event.ltime == held[0].ltime:
            held.append(event)

    def next_deadline(self) -> float:
        """When to flush; ``math.inf`` while nothing is held."""
        return self._window.deadline

    def expired(self, now: float) -> list[UserEvent]:
        """`flush` if the deadline has come."""
        return self.flush() if now >= self._window.deadline else []

    def flush(self) -> list[UserEvent]:
        """Give up what is held, at once."""
        self._window.close()
        events = [event for held in self._newest.values() for event in held]
        self._newest.clear()
        return events
