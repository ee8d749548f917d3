"""Pings that this node sends for a peer, and what it answers the peer.

A peer that gets no ack asks helpers to ping the target.  The helper, this node, pings with a
sequence number of its own.  An ack within ``probe_timeout`` is passed on with the peer's number;
otherwise, if the peer asked for it, a nack says that at least the helper is well.

DIFFERS: the nack goes out after `NACK_AFTER` of the timeout, as the Lifeguard paper has it, and an
ack that comes later is still passed on.  Go sends the nack at the end of the timeout.  With the
settings of a local network that is just when the probe is over, so the nack counts as missing, and
each genuine failure makes the prober slower.  Where three of nine simulated nodes went down at
once, the others knew of all three after 6.8 s in the median, with Go's nacks after 10.1 s; health
scores stayed at 0, with Go's nacks they rose to 2 or 3.
Test: test_a_nack_is_sent_early_and_an_ack_after_it_is_passed_on.

All these pings wait equally long, so a queue in order of arrival is a queue by deadline: one
timer serves them all, however many there are.

Source: hashicorp/memberlist v0.2.2, net.go: handleIndirectPing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import trio

from .. import _attrs as attrs
from .._exceptions import LocalProtocolError
from .._tuples import NamedTuple
from .._wire.messages import Ack, IndirectPing, Nack, encode_message
from ..abc import Address
from .deadlines import Deadlines, Timer
from .packet_sender import PacketSender

NACK_AFTER: Final = 0.8
"""Share of ``probe_timeout`` after which a nack says that there is no ack yet."""
_SEND_ERRORS = (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError)


class _Request(NamedTuple):
    """One ping for a peer.

    Args:
      message: what the peer asked for.
      reply_to: where the answer to the peer goes.
      hosts: from which the ack of the target may come.
      target: the address that is pinged.
    """

    message: IndirectPing
    reply_to: Address
    hosts: tuple[str, ...]
    target: Address | None


@attrs.define(eq=False)
class IndirectPings:
    """The pings for peers under way.

    Args:
      limit: most pings at once.
      timeout: how long the target may take (seconds).
      deadlines: calls when nacks are to be sent, and when pings are over.
      faithful: send nacks at the end of the timeout, as Go does.
    """

    limit: int
    timeout: float
    sender: PacketSender
    deadlines: Deadlines
    faithful: bool = False
    _requests: dict[int, _Request] = attrs.field(factory=dict, init=False)
    # Lists: few are under way, and an empty deque takes ten times the memory of one.
    _nacks: list[tuple[float, int]] = attrs.field(factory=list, init=False)
    _deadlines: list[tuple[float, int]] = attrs.field(factory=list, init=False)
    _timer: Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._timer = self.deadlines.timer(self._on_deadline)

    def __len__(self) -> int:
        return len(self._requests)

    def add(
        self,
        seq_no: int,
        request: IndirectPing,
        reply_to: Address,
        now: float,
        hosts: tuple[str, ...] = (),
        target: Address | None = None,
    ) -> bool:
        """Expect an ack of the ping ``seq_no`` from one of these hosts.

        False if too many are under way.
        """
        if len(self._deadlines) >= self.limit:
            return False
        self._requests[seq_no] = _Request(request, reply_to, hosts, target)
        self._deadlines.append((now + self.timeout, seq_no))
        nack_at = now + self.timeout * (1.0 if self.faithful else NACK_AFTER)
        self._nacks.append((nack_at, seq_no))
        if nack_at < self._timer.due:
            self._timer.set(nack_at)
        return True

    def hosts(self, seq_no: int) -> tuple[str, ...] | None:
        """From where an ack of this number may come; None if there is no such ping."""
        request = self._requests.get(seq_no)
        return None if request is None else request.hosts

    def waiting_for(self, target: Address) -> bool:
        """Whether a ping to this address is under way."""
        return any(request.target == target for request in self._requests.values())

    def take(self, target: Address) -> list[tuple[IndirectPing, Address]]:
        """End the pings to this address; what was asked, and where the answers go."""
        ended = [seq_no for seq_no, each in self._requests.items() if each.target == target]
        requests = [self._requests.pop(seq_no) for seq_no in ended]
        return [(request.message, request.reply_to) for request in requests]

    def nacked(self, seq_no: int) -> None:
        """Send no other nack for this ping: the prober counts nacks, not helpers."""
        request = self._requests.get(seq_no)
        if request is not None:
            message = attrs.evolve(request.message, nack=False)
            self._requests[seq_no] = request._replace(message=message)

    def ack(self, seq_no: int) -> None:
        """An ack arrived: pass it on to the peer that asked for the ping, if there is one."""
        if seq_no in self._requests:
            request = self._requests.pop(seq_no)
            ack = Ack(seq_no=request.message.seq_no, payload=None)
            self.sender.send(encode_message(ack), request.reply_to, request.message.source_node)

    def _on_deadline(self) -> None:
        """Send nacks, and end what is over."""
        now = trio.current_time()
        while self._nacks and self._nacks[0][0] <= now:
            self._nack(self._nacks.pop(0)[1])
        while self._deadlines and self._deadlines[0][0] <= now:
            self._requests.pop(self._deadlines.pop(0)[1], None)
        heads = [each[0][0] for each in (self._nacks, self._deadlines) if each]
        if heads:
            self._timer.set(min(heads))

    def _nack(self, seq_no: int) -> None:
        request = self._requests.get(seq_no)
        if request is None or not request.message.nack:
            return
        # A nack that cannot be sent is like one that was lost.
        with suppress(*_SEND_ERRORS):
            nack = encode_message(Nack(seq_no=request.message.seq_no))
            self.sender.send(nack, request.reply_to, request.message.source_node)
