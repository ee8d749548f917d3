"""Task: look at the depth of the three broadcast queues, and prune what is too long.

Source: hashicorp/serf v0.9.4, serf/serf.go, checkQueueDepth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from .._cluster.effects import Effect
from .core import Core


async def check_queues(core: Core, apply: Callable[[Iterable[Effect]], object]) -> None:
    """Every ``queue_check_interval``, until cancelled."""
    while True:
        await trio.sleep(core.config.queue_check_interval)
        apply(core.outbox.check())
