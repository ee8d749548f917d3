"""A token bucket: so much at once, and so much more every second.

It bounds what others may make this node do, in whatever is counted: packets, bytes, steps of work.
"""

from __future__ import annotations

import math

from .. import _attrs as attrs


@attrs.define(eq=False)
class TokenBucket:
    """One bucket, full at the beginning.

    Args:
      burst: what may be spent at once.
      per_second: what comes back.
    """

    burst: float
    per_second: float
    ready_at: float = attrs.field(default=-math.inf, init=False)
    """From when on it has one token (trio clock, seconds); it has one now if that is over."""
    _left: float = attrs.field(init=False)
    _filled_at: float = attrs.field(default=-math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def left(self, now: float) -> float:
        """What may be spent now (trio clock, seconds); below 0 if too much was."""
        if now > self._filled_at:
            self._left = min(self.burst, self._left + self.per_second * (now - self._filled_at))
            self._filled_at = now
        return self._left

    def spend(self, now: float, amount: float = 1.0) -> None:
        """Take so much, also if there is less."""
        self._left = left = self.left(now) - amount
        self.ready_at = now + (1.0 - left) / self.per_second if left < 1.0 else -math.inf

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take so much, if there is as much; whether there was."""
        if self.left(now) < amount:
            return False
        self.spend(now, amount)
        return True
