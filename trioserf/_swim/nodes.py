"""What is known about each node, and the records of the cluster, without any rule.

Source: hashicorp/memberlist v0.2.2, state.go, Node and nodeState, resetNodes and aliveNode (where
new nodes are inserted); memberlist.go (fields of Memberlist); util.go, moveDeadNodes.
"""

from __future__ import annotations

import enum
import heapq
import math
import random
from collections.abc import Callable, Mapping
from typing import Final, Self, TypeAlias, final

from .. import _attrs as attrs
from .._wire.messages import Alive, NodeRecord
from ..abc import Address
from .suspicion import Suspicion

Incarnation: TypeAlias = int
"""Version of what is known of a node: unsigned, 32 bits; only the node itself raises it."""

AliveState: TypeAlias = Alive | NodeRecord
"""What says that a node is alive: a message, or its record in a push/pull."""

VERSIONS_LENGTH: Final = 6
"""Bytes in a version vector: ``pmin pmax pcur dmin dmax dcur``."""
NAME_LIMIT: Final = 1400
"""Longest name of a node (characters): with a longer one no packet of the usual length has room for
an alive message, and others would keep and log it all the same."""
META_LIMIT: Final = 512
"""Most bytes of node metadata.  Source: memberlist.go, MetaMaxSize."""
NEVER: Final = -math.inf
"""A change time before every other."""
MAX_OTHER_HOSTS: Final = 4
"""Hosts from which a node may ack, beside the one in its record: it may be in two networks, each
with IPv4 and IPv6."""


