"""Task: samples the length of the broadcast queue.

Source: hashicorp/memberlist v0.5.0, memberlist.go: checkBroadcastQueueDepth.
"""

from __future__ import annotations

import attrs
import trio

from .._swim.broadcasts import TransmitLimitedQueue
from .metrics import Metrics


@attrs.define(eq=False)
class QueueGauge:
    """Samples every ``interval`` seconds."""

    queue: TransmitLimitedQueue
    metrics: Metrics
    interval: float

    async def run(self) -> None:
        """Sample until cancelled.  Returns at once when nobody listens."""
        await trio.lowlevel.checkpoint()
        while self.metrics.tap is not None:
            await trio.sleep(self.interval)
            self.metrics.sample("memberlist.queue.broadcasts", len(self.queue))
