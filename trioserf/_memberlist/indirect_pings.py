"""Pings on behalf of others, and their answers.

A peer that gets no ack asks helpers to ping the target.  The helper pings with a sequence
number of its own; an ack within ``probe_timeout`` is passed on with the peer's number, and
otherwise, if the peer wants that, a nack says that at least the helper is well.

All relays wait equally long, so a queue in order of arrival is a queue by deadline: one
task with one alarm serves them all, however many there are.

Source: hashicorp/memberlist v0.2.2, net.go: handleIndirectPing.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import trio

from .. import _attrs as attrs
from .._exceptions import LocalProtocolError
from .._wire.messages import Nack, encode_message
from ..abc import Address
from .alarm import Alarm
from .packet_sender import PacketSender


@attrs.frozen(kw_only=True)
class Requester:
    """One ping on behalf of a peer.

    Args:
      seq_no: the peer's number, which ack or nack must carry.
      address, name: where the peer wants them.
      nack: whether it wants a nack.
    """

    seq_no: int
    address: Address
    name: str
    nack: bool


@attrs.define(eq=False)
class IndirectPings:
    """The relays under way, and the task that ends them.

    Args:
      limit: most at once.
      timeout: how long the target may take (seconds).
      sender: sends the nacks.
    """

    limit: int
    timeout: float
    sender: PacketSender
    _by_number: dict[int, Requester] = attrs.field(factory=dict, init=False)
    _deadlines: deque[tuple[float, int]] = attrs.field(factory=deque, init=False)
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)

    def __len__(self) -> int:
        return len(self._by_number)

    def add(self, number: int, relay: Requester, now: float) -> bool:
        """Expect an ack for our ping ``number``.  False if there are too many relays."""
        if len(self._deadlines) >= self.limit:
            return False
        self._by_number[number] = relay
        self._deadlines.append((now + self.timeout, number))
        if len(self._deadlines) == 1:
            self._alarm.set(now + self.timeout)
        return True

    def take(self, number: int) -> Requester | None:
        """The relay that an ack of ``number`` belongs to; it is over with that."""
        return self._by_number.pop(number, None)

    async def run(self) -> None:
        """End relays at their deadlines, until cancelled."""
        while True:
            await self._alarm.wait()
            now = trio.current_time()
            while self._deadlines and self._deadlines[0][0] <= now:
                relay = self._by_number.pop(self._deadlines.popleft()[1], None)
                if relay is not None and relay.nack:
                    self._send_nack(relay)
            if self._deadlines:
                self._alarm.set(self._deadlines[0][0])

    def _send_nack(self, relay: Requester) -> None:
        message = encode_message(Nack(seq_no=relay.seq_no))
        # A nack that cannot be sent is like one that was lost.
        with suppress(LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
            self.sender.send(message, relay.address, relay.name)
