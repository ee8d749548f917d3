"""How late this node's tasks run.

A process that is blocked answers no pings, and its peers suspect it; afterwards it seems as if
nothing had been wrong with it.  The prober sleeps until a given time once in each probe interval,
so how late it wakes is measured without any further task.  If the loop is blocked for longer than
the interval, that is always seen, with an error of up to one interval; if for less, sometimes.

The same lateness comes from a call that blocks the event loop, from a process that was stopped
(SIGSTOP, a suspended machine), and from too little CPU.  Go has no such measure.
"""

from __future__ import annotations

import math
from typing import Final, final

from .. import _attrs as attrs
from .drop_log import LOG_PERIOD
from .node_log import Log

SHORTEST_BLOCK: Final = 0.1
"""Shortest time for which the loop was blocked that is reported (seconds): a busy machine has many
shorter ones."""
MAX_BLOCKS: Final = 16
"""How many of those times are remembered, the newest."""


@final
@attrs.frozen(kw_only=True)
class LoopLagStatistics:
    """How late the tasks of a node ran (seconds).

    Args:
      last: the newest measurement, one for each probe interval.
      worst: the longest block of the event loop so far.
      blocks: how many there were.
    """

    last: float
    worst: float
    blocks: int


@attrs.frozen
class Block:
    """For some time none of this node's tasks ran.

    Args:
      at: when it was over (trio clock, seconds).
      seconds: how long it was at least.
    """

    at: float
    seconds: float


@attrs.define(eq=False)
class LoopLag:
    """Lateness of the prober.

    Args:
      limit: what is at least that late is a block, if not shorter than `SHORTEST_BLOCK` (seconds).
      log: where it is named.

    Attributes:
      last: the newest measurement (seconds).
      worst: the longest block so far (seconds).
      blocks: the latest of them.
      count: how many there were.
    """

    limit: float
    log: Log
    last: float = attrs.field(default=0.0, init=False)
    worst: float = attrs.field(default=0.0, init=False)
    blocks: tuple[Block, ...] = attrs.field(default=(), init=False)
    count: int = attrs.field(default=0, init=False)
    _logged_at: float = attrs.field(default=-math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        # No converter: with one, attrs would look at every change of `last`.
        self.limit = max(self.limit, SHORTEST_BLOCK)

    def blocked(self, seconds: float, now: float) -> None:
        """The prober woke so late, which is more than ``limit``."""
        self.worst = max(self.worst, seconds)
        if self.blocks and now - seconds <= self.blocks[-1].at:
            # A second deadline that passed in the same block.
            return
        self.blocks = (*self.blocks, Block(now, seconds))[-MAX_BLOCKS:]
        self.count += 1
        if now - self._logged_at >= LOG_PERIOD:
            self._logged_at = now
            self.log.warning(
                "the event loop was blocked for %.2f s or longer: no ping was answered meanwhile "
                "(a call that blocks, a process that was stopped, or too little CPU) [%d so far]",
                seconds,
                self.count,
            )

    def statistics(self) -> LoopLagStatistics:
        """The measurements of this moment."""
        return LoopLagStatistics(last=self.last, worst=self.worst, blocks=self.count)
