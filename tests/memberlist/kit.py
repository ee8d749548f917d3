"""What the tests of the membership half share: recorders, and nodes on a simulated network."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager

import attrs
import trio

from trioserf._config import MemberlistConfig
from trioserf._memberlist.open import open_memberlist
from trioserf._wire.messages import Alive
from trioserf._wire.packets import PacketCodec, decode_packet
from trioserf.abc import Address, Packet, Transport
from trioserf.testing.determinism import threads_in_place
from trioserf.testing.sim_network import SimNetwork

VERSIONS = b"\x01\x05\x02\x00\x00\x00"
HOME = Address("10.0.0.1", 7946)
AWAY = Address("10.0.0.2", 7946)


class Events:
    """Records joins, leaves and updates as ``(kind, name)``."""

    def __init__(self):
        self.seen = []
        self._event = trio.Event()

    def _note(self, kind, node):
        self.seen.append((kind, node.name))
        self._event.set()
        self._event = trio.Event()

    def notify_join(self, node):
        self._note("join", node)

    def notify_leave(self, node):
        self._note("failed" if node.status == 2 else "left", node)

    def notify_update(self, node):
        self._note("update", node)

    async def until(self, *wanted):
        """Wait until all of these were seen."""
        while not set(wanted) <= set(self.seen):
            await self._event.wait()


class Delegate:
    """Metadata, user messages, broadcasts and user state, all recorded."""

    def __init__(self, meta=b"", state=b""):
        self.meta = meta
        self.state = state
        self.broadcasts = []
        self.messages = []
        self.merged = []

    def node_meta(self, limit):
        return self.meta

    def notify_message(self, message):
        self.messages.append(message)

    def get_broadcasts(self, overhead, limit):
        taken, used = [], 0
        for message in list(self.broadcasts):
            if used + overhead + len(message) <= limit:
                used += overhead + len(message)
                taken.append(message)
                self.broadcasts.remove(message)
        return taken

    def local_state(self, join):
        return self.state

    def merge_remote_state(self, state, join):
        self.merged.append((state, join))


class Pings:
    """Records round-trip times, and gives a payload."""

    def __init__(self, payload=b""):
        self.payload = payload
        self.seen = []

    def ack_payload(self):
        return self.payload

    def notify_ping_complete(self, node, rtt, payload):
        self.seen.append((node.name, rtt, payload))


class Tap:
    """Records metrics as ``(kind, name, value, labels)``."""

    def __init__(self):
        self.seen = []

    def count(self, name, value, labels):
        self.seen.append(("count", name, value, dict(labels)))

    def gauge(self, name, value, labels):
        self.seen.append(("gauge", name, value, dict(labels)))

    def sample(self, name, value, labels):
        self.seen.append(("sample", name, value, dict(labels)))

    def values(self, name):
        return [value for _, seen, value, _ in self.seen if seen == name]


@attrs.define(eq=False)
class Wire(Transport):
    """A transport to nowhere: keeps what is sent, and takes packets from the test."""

    address: Address = HOME
    sent: list = attrs.field(factory=list)
    error: BaseException | None = None
    refuse: int = 0
    refused_at: float = 0.0
    handler: object = None
    packet_sent: trio.Event = attrs.field(factory=trio.Event)
    closed: trio.Event = attrs.field(factory=trio.Event)

    async def open(self):
        await trio.lowlevel.checkpoint()

    @property
    def local_address(self):
        return self.address

    def send_packet(self, data, to):
        if self.error is not None:
            raise self.error
        if self.refuse:
            self.refuse -= 1
            self.refused_at = trio.current_time()
            raise trio.BrokenResourceError("port unreachable")
        self.sent.append((data, to))
        self.packet_sent.set()

    async def until_sent(self):
        """Wait until a packet was sent since ``sent`` was cleared."""
        while not self.sent:
            self.packet_sent = trio.Event()
            await self.packet_sent.wait()

    async def receive_packets(self, handler, *, task_status=trio.TASK_STATUS_IGNORED):
        self.handler = handler
        task_status.started()
        await self.closed.wait()

    def deliver(self, data, source=AWAY):
        self.handler(Packet(data, source, trio.current_time()))

    async def connect_stream(self, to):
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError(f"no node at {to}")

    async def accept_stream(self):
        await self.closed.wait()
        raise trio.ClosedResourceError("closed")

    def close(self):
        self.closed.set()


def opened(packets, codec=None):
    """The messages in packets that a `Wire` has sent: ``[(message, to)]``."""
    codec = codec or PacketCodec()
    return [
        (message, to) for data, to in packets for message in decode_packet(data, codec).messages
    ]


def alive_of(name, addr=b"\x0a\x00\x00\x02", incarnation=1, meta=b"", versions=VERSIONS):
    """An alive message."""
    return Alive(incarnation, name, addr, 7946, meta, versions)


def config(name="n1", **fields):
    return MemberlistConfig.lan(name=name, **fields)


@asynccontextmanager
async def one_node(**arguments):
    """One node whose transport is a `Wire`: ``(memberlist, wire)``."""
    wire = arguments.pop("wire", None) or Wire()
    handlers = {
        key: arguments.pop(key)
        for key in ("delegate", "events", "conflict", "merge", "alive", "ping")
        if key in arguments
    }
    settings = config(**arguments)
    async with open_memberlist(
        settings, transport=wire, rng=random.Random(1), **handlers
    ) as memberlist:
        yield memberlist, wire


class Cluster:
    """Nodes ``n1``, ``n2`` … on hosts 10.0.0.1, 10.0.0.2 … of one simulated network."""

    def __init__(self, network, nursery):
        self.network = network
        self.nursery = nursery
        self.nodes = {}
        self.events = {}
        self.scopes = {}

    async def start(self, number, *, name=None, host=None, **fields):
        """Start a node; give the `Memberlist`."""
        name = name or f"n{number}"
        host = host or f"10.0.{number // 250}.{number % 250}"
        handlers = {
            key: fields.pop(key)
            for key in ("delegate", "events", "conflict", "merge", "alive", "ping")
            if key in fields
        }
        events = handlers.setdefault("events", Events())
        settings = config(name, **fields)
        node = await self.nursery.start(self._run, settings, host, handlers, number)
        self.nodes[number], self.events[number] = node, events
        return node

    async def _run(self, settings, host, handlers, number, *, task_status):
        # An extra task in between, so that the node's tasks can be cancelled as one.
        with trio.CancelScope() as self.scopes[number]:
            async with open_memberlist(
                settings,
                transport=self.network.transport(host),
                rng=random.Random(number),
                **handlers,
            ) as memberlist:
                task_status.started(memberlist)
                await trio.sleep_forever()

    async def start_many(self, count, **fields):
        """Start nodes 1 to ``count`` and let all join the first."""
        for number in range(1, count + 1):
            await self.start(number, **fields)
        for number in range(2, count + 1):
            await self.nodes[number].join(["10.0.0.1"])
        return [self.nodes[number] for number in range(1, count + 1)]

    def kill(self, number):
        """Stop a node without a word."""
        self.scopes[number].cancel()


@asynccontextmanager
async def cluster(**network):
    """A `Cluster` on a fresh network."""
    with threads_in_place():
        async with SimNetwork(**{"seed": 1, **network}) as net, trio.open_nursery() as nursery:
            yield Cluster(net, nursery)
            nursery.cancel_scope.cancel()
