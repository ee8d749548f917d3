"""Pings of our own: their messages, and one that is waited for.

Source: hashicorp/memberlist v0.2.2, memberlist.go: Ping; net.go: sendMsg.
"""

from __future__ import annotations

import attrs
import trio

from .._exceptions import NoAckError
from .._swim.nodes import Node
from .._wire.messages import Ack, Ping, encode_message
from ..abc import Address
from .packet_sender import PacketSender
from .pending import PendingAcks, SequenceNumbers


def ping_message(seq_no: int, node: str, own: Node) -> bytes:
    """A ping, type byte and body, that names ``own`` as its source."""
    ping = Ping(
        seq_no=seq_no,
        node=node,
        source_addr=own.addr,
        source_port=own.port,
        source_node=own.name,
    )
    return encode_message(ping)


@attrs.define(eq=False, kw_only=True)
class Pinger:
    """Pings a node outside of the failure detector.

    Args:
      sender: sends the pings.
      pending: knows who waits for acks.
      numbers: issues sequence numbers.
    """

    sender: PacketSender
    pending: PendingAcks
    numbers: SequenceNumbers

    async def ping(self, own: Node, name: str, to: Address, timeout: float) -> float:
        """The round-trip time to a node (seconds).

        Args:
          own: the own record.
          name: the node that must be there; "" for any.
          to: its address.
          timeout: longest wait (seconds).

        Raises:
          NoAckError: no answer in time.
          trio.BrokenResourceError: the system refused the ping.
        """
        answered = trio.Event()
        received_at = 0.0

        def on_ack(_ack: Ack, at: float) -> None:
            nonlocal received_at
            received_at = at
            answered.set()

        seq_no = self.numbers.next()
        with self.pending.expect(seq_no, on_ack):
            self.sender.send(ping_message(seq_no, name, own), to, name)
            sent_at = trio.current_time()
            with trio.move_on_after(timeout):
                await answered.wait()
                return max(0.0, received_at - sent_at)
        raise NoAckError(f"{name or 'the node'} at {to} did not answer within {timeout} s")
