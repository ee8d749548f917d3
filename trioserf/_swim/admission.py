"""Admission: which alive messages are well formed, which addresses and versions may take part, and
how many nodes may be in the table that were never reached.

Each node understands a range of protocols and speaks one of them.  What each node speaks must
lie in the range that every live node understands; the same for the versions of the delegate,
that is, of Serf.

Source: hashicorp/memberlist v0.2.2, state.go, aliveNode and verifyProtocol; config.go,
IPAllowed; net.go, handleAlive.  Go checks little of the form; what is refused here besides has
made peers crash or vanish.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from .._config import MemberlistConfig
from .._exceptions import RemoteProtocolError
from .._wire.messages import NodeRecord
from .nodes import (
    META_LIMIT,
    NAME_LIMIT,
    NEVER,
    VERSIONS_LENGTH,
    AliveState,
    Node,
    NodeStatus,
    NodeStore,
)

PROTOCOL_MIN: Final = 1
PROTOCOL_MAX: Final = 5
"""Versions of the memberlist protocol that are understood."""


def local_versions(config: MemberlistConfig) -> bytes:
    """What the local node understands and speaks, as its version vector."""
    least, most = config.delegate_protocol_min, config.delegate_protocol_max
    protocol = PROTOCOL_MIN, PROTOCOL_MAX, config.protocol_version
    return bytes((*protocol, least, most, config.delegate_protocol_version))


def defect(name: str, alive: AliveState) -> str | None:
    """What is wrong with the form of an alive message; None for nothing.

    DIFFERS: Go takes any name, address, port, incarnation and length of metadata, and any
    versions; each of these harms a node later.
    Test: test_a_malformed_alive_message_is_refused.
    """
    if not name:
        return "no name"
    if len(name) > NAME_LIMIT:
        return f"a name of {len(name)} characters"
    if len(alive.addr or b"") not in (4, 16):
        return f"an address of {len(alive.addr or b'')} bytes"
    if alive.port == 0:
        return "port 0"
    if alive.incarnation == 0:
        return "incarnation 0"
    if not sound(alive.versions):
        return f"versions {(alive.versions or b'')[:VERSIONS_LENGTH].hex() or 'missing'}"
    if len(alive.meta or b"") > META_LIMIT:
        return f"metadata of {len(alive.meta or b'')} bytes"
    return None


class AllowedNetworks:
    """The networks that nodes may come from; none means all.

    Args:
      networks: ``cidrs_allowed``.
    """

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def allow(self, address: bytes | str) -> bool:
        """Whether an address, 4 or 16 bytes or text, lies in one of the networks.

        An IPv4 address counts as such also in 16 bytes.
        """
        if not self._networks:
            return True
        try:
            if isinstance(address, str):
                address = address.partition("%")[0]
            ip = ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks)


def sound(versions: bytes | None) -> bool:
    """Whether a version vector has six bytes and a possible range of protocols."""
    return (
        versions is not None and len(versions) >= VERSIONS_LENGTH and 0 < versions[0] <= versions[1]
    )


def live_together(one: bytes, other: bytes) -> bool:
    """Whether each of two sound version vectors speaks what the other understands."""
    return one == other or all(
        mine[low] <= yours[speaks] <= mine[high]
        for mine, yours in ((one, other), (other, one))
        for low, high, speaks in ((0, 1, 2), (3, 4, 5))
    )


def without_strays(records: Sequence[NodeRecord], local: bytes) -> Sequence[NodeRecord]:
    """The records without those of nodes with which this one cannot live, if these are few.

    Args:
      local: the version vector of this node.

    DIFFERS: Go refuses the state of a peer for one such record.  Alive messages may come from
    anybody, so that one packet would end all joins.  Where they are half of all, this node is in
    the wrong cluster.
    Test: test_a_few_nodes_with_impossible_versions_end_no_joins.
    """
    vectors = {record.versions or b"" for record in records}
    strays = {vector for vector in vectors if sound(vector) and not live_together(vector, local)}
    if not strays:
        return records
    rest = [record for record in records if (record.versions or b"") not in strays]
    return rest if 2 * len(rest) > len(records) else records


def verify(records: Sequence[NodeRecord], nodes: Iterable[Node], *, strict: bool = False) -> None:
    """Raise unless every node speaks what every live node understands.

    DIFFERS: Go refuses the state of a peer as a whole for one record without versions, so
    that one bad node splits a cluster.  Such a record is left out here, and refused if it
    is an alive one when it is merged.
    Test: test_one_record_without_versions_does_not_refuse_the_others.

    Args:
      records: what a peer sent.
      nodes: the local table.
      strict: refuse all for a record without sound versions, as Go does.

    Raises:
      RemoteProtocolError: the first record or node that does not fit; merge nothing.
    """
    nodes = list(nodes)
    if _fit_together(records, nodes, strict):
        return
    speakers: dict[bytes, str] = {}
    live: set[bytes] = set()
    for record in records:
        vector = record.versions or b""
        if vector not in speakers and not sound(vector):
            if not strict:
                continue
            if len(vector) < VERSIONS_LENGTH:
                speakers.setdefault(bytes(VERSIONS_LENGTH), record.name)
                continue
        speakers.setdefault(vector, record.name)
        if record.status == 0:
            live.add(vector)
    for node in nodes:
        speakers.setdefault(node.versions, node.name)
        if node.status is NodeStatus.ALIVE:
            live.add(node.versions)
    low, high, delegate_low, delegate_high = 0, 255, 0, 255
    for vector in live:
        low, high = max(low, vector[0]), min(high, vector[1])
        delegate_low, delegate_high = max(delegate_low, vector[3]), min(delegate_high, vector[4])
    for vector, name in speakers.items():
        if not low <= vector[2] <= high:
            raise RemoteProtocolError(
                f"node {name!r} speaks protocol {vector[2]}, the live nodes {low} to {high}"
            )
        if not delegate_low <= vector[5] <= delegate_high:
            raise RemoteProtocolError(
                f"node {name!r} speaks delegate protocol {vector[5]},"
                f" the live nodes {delegate_low} to {delegate_high}"
            )


def _fit_together(records: Sequence[NodeRecord], nodes: Sequence[Node], strict: bool) -> bool:
    """Whether there is nothing to complain of: sets alone, for a state may have 50,000 records."""
    alive = NodeStatus.ALIVE
    vectors = {record.versions or b"" for record in records}
    live = {record.versions or b"" for record in records if record.status == 0}
    bad = {vector for vector in vectors if not sound(vector)}
    if strict and bad:
        return False
    vectors = (vectors - bad).union([node.versions for node in nodes])
    live = (live - bad).union([node.versions for node in nodes if node.status is alive])
    low = max((vector[0] for vector in live), default=0)
    high = min((vector[1] for vector in live), default=255)
    delegate_low = max((vector[3] for vector in live), default=0)
    delegate_high = min((vector[4] for vector in live), default=255)
    return all(
        low <= vector[2] <= high and delegate_low <= vector[5] <= delegate_high
        for vector in vectors
    )


# --- limit --------------------------------------------------------------------------------

MAX_UNREACHED: Final = 256
"""Nodes known by hearsay alone that are admitted, beside one for each node that was reached; each
probe interval probes one of them."""
NEWCOMER_FACTOR: Final = 4
"""The limit of nodes known by hearsay alone is multiplied by this for a peer that names itself: a
thousand nodes may start at once."""
MAX_CHECKS: Final = 4
"""Most nodes, all at the host of a peer, that this node pings because of one slice of its state."""
COUNT_INTERVAL: Final = 1.0
"""Shortest time between two counts of the nodes known by hearsay alone (seconds); a count reads
all records."""


class UnreachedNodes:
    """Limits how many nodes are known by hearsay alone: from packets and from streams of peers.

    An alive message may come from anybody, and each name in it costs a record, probes, and space
    in every packet of gossip.  So the number of nodes known by hearsay alone is bounded.  A node
    counts as one until this node reached it, that is, until it acked a probe or state was exchanged
    with it; a failed one counts until its record is dropped.

    There may be `MAX_UNREACHED` such nodes, and as many more as there are nodes that were reached,
    so that a cluster of any size may double at once.  Beyond that limit an alive message about an
    unknown name is turned away: it is counted, but neither entered nor gossiped on.  An honest node
    is not lost by that.  Gossip and state exchanges bring it again, the limit grows with every
    node that acks a probe, and there is no limit for

    * the state of a peer that this node dialled: joins and anti-entropy;
    * one node in each state that a peer sends to this node, at the host of that peer, up to
      `NEWCOMER_FACTOR` times the limit: newcomers join by a node that knows none of them.

    DIFFERS (unless ``faithful_go``): Go enters every name, and 100,000 made-up ones hide the rest.
    Test: test_names_known_by_hearsay_are_bounded.

    Args:
      store: the records.

    Attributes:
      count: an upper bound of how many there are; the caller that enters a node adds one.
    """

    def __init__(self, store: NodeStore) -> None:
        self._store = store
        self.count: int = 0
        self._limit = MAX_UNREACHED
        self._counted_at = NEVER

    def has_room(self, now: float, factor: int = 1) -> bool:
        """Whether one more node may be entered; ``factor`` multiplies the limit."""
        if self.count < factor * self._limit:
            return True
        if now - self._counted_at < COUNT_INTERVAL:
            return False
        self._counted_at = now
        reached = self.count = 0
        for node in self._store.sequence:
            if node.reached:
                reached += 1
            elif node.hearsay:
                self.count += 1
        self._limit = MAX_UNREACHED + reached
        return self.count < factor * self._limit
