"""Lamport clocks: an order of messages without a common clock, and which times are accepted.

A clock moves past every time it sees, so one forged message can move all clocks of a cluster.
In Go a message with the time 2**64 - 1 ends a clock for good: it wraps to 0, nothing is ever
newer than what was seen, and a snapshot keeps that over restarts.  A smaller jump makes a node
deaf: what its peers send is stale, until they have learned of the jump.

Real clocks count by ones, and a node that was away catches up by push/pull.  So a time that is
more than the `window` of its log ahead is a *gap*, and one that is more than `STEP` a *jump*:

* A jump beyond the next `EPOCH` is *implausible*: the message is dropped as if it had never
  come.  Epochs have fixed bounds, so that all nodes of a cluster decide alike.
* A jump moves the clock to the middle of the next epoch at most.  So its own times are plausible
  to those that are behind, for half an epoch more.
* Gaps and jumps are rate-limited, one jump in sixteen seconds: messages of strangers can drive a
  clock ahead by one epoch in that time, and never faster than its peers learn of it.  A jump of
  a few steps costs as many gaps, so a node that missed a few gaps can afford it.
* Small steps may add up to a gap, too: a query that is not to be passed on moves the clock of this
  node alone, and so does an event that fits into no packet, and the state of a stranger; messages
  that skip hundreds of times leave those behind that are under way.  So what is *skipped* is
  counted: times for which no message came, and those that only this node has seen.  Messages that
  fill what was skipped are taken off.  A window of it is a gap; if no gap is allowed
  now, the clock stays where it is, and the message counts all the same.
* The times that were current before a gap stay so (`is_current`): messages of peers that do not
  know of it yet are still accepted.  They learn of it by a push/pull, which this node begins
  (`GAP`).
* A node that has just started has nothing to compare with.  In the first push/pull that it
  begins itself it accepts whatever its peer says (`catch_up` with ``first``).

No clock reaches `LIMIT`, long before it would wrap.  The price: if a cluster is in two parts
while forged messages drive one of them two epochs ahead, then nodes of the other accept messages
of that part again only when they restart.

DIFFERS: Go accepts every time, and wraps (unless ``faithful_go``).
Tests: test_an_implausible_time_is_not_seen, test_after_a_jump_peers_can_follow,
test_jumps_are_rate_limited, test_the_times_before_a_jump_stay_current, test_a_clock_never_wraps,
test_a_forged_time_leaves_every_clock_usable, test_small_steps_add_up_to_a_gap,
test_what_others_never_see_moves_a_clock_slowly.

Source: hashicorp/serf v0.9.4, serf/lamport.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, Protocol, TypeVar

from .. import _attrs as attrs
from .._swim.token_bucket import TokenBucket
from .._wire.limits import MAX_U64
from .effects import Count, Effect, ExchangeState

WINDOW: Final = 512
"""Least distance ahead of the clock that is a gap: so many messages may overtake one another in an
honest burst."""
STEP: Final = 1 << 13
"""Greatest distance ahead of the clock that is a gap and no jump."""
EPOCH: Final = 1 << 31
"""Times of one epoch: a thousand messages a second use them up in 25 days."""
LIMIT: Final = 1 << 63
"""No clock reaches this time, and no message with it is accepted."""
GAP_BURST: Final = 64
"""Gaps accepted before `GAP_RATE` applies.  A message that is refused is not lost: a copy of it may
come when the clock is nearer."""
GAP_RATE: Final = 4.0
"""Gaps accepted in a second, after a burst of `GAP_BURST`."""
JUMP_COST: Final = 64
"""Cost, in gaps, of a long jump: at `GAP_RATE` there is one in sixteen seconds."""
PRIVATE_COST: Final = 32
"""Cost, in gaps, of a gap made of messages that only this node saw: other nodes learn of such a gap
by push/pull alone."""
CATCH_UP_COST: Final = 16
"""Cost, in gaps, of a gap made by the state of one peer, which other nodes may have seen."""
_GAPS: Final = 128
"""Gaps that are remembered: at `GAP_RATE`, those of the last half a minute."""

REFUSED: Final = (Count("trioserf.serf.implausible_time"),)
"""A message was dropped because of its time."""
GAP: Final = (Count("trioserf.serf.clock_gap"), ExchangeState())
"""The clock moved over a gap: peers may be behind."""


@attrs.define(eq=False)
class LamportClock:
    """A counter that is always past every time it has seen.

    Args:
      time: the first value.
      window: how far behind a message may be that is not stale, and ahead without a gap.
      faithful: accept every time, and wrap after ``2**64 - 1``, as Go's clocks do.
    """

    time: int = 0
    window: int = WINDOW
    faithful: bool = False
    skipped: int = attrs.field(default=0, init=False)
    """Times of a window that no message had, or only messages that others never see."""
    _before_gaps: tuple[int, ...] = attrs.field(default=(), init=False)
    """The values that the clock had before its last gaps."""
    _gaps: TokenBucket = attrs.field(factory=lambda: TokenBucket(GAP_BURST, GAP_RATE), init=False)

    def increment(self) -> int:
        """Advance by one and return the new time."""
        self.witness(self.time)
        return self.time

    def witness(self, seen: int) -> None:
        """Observe a time that some node used: the clock moves past it, never back."""
        if seen >= self.time:
            self.time = (seen + 1) & MAX_U64 if self.faithful else min(seen + 1, LIMIT - 1)

    def observe(
        self, seen: int, now: float, *, private: bool = False, cost: int = 0
    ) -> tuple[Effect, ...] | None:
        """Observe the time of a message, if it can be accepted.

        Args:
          now: trio clock (seconds); only a time that is ahead asks for it.
          private: this node does not pass the message on.
          cost: of a gap that small steps add up to; 0 for the usual one.

        Returns the effects; None if the message is to be dropped.
        """
        ahead = seen - self.time
        if ahead < 0:
            return ()
        if not (ahead or private) and seen < LIMIT - 1:
            self.time = seen + 1
            return ()
        if self.faithful:
            self.witness(seen)
            return ()
        if seen >= LIMIT or seen // EPOCH > self.time // EPOCH + 1:
            return None
        least = PRIVATE_COST if private and not cost else 1
        if ahead <= self.window:
            return self._skip(seen, ahead + private, now, cost or least)
        if not self._gaps.take(now, min(JUMP_COST, max(least, ahead / STEP))):
            return None
        self._before_gaps = (*self._before_gaps, self.time)[-_GAPS:]
        middle = (self.time // EPOCH + 1) * EPOCH + EPOCH // 2
        self.time = min(seen + 1, middle)
        return GAP

    def _skip(self, seen: int, count: int, now: float, cost: int) -> tuple[Effect, ...]:
        """Move by less than a gap, and see what all such steps have become together."""
        skipped = self.skipped + count
        if skipped <= self.window:
            self.skipped = skipped
            self.witness(seen)
            return ()
        if not self._gaps.take(now, cost):
            return ()
        left = max(0, self.time - self.skipped)
        self._before_gaps = (*self._before_gaps, left)[-_GAPS:]
        self.skipped = 0
        self.witness(seen)
        return GAP

    def fill(self) -> None:
        """A message came whose time had been passed over: only if any is `skipped`."""
        self.skipped -= 1

    def catch_up(self, peer: int, now: float, *, first: bool = False) -> tuple[Effect, ...] | None:
        """Observe the clock of a peer, who has not used its value yet.  Returns as `observe`.

        Args:
          first: accept it, however far ahead it is.
        """
        if first and peer <= LIMIT:
            self.witness(peer - 1)
            return ()
        return self.observe(peer - 1, now, private=True, cost=CATCH_UP_COST)

    def is_current(self, time: int) -> bool:
        """Whether peers that do not know of a gap yet may use this time."""
        window = self.window
        return any(abs(time - left) <= window for left in self._before_gaps)


# --- what was received lately -----------------------------------------------------------


class Slot(Protocol):
    """What is known of one Lamport time."""

    ltime: int


S = TypeVar("S", bound=Slot)


class RecentTimes(Generic[S]):
    """Slots by Lamport time: the memory that makes each message count once.

    A log of messages has one slot for each Lamport time.  In Go it is an array, indexed by the
    time modulo its size: a slot belongs to the time that used it last.  Here it is a dict by
    time, which is the same as long as the clock counts on: times that have become stale are
    dropped.  It differs after a gap in the clock, when old and new times are used side by side
    and must not take each other's slots.  Then the lowest times are dropped once there are too
    many, and whatever is not above them counts as stale from then on, so that nothing is
    delivered twice.

    DIFFERS: after a gap, see above (unless ``faithful_go``).
    Test: test_times_on_both_sides_of_a_gap_do_not_take_each_others_slots.

    Source: hashicorp/serf v0.9.4, serf/serf.go, eventBuffer, queryBuffer.

    Args:
      clock: the clock of the messages.
      size: how many times the ring has.
      dropped: called with each slot that is forgotten.
      memory: how many times are remembered; as many as the ring has if that is more.

    Attributes:
      floor: messages of this time and below may have been forgotten; -1 for none.
      memory: how far behind the clock a message may be that is not stale.
    """

    def __init__(
        self,
        clock: LamportClock,
        size: int,
        dropped: Callable[[S], object] | None = None,
        *,
        memory: int = 0,
    ) -> None:
        clock.window = max(WINDOW, size)
        self.floor: int = -1
        self.memory: int = max(size, memory)
        self._clock = clock
        self._size = size
        self._slots: dict[int, S] = {}
        self._dropped = dropped

    def is_old(self, ltime: int) -> bool:
        """Whether a time is so far behind that its messages may have been forgotten."""
        time = self._clock.time
        return time > self.memory and ltime < time - self.memory

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
        if len(self._slots) > self.memory + self._size:  # room for both sides of a gap
            self._sweep()

    def _sweep(self) -> None:
        """Drop what is stale, and if that is too little the lowest times."""
        clock, slots = self._clock, self._slots
        for ltime in [one for one in slots if self.is_old(one) and not clock.is_current(one)]:
            self._drop(ltime)
        if len(slots) > self.memory + self._size - self._size // 2:
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
