"""How an alarm sleeps: a seam, so that simulated time may do it more cheaply.

A node has about ten alarms, and one of them rings every second.  In a scope with a deadline a
ring costs a cancellation and an exception: nothing for a node, but a quarter of all work for a
thousand nodes in one process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import trio

from . import _attrs as attrs


class Sleeper(Protocol):
    """A moment to sleep until, for one task, that may be moved meanwhile."""

    async def sleep_until(self, due: float) -> None:
        """Sleep until ``due``, or what `move` said since.  *Checkpoint*: always."""

    def move(self, due: float) -> None:
        """Wake the sleeper at ``due`` instead; nothing if nobody sleeps."""


@attrs.define(eq=False)
class ScopeSleeper:
    """Sleeps in a scope with a deadline; works with every clock."""

    _scope: trio.CancelScope | None = attrs.field(default=None, init=False)

    async def sleep_until(self, due: float) -> None:
        """See `Sleeper`."""
        with trio.CancelScope(deadline=due) as self._scope:
            try:
                await trio.sleep_forever()
            finally:
                self._scope = None

    def move(self, due: float) -> None:
        """See `Sleeper`."""
        if self._scope is not None:
            self._scope.deadline = due


sleepers: Final[trio.lowlevel.RunVar[Callable[[], Sleeper]]] = trio.lowlevel.RunVar(
    "trioserf.sleepers", default=ScopeSleeper
)
"""Makes the sleeper of each alarm of this run; a simulation puts a cheaper one here."""
