"""Datagrams out: piggy-backing, compounds, encrypting.  Never waits.

A ping, an ack, a nack or an indirect ping takes along what the queues hold, as far as it
fits into ``udp_buffer_size``; a gossip packet is nothing but that.  First come the messages
about nodes, then the delegate's.

DIFFERS: a share of the packet is kept for the delegate, and of the messages about nodes a
share for those that began here, so that churn in a large cluster starves neither.  Test:
``test_user_messages_have_a_share_of_each_packet``.

DIFFERS: Go does not count the CRC nor the length of the leading message, so its packets may
be 5 bytes longer than ``UDPBufferSize``; ours never are.  Test:
``test_a_full_packet_stays_within_the_buffer_size``.

DIFFERS: the bytes counted as sent are those that travel; Go leaves the label out.  Test:
``test_what_is_counted_is_what_travels``.

Source: hashicorp/memberlist v0.2.2, net.go: sendMsg, rawSendMsgPacket, getBroadcasts;
state.go: gossip; broadcast.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError
from .._swim.broadcasts import TransmitLimitedQueue
from .._swim.nodes import Node
from .._wire.compound import MAX_PARTS, make_compound
from .._wire.packets import encode_packet
from ..abc import Address, Delegate, NodeView, Transport
from .drop_log import DropLog
from .metrics import Metrics
from .wire_format import WireFormat

_COMPOUND_HEADER: Final = 2
_PART_OVERHEAD: Final = 2
_USER_OVERHEAD: Final = 3
"""Length and type byte of a user message as part of a compound."""
_CRC_SINCE: Final = 5
"""First protocol version whose nodes understand a CRC header."""


@attrs.define(eq=False, kw_only=True)
class PacketSender:
    """Builds and sends datagrams.

    Args:
      config: sizes and shares.
      transport: where they go out.
      wire: how they are encoded.
      queue: messages about nodes.
      delegate: gives user messages; None for none.
      find_node: the record of a name, to learn what a receiver understands.
      bad_input: where crashes of the delegate are noted.
      metrics: counts packets and bytes.
    """

    config: MemberlistConfig
    transport: Transport
    wire: WireFormat
    queue: TransmitLimitedQueue
    delegate: Delegate | None
    find_node: Callable[[str], Node | None]
    drop_log: DropLog
    metrics: Metrics
    packets: int = attrs.field(default=0, init=False)
    bytes_sent: int = attrs.field(default=0, init=False)
    _share: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._share = 0.0 if self.config.faithful_go else self.config.user_share

    def send(self, message: bytes, to: Address, name: str = "") -> None:
        """Send a message with the broadcasts that fit beside it.

        Args:
          message: type byte and body.
          to, name: the receiver's address, and its node name if known.

        Raises:
          LocalProtocolError: node names are required and there is none.
          trio.BrokenResourceError: the system refused the packet.
          trio.ClosedResourceError: closed.
        """
        self._check_name(to, name)
        others = self._broadcasts(self._room() - _PART_OVERHEAD - len(message))
        self._send_parts([message, *others], to, self._understands_crc(name))

    def send_together(self, messages: Sequence[bytes], to: Address, name: str = "") -> None:
        """Send these messages in one packet, and nothing beside them.  Raises as `send`."""
        self._check_name(to, name)
        self._send_parts(messages, to, self._understands_crc(name))

    def gossip(self, nodes: Iterable[Node]) -> bool:
        """Send each node in turn what the queues have for it; False once there is nothing.

        Each node gets its own draw from the queues.  When the draws are alike, as they
        mostly are, the packet is encoded once.
        """
        encoded: dict[tuple[tuple[bytes, ...], bool], bytes] = {}
        for node in nodes:
            messages = self._broadcasts(self._room())
            if not messages:
                return False
            crc = node.protocol_max >= _CRC_SINCE
            for start in range(0, len(messages), MAX_PARTS):
                key = (tuple(messages[start : start + MAX_PARTS]), crc)
                try:
                    data = encoded.get(key)
                    if data is None:
                        data = encoded[key] = self._encode(key[0], crc)
                    self._send_raw(data, key[0], node.address)
                except (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
                    self.metrics.count("trioserf.gossip.unsent")
        return True

    def _room(self) -> int:
        return self.config.udp_buffer_size - self.wire.packet_overhead - _COMPOUND_HEADER

    def _broadcasts(self, room: int) -> list[bytes]:
        """What the queues have for one packet, within ``room`` bytes with part overheads."""
        queue, share = self.queue, self._share
        if self.delegate is None:
            return queue.take(_PART_OVERHEAD, room, local_share=share) if queue.entries else []
        kept = int(room * share)
        parts: list[bytes] = []
        if queue.entries:
            parts = queue.take(_PART_OVERHEAD, room - kept, local_share=share)
        rest = room - sum(map(len, parts)) - _PART_OVERHEAD * len(parts)
        if rest <= _USER_OVERHEAD:
            return parts
        try:
            user = self.delegate.get_broadcasts(_USER_OVERHEAD, rest)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate.get_broadcasts, error)
            return parts
        if user:
            return parts + [b"\x08" + message for message in user]
        if kept and len(queue.entries) > len(parts):
            # Nobody needs the share.  What is drawn a second time is in the packet already.
            more = queue.take(_PART_OVERHEAD, rest)
            parts += [message for message in more if message not in parts]
        return parts

    def _understands_crc(self, name: str) -> bool:
        node = self.find_node(name) if name else None
        return node is not None and node.protocol_max >= _CRC_SINCE

    def _check_name(self, to: Address, name: str) -> None:
        if self.config.require_node_names and not name:
            raise LocalProtocolError(f"node names are required, and {to} came without one")

    def _encode(self, parts: Sequence[bytes], crc: bool) -> bytes:
        message = parts[0] if len(parts) == 1 else make_compound(parts)
        wire = self.wire
        nonce = wire.packet_nonce() if wire.packet.key is not None else None
        return encode_packet(message, wire.packet, crc=crc, nonce=nonce)

    def _send_parts(self, parts: Sequence[bytes], to: Address, crc: bool) -> None:
        for start in range(0, len(parts), MAX_PARTS):
            some = parts[start : start + MAX_PARTS]
            self._send_raw(self._encode(some, crc), some, to)

    def _send_raw(self, data: bytes, parts: Sequence[bytes], to: Address) -> None:
        self.transport.send_packet(data, to)
        self.packets += 1
        self.bytes_sent += len(data)
        self.metrics.count("memberlist.udp.sent", len(data))
        self.metrics.sent.sent(parts, len(data))


def address_of(node: NodeView) -> Address:
    """Where a node can be reached.

    Raises:
      LocalProtocolError: its record has an address that is none.
    """
    try:
        return Address.from_bytes(node.addr, node.port)
    except ValueError:
        raise LocalProtocolError(f"node {node.name!r} has no usable address") from None