class NodeStatus(enum.IntEnum):
    """Where a node stands; the numbers travel in push/pull records."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    """Failed: declared dead by others."""
    LEFT = 3
    """Declared dead by itself."""

    def __str__(self) -> str:
        return self.name.lower()


@final
@attrs.define(eq=False, weakref_slot=False)
class Node:
    """One node of the cluster, the local one included.

    There is one object per record, and only the rules of this package change it, with
    `update`.  To compare with an earlier moment, take a `copy`.

    Args:
      name: unique in the cluster; any text but the empty one.
      addr: 4 or 16 bytes, exactly as received, because peers compare bytes.
      port: 1 to 65535.
      meta: at most 512 bytes, opaque here.
      versions: six bytes, ``pmin pmax pcur dmin dmax dcur``.
      incarnation: of the newest message applied.
      status: alive, suspect, dead or left.
      changed_at: when the status last changed (seconds, trio clock); minus infinity for never.

    Attributes:
      known_since: when it was first alive (seconds, trio clock); nothing that is said of it later
        changes that.
      tried_at: when the failure detector last probed it, or it answered (seconds, trio clock).
      answered_at: when it last acked a probe, by whatever way, or state was exchanged with it, by
        this node's initiative.
      pinged_at: when a ping of it last arrived here.
      connected_in: its incarnation when a stream to it was last opened; None for never.
      rtt: the last round-trip time (seconds); None before the first.
      helped_by: name of the node that brought its ack when it last did not answer itself; "" for
        none.
      hearsay: whether it became known by a packet, or by a stream that a peer opened.
      other_hosts: other hosts than that of the record from which its pings came last, because
        it has several addresses; at most `MAX_OTHER_HOSTS`.
    """

    name: str = attrs.field(kw_only=True)
    addr: bytes = attrs.field(kw_only=True)
    port: int = attrs.field(kw_only=True)
    meta: bytes = attrs.field(kw_only=True, default=b"")
    versions: bytes = attrs.field(kw_only=True, default=b"\x01\x05\x02\x00\x00\x00")
    incarnation: Incarnation = attrs.field(kw_only=True, default=0)
    status: NodeStatus = attrs.field(kw_only=True, default=NodeStatus.ALIVE)
    changed_at: float = attrs.field(kw_only=True, default=NEVER)
    known_since: float = attrs.field(init=False, default=NEVER, repr=False)
    tried_at: float = attrs.field(init=False, default=NEVER, repr=False)
    answered_at: float = attrs.field(init=False, default=NEVER, repr=False)
    pinged_at: float = attrs.field(init=False, default=NEVER, repr=False)
    connected_in: Incarnation | None = attrs.field(init=False, default=None, repr=False)
    rtt: float | None = attrs.field(init=False, default=None, repr=False)
    helped_by: str = attrs.field(init=False, default="", repr=False)
    hearsay: bool = attrs.field(init=False, default=False, repr=False)
    other_hosts: tuple[str, ...] = attrs.field(init=False, default=(), repr=False)
    _address: Address | None = attrs.field(init=False, default=None, repr=False)
    _record: NodeRecord | None = attrs.field(init=False, default=None, repr=False)

    @property
    def address(self) -> Address:
        """Where packets and streams for this node go."""
        address = self._address
        if address is None:
            address = self._address = Address.from_bytes(self.addr, self.port)
        return address

    def answered(self, now: float) -> None:
        """It acked a probe, or state was exchanged with it."""
        # One object for both: a node has two of these for each other one.
        self.answered_at = self.tried_at = now

    def pinged(self, now: float, host: str) -> None:
        """A ping of this node arrived, from ``host``."""
        self.pinged_at = now
        if host != self.address.host and host not in self.other_hosts:
            self.other_hosts = (*self.other_hosts, host)[-MAX_OTHER_HOSTS:]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts from which its acks may come: that of the record, and the others."""
        return (self.address.host, *self.other_hosts)

    @property
    def reached(self) -> bool:
        """Whether it ever acked a probe, or state was exchanged with it.

        Pings of it do not count: anybody can send them.
        """
        return self.answered_at > NEVER

    @property
    def record(self) -> NodeRecord:
        """This node in a push/pull; the same object until it changes."""
        record = self._record
        if record is None:
            record = self._record = NodeRecord(
                name=self.name,
                addr=self.addr,
                port=self.port,
                meta=self.meta,
                incarnation=self.incarnation,
                status=int(self.status),
                versions=self.versions,
            )
        return record

    def update(
        self,
        *,
        incarnation: Incarnation | None = None,
        status: NodeStatus | None = None,
        meta: bytes | None = None,
        versions: bytes | None = None,
    ) -> None:
        """Change what is given."""
        self._record = None
        if incarnation is not None:
            self.incarnation = incarnation
        if status is not None:
            self.status = status
        if meta is not None:
            self.meta = meta
        if versions is not None:
            self.versions = versions

    def move(self, addr: bytes, port: int) -> None:
        """Take another address."""
        self.addr, self.port = addr, port
        self._address = self._record = self.connected_in = None

    @property
    def is_gone(self) -> bool:
        """Whether the node is dead or left."""
        return self.status >= NodeStatus.DEAD

    @property
    def was_connected(self) -> bool:
        """Whether a stream to it worked in this incarnation: then a refusal of it is evidence."""
        return self.status < NodeStatus.DEAD and self.connected_in == self.incarnation

    @property
    def protocol_min(self) -> int:
        """Lowest protocol version that the node understands."""
        return self.versions[0]

    @property
    def protocol_max(self) -> int:
        """Highest protocol version that the node understands."""
        return self.versions[1]

    @property
    def protocol_cur(self) -> int:
        """Protocol version that the node speaks."""
        return self.versions[2]

    def copy(self) -> Self:
        """The node as it is now."""
        # By hand: every probe needs one, and by way of `__init__` it takes twice as long.
        twin = object.__new__(type(self))
        twin.name = self.name
        twin.addr = self.addr
        twin.port = self.port
        twin.meta = self.meta
        twin.versions = self.versions
        twin.incarnation = self.incarnation
        twin.status = self.status
        twin.changed_at = self.changed_at
        twin.known_since = self.known_since
        twin.tried_at = self.tried_at
        twin.answered_at = self.answered_at
        twin.pinged_at = self.pinged_at
        twin.connected_in = self.connected_in
        twin.rtt = self.rtt
        twin.helped_by = self.helped_by
        twin.hearsay = self.hearsay
        twin.other_hosts = self.other_hosts
        twin._address = self._address
        twin._record = self._record
        return twin


# --- the records of the cluster ---------------------------------------------------------


