"""Merging events that come in quick succession.

The first event held starts the quantum, the longest time that anything is held; each further
one starts the quiescent time anew.  Whichever ends first gives everything up.

Source: hashicorp/serf v0.9.4, serf/coalesce.go, coalesce_member.go, coalesce_user.go.
"""

from __future__ import annotations

import math

from .._events import Event, EventType, Member, MemberEvent, UserEvent


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
    changed in one period (test_a_join_followed_by_an_update_stays_a_join); and it drops a
    return whose tags or address are new
    (test_a_member_that_returns_changed_within_one_period_is_told).

    Args:
      period: longest time that an event is held (seconds).
      quiescent: how long no further event must come for an earlier flush (seconds).
    """

    def __init__(self, *, period: float, quiescent: float) -> None:
        self._window = _Window(period, quiescent)
        self._latest: dict[str, tuple[EventType, Member]] = {}
        self._given: dict[str, tuple[EventType, Member]] = {}

    def handles(self, event: Event) -> bool:
        """Whether `add` takes this event; others pass at once."""
        return isinstance(event, MemberEvent)

    def add(self, event: Event, now: float) -> None:
        """Hold an event that `handles` accepts."""
        assert isinstance(event, MemberEvent), "only member events are held here"
        self._window.held(now)
        for member in event.members:
            kind = event.type
            if kind is EventType.MEMBER_UPDATE:
                held = self._latest.get(member.name)
                if held is not None and held[0] is EventType.MEMBER_JOIN:
                    kind = EventType.MEMBER_JOIN
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
            if kind is not EventType.MEMBER_UPDATE and self._given.get(name) == (kind, member):
                continue
            if kind is EventType.MEMBER_REAP:
                self._given.pop(name, None)
            else:
                self._given[name] = (kind, member)
            groups.setdefault(kind, []).append(member)
        self._latest.clear()
        return [MemberEvent(kind, tuple(members)) for kind, members in groups.items()]


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
