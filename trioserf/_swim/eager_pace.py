"""When a node may send new broadcasts before its next regular round.

A broadcast that is sent at once costs a packet for each receiver, however empty the packet is.  For
a single event that is right.  For 500 events that come one by one within a second it would be
fifteen times the packets that they fit into, at every node that passes them on.  This is the
problem of small segments of TCP, and the answer is Nagle's: what fills a packet is sent at once;
what does not fill one is sent at once if no small packet was sent lately, and otherwise waits a
little for more.

"Lately" is measured by a token bucket, to which one token comes back in each `REFILL` of a gossip
interval.  A round costs tokens, and begins once the bucket has that many:

* a round of full packets costs one token;
* a round whose packets are almost empty costs `EMPTY_COST` more, and one in between a part of
  that, by the cube of how full its packets are.  So three quarters of a packet still cost much,
  because messages that come while they wait fill the rest.  Only packets that are sent cost
  tokens: where the other nodes are few, an empty round costs less.

So one event alone is sent at once, a second one too, and after that one each 80 ms on a local
network (gossip interval 0.2 s).  When more events come, each of them lowers the cost, until the
bucket has enough for the round: the number of packets follows from the bytes, not from the number
of events.  What fills no packet in the end is neither lost nor late: within 80 ms the bucket has
enough for it.

Full packets are held back by the bucket alone, which lets a hundred rounds pass in a second.  The
bucket holds `BURST` rounds of at most 64 messages: 1,024, which is what a Go node can queue.

Source: RFC 896 (Nagle, "Congestion Control in IP/TCP Internetworks", 1984), "The small-packet
problem".  Go has no eager rounds.
"""

from __future__ import annotations

import math
from typing import Final

from .. import _attrs as attrs

BURST: Final = 16
"""Rounds of full packets, or two of almost empty ones, that may follow each other at once."""
REFILL: Final = 0.05
"""Time in which one token comes back (gossip intervals)."""
EMPTY_COST: Final = 7.0
"""Tokens that a round of almost empty packets costs more than a round of full ones."""
PAUSE: Final = 0.001
"""Least time between two eager rounds (seconds)."""


@attrs.define(eq=False)
class EagerPace:
    """The bucket of one node.

    Args:
      period: time in which one token comes back (seconds).
    """

    period: float
    free_at: float = attrs.field(default=-math.inf, init=False)
    """From when on any round may begin (trio clock, seconds)."""
    _full_at: float = attrs.field(default=-math.inf, init=False)
    _last: float = attrs.field(default=-math.inf, init=False)

    def ready_at(self, fill: float, share: float) -> float:
        """When a round may begin (trio clock, seconds); at any time if that is over.

        Args:
          fill: how full its packets would be, at most 1.
          share: to how many nodes they would go, as a share of the most that a round has.
        """
        spare = BURST - _price(fill, share)
        return max(self._full_at - spare * self.period, self._last + PAUSE)

    def spend(self, now: float, fill: float, share: float) -> None:
        """A round began, with packets so full."""
        self._full_at = max(now, self._full_at) + _price(fill, share) * self.period
        self._last = now
        self.free_at = max(self._full_at - (BURST - 1 - EMPTY_COST) * self.period, now + PAUSE)


def _price(fill: float, share: float) -> float:
    return 1 + EMPTY_COST * (1 - fill**3) * share
