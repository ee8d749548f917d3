"""Task: every datagram comes through here, in one plain function.

Pings, indirect pings, acks and nacks are handled at once: a node whose rules or handlers are
slow still answers its peers in time.  Messages about nodes and user messages go to the queue
before the rules, `Handoff`, which another task empties.  Whatever arrives, nothing is raised: it
is counted and dropped.

Source: hashicorp/memberlist v0.2.2, net.go: packetListen, ingestPacket, handleCommand,
handlePing, handleIndirectPing, handleAck, handleNack; packetHandler, getNextMessage, handleAlive,
handleSuspect, handleDead, handleUser.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError
from .._swim.effects import Effect
from .._swim.nodes import Node
from .._swim.probing import ping_message
from .._swim.table import NodeTable
from .._swim.token_bucket import TokenBucket
from .._wire.messages import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    UserMessage,
    encode_message,
)
from .._wire.packets import DecodedPacket, PacketCodec, PacketError, decode_packet
from ..abc import Address, Delegate, Packet, PingHandler, PublishingDelegate, Transport
from .drop_log import DropLog
from .history import History, Source
from .indirect_pings import IndirectPings
from .metrics import Metrics
from .packet_sender import PacketSender
from .pending_acks import PendingAcks, host_of
from .refusal_detector import RefusalDetector
from .stream_io import let_readers_catch_up
from .wire_format import WireFormat

MAX_LONG: Final = 2 << 20
"""Bytes read in a second of datagrams that are longer than ``udp_buffer_size``: to decompress them
takes up to 100 ns a byte, and only responses to queries have reason to be so long."""
SHORT_OUTPUT: Final = 1 << 14
"""Bytes that any packet may decompress to.  An honest packet has fewer than ``udp_buffer_size``
before it is compressed; one that becomes longer is read again, within `MAX_LONG`."""
_OVERHEAD: Final = 512
"""What label, encryption and checksum may add to a packet (bytes)."""
FREE_PIECES: Final = 16
"""Messages of a packet that cost a stranger nothing."""
PIECES_BURST: Final = 2000
"""Further ones of strangers that are decoded at once, and then `PIECES_RATE` more in a second: two
kilobytes may hold hundreds, which take milliseconds."""
PIECES_RATE: Final = 5000.0
"""Further messages of strangers that are decoded in a second, after `PIECES_BURST`."""
MAX_REQUESTS: Final = 4
"""Pings and indirect pings answered for one datagram; no Go node sends more than one."""


@attrs.define(eq=False, kw_only=True)
class Receiver:
    """Decodes packets and answers pings.

    Args:
      ping: gives the payload of acks.
      default_port: gives the port that a port of 0 in a message stands for.
      check_reached: is given a node that was never reached when a ping of it arrives.
    """

    config: MemberlistConfig
    transport: Transport
    wire: WireFormat
    table: NodeTable
    sender: PacketSender
    handoff: Handoff
    pending_acks: PendingAcks
    indirect_pings: IndirectPings
    ping: PingHandler | None
    default_port: Callable[[], int]
    check_reached: Callable[[Node], object]
    refusals: RefusalDetector
    history: History
    drop_log: DropLog
    metrics: Metrics
    packets: int = attrs.field(default=0, init=False)
    bytes_received: int = attrs.field(default=0, init=False)
    _requests: int = attrs.field(default=0, init=False)
    _let_refute_at: float = attrs.field(default=-math.inf, init=False)
    _messages: Sequence[object] = attrs.field(default=(), init=False)
    """All messages of the packet that is being handled."""
    _usual: int = attrs.field(init=False)
    _full: PacketCodec = attrs.field(init=False)
    _short: PacketCodec = attrs.field(init=False)
    """Decodes as `_full` does, with less output."""
    _pieces: TokenBucket = attrs.field(init=False)
    _long: TokenBucket = attrs.field(factory=lambda: TokenBucket(MAX_LONG, MAX_LONG), init=False)
    """Bytes of long datagrams that are read."""
    _routes: dict[type, Callable[[Any, Packet], object]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        hand_off = self.handoff.put
        self._full = self.wire.packet
        self._short = attrs.evolve(self._full, max_output=SHORT_OUTPUT)
        self._pieces = TokenBucket(PIECES_BURST, PIECES_RATE)
        self._usual = self.config.udp_buffer_size + _OVERHEAD
        self._routes = {
            Ping: self._on_ping,
            IndirectPing: self._on_indirect_ping,
            Ack: self._on_ack,
            Nack: self._on_nack,
            **dict.fromkeys((Alive, Suspect, Dead, UserMessage), hand_off),
        }

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Receive until cancelled, or until the transport is closed."""
        try:
            await self.transport.receive_packets(self.on_packet, task_status=task_status)
        except trio.ClosedResourceError:
            task_status.started()

    def on_packet(self, packet: Packet) -> Callable[[], Awaitable[None]] | None:
        """Handle one datagram.  Never raises, never waits.

        Returns what to wait for before the next one; None for nothing.
        """
        size = len(packet.data)
        self.packets += 1
        self.bytes_received += size
        if size > self._usual and not self._long.take(packet.received_at, size):
            self.drop_log("long", packet.source, f"more than {MAX_LONG} bytes a second")
            return None
        if self.handoff.turns_away(packet) or (
            self._pieces.ready_at > packet.received_at and self.handoff.is_of_stranger(packet)
        ):
            self.metrics.packet_received((), size)
            self.drop_log("handoff", packet.source, "more packets of strangers than are taken")
            return None
        try:
            messages, problems = self._decode(packet)
        except PacketError as error:
            self.metrics.packet_received((), size)
            self.drop_log(error.layer, packet.source, error)
            return None
        self.metrics.packet_received(messages, size)
        if problems:
            for layer in set(problems):
                self.drop_log(layer, packet.source, "part of a packet", problems.count(layer))
        pieces = len(messages) + len(problems)
        if pieces > FREE_PIECES and self.handoff.is_of_stranger(packet):
            self._pieces.spend(packet.received_at, pieces)
        self._requests = 0
        self._messages = messages
        for message in messages:
            handler = self._routes[type(message)]
            try:
                handler(message, packet)
            except (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError) as e:
                self.drop_log("answer", packet.source, e)
            except Exception as error:
                self.drop_log.crash("handler", handler, error)
        return self.handoff.wait_for_room if self.handoff.is_crowded else None

    def _decode(self, packet: Packet) -> DecodedPacket:
        """Decode a packet; a long output of decompression is accepted only at a bounded rate."""
        full = self.wire.packet
        if full.max_output <= SHORT_OUTPUT:
            return decode_packet(packet.data, full)
        if full is not self._full:
            self._full, self._short = full, attrs.evolve(full, max_output=SHORT_OUTPUT)
        try:
            decoded = decode_packet(packet.data, self._short)
        except PacketError as error:
            if error.layer != "compress" or not self._take_decompression(packet.received_at):
                raise
        else:
            if "compress" not in decoded.problems or not self._take_decompression(
                packet.received_at
            ):
                return decoded
        return decode_packet(packet.data, full)

    def _take_decompression(self, now: float) -> bool:
        return self._long.take(now, min(self._full.max_output, MAX_LONG))

    def _on_ping(self, ping: Ping, packet: Packet) -> None:
        if ping.node and ping.node != self.config.name:
            self.drop_log("name", packet.source, f"ping for {ping.node!r}")
        elif self._count_request(packet):
            pinging = self.table.nodes.get(ping.source_node)
            if pinging is not None:
                host = host_of(packet.source)
                pinging.pinged(packet.received_at, host)
                if not pinging.reached and host == pinging.address.host:
                    self.check_reached(pinging)
                if pinging.is_gone:
                    self._let_refute(pinging, packet.received_at)
            payload = self.ping.ack_payload() if self.ping is not None else None
            ack = encode_message(Ack(seq_no=ping.seq_no, payload=payload or None))
            self.sender.send(ack, self._reply_address(ping, packet), ping.source_node)

    def _let_refute(self, node: Node, now: float) -> None:
        """A node that is declared dead pings: send it the dead message, so that it can refute.

        The same for one that is said to have left, which anybody can say in its name; one that did
        leave refutes nothing.

        DIFFERS: in Go the node learns that it is declared dead when gossip happens to choose it,
        while a message about it is still gossiped, or at the next state exchange.
        Test: test_a_dead_node_that_pings_is_sent_the_dead_message.
        """
        if self.config.faithful_go or now - self._let_refute_at < self.config.gossip_interval:
            return  # one at a time: those that come later ping again
        self._let_refute_at = now
        dead = encode_message(Dead(node.incarnation, node.name, self.config.name))
        self.sender.send_together([dead], node.address, node.name)

    def _on_indirect_ping(self, request: IndirectPing, packet: Packet) -> None:
        # Protocol 1 knows no ports but the one that every node is bound to.
        port = 0 if self.config.protocol_version == 1 else request.port
        try:
            target = Address.from_bytes(request.target or b"", port or self.default_port())
        except ValueError:
            self.drop_log("address", packet.source, "indirect ping of no address")
            return
        if not self._count_request(packet):
            return
        seq_no = self.pending_acks.next_seq_no()
        reply_to = self._reply_address(request, packet)
        known = self.table.nodes.get(request.node)
        hosts = (target.host, *(() if known is None else known.other_hosts))
        now = trio.current_time()
        if not self.indirect_pings.add(seq_no, request, reply_to, now, hosts, target):
            limit = self.indirect_pings.limit
            self.drop_log("relay", packet.source, f"more than {limit} indirect pings")
            return
        self.refusals.asked(seq_no, request, reply_to)
        ping = ping_message(seq_no, request.node, self.table.local_node)
        self.sender.send(ping, target, request.node)

    def _on_ack(self, ack: Ack, packet: Packet) -> None:
        if self.pending_acks.ack(ack, packet.received_at, packet.source):
            return
        hosts = self.indirect_pings.hosts(ack.seq_no)
        if hosts is None:
            if ack.seq_no in self.pending_acks:
                self.drop_log("ack", packet.source, "an ack from another address than was asked")
        elif host_of(packet.source) in hosts or self.config.faithful_go:
            self.indirect_pings.ack(ack.seq_no)
        else:
            self.drop_log("ack", packet.source, "an ack from another address than was asked")

    def _on_nack(self, nack: Nack, packet: Packet) -> None:
        first = self._messages[0]
        if isinstance(first, Suspect) and self.refusals.answered(nack.seq_no, first, packet.source):
            return
        if not self.pending_acks.nack(nack.seq_no, packet.source):
            self.history.late_nack(nack.seq_no, packet.source)

    def _count_request(self, packet: Packet) -> bool:
        self._requests += 1
        if self._requests > MAX_REQUESTS:
            self.drop_log("requests", packet.source, f"more than {MAX_REQUESTS} pings at once")
            return False
        return True

    def _reply_address(self, request: Ping | IndirectPing, packet: Packet) -> Address:
        """The address that the sender names; the source of the packet if it names none."""
        if request.source_addr and request.source_port:
            try:
                return Address.from_bytes(request.source_addr, request.source_port)
            except ValueError:
                self.drop_log("address", packet.source, "ping with a source that is no address")
        return packet.source


