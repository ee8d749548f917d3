"""Pings that this node sends, and the acks that are awaited: sequence number to waiter.

An entry lives inside a with-block, so none outlives its waiter.  Acks and nacks are matched
by sequence number and by the host from which they come; the first ack takes the entry out,
nacks only count.

DIFFERS: Go counts 1, 2, 3, … and takes an ack from anywhere, so that a stranger who guesses
keeps a dead node alive, and raises anybody's health.  Here every number is random, and an ack
must come from a host that was asked, or from one from which that node has sent pings: a node may
have several addresses.  Test: test_an_ack_counts_from_hosts_that_were_asked_alone.

Source: hashicorp/memberlist v0.2.2, state.go: nextSeqNo, setProbeChannels, setAckHandler,
invokeAckHandler, invokeNackHandler; memberlist.go: Ping; net.go: sendMsg.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Final

import trio

from .. import _attrs as attrs
from .._exceptions import LocalProtocolError, NoAckError
from .._swim.nodes import Node
from .._swim.probing import ping_message
from .._wire.limits import MAX_U32
from .._wire.messages import Ack
from ..abc import Address
from .packet_sender import PacketSender

MAX_PENDING: Final = 4096
"""Most pings under way; one prober and a few callers need a handful."""


def host_of(address: Address) -> str:
    """The host without the zone of a link, which records do not have."""
    return address.host.partition("%")[0]


@attrs.define(eq=False)
class _Waiter:
    """An entry of the table, for the length of a with-block."""

    waiters: dict[int, _Waiter]
    seq_no: int
    hosts: Collection[str] | None
    on_ack: Callable[[Ack, float, Address | None], object]
    on_nack: Callable[[Address | None], object] | None

    def takes(self, source: Address | None) -> bool:
        """Whether an answer may come from there."""
        return source is None or self.hosts is None or host_of(source) in self.hosts

    def __enter__(self) -> None:
        self.waiters[self.seq_no] = self

    def __exit__(self, *_exc: object) -> None:
        if self.waiters.get(self.seq_no) is self:
            del self.waiters[self.seq_no]


@attrs.define(eq=False)
class PendingAcks:
    """The pings of this node that may still be answered.

    Args:
      random_bytes: source of numbers; None counts 1, 2, … and accepts from anywhere, as Go.
      limit: most entries at once.
    """

    random_bytes: Callable[[int], bytes] | None = None
    limit: int = MAX_PENDING
    _last: int = attrs.field(default=0, init=False)
    _waiters: dict[int, _Waiter] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, seq_no: int) -> bool:
        return seq_no in self._waiters

    def next_seq_no(self) -> int:
        """A number of 32 bits for a ping: one that nobody can guess, or the next one."""
        if self.random_bytes is not None:
            while True:
                number = int.from_bytes(self.random_bytes(4), "big")
                if number not in self._waiters:
                    return number
        self._last = (self._last + 1) & MAX_U32
        return self._last

    def expect(
        self,
        seq_no: int,
        on_ack: Callable[[Ack, float, Address | None], object],
        on_nack: Callable[[Address | None], object] | None = None,
        *,
        hosts: Collection[str] | None = None,
        always: bool = False,
    ) -> AbstractContextManager[None]:
        """Inside the block, the first ack of ``seq_no`` calls ``on_ack(ack, received_at, source)``.

        Acks and nacks count if they come from one of ``hosts``, which may grow meanwhile; from
        anywhere without them.

        Both functions are called between two packets: they must be plain and short.  With
        ``always`` there is room in any case: failures are detected however many ping.

        Raises:
          LocalProtocolError: too many pings are under way.
        """
        if len(self._waiters) >= self.limit and not always:
            raise LocalProtocolError(f"{self.limit} pings are waiting for an answer already")
        return _Waiter(self._waiters, seq_no, hosts, on_ack, on_nack)

    def ack(self, ack: Ack, received_at: float, source: Address | None = None) -> bool:
        """An ack arrived: hand it over.  Whether it was awaited from there."""
        waiter = self._waiters.get(ack.seq_no)
        if waiter is None or not waiter.takes(source):
            return False
        del self._waiters[ack.seq_no]
        waiter.on_ack(ack, received_at, source)
        return True

    def nack(self, seq_no: int, source: Address | None = None) -> bool:
        """A nack arrived: count it.  Whether it was awaited from there."""
        waiter = self._waiters.get(seq_no)
        if waiter is None or waiter.on_nack is None or not waiter.takes(source):
            return False
        waiter.on_nack(source)
        return True


@attrs.define(eq=False)
class Pinger:
    """Pings nodes outside of the failure detector."""

    sender: PacketSender
    pending_acks: PendingAcks
    known_hosts: Callable[[str], Collection[str]]
    """Gives hosts from which a node acks, beside the one that is asked."""

    async def ping(
        self, local: Node, name: str, to: Address, timeout: float, *, alone: bool = False
    ) -> float:
        """The round-trip time to a node (seconds).

        Args:
          local: the record of this node.
          name: the node that must be there; "" for any.
          to: its address.
          timeout: longest wait (seconds).
          alone: whether no broadcasts go along: perhaps nobody is there.

        Raises:
          NoAckError: no answer in time.
          trio.BrokenResourceError: the system refused the ping.
        """
        answered = trio.Event()
        received_at = 0.0

        def on_ack(_ack: Ack, at: float, _source: Address | None) -> None:
            nonlocal received_at
            received_at = at
            answered.set()

        seq_no = self.pending_acks.next_seq_no()
        faithful = self.pending_acks.random_bytes is None
        hosts = None if faithful else (host_of(to), *self.known_hosts(name))
        with self.pending_acks.expect(seq_no, on_ack, hosts=hosts):
            message = ping_message(seq_no, name, local)
            if alone:
                self.sender.send_together((message,), to, name)
            else:
                self.sender.send(message, to, name)
            sent_at = trio.current_time()
            with trio.move_on_after(timeout):
                await answered.wait()
                return max(0.0, received_at - sent_at)
        raise NoAckError(f"{name or 'the node'} at {to} did not answer within {timeout} s")
