"""What the handoff's worker does with a message: the table judges it, effects follow.

Source: hashicorp/memberlist v0.2.2, net.go: handleAlive, handleSuspect, handleDead,
handleUser.
"""

from __future__ import annotations

import attrs
import trio

from .._swim.effects import Effect
from .._swim.table import NodeTable
from .._wire.messages import Alive, Dead, Suspect, UserMessage
from ..abc import Address, Delegate
from .apply import Applier
from .drop_log import DropLog
from .handoff import Message


@attrs.define(eq=False)
class Claims:
    """Handles claims about nodes, and user messages.

    Args:
      table: judges claims.
      apply: applies what it makes of them.
      delegate: takes user messages; None drops them.
      bad_input: where crashes of handlers are noted.
    """

    table: NodeTable
    apply: Applier
    delegate: Delegate | None
    drop_log: DropLog

    def handle(self, claim: Message, source: Address) -> None:
        """Handle one message.  Never raises."""
        try:
            if isinstance(claim, UserMessage):
                self.user_message(claim.body)
            else:
                self.apply(self._judge(claim, source))
        except Exception as error:
            self.drop_log.crash("handler", claim, error)

    def user_message(self, body: bytes) -> None:
        """Give a user message to the delegate, which may raise."""
        if self.delegate is not None and body:
            self.delegate.notify_message(body)

    def _judge(self, claim: Alive | Suspect | Dead, source: Address) -> list[Effect]:
        now = trio.current_time()
        if isinstance(claim, Alive):
            return self.table.on_alive(claim, now, source=source)
        if isinstance(claim, Suspect):
            return self.table.on_suspect(claim, now)
        return self.table.on_dead(claim, now)
