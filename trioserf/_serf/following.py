"""Following the members: the newest list at once, and again after every change.

What an application asks of a membership library is mostly "who is there now, and call me when
that changes".  Written by hand it has a race: a list taken before the subscription misses what
happens in between, one taken after it is followed by events that it contains already, and a
reader that was too slow has to notice `EventsDropped` and begin anew.

Here the list itself is compared.  A reader remembers what it got last; it sleeps while the
members are that, and gets the newest list as soon as they are not.  So states in between may be
skipped, and the last one never is; nothing is stored for a slow reader.
"""

from __future__ import annotations

from typing import final

import trio

from .. import _attrs as attrs
from .._cluster.members import MemberRegistry
from .._events import Member
from .members_view import Members, Selection


class Followers:
    """All who follow the members of one node.

    Args:
      members: the rules, which call back at every change.
    """

    def __init__(self, members: MemberRegistry) -> None:
        self.members: MemberRegistry = members
        self.lot: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        self.ended: bool = False
        members.watchers.append(self.lot.unpark_all)

    def close(self) -> None:
        """The members change no more: each reader gets the last state, and then the end."""
        self.ended = True
        self.lot.unpark_all()


@final
@attrs.define(eq=False)
class MemberStates:
    """What ``Serf.follow`` gives: an iterator of one reader.

    Args:
      followers: of the node.
      selection: which members the reader wants.
    """

    followers: Followers
    selection: Selection
    _seen: tuple[Member, ...] | None = attrs.field(default=None, init=False)
    _last: tuple[Member, ...] | None = attrs.field(default=None, init=False)
    _reading: bool = attrs.field(default=False, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def __aiter__(self) -> MemberStates:
        return self

    async def __anext__(self) -> Members:
        """The newest members, as soon as they are others than those given last.

        *Cancellation*: loses nothing.

        Raises:
          trio.BusyResourceError: another task waits here.
          trio.ClosedResourceError: the block of ``follow`` is over.
        """
        if self._reading:
            raise trio.BusyResourceError("another task is waiting for the next state")
        self._reading = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                if self._closed:
                    raise trio.ClosedResourceError("the block of follow() is over")
                if self._changed():
                    assert self._last is not None, "a state that has changed is there"
                    return Members(self._last)
                if self.followers.ended:
                    raise StopAsyncIteration
                await self.followers.lot.park()
        finally:
            self._reading = False

    def _changed(self) -> bool:
        """Whether the selected members are others than before; takes note of them."""
        now = self.followers.members.members()
        if now is self._seen:
            return False
        self._seen = now
        selected = self.selection.of(now)
        if selected == self._last:
            return False
        self._last = selected
        return True

    def close(self) -> None:
        """The block of ``follow`` is over."""
        self._closed = True
        self.followers.lot.unpark_all()