# --- messages that wait for the rules ---------------------------------------------------


Message: TypeAlias = Alive | Suspect | Dead | UserMessage

BATCH: Final = 64
"""Most messages that are handled, as one batch, before other tasks get their turn."""
LOW_TURN: Final = 4
"""Every fourth message of a batch is taken from the queue of suspect, dead and user messages, if it
is not empty; the others from that of alive messages, if that is not empty."""
FIRST_TURN: Final = 2
"""Every second message of a batch is taken from the queue of suspect, dead and user messages that
nodes once reached sent during a flood of strangers, if it is not empty."""
BATCH_BYTES: Final = 1 << 14
"""Bytes of user messages after which a batch ends early: long messages take long to handle."""
MAX_LONG_WAITING: Final = 1 << 21
"""Bytes of user messages longer than `BATCH_BYTES` that may wait, all together; no honest packet
has such a message."""
ROOM_FOR_PACKET: Final = 128
"""Messages for which there is room in the queue when a packet is read: no honest one has more."""
MAX_WAIT: Final = 0.25
"""Longest time for which no packet is read because of it (seconds): peers wait twice that for an
ack."""
SCAN_INTERVAL: Final = 1.0
"""How often the hosts of `SCANNED_AT_ONCE` nodes or more are read from the table, while there is a
flood (seconds); of fewer in proportion sooner, because a node may have been reached since."""
SCANNED_AT_ONCE: Final = 512
"""Nodes of the table whose hosts are read while one message is queued; the next message goes on
with further nodes, so that a large table delays no message for long."""
STRANGERS_BURST: Final = 1024
"""Messages of strangers that are taken at once in a flood, as many as Go queues; further ones are
taken at the rate of `STRANGERS_RATE`."""
STRANGERS_RATE: Final = 500.0
"""Further messages of strangers that are taken in a second of a flood.  Each moves a Lamport clock
by one at most, and the window of a clock has 512 times: so the window lasts a second, and what an
honest node sends may be on its way as long."""
FLOOD_TIME: Final = 1.0
"""How long a flood of strangers counts as going on (seconds), from the last message of a stranger
that found a whole batch of messages waiting."""
BATCH_TIME: Final = 0.002
"""Time after which a batch ends early (seconds): a query may have filters that take long, and the
effects of a new node take a third of a millisecond."""
_SHORTEST_REQUEST: Final = 100
"""A lower bound for the length of a request (bytes): a query of Serf without payload and filters is
a little longer."""


