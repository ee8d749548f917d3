"""The public list of members: ordered by name, replaced as a whole, safe to read anywhere."""

from __future__ import annotations

from bisect import bisect_left

from .._events import Member


class Roster:
    """Members ordered by name, given out as an immutable snapshot.

    Changes come from one thread; `snapshot` may be called from any.
    """

    def __init__(self) -> None:
        # Parallel lists: finding a place needs names alone.
        self._names: list[str] = []
        self._members: list[Member] = []
        self._version = 0
        self._snapshot: tuple[int, tuple[Member, ...]] = (0, ())

    def snapshot(self) -> tuple[Member, ...]:
        """All members: the same object until a change."""
        # The version is read before the list and raised after the list changes, so what
        # another thread stores here in between is at worst thrown away too early.
        version = self._version
        known, snapshot = self._snapshot
        if known != version:
            snapshot = tuple(self._members)
            self._snapshot = (version, snapshot)
        return snapshot

    def put(self, member: Member) -> None:
        """Add a member, or replace the one of that name."""
        name = member.name
        at = bisect_left(self._names, name)
        if at < len(self._names) and self._names[at] == name:
            self._members[at] = member
        else:
            self._names.insert(at, name)
            self._members.insert(at, member)
        self._version += 1

    def remove(self, name: str) -> None:
        """Remove a member that is there."""
        at = bisect_left(self._names, name)
        assert self._names[at] == name, "only members that were put can be removed"
        del self._names[at]
        del self._members[at]
        self._version += 1
