"""How times and counts grow with the cluster.

``n`` is the number of records in the table: alive, suspect, and dead or left ones that are
not yet dropped; the local one included.

Source: hashicorp/memberlist v0.2.2, util.go: suspicionTimeout, retransmitLimit,
pushPullScale.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

PUSH_PULL_SCALE_THRESHOLD: Final = 32
"""Up to this many nodes the push/pull interval is as configured."""


def suspicion_timeout(mult: int, n: int, interval: float) -> float:
    """The shortest time between suspicion and declaring a node dead (seconds).

    Args:
      mult: ``suspicion_mult``.
      n: number of records.
      interval: ``probe_interval`` (seconds), not stretched by the health score.
    """
    scale = max(1.0, math.log10(max(1, n)))
    return mult * math.floor(scale * 1000) * interval / 1000


@lru_cache(maxsize=256)
def retransmit_limit(mult: int, n: int) -> int:
    """How often a message is sent before it is dropped from the queue."""
    return mult * math.ceil(math.log10(n + 1))


def push_pull_scale(interval: float, n: int) -> float:
    """Time between two push/pulls (seconds): it grows with the logarithm of the cluster."""
    if n <= PUSH_PULL_SCALE_THRESHOLD:
        return interval
    steps = math.ceil(math.log2(n) - math.log2(PUSH_PULL_SCALE_THRESHOLD)) + 1
    return steps * interval