class NodeStore:
    """All records, by name and in probing order, and the running suspicions.

    A suspicion runs for exactly those nodes that are suspect; the rules keep it so.

    Args:
      name: the local name.
      rng: for the place of a new node in the probing order.

    Attributes:
      name: the local name.
      nodes: records by name.
      sequence: the same records in probing order.
      suspicions: by name.
      local_node: the local record, once there is one.
      leaving: whether the local node declared itself left.
      version: how often records came or went, or a node died or came back.
      inserted: called with each new record.
    """

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name = name
        self.nodes: dict[str, Node] = {}
        self.sequence: list[Node] = []
        self.suspicions: Suspicions = Suspicions()
        self.local_node: Node | None = None
        self.leaving = False
        self.version: int = 0
        self.inserted: Callable[[Node], object] = id
        self._rng = rng
        self._counts = [0, 0, 0, 0]

    def insert(self, node: Node) -> None:
        """Add a record, at a random place of the probing order.

        So its place cannot be foreseen from the time when it joined.
        """
        self.version += 1
        self.nodes[node.name] = node
        self.inserted(node)
        self._counts[node.status] += 1
        sequence = self.sequence
        sequence.append(node)
        last = len(sequence) - 1
        if last:
            other = self._rng.randrange(last)
            sequence[last], sequence[other] = sequence[other], sequence[last]

    def set_status(self, node: Node, status: NodeStatus, now: float) -> None:
        """Change the status of a record."""
        self._counts[node.status] -= 1
        self._counts[status] += 1
        gone = node.is_gone
        node.update(status=status)
        if node.is_gone is not gone:
            self.version += 1
        node.changed_at = now
        if node.known_since == NEVER:
            node.known_since = now

    def remove_gone(self, before: float) -> list[Node]:
        """Drop and return the records dead or left since earlier than ``before``.

        The local record stays, even when it left.
        """
        dropped = [
            node
            for node in self.sequence
            if node.is_gone and node.changed_at < before and node is not self.local_node
        ]
        if dropped:
            self.version += 1
            for node in dropped:
                del self.nodes[node.name]
                self._counts[node.status] -= 1
            self.sequence[:] = [node for node in self.sequence if node.name in self.nodes]
        return dropped

    @property
    def counts(self) -> Mapping[NodeStatus, int]:
        """Number of records in each status."""
        return {status: self._counts[status] for status in NodeStatus}

    @property
    def live(self) -> int:
        """Number of records alive or suspect."""
        return self._counts[NodeStatus.ALIVE] + self._counts[NodeStatus.SUSPECT]


class Suspicions:
    """Running suspicions by name, and which of them ends first.

    A new suspicion and a confirmation, which makes the deadline earlier, each push an entry on a
    heap; outdated entries are skipped when they come to the top.

    Attributes:
      begun, refuted: suspicions so far, and those that their nodes refuted.
    """

    def __init__(self) -> None:
        self.begun: int = 0
        self.refuted: int = 0
        self._running: dict[str, Suspicion] = {}
        self._heap: list[tuple[float, int, str, Suspicion]] = []
        self._number = 0

    def get(self, name: str) -> Suspicion | None:
        """The running suspicion about a node."""
        return self._running.get(name)

    def add(self, name: str, suspicion: Suspicion) -> None:
        """Begin a suspicion."""
        self.begun += 1
        self._running[name] = suspicion
        self.rearm(name, suspicion)

    def rearm(self, name: str, suspicion: Suspicion) -> None:
        """Note that the deadline of a running suspicion changed."""
        self._number += 1
        heapq.heappush(self._heap, (suspicion.deadline, self._number, name, suspicion))

    def drop(self, name: str) -> None:
        """End a suspicion, if there is one."""
        self._running.pop(name, None)

    def refute(self, name: str) -> None:
        """End a suspicion, because its node refuted it."""
        if self._running.pop(name, None) is not None:
            self.refuted += 1

    def next_deadline(self) -> float:
        """The earliest deadline (seconds, trio clock); infinity for none."""
        heap = self._heap
        while heap:
            deadline, _, name, suspicion = heap[0]
            if self._running.get(name) is suspicion and suspicion.deadline == deadline:
                return deadline
            heapq.heappop(heap)
        return math.inf

    def pop_due(self, now: float) -> tuple[str, Suspicion] | None:
        """End and return the suspicion with the earliest deadline, if that has come."""
        if not self._running or self.next_deadline() > now:
            return None
        _, _, name, suspicion = heapq.heappop(self._heap)
        del self._running[name]
        return name, suspicion

    def __len__(self) -> int:
        return len(self._running)
