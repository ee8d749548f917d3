"""Task: declares suspects dead when their time is over.

The alarm is re-armed by whoever applies effects, so the task sleeps until a suspicion
really ends, however often it was hastened or withdrawn.

Source: hashicorp/memberlist v0.2.2, suspicion.go; state.go: suspectNode.
"""

from __future__ import annotations

import attrs
import trio

from .._swim.table import NodeTable
from .alarm import Alarm
from .apply import Applier


@attrs.define(eq=False)
class SuspicionTimer:
    """Asks the table for suspicions that ended.

    Args:
      table: the suspicions.
      alarm: set to the next deadline by `Applier`.
      apply: applies what the table says.
    """

    table: NodeTable
    alarm: Alarm
    apply: Applier

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            self.alarm.set(self.table.next_deadline())
            await self.alarm.wait()
            self.apply(self.table.expired(trio.current_time()))
