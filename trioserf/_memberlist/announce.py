"""News about the own node that must get out: leaving, and new metadata.

Both change the own record at once, queue a broadcast, and wait until it was sent its full
number of times.  With nobody to tell there is nothing to wait for.

Source: hashicorp/memberlist v0.2.2, memberlist.go: Leave, UpdateNode, anyAlive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import trio

from .. import _attrs as attrs
from .._exceptions import BroadcastTimeout, InvalidState
from .._swim.effects import Effect
from .._swim.table import NodeTable
from ..abc import Delegate
from .apply import Applier

META_LIMIT: Final = 512
"""Most bytes of metadata."""


@attrs.define(eq=False)
class Announcer:
    """Announces changes of the own node.

    Args:
      table: the own record.
      apply: applies what the table makes of it.
      delegate: gives the metadata; None for empty metadata.
    """

    table: NodeTable
    apply: Applier
    delegate: Delegate | None

    def meta(self) -> bytes:
        """The metadata of the moment."""
        return b"" if self.delegate is None else self.delegate.node_meta(META_LIMIT)

    async def leave(self, timeout: float) -> None:
        """See `Memberlist.leave`."""
        if self.table.leaving:
            await trio.lowlevel.checkpoint()
            return
        await self._announce(
            lambda on_sent: self.table.leave(trio.current_time(), on_sent), "leave", timeout
        )

    async def update(self, timeout: float) -> None:
        """See `Memberlist.update_node`."""
        if self.table.leaving:
            raise InvalidState("the node has left: its metadata is no longer announced")
        meta = self.meta()
        await self._announce(
            lambda on_sent: self.table.update_local(trio.current_time(), meta, on_sent),
            "update",
            timeout,
        )

    async def _announce(
        self, change: Callable[[Callable[[], object]], list[Effect]], what: str, timeout: float
    ) -> None:
        sent = trio.Event()
        self.apply(change(sent.set))
        with trio.move_on_after(timeout or math.inf):
            if self._has_company():
                await sent.wait()
            else:
                await trio.lowlevel.checkpoint()
            return
        raise BroadcastTimeout(f"the {what} was not sent out within {timeout} s")

    def _has_company(self) -> bool:
        own = self.table.local_node
        return any(node is not own and not node.is_gone for node in self.table.sequence)
