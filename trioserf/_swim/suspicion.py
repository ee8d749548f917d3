"""Suspicion timeouts: how long a suspect has to refute before it is declared dead.

A suspicion runs for its maximum time unless other nodes confirm it; each confirmation takes
away a part, on a logarithmic scale, until the minimum is left.  A node that is itself
cut off receives no confirmations, and so is slow to declare others dead.

Pure: no clock, no timer.  Deadlines are asked for.

Source: hashicorp/memberlist v0.2.2, suspicion.go; Lifeguard paper, on suspicion timeouts.
"""

from __future__ import annotations

import math


class Suspicion:
    """The suspicion timer of one node, shortened by independent confirmations.

    Args:
      from_node: name of the first node to suspect; never counted as a confirmation.
      started: when the suspicion began (seconds, trio clock).
      k: confirmations that shorten the timeout to ``min_timeout``.
      min_timeout, max_timeout: bounds (seconds).

    Attributes:
      started: as given.
      from_nodes: which nodes suspect: the first, then those that confirmed, in order.
      deadline: when the suspect is declared dead (seconds, trio clock).
    """

    def __init__(
        self, *, from_node: str, started: float, k: int, min_timeout: float, max_timeout: float
    ) -> None:
        self.started: float = started
        self.from_nodes: list[str] = [from_node]
        self._k = k
        self._min_timeout = min_timeout
        self._max_timeout = max_timeout
        self.deadline: float = started + (max_timeout if k >= 1 else min_timeout)

    def confirm(self, name: str) -> bool:
        """Another node suspects as well; return whether the deadline changed."""
        if self.confirmations >= self._k or name in self.from_nodes:
            return False
        self.from_nodes.append(name)
        part = math.log(self.confirmations + 1) / math.log(self._k + 1)
        wait = self._max_timeout - part * (self._max_timeout - self._min_timeout)
        self.deadline = self.started + max(math.floor(wait * 1000) / 1000, self._min_timeout)
        return True

    @property
    def confirmations(self) -> int:
        """Nodes that suspect as well; not more than ``k``."""
        return len(self.from_nodes) - 1

    @property
    def degraded(self) -> bool:
        """Whether confirmations are missing."""
        return self.confirmations < self._k
