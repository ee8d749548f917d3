"""What was received lately, by Lamport time: the memory that makes each message count once.

A log of messages has one slot for each Lamport time.  In Go it is an array, indexed by the time
modulo its size: a slot belongs to the time that used it last.  Here it is a dict by time, which
is the same as long as the clock counts on: times that have become stale are dropped.  It differs
after a gap in the clock (`lamport`), when old and new times are used side by side and must not
take each other's slots.  Then the lowest times are dropped once there are too many, and whatever
is not above them counts as stale from then on, so that nothing is delivered twice.

DIFFERS: after a gap, see above (unless ``faithful_go``).
Test: test_times_on_both_sides_of_a_gap_do_not_take_each_others_slots.

Source: hashicorp/serf v0.9.4, serf/serf.go, eventBuffer, queryBuffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, Protocol, TypeVar

from .lamport import WINDOW, LamportClock

_SPARE: Final = 2
"""Slots that are kept for each one of the configured size: room for both sides of a gap."""


class Slot(Protocol):
    """What is known of one Lamport time."""

    ltime: int


S = TypeVar("S", bound=Slot)


class RecentTimes(Generic[S]):
    """Slots by Lamport time.

    Args:
      clock: the clock of the messages.
      size: how many times are remembered.
      dropped: called with each slot that is forgotten.

    Attributes:
      floor: messages of this time and below may have been forgotten; -1 for none.
    """

    def __init__(
        self, clock: LamportClock, size: int, dropped: Callable[[S], object] | None = None
    ) -> None:
        clock.window = max(WINDOW, size)
        self.floor: int = -1
        self._clock = clock
        self._size = size
        self._slots: dict[int, S] = {}
        self._dropped = dropped

    def is_old(self, ltime: int) -> bool:
        """Whether a time is so far behind that its messages may have been forgotten."""
        time = self._clock.time
        return time > self._size and ltime < time - self._size

    def get(self, ltime: int) -> S | None:
        """The slot of a time; None for an unused one."""
        slot = self._slots.get(ltime % self._size if self._clock.faithful else ltime)
        return slot if slot is not None and slot.ltime == ltime else None

    def put(self, slot: S) -> None:
        """Remember a slot of a time that has none."""
        if self._clock.faithful:
            index = slot.ltime % self._size
            self._drop(index)
            self._slots[index] = slot
            return
        self._slots[slot.ltime] = slot
        if len(self._slots) > _SPARE * self._size:
            self._sweep()

    def _sweep(self) -> None:
        """Drop what is stale, and if that is too little the lowest times."""
        clock, slots = self._clock, self._slots
        for ltime in [one for one in slots if self.is_old(one) and not clock.is_current(one)]:
            self._drop(ltime)
        if len(slots) > _SPARE * self._size - self._size // 2:
            self.drop_lowest(self._size // 2 + 1)

    def drop_lowest(self, count: int) -> None:
        """Forget the slots of the ``count`` lowest times; whatever is not above them is stale."""
        lowest = sorted(self._slots.values(), key=lambda slot: slot.ltime)[:count]
        for slot in lowest:
            self._drop(slot.ltime % self._size if self._clock.faithful else slot.ltime)
            self.floor = max(self.floor, slot.ltime)

    def _drop(self, index: int) -> None:
        slot = self._slots.pop(index, None)
        if slot is not None and self._dropped is not None:
            self._dropped(slot)

    def __iter__(self) -> Iterator[S]:
        """The slots, in no order."""
        return iter(self._slots.values())

    def in_ring(self) -> list[S | None]:
        """The slots where Go has them; of two at one place the higher one."""
        ring: list[S | None] = [None] * self._size
        for slot in self._slots.values():
            index = slot.ltime % self._size
            other = ring[index]
            if other is None or other.ltime < slot.ltime:
                ring[index] = slot
        return ring
