"""The bounded queue between the receive path and the rules.

Alive messages go first, then suspect, dead and user messages in the order of arrival.  When
a queue is full the new message is dropped: a flood costs messages, never memory, and pings
are still answered at once because they do not pass here.

DIFFERS: Go takes the newest message first; here each queue is first in, first out.  The
order is invisible on the wire, and users get user messages as they came.  Test:
``test_alive_messages_overtake_and_the_rest_keeps_its_order``.

Source: hashicorp/memberlist v0.2.2, net.go: handleCommand, packetHandler, getNextMessage.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs
import trio

from .._wire.messages import Alive, Dead, Suspect, UserMessage
from ..abc import Address

Message: TypeAlias = Alive | Suspect | Dead | UserMessage

BATCH: Final = 64
"""Messages handled before other tasks get their turn."""
BATCH_BYTES: Final = 1 << 14
"""Bytes of user messages after which they get it sooner: long ones take long."""


@attrs.define(eq=False)
class Handoff:
    """Two queues and the task that empties them.

    Args:
      depth: most messages in each queue.
      handle: called with each message and its sender; plain, and does not raise.
    """

    depth: int
    handle: Callable[[Message, Address], object]
    _high: deque[tuple[Message, Address]] = attrs.field(factory=deque, init=False)
    _low: deque[tuple[Message, Address]] = attrs.field(factory=deque, init=False)
    _idle: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def __len__(self) -> int:
        return len(self._high) + len(self._low)

    def put(self, message: Message, source: Address) -> bool:
        """Queue a message.  False if there was no room and it is dropped."""
        queue = self._high if type(message) is Alive else self._low
        if len(queue) >= self.depth:
            return False
        queue.append((message, source))
        if self._idle:
            self._idle.unpark_all()
        return True

    async def run(self) -> None:
        """Handle messages until cancelled."""
        high, low, handle = self._high, self._low, self.handle
        while True:
            room = BATCH_BYTES
            for _ in range(BATCH):
                if high:
                    handle(*high.popleft())
                elif low:
                    message, source = low.popleft()
                    handle(message, source)
                    if type(message) is UserMessage:
                        room -= len(message.body)
                        if room <= 0:
                            await trio.lowlevel.checkpoint()
                            break
                else:
                    await self._idle.park()
                    break
            else:
                await trio.lowlevel.checkpoint()
