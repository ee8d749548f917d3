"""Task: gives tasks that end by themselves a nursery to run in.

Joins, pings of addresses and checks of ports begin in plain functions, or go on after the call that
began them has returned.  They share one nursery, because each nursery takes two kilobytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from .. import _attrs as attrs


@attrs.define(eq=False)
class ShortTasks:
    """The nursery, as long as the tasks of the node run.

    Attributes:
      nursery: None before the tasks of the node run, and after it.
      begun: set when there is a nursery.
    """

    nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    begun: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def run(self) -> None:
        """Hold the nursery, until cancelled."""
        async with trio.open_nursery() as self.nursery:
            self.begun.set()
            try:
                await trio.sleep_forever()
            finally:
                self.nursery = None

    def start(self, task: Callable[..., Awaitable[object]], *args: object) -> bool:
        """Start a task; False if the tasks of the node do not run."""
        if self.nursery is None:
            return False
        self.nursery.start_soon(task, *args)
        return True
