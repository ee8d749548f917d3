"""When a node may send new broadcasts before its next regular round.

A broadcast that is sent at once is a packet for each of its receivers, whatever room is left in
it.  For a single event that is as it should be.  Of 500 that come one by one within a second it
would be fifteen times the packets that they fit into, at every node that passes them on.  This
is the problem of small segments of TCP, and the answer is Nagle's: what fills a packet goes out
at once, and what does not fill one goes out at once if nothing small was sent lately, and
otherwise waits a little for more.

"Lately" is measured by a bucket of tokens, of which one comes back in each `REFILL` of a gossip
interval.  A round has a price, and begins once the bucket has that much:

* a round of full packets costs one token;
* a round whose packets are almost empty costs `EMPTY_COST` more, and one in between its share of
  that, by the cube of how full they are: three quarters of a packet are still dear, because those
  that come while it waits fill the rest.  Only packets that are sent cost anything: where the
  other nodes are few, an empty round costs less.

So an event alone goes out at once, as do two, and one each 80 ms after that on a local network
(interval 0.2 s).  While more come, the price falls with every one of them until the round can be
paid, and the number of packets is that of the bytes, not that of the events.  The rest that fills
no packet is neither lost nor late: the refill alone pays for it within 80 ms.

Where nothing but the bucket holds back full packets they go out a hundred times a second.  The
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
