"""Sending datagrams: piggy-backing, compounds, encoding.  Never waits.

A ping, an ack, a nack or an indirect ping takes along queued broadcasts, as far as they fit
into ``udp_buffer_size``; a gossip packet is nothing but broadcasts.  First come the messages
about nodes, then the delegate's.

DIFFERS: a share of the packet is kept for the delegate.  Of the rest, a share is kept for messages
about nodes that began at this node.  So churn in a large cluster starves neither.  Test:
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
from typing import Final, TypeAlias

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError
from .._swim.broadcasts import TransmitLimitedQueue
from .._swim.nodes import Node
from .._wire.encryption import NONCE_SIZE
from .._wire.messages import USER_PREFIX
from .._wire.packets import MAX_PARTS, encode_packet, make_compound
from ..abc import Address, BulkDelegate, Delegate, NodeView, Transport
from .drop_log import DropLog
from .metrics import Metrics
from .wire_format import PART_OVERHEAD, WireFormat

USER_OVERHEAD: Final = PART_OVERHEAD + len(USER_PREFIX)
"""Length and type byte of a user message as part of a compound."""
ROUND_MESSAGES: Final = 128
"""Messages after which a node gets no further packet in one round.

A Go node queues 1,024 messages for its worker and drops the rest; so it survives a full round
of eight peers at once, even while its worker does nothing.
"""
EAGER_MESSAGES: Final = 64
"""Messages after which a node gets no further packet in one eager round; several eager rounds may
follow each other."""
UNKNOWN_FILL: Final = 0.95
"""How full the packets of an eager round count as, as a share of ``udp_buffer_size``, if the
delegate does not say how much waits."""
ROUND_PACKETS: Final = 16
"""Most packets for one node in one round, however few messages they hold."""
Encoded: TypeAlias = dict[tuple[tuple[bytes, ...], bool], bytes]
_CRC_SINCE: Final = 5
"""First protocol version whose nodes understand a CRC header."""


@attrs.define(eq=False, kw_only=True)
class PacketSender:
    """Builds and sends datagrams.

    Args:
      bulk: the delegate, if it is a `BulkDelegate`.
      find_node: the record of a name, to learn what a receiver understands.
    """

    config: MemberlistConfig
    transport: Transport
    wire: WireFormat
    queue: TransmitLimitedQueue
    delegate: Delegate | None
    bulk: BulkDelegate | None = None
    find_node: Callable[[str], Node | None]
    drop_log: DropLog
    metrics: Metrics
    fill: float = attrs.field(default=1.0, init=False)
    """How full the packets of the last `spread` were, at most 1; 0 if there was none."""
    _owed: bool = attrs.field(default=False, init=False)
    """Whether messages about nodes come first in the next packet, whatever their share."""
    _user_owed: bool = attrs.field(default=False, init=False)
    """The same for user messages: one may be as long as a packet, and find room in no share."""

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
        # DIFFERS: Go looks for the receiver of a ping or an ack among names by its address, finds
        # none, and adds a checksum to gossip alone.
        # Test: test_a_ping_to_a_node_that_understands_it_has_a_checksum.
        crc = self._understands_crc(to, name) and not self.config.faithful_go
        room = self.wire.packet_room - PART_OVERHEAD - len(message)
        self._send_parts([message, *self._broadcasts(room)], to, crc)

    def send_together(self, messages: Sequence[bytes], to: Address, name: str = "") -> None:
        """Send these messages in one packet, and nothing beside them.  Raises as `send`."""
        self._send_parts(messages, to, self._understands_crc(to, name))

    def gossip(self, nodes: Sequence[Node]) -> bool:
        """Send broadcasts to each of these nodes; whether there may be more to send later.

        Each node gets its own draw from the queues, and under a backlog several packets.  When
        the draws are alike, as they mostly are, the packet is encoded once.
        """
        encoded: Encoded = {}
        packets = 1 if self.config.faithful_go else ROUND_PACKETS
        room, bulk = self.wire.packet_room, self.bulk
        for node in nodes:
            messages = 0
            for number in range(packets):
                broadcasts = self._broadcasts(room, -1 if number else 0)
                if not broadcasts:
                    if not number:
                        return self.waits()
                    break
                self._send_gossip(broadcasts, node, encoded)
                messages += len(broadcasts)
                # Unless the delegate has more than a packet; messages about nodes keep Go's pace.
                if messages >= ROUND_MESSAGES or bulk is None or bulk.waiting() <= room:
                    break
        return bool(nodes)

    def waits(self) -> bool:
        """Whether anything waits, if only for an eager round."""
        return self.bulk is not None and self.bulk.waiting() > 0

    def spread(self, nodes: Sequence[Node]) -> bool:
        """Send what is new to all of these nodes alike; whether there may be more of it.

        Packets are filled once for all of the nodes, and several of them are sent if so many are
        full, but no more messages than `EAGER_MESSAGES`.  Each message is in one of them: what
        the nodes have is not sent to them again.
        """
        self.fill = 0.0
        bulk = self.bulk
        if self.delegate is not None and bulk is None:
            self.fill = UNKNOWN_FILL
            return self.gossip(nodes)  # it counts a copy for each call
        messages = size = 0
        for _ in range(ROUND_PACKETS if nodes else 0):
            broadcasts = self._broadcasts(self.wire.packet_room, len(nodes))
            if not broadcasts:
                return False
            encoded: Encoded = {}
            for node in nodes:
                self._send_gossip(broadcasts, node, encoded)
            messages += len(broadcasts)
            size += sum(map(len, broadcasts))
            self.fill = min(1.0, (size + PART_OVERHEAD * messages) / self.wire.packet_room)
            # Messages about nodes keep Go's pace: after a join all of a cluster waits, and is old.
            if bulk is None or broadcasts[-1][:1] != USER_PREFIX:
                return bulk is not None and bulk.unsent() > 0  # it is too long, and comes next
            unsent = bulk.unsent()
            if unsent < self.wire.packet_room or messages >= EAGER_MESSAGES:
                return unsent > 0
        return bool(nodes)

    def unsent_fill(self) -> float:
        """How full a packet would be of what is new, at most 1."""
        unsent = self.queue.unsent + (0 if self.bulk is None else self.bulk.unsent())
        return min(1.0, unsent / self.wire.packet_room)

    def _send_gossip(self, messages: list[bytes], node: Node, encoded: Encoded) -> None:
        crc, address = node.protocol_max >= _CRC_SINCE, node.address
        for start in range(0, len(messages), MAX_PARTS):
            parts = tuple(messages[start : start + MAX_PARTS])
            try:
                data = encoded.get((parts, crc))
                if data is None:
                    data = encoded[parts, crc] = encode_parts(parts, self.wire, crc=crc)
                self.transport.send_packet(data, address)
            except (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
                self.metrics.count("trioserf.gossip.unsent")
            else:
                self.metrics.packet_sent(parts, len(data))

    def _broadcasts(self, room: int, copies: int = 0) -> list[bytes]:
        """What the queues have for one packet, within ``room`` bytes with part overheads."""
        queue, config = self.queue, self.config
        if not queue.entries:  # as mostly: every ping asks
            self._owed = False
            return self._of_delegate(room, copies)
        share = 0.0 if config.faithful_go else config.user_share
        if self.delegate is None or not share or self._owed:
            self._owed = False
            about_nodes = self._about_nodes(room, share, copies)
            return about_nodes + self._of_delegate(room - _size_of(about_nodes), copies)
        # The delegate is asked first, so that what it leaves is filled in one draw: a second
        # draw would find the same messages again, and count them as sent.
        kept = max(room - queue.size - PART_OVERHEAD * len(queue.entries), int(room * share))
        user = self._of_delegate(room if self._user_owed else kept, copies)
        about_nodes = self._about_nodes(room - _size_of(user), share, copies)
        self._owed = bool(user and not about_nodes)  # all of them are long: they are next
        self._user_owed = bool(about_nodes and not user)
        return about_nodes + user if about_nodes or user else self._of_delegate(room, copies)

    def _about_nodes(self, room: int, share: float, copies: int) -> list[bytes]:
        return self.queue.take(PART_OVERHEAD, room, local_share=share, copies=copies)

    def _of_delegate(self, room: int, copies: int) -> list[bytes]:
        if room <= USER_OVERHEAD or self.delegate is None:
            return []
        try:
            if self.bulk is not None:
                user = self.bulk.get_broadcasts_for(copies, USER_OVERHEAD, room)
            else:
                user = self.delegate.get_broadcasts(USER_OVERHEAD, room)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate.get_broadcasts, error)
            return []
        return [*map(USER_PREFIX.__add__, user)] if user else []

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
            data = encode_parts(parts, self.wire, crc=crc)
            self.transport.send_packet(data, to)
            self.metrics.packet_sent(parts, len(data))


def _size_of(parts: Sequence[bytes]) -> int:
    return sum(map(len, parts)) + PART_OVERHEAD * len(parts)


def encode_parts(messages: Sequence[bytes], wire: WireFormat, *, crc: bool) -> bytes:
    """The packet of these messages.  Raises as `trioserf._wire.packets.encode_packet`."""
    message = messages[0] if len(messages) == 1 else make_compound(messages)
    codec = wire.packet
    nonce = None if codec.key is None else wire.random_bytes(NONCE_SIZE)
    return encode_packet(message, codec, crc=crc, nonce=nonce)


def address_of(node: NodeView) -> Address:
    """Where a node can be reached.

    Raises:
      LocalProtocolError: the record has no valid address.
    """
    try:
        return Address.from_bytes(node.addr, node.port)
    except ValueError:
        raise LocalProtocolError(f"node {node.name!r} has no usable address") from None
