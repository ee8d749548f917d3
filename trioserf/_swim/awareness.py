"""Local health: how well this node itself is doing.

A node that misses acks and nacks, or must refute, may be the one in trouble.  Its score
stretches its probe interval, so that it suspects others less readily.

Source: hashicorp/memberlist v0.2.2, awareness.go; Lifeguard paper, local health multiplier.
"""

from __future__ import annotations


class Awareness:
    """The health score: 0 is healthy.

    Args:
      max_multiplier: the score stays below this, and times are stretched at most so far.
    """

    def __init__(self, max_multiplier: int) -> None:
        self._max = max_multiplier
        self._score = 0

    @property
    def score(self) -> int:
        """0 to ``max_multiplier - 1``."""
        return self._score

    def apply_delta(self, delta: int) -> bool:
        """Add to the score, within its bounds; return whether it changed."""
        before = self._score
        self._score = min(max(before + delta, 0), self._max - 1)
        return self._score != before

    def scale(self, seconds: float) -> float:
        """A time stretched by the score."""
        return seconds * (self._score + 1)
