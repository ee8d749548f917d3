"""Lamport clocks: an order of messages without a common clock, and which times are accepted.

A clock moves past every time it sees, so one forged message can move all clocks of a cluster.
In Go a message with the time 2**64 - 1 ends a clock for good: it wraps to 0, nothing is ever
newer than what was seen, and a snapshot keeps that over restarts.  A smaller jump makes a node
deaf: what its peers send is stale, until they have learned of the jump.

Real clocks count by ones, and a node that was away catches up by push/pull.  So a time that is
more than the `window` of its log ahead is a *gap*, and one that is more than `STEP` a *jump*:

* A jump into the next but one `EPOCH` is *implausible*: the message is dropped as if it had
  never come.  Epochs have fixed bounds, so that all nodes of a cluster decide alike.
* A jump moves the clock to the middle of the next epoch at most.  So its own times are plausible
  to those that are behind, for half an epoch more.
* Gaps and jumps are rationed, one jump in sixteen seconds: messages of strangers can drive a clock
  ahead by one epoch in that time, and never faster than its peers learn of it.
* The times that were current before a gap stay so (`is_current`): peers that do not know of it
  yet are still heard.  They learn of it by a push/pull, which this node begins (`GAP`).
* A node that has just started has nothing to compare with.  In the first push/pull that it
  begins itself it accepts whatever its peer says (`catch_up` with ``first``).

No clock reaches `LIMIT`, long before it would wrap.  The price: if a cluster is in two parts
while forged messages drive one of them two epochs ahead, then nodes of the other hear that part
again only when they restart.

DIFFERS: Go accepts every time, and wraps (unless ``faithful_go``).
Tests: test_an_implausible_time_is_not_seen, test_after_a_jump_peers_can_follow,
test_jumps_are_rationed, test_the_times_before_a_jump_stay_current, test_a_clock_never_wraps,
test_a_forged_time_leaves_nobody_deaf.

Source: hashicorp/serf v0.9.4, serf/lamport.go.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from .. import _attrs as attrs
from .._wire.limits import MAX_U64
from .effects import Count, Effect, ExchangeState

WINDOW: Final = 512
"""The least gap: so many messages may overtake one another in an honest burst."""
STEP: Final = 1 << 13
"""How far ahead a time may be that is no jump."""
EPOCH: Final = 1 << 31
"""Times of one epoch: 25 days of a thousand messages a second."""
LIMIT: Final = 1 << 63
"""No clock reaches this time, and no message with it is accepted."""
RATION: Final = 64
"""Gaps that are accepted in a row; a copy of what is refused may come when the clock is nearer."""
REFILL: Final = 4.0
"""Further gaps for each second."""
JUMP_COST: Final = 64
"""Gaps that a jump counts for, so that there is one in sixteen seconds."""
_GAPS: Final = 128
"""Gaps that are remembered: those of the last half a minute, whatever comes."""

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
    _left: deque[int] = attrs.field(factory=lambda: deque(maxlen=_GAPS), init=False)
    """The values that the clock had before its last gaps."""
    _ration: float = attrs.field(default=RATION, init=False)
    _rationed_at: float = attrs.field(default=-math.inf, init=False)

    def increment(self) -> int:
        """Advance by one and return the new time."""
        self.witness(self.time)
        return self.time

    def witness(self, seen: int) -> None:
        """Observe a time that some node used: the clock moves past it, never back."""
        if seen >= self.time:
            self.time = (seen + 1) & MAX_U64 if self.faithful else min(seen + 1, LIMIT - 1)

    def observe(self, seen: int, now: float) -> tuple[Effect, ...] | None:
        """Observe the time of a message, if it can be accepted.

        Returns the effects; None if the message is to be dropped.
        """
        ahead = seen - self.time
        if ahead < 0:
            return ()
        if self.faithful or (ahead <= self.window and seen < LIMIT):
            self.witness(seen)
            return ()
        if seen >= LIMIT or seen // EPOCH > self.time // EPOCH + 1:
            return None
        if not self._spend(1 if ahead <= STEP else JUMP_COST, now):
            return None
        self._left.append(self.time)
        middle = (self.time // EPOCH + 1) * EPOCH + EPOCH // 2
        self.time = min(seen + 1, middle)
        return GAP

    def _spend(self, cost: int, now: float) -> bool:
        refill = REFILL * (now - self._rationed_at) if now > self._rationed_at else 0.0
        self._ration = min(RATION, self._ration + refill)
        self._rationed_at = max(now, self._rationed_at)
        if self._ration < cost:
            return False
        self._ration -= cost
        return True

    def catch_up(self, peer: int, now: float, *, first: bool = False) -> tuple[Effect, ...] | None:
        """Observe the clock of a peer, who has not used its value yet.  Returns as `observe`.

        Args:
          first: accept it, however far ahead it is.
        """
        if first and peer <= LIMIT:
            self.witness(peer - 1)
            return ()
        return self.observe(peer - 1, now)

    def is_current(self, time: int) -> bool:
        """Whether peers that do not know of a gap yet may use this time."""
        window = self.window
        return any(abs(time - left) <= window for left in self._left)