def requests_in_packet(size: int) -> int:
    """How many requests an honest packet of ``size`` bytes may have; Go's have 1400 bytes."""
    return max(16, size // _SHORTEST_REQUEST)


@attrs.define(eq=False, kw_only=True)
class Handoff:
    """Two queues and the task that empties them.

    Alive messages go first, then suspect, dead and user messages in the order of arrival.  When
    a queue is full the new message is dropped: a flood costs messages, never memory, and pings
    are still answered at once because they do not pass here.

    DIFFERS: Go takes the newest message first; here each queue is first in, first out.  The
    order is invisible on the wire, and users get user messages as they came.  Test:
    ``test_alive_messages_overtake_and_the_rest_keeps_its_order``.

    Args:
      depth: most messages in each queue.
      apply: takes the effects of messages about nodes.
      delegate: takes user messages; None drops them.
      is_duplicate: whether a user message need not be queued at all.
      is_request, max_requests: which user messages are answered to an address that they name, and
        how many such messages of one packet are taken.
      check_reached: is given a node that was never reached and is about to be taken for a stranger.
      reserve: whether strangers, hosts of no node that was reached, may fill only a part of each
        queue.
    """

    depth: int
    table: NodeTable
    apply: Callable[[Sequence[Effect], Source], object]
    delegate: Delegate | None
    drop_log: DropLog
    is_duplicate: Callable[[bytes], bool] | None = None
    is_request: Callable[[bytes], bool] | None = None
    check_reached: Callable[[Node], object] | None = None
    max_requests: int = 0
    reserve: bool = False
    _hosts: dict[str, Node | None] = attrs.field(factory=dict, init=False)
    """For each host of nodes, as of the last scan: None if one was reached, else one of them."""
    _scan_at: float = attrs.field(default=-math.inf, init=False)
    _scanning: Iterator[Node] | None = attrs.field(default=None, init=False)
    """The nodes whose hosts are still to be read in the scan under way; None between scans."""
    _scanned: dict[str, Node | None] = attrs.field(factory=dict, init=False)
    """What will be `_hosts` when the scan under way has ended."""
    _flood_until: float = attrs.field(default=-math.inf, init=False)
    _strangers: TokenBucket = attrs.field(init=False)
    _high: deque[tuple[Message, Packet]] = attrs.field(factory=deque, init=False)
    _low: deque[tuple[Message, Packet]] = attrs.field(factory=deque, init=False)
    _first: deque[tuple[Message, Packet]] | None = attrs.field(default=None, init=False)
    """Suspect, dead and user messages of nodes that were reached, if there was a flood."""
    _queued: set[bytes] = attrs.field(factory=set, init=False)
    """Bodies of the user messages in the queue, by which further copies are recognised."""
    _asking: Packet | None = attrs.field(default=None, init=False)
    """The packet that the last request was in."""
    _requests: int = attrs.field(default=0, init=False)
    _long: int = attrs.field(default=0, init=False)
    """Bytes of waiting messages that are longer than `BATCH_BYTES`."""
    _is_behind: Callable[[], bool] | None = attrs.field(default=None, init=False)
    is_crowded: bool = attrs.field(default=False, init=False)
    """Whether a further packet of a member may find no room."""
    _crowd: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _idle: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def __attrs_post_init__(self) -> None:
        self._strangers = TokenBucket(STRANGERS_BURST, STRANGERS_RATE)
        if isinstance(self.delegate, PublishingDelegate):
            self._is_behind = self.delegate.is_behind

    def __len__(self) -> int:
        return len(self._high) + len(self._first or ()) + len(self._low)

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
        waiting = len(queue) + (len(self._first or ()) if queue is self._low else 0)
        limit, many = self.depth, waiting >= min(BATCH, self.depth // 2)
        if many or packet.received_at < self._flood_until:
            limit = self._limit_for(packet)
            if limit < self.depth:
                unreached = self._hosts.get(host_of(packet.source))
                if unreached is not None and self.check_reached is not None:
                    self.check_reached(unreached)
                if many:
                    self._flood_until = packet.received_at + FLOOD_TIME
                if not self._take_from_strangers(packet):
                    return
            elif queue is self._low and packet.received_at < self._flood_until:
                if self._first is None:
                    self._first = deque()
                queue = self._first
            elif waiting >= self.depth - ROOM_FOR_PACKET and self.reserve:
                self.is_crowded = True
        if waiting >= limit:
            kind = type(message).__name__
            self.drop_log("handoff", packet.source, f"{kind} message, the queue is full")
            return
        if type(message) is UserMessage and (size := len(message.body)) > BATCH_BYTES:
            if self._long + size > MAX_LONG_WAITING:
                self.drop_log("handoff", packet.source, f"message of {size} bytes, no room")
                return
            self._long += size
        if body:
            self._queued.add(body)
        queue.append((message, packet))
        if self._idle:
            self._idle.unpark_all()

    async def wait_for_room(self) -> None:
        """Wait until a further packet of a member finds room.

        A node that was held up finds more in its receive buffer than this queue holds.  What is
        left there is dropped by the system if it is too much, and counted.

        DIFFERS (unless ``reserve`` is off): Go reads on, and drops.  Test:
        test_who_was_held_up_reads_no_faster_than_it_handles.
        """
        self.is_crowded = False
        with trio.move_on_after(MAX_WAIT):
            while len(self._low) + ROOM_FOR_PACKET >= self.depth:
                await self._crowd.park()

    def turns_away(self, packet: Packet) -> bool:
        """Whether a packet is dropped before it is decoded, because of a flood of strangers.

        To decompress a packet takes a millisecond.  From a host of no node come no pings that must
        be answered, and no acks that are waited for.
        """
        now = packet.received_at
        if now >= self._flood_until or self._strangers.ready_at <= now:
            return False
        return self.is_of_stranger(packet)

    def is_of_stranger(self, packet: Packet) -> bool:
        """Whether a packet is of a host of no node; False before the first scan has ended."""
        if self._limit_for(packet) == self.depth or not self._hosts:
            return False
        return host_of(packet.source) not in self._hosts

    def _take_from_strangers(self, packet: Packet) -> bool:
        """Whether one more message of a stranger is taken in this flood."""
        now = packet.received_at
        if self._strangers.ready_at > now:
            self.drop_log("handoff", packet.source, "more messages of strangers than are taken")
            return False
        self._strangers.spend(now)
        return True

    def _limit_for(self, packet: Packet) -> int:
        """Most messages that may wait before one of this packet is dropped.

        A flood of strangers shall not keep members out.  Hosts of nodes that were reached may fill
        the whole queue.  Hosts of other nodes may fill seven eighths of it, and other hosts half,
        both at a bounded rate.  A node that sends so much and was never reached is pinged, so that
        a member that has just joined is soon known as one.  What nodes that were reached send
        during a flood does not wait behind the messages of strangers.

        DIFFERS (unless ``reserve`` is off, for ``faithful_go``): in Go a message that is one too
        many is dropped, from any sender.
        Tests: test_a_flood_of_strangers_leaves_room_for_members,
        test_in_a_flood_strangers_are_rate_limited,
        test_in_a_flood_members_do_not_wait_behind_strangers,
        test_who_just_joined_and_sends_much_is_soon_no_stranger.
        """
        if not self.reserve:
            return self.depth
        if self._scanning is not None or packet.received_at >= self._scan_at:
            self._scan(packet.received_at)
        unreached = self._hosts.get(host_of(packet.source), False)
        if unreached is False:
            return self.depth // 2
        return self.depth if unreached is None else self.depth * 7 // 8

    def _scan(self, now: float) -> None:
        """Begin to read the hosts of all nodes, or go on with it."""
        if self._scanning is None:
            nodes = tuple(self.table.sequence)
            self._scan_at = now + SCAN_INTERVAL * min(1.0, len(nodes) / SCANNED_AT_ONCE)
            self._scanning, self._scanned = iter(nodes), {}
        hosts, left = self._scanned, SCANNED_AT_ONCE
        for node in islice(self._scanning, SCANNED_AT_ONCE):
            for host in node.hosts:
                if node.reached:
                    hosts[host] = None
                else:
                    hosts.setdefault(host, node)
            left -= 1
        if left:  # those were the last
            self._hosts, self._scanning = hosts, None

    async def run(self) -> None:
        """Handle messages until cancelled."""
        while True:
            room = BATCH_BYTES
            until = trio.current_time() + BATCH_TIME
            for turn in range(BATCH):
                # Alive messages go first, but a flood of them must not keep the rest waiting.
                queue = self._high or self._first or self._low
                if turn % LOW_TURN == LOW_TURN - 1:
                    queue = self._low or self._high or self._first or self._low
                if self._first and turn % FIRST_TURN == 0:
                    queue = self._first
                if not queue:
                    self._queued.clear()  # it is empty, but its table may be large
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
                    await self._let_others_run()
                    break
            else:
                await self._let_others_run()

    async def _let_others_run(self) -> None:
        self._crowd.unpark_all()
        await trio.lowlevel.checkpoint()
        await let_readers_catch_up(self._is_behind)

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
