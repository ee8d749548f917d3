"""The bounded queue between the receive path and the rules.

Alive messages go first, then suspect, dead and user messages in the order of arrival.  When
a queue is full the new message is dropped: a flood costs messages, never memory, and pings
are still answered at once because they do not pass here.

DIFFERS: Go takes the newest message first; here each queue is first in, first out.  The
order is invisible on the wire, and users get user messages as they came.  Test:
``test_alive_messages_overtake_and_the_rest_keeps_its_order``.

Source: hashicorp/memberlist v0.2.2, net.go: handleCommand, packetHandler, getNextMessage,
handleAlive, handleSuspect, handleDead, handleUser.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import trio

from .. import _attrs as attrs
from .._swim.effects import Effect
from .._swim.table import NodeTable
from .._wire.messages import Alive, Dead, Suspect, UserMessage
from ..abc import Delegate, Packet
from .drop_log import DropLog
from .history import Source

Message: TypeAlias = Alive | Suspect | Dead | UserMessage

BATCH: Final = 64
"""Messages handled before other tasks get their turn."""
BATCH_BYTES: Final = 1 << 14
"""Bytes of user messages after which they get it sooner: long ones take long."""
MAX_LONG: Final = 1 << 21
"""Bytes of messages longer than that that may wait; no honest packet has one."""
TURN: Final = 0.004
"""Time after which they get it, too (seconds): a query may have filters that take long."""
_SHORTEST_REQUEST: Final = 100
"""Bytes: a query of Serf without payload and filters has some more."""


def requests_in_packet(size: int) -> int:
    """How many requests an honest packet of ``size`` bytes may have; Go's have 1400."""
    return max(16, size // _SHORTEST_REQUEST)


@attrs.define(eq=False, kw_only=True)
class Handoff:
    """Two queues and the task that empties them.

    Args:
      depth: most messages in each queue.
      apply: takes the effects of messages about nodes.
      delegate: takes user messages; None drops them.
      is_duplicate: whether a user message need not be queued at all.
      is_request, max_requests: which user messages are answered to wherever they say, and how
        many of one packet are taken.
    """

    depth: int
    table: NodeTable
    apply: Callable[[Sequence[Effect], Source], object]
    delegate: Delegate | None
    drop_log: DropLog
    is_duplicate: Callable[[bytes], bool] | None = None
    is_request: Callable[[bytes], bool] | None = None
    max_requests: int = 0
    _high: deque[tuple[Message, Packet]] = attrs.field(factory=deque, init=False)
    _low: deque[tuple[Message, Packet]] = attrs.field(factory=deque, init=False)
    _queued: set[bytes] = attrs.field(factory=set, init=False)
    """User messages in the queue, where copies of them are recognised."""
    _asking: Packet | None = attrs.field(default=None, init=False)
    """The packet that the last request was in."""
    _requests: int = attrs.field(default=0, init=False)
    _long: int = attrs.field(default=0, init=False)
    """Bytes of long messages that wait."""
    _idle: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def __len__(self) -> int:
        return len(self._high) + len(self._low)

    def put(self, message: Message, packet: Packet) -> None:
        """Queue a message out of a packet; drop it if there is no room."""
        body = b""
        if self.is_duplicate is not None and isinstance(message, UserMessage):
            body = message.body
            # Most of what arrives under load: of each event a node gets several copies.
            if body in self._queued or self.is_duplicate(body):
                return
            if self.is_request is not None and self.is_request(body):
                if packet is not self._asking:
                    self._asking, self._requests = packet, 0
                self._requests += 1
                if self._requests > self.max_requests:
                    problem = f"more than {self.max_requests} requests at once"
                    self.drop_log("requests", packet.source, problem)
                    return
        queue = self._high if type(message) is Alive else self._low
        if len(queue) >= self.depth:
            kind = type(message).__name__
            self.drop_log("handoff", packet.source, f"{kind} message, the queue is full")
            return
        if type(message) is UserMessage and (size := len(message.body)) > BATCH_BYTES:
            if self._long + size > MAX_LONG:
                self.drop_log("handoff", packet.source, f"message of {size} bytes, no room")
                return
            self._long += size
        if body:
            self._queued.add(body)
        queue.append((message, packet))
        if self._idle:
            self._idle.unpark_all()

    async def run(self) -> None:
        """Handle messages until cancelled."""
        while True:
            room = BATCH_BYTES
            until = trio.current_time() + TURN
            for _ in range(BATCH):
                queue = self._high or self._low
                if not queue:
                    await self._idle.park()
                    break
                message, packet = queue.popleft()
                self._handle(message, packet)
                if type(message) is UserMessage:
                    size = len(message.body)
                    room -= size
                    if size > BATCH_BYTES:
                        self._long -= size
                    if room <= 0 or trio.current_time() > until:
                        await trio.lowlevel.checkpoint()
                        break
            else:
                await trio.lowlevel.checkpoint()

    def _handle(self, message: Message, packet: Packet) -> None:
        """Handle one message.  Never raises."""
        try:
            if isinstance(message, UserMessage):
                self._queued.discard(message.body)
                if self.delegate is not None and message.body:
                    self.delegate.notify_message(message.body)
            elif isinstance(message, Alive):
                now = trio.current_time()
                effects = self.table.on_alive(message, now, source=packet.source)
                self.apply(effects, packet.source)
            elif isinstance(message, Suspect):
                self.apply(self.table.on_suspect(message, trio.current_time()), packet.source)
            else:
                self.apply(self.table.on_dead(message, trio.current_time()), packet.source)
        except Exception as error:
            self.drop_log.crash("handler", message, error)

    def user_message(self, body: bytes) -> None:
        """Give a user message to the delegate, which may raise."""
        if self.delegate is not None and body:
            self.delegate.notify_message(body)
