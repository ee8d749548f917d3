"""Lamport clocks: an order of messages without a common clock.

Source: hashicorp/serf v0.9.4, serf/lamport.go.
"""

from __future__ import annotations

from .. import _attrs as attrs
from .._wire.limits import MAX_U64


@attrs.define(eq=False)
class LamportClock:
    """A counter that is always past every time it has seen.

    Times are unsigned 64-bit numbers and wrap, as Go's do: after ``2**64 - 1`` comes 0.

    Args:
      time: the first value.
    """

    time: int = 0

    def increment(self) -> int:
        """Advance by one and return the new time."""
        self.time = (self.time + 1) & MAX_U64
        return self.time

    def witness(self, seen: int) -> None:
        """Observe a time that some node used: the clock moves past it, never back."""
        if seen >= self.time:
            self.time = (seen + 1) & MAX_U64
