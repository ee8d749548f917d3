"""Task: forget members that have been gone for too long, and old intents.

Source: hashicorp/serf v0.9.4, serf/serf.go, handleReap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from .._cluster.effects import Effect
from .core import Core


async def reap(core: Core, apply: Callable[[Iterable[Effect]], object]) -> None:
    """Every ``reap_interval``, until cancelled."""
    while True:
        await trio.sleep(core.config.reap_interval)
        apply(core.members.reap(trio.current_time()))
