"""Pings that this node sends for a peer, and what it answers the peer.

A peer that gets no ack asks helpers to ping the target.  The helper pings with a sequence
number of its own; an ack within ``probe_timeout`` is passed on with the peer's number, and
otherwise, if the peer asked for that, a nack says that at least the helper is well.

All these pings wait equally long, so a queue in order of arrival is a queue by deadline: one
task with one alarm serves them all, however many there are.

Source: hashicorp/memberlist v0.2.2, net.go: handleIndirectPing.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import trio

from .. import _attrs as attrs
from .._exceptions import LocalProtocolError
from .._wire.messages import Ack, Nack, encode_message
from ..abc import Address
from .alarm import Alarm
from .packet_sender import PacketSender

_SEND_ERRORS = (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.frozen(kw_only=True)
class Requester:
    """The peer that asked for a ping.

    Args:
      seq_no: the peer's number, for the ack or nack.
      address, name: where to send them.
      nack: whether it understands a nack.
    """

    seq_no: int
    address: Address
    name: str
    nack: bool


@attrs.define(eq=False)
class IndirectPings:
    """The pings for peers under way, and the task that ends them.

    Args:
      limit: most at once.
      timeout: how long the target may take (seconds).
    """

    limit: int
    timeout: float
    sender: PacketSender
    _requesters: dict[int, Requester] = attrs.field(factory=dict, init=False)
    _deadlines: deque[tuple[float, int]] = attrs.field(factory=deque, init=False)
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)

    def __len__(self) -> int:
        return len(self._requesters)

    def add(self, seq_no: int, requester: Requester, now: float) -> bool:
        """Expect an ack of the ping ``seq_no``.  False if too many are under way."""
        if len(self._deadlines) >= self.limit:
            return False
        self._requesters[seq_no] = requester
        self._deadlines.append((now + self.timeout, seq_no))
        if len(self._deadlines) == 1:
            self._alarm.set(now + self.timeout)
        return True

    def ack(self, seq_no: int) -> None:
        """An ack arrived: pass it on to the peer that asked for the ping, if there is one."""
        requester = self._requesters.pop(seq_no, None)
        if requester is not None:
            ack = encode_message(Ack(seq_no=requester.seq_no, payload=None))
            self.sender.send(ack, requester.address, requester.name)

    async def run(self) -> None:
        """Send nacks at the deadlines, until cancelled."""
        while True:
            await self._alarm.wait()
            now = trio.current_time()
            while self._deadlines and self._deadlines[0][0] <= now:
                requester = self._requesters.pop(self._deadlines.popleft()[1], None)
                if requester is not None and requester.nack:
                    nack = encode_message(Nack(seq_no=requester.seq_no))
                    # A nack that cannot be sent is like one that was lost.
                    with suppress(*_SEND_ERRORS):
                        self.sender.send(nack, requester.address, requester.name)
            if self._deadlines:
                self._alarm.set(self._deadlines[0][0])
