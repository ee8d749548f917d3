"""A token bucket: how much of something strangers may cause."""

from __future__ import annotations

import math

from .. import _attrs as attrs


@attrs.define(eq=False)
class Allowance:
    """So much at once, and so much more every second.

    Args:
      burst: what may be spent at once.
      per_second: what comes back.
    """

    burst: float
    per_second: float
    _left: float = attrs.field(init=False)
    _filled_at: float = attrs.field(default=-math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def left(self, now: float) -> float:
        """What may be spent now (trio clock, seconds)."""
        if now > self._filled_at:
            refill = self.per_second * (now - self._filled_at)
            self._left = min(self.burst, self._left + refill)
            self._filled_at = now
        return max(0.0, self._left)

    def spend(self, amount: float) -> None:
        """So much was."""
        self._left -= amount

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Spend, if there is enough; whether there was."""
        if self.left(now) < amount:
            return False
        self.spend(amount)
        return True
