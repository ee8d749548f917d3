"""Sending datagrams: piggy-backing, compounds, encoding.  Never waits.

A ping, an ack, a nack or an indirect ping takes along queued broadcasts, as far as they fit
into ``udp_buffer_size``; a gossip packet is nothing but broadcasts.  First come the messages
about nodes, then the delegate's.

DIFFERS: a share of the packet is kept for the delegate, and of the messages about nodes a
share for those that began here, so that churn in a large cluster starves neither.  Test:
``test_user_messages_have_a_share_of_each_packet``.

DIFFERS: Go does not count the CRC nor the length of the leading message, so its packets may
be 5 bytes longer than ``UDPBufferSize``; here they never are.  Test:
``test_a_full_packet_stays_within_the_buffer_size``.

DIFFERS: the bytes counted as sent are those that travel; Go leaves the label out.  Test:
``test_what_is_counted_is_what_travels``.

Source: hashicorp/memberlist v0.2.2, net.go: sendMsg, rawSendMsgPacket, getBroadcasts;
state.go: gossip; broadcast.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError
from .._swim.broadcasts import TransmitLimitedQueue
from .._swim.nodes import Node
from .._wire.messages import USER_PREFIX
from .._wire.packets import MAX_PARTS
from ..abc import Address, Delegate, NodeView, Transport
from .drop_log import DropLog
from .metrics import Metrics
from .wire_format import PART_OVERHEAD, WireFormat

USER_OVERHEAD: Final = PART_OVERHEAD + len(USER_PREFIX)
"""Length and type byte of a user message as part of a compound."""
_CRC_SINCE: Final = 5
"""First protocol version whose nodes understand a CRC header."""


@attrs.define(eq=False, kw_only=True)
class PacketSender:
    """Builds and sends datagrams.

    Args:
      find_node: the record of a name, to learn what a receiver understands.
    """

    config: MemberlistConfig
    transport: Transport
    wire: WireFormat
    queue: TransmitLimitedQueue
    delegate: Delegate | None
    find_node: Callable[[str], Node | None]
    drop_log: DropLog
    metrics: Metrics

    def send(self, message: bytes, to: Address, name: str = "") -> None:
        """Send a message, and piggy-back the broadcasts that fit beside it.

        Args:
          message: type byte and body.
          to, name: the receiver's address, and its node name if known.

        Raises:
          LocalProtocolError: node names are required and there is none.
          trio.BrokenResourceError: the system refused the packet.
          trio.ClosedResourceError: closed.
        """
        crc = self._understands_crc(to, name)
        room = self.wire.packet_room - PART_OVERHEAD - len(message)
        self._send_parts([message, *self._broadcasts(room)], to, crc)

    def send_together(self, messages: Sequence[bytes], to: Address, name: str = "") -> None:
        """Send these messages in one packet, and nothing beside them.  Raises as `send`."""
        self._send_parts(messages, to, self._understands_crc(to, name))

    def gossip(self, nodes: Sequence[Node]) -> bool:
        """Send broadcasts to each of these nodes; whether there may be more to send later.

        Each node gets its own draw from the queues.  When the draws are alike, as they
        mostly are, the packet is encoded once.
        """
        encoded: dict[tuple[tuple[bytes, ...], bool], bytes] = {}
        for node in nodes:
            broadcasts = self._broadcasts(self.wire.packet_room)
            if not broadcasts:
                return False
            crc = node.protocol_max >= _CRC_SINCE
            for start in range(0, len(broadcasts), MAX_PARTS):
                parts = tuple(broadcasts[start : start + MAX_PARTS])
                try:
                    data = encoded.get((parts, crc))
                    if data is None:
                        data = encoded[parts, crc] = self.wire.encode_packet(parts, crc=crc)
                    self.transport.send_packet(data, node.address)
                except (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
                    self.metrics.count("trioserf.gossip.unsent")
                else:
                    self.metrics.packet_sent(parts, len(data))
        return bool(nodes)

    def _broadcasts(self, room: int) -> list[bytes]:
        """What the queues have for one packet, within ``room`` bytes with part overheads."""
        queue, config = self.queue, self.config
        share = 0.0 if config.faithful_go else config.user_share
        kept = 0 if self.delegate is None else int(room * share)
        parts: list[bytes] = []
        if queue.entries:
            parts = queue.take(PART_OVERHEAD, room - kept, local_share=share)
            if not parts and kept:  # all of them are long: do not delay them for ever
                parts = queue.take(PART_OVERHEAD, room)
        if self.delegate is None:
            return parts
        rest = room - sum(map(len, parts)) - PART_OVERHEAD * len(parts)
        if rest <= USER_OVERHEAD:
            return parts
        try:
            user = self.delegate.get_broadcasts(USER_OVERHEAD, rest)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate.get_broadcasts, error)
            return parts
        if user:
            parts += map(USER_PREFIX.__add__, user)
        elif kept and len(queue.entries) > len(parts):
            # The delegate needs no share.  What is drawn twice is in the packet already.
            more = queue.take(PART_OVERHEAD, rest)
            parts += [message for message in more if message not in parts]
        return parts

    def _understands_crc(self, to: Address, name: str) -> bool:
        if name:
            node = self.find_node(name)
            return node is not None and node.protocol_max >= _CRC_SINCE
        if self.config.require_node_names:
            raise LocalProtocolError(f"node names are required, and {to} came without one")
        return False

    def _send_parts(self, messages: Sequence[bytes], to: Address, crc: bool) -> None:
        for start in range(0, len(messages), MAX_PARTS):
            parts = messages[start : start + MAX_PARTS]
            data = self.wire.encode_packet(parts, crc=crc)
            self.transport.send_packet(data, to)
            self.metrics.packet_sent(parts, len(data))


def address_of(node: NodeView) -> Address:
    """Where a node can be reached.

    Raises:
      LocalProtocolError: its record has an address that is none.
    """
    try:
        return Address.from_bytes(node.addr, node.port)
    except ValueError:
        raise LocalProtocolError(f"node {node.name!r} has no usable address") from None
