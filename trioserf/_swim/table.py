"""The membership table: the known nodes, and what each message about a node changes.

Other packages call `NodeTable`, which hands over to the rules of this one.  The rules share one
`NodeStore`, and are divided by the kind of message::

    NodeTable ─┬─ AliveRules ─┬─ AddressChanges    may a name move to another address?
               │              ├─ StaleReplies      which node must learn that it is declared dead?
               │              ├─ DroppedNodes      which were removed, and must stay so?
               │              ├─ UnreachedNodes    is there room for one that nobody reached?
               │              └─ AllowedNetworks
               ├─ SuspectRules ── Suspicion        how long has a suspect to refute?
               └─ NodeStore ───── Suspicions

A suspect or dead message outweighs an alive message of the same incarnation, and a higher
incarnation outweighs everything: that is all of SWIM's precedence.

Source: hashicorp/memberlist v0.2.2, state.go: aliveNode, suspectNode, deadNode, mergeState;
memberlist.go: setAlive, UpdateNode, Leave.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

from .._config import MemberlistConfig
from .._exceptions import InvalidState, LocalProtocolError
from .._wire.messages import Alive, Dead, NodeRecord, Suspect
from ..abc import Address
from .admission import MAX_CHECKS, NEWCOMER_FACTOR, defect, verify, without_strays
from .alive_rules import AliveRules, node_from
from .effects import (
    Applied,
    CheckReached,
    Effect,
    NodeDropped,
    NodeForgotten,
    NodeJoined,
    NodeUpdated,
    ProbeAddress,
    TurnedAway,
)
from .gossip_order import GossipOrder
from .nodes import META_LIMIT, VERSIONS_LENGTH, Incarnation, Node, NodeStatus, NodeStore, Suspicions
from .refutation import announce, next_incarnation, wrapped_incarnation
from .suspect_rules import SuspectRules
from .suspicion import Suspicion


class NodeTable:
    """All nodes by name, and the rules by which messages about them are applied.

    Every method that takes ``now`` may change nodes, and returns the effects in order.  No
    message raises: what is malformed or not allowed becomes a `Refused` effect, what is stale
    an empty list.

    Args:
      name: the local name.
      config: settings.
      rng: source of random choices.
      alive_check: may refuse an alive message about another node by raising `MergeRefused`.
      merge_check: may refuse the state of a joining peer by raising `MergeRefused`.

    Attributes:
      name: the local name.
      nodes: all records by name.  Read only.
      sequence: the same in probing order.  Read only, but for `ProbeSchedule`.
      suspicions: the running ones, and how many there were.  Read only.
      order: whom to gossip to next.
    """

    def __init__(
        self,
        *,
        name: str,
        config: MemberlistConfig,
        rng: random.Random,
        alive_check: Callable[[Node], object] | None = None,
        merge_check: Callable[[Sequence[Node]], object] | None = None,
    ) -> None:
        self._store = NodeStore(name, rng)
        self._alive_rules = AliveRules(self._store, config, rng, alive_check)
        self._suspect_rules = SuspectRules(self._store, config, rng)
        self._merge_check = merge_check
        self._faithful = config.faithful_go
        self._window = config.gossip_to_the_dead_time
        self.order: GossipOrder = GossipOrder(self._store, self._window, faithful=self._faithful)
        self.name: str = name
        self.nodes: Mapping[str, Node] = self._store.nodes
        self.sequence: list[Node] = self._store.sequence
        self.suspicions: Suspicions = self._store.suspicions

    # --- the local node -----------------------------------------------------------------

    @property
    def local_node(self) -> Node:
        """The local record.  Raises `InvalidState` before `start`."""
        local = self._store.local_node
        if local is None:
            raise InvalidState(f"node {self.name!r} has not been started")
        return local

    @property
    def leaving(self) -> bool:
        """Whether `leave` was called."""
        return self._store.leaving

    def start(
        self,
        now: float,
        *,
        addr: bytes,
        port: int,
        meta: bytes,
        versions: bytes,
        incarnation: Incarnation = 1,
    ) -> list[Effect]:
        """Add the local node, once.

        DIFFERS: Go asks the alive delegate about the local node, too; refused, the node is not in
        its own table, and crashes.  Test: test_the_hook_is_not_asked_about_the_local_node.

        Args:
          incarnation: the first one; higher than in the last run saves refutations.

        Raises:
          LocalProtocolError: a name, address, port, versions or metadata that peers refuse.
        """
        alive = Alive(incarnation, self.name, addr, port, meta, versions)
        reason = defect(self.name, alive)
        if reason is None and len(versions) != VERSIONS_LENGTH:
            reason = f"versions of {len(versions)} bytes"
        if reason is not None:
            raise LocalProtocolError(f"peers would refuse the local node: {reason}")
        local = node_from(self.name, alive)
        local.changed_at = local.known_since = now
        self._store.local_node = local
        self._store.insert(local)
        return [announce(local), Applied("alive", self.name), NodeJoined(local)]

    def update_local(
        self, now: float, meta: bytes, on_finished: Callable[[], object] | None = None
    ) -> list[Effect]:
        """Announce metadata, changed or not.

        DIFFERS: after leaving, Go lets the caller wait for a broadcast that never comes.
        Test: test_an_update_after_leaving_fails_at_once.

        Raises:
          LocalProtocolError: more than 512 bytes; nothing changed.
          InvalidState: after `leave`; nothing changed.
        """
        local = self.local_node
        if self.leaving:
            raise InvalidState("the node has left")
        if len(meta) > META_LIMIT:
            raise LocalProtocolError(
                f"metadata of {len(meta)} bytes: expected at most {META_LIMIT}"
            )
        following = wrapped_incarnation if self._faithful else next_incarnation
        incarnation = following(local.incarnation)
        if incarnation < local.incarnation:
            return []  # Go wrapped, and takes its own message for stale
        changed = meta != local.meta
        local.update(incarnation=incarnation, meta=meta)
        effects: list[Effect] = [announce(local, on_finished), Applied("alive", self.name)]
        if changed:
            effects.append(NodeUpdated(local))
        return effects

    def move_local(self, addr: bytes, port: int, now: float) -> list[Effect]:
        """The local node has another address from now on; nothing happens after `leave`.

        DIFFERS: a Go node keeps the address that it began with.  Test:
        test_an_address_that_is_gone_is_replaced_where_it_was_chosen_here.

        Args:
          addr, port: the new one; 4 or 16 bytes.
        """
        local = self.local_node
        return [] if self.leaving else self._alive_rules.move_local(local, addr, port, now)

    def leave(self, now: float, on_finished: Callable[[], object] | None = None) -> list[Effect]:
        """Declare the local node left.  A second call does nothing and returns nothing.

        From now on messages about the local node are ignored, also suspect and dead ones.
        """
        local = self.local_node
        return [] if self.leaving else self._suspect_rules.leave(local, now, on_finished)

    # --- messages -----------------------------------------------------------------------

    def on_alive(self, alive: Alive, now: float, *, source: Address | None = None) -> list[Effect]:
        """Apply an alive message.

        A port of 0 stands for the local one, as in Go; the caller need not look at it.

        Args:
          source: who sent the packet; None if it came by stream.
        """
        name = alive.node
        if name not in self.nodes and not self._alive_rules.has_room(name, now):
            return [TurnedAway(1)]
        return self._alive_rules.on_alive(name, alive, now, source, hearsay=True)

    def on_suspect(self, suspect: Suspect, now: float) -> list[Effect]:
        """Apply a suspect message."""
        return self._suspect_rules.on_suspect(suspect, now)

    def on_dead(self, dead: Dead, now: float) -> list[Effect]:
        """Apply a dead message; one from its own node says that it left."""
        return self._suspect_rules.on_dead(dead, now)

    def address_probed(self, probe: ProbeAddress, answered: bool, now: float) -> list[Effect]:
        """The address of the effect ``probe`` was probed; ``answered`` says whether it acked."""
        return self._alive_rules.address_probed(probe, answered, now)

    def merge(
        self,
        records: Sequence[NodeRecord],
        now: float,
        *,
        join: bool = False,
        source: Address | None = None,
    ) -> list[Effect]:
        """Merge the state that a peer sent in a push/pull.  Versions are verified here.

        A record of a dead node counts as a local suspicion only: it may have come back.

        Args:
          records: in the order of the peer.
          join: the flag of the exchange: ask ``merge_check``.
          source: the address that was dialled, or None for an accepted stream.

        Raises:
          RemoteProtocolError: versions that cannot live together; nothing was merged.
          MergeRefused: by ``merge_check``; nothing was merged.
        """
        self.check(records, join=join)
        return self.merge_checked(records, now, source=source)

    def check(self, records: Sequence[NodeRecord], *, join: bool = False) -> None:
        """The first half of `merge`: raises what it raises, and changes nothing."""
        local = self._store.local_node
        if self._faithful or local is None:
            verify(records, self.sequence, strict=self._faithful)
        else:
            known = [node for node in self.sequence if node.reached or node is local]
            verify(without_strays(records, local.versions), known)
        if join and self._merge_check is not None:
            self._merge_check([_node_from_record(record) for record in records])

    def merge_checked(
        self,
        records: Sequence[NodeRecord],
        now: float,
        *,
        source: Address | None = None,
        peer: str = "",
    ) -> list[Effect]:
        """The second half: records that were checked, all at once or some after others.

        Args:
          peer: the host at the other end of the stream, whichever side dialled.  What it
            sends of itself is never stale: a node that was removed may return without packets.
            Of a state that was not asked for, unknown nodes are entered only while there is
            room, see `UnreachedNodes`; "" for a state that was asked for.
        """
        effects: list[Effect] = []
        hearsay = bool(peer) and source is None
        forms = forms_of(peer) if hearsay and not self._faithful else ()
        at_peer, turned_away, checks = forms, 0, list[Effect]()
        # A short state is mostly about the peer itself.  Its nodes are checked even if the stream
        # came from another of its addresses.
        few = hearsay and not self._faithful and len(records) <= MAX_CHECKS
        if source is not None and not self._alive_rules.trusts(source):
            source = None
        nodes, suspect_rules = self.nodes, self._suspect_rules
        for record in records:
            name, incarnation = record.name, record.incarnation
            if peer and name not in nodes:
                self._alive_rules.trust_peer(record, peer)
            if record.status == NodeStatus.ALIVE:
                if hearsay and name not in nodes and not self._alive_rules.has_room(name, now):
                    if record.addr not in at_peer or not self._alive_rules.has_room(
                        name, now, NEWCOMER_FACTOR
                    ):
                        turned_away += 1
                        continue
                    at_peer = ()  # a peer names itself once
                effects += self._alive_rules.on_alive(name, record, now, source, hearsay=hearsay)
            elif name in nodes and incarnation >= nodes[name].incarnation:
                if record.status == NodeStatus.LEFT:
                    effects += suspect_rules.on_dead(Dead(incarnation, name, name), now)
                elif record.status in (NodeStatus.DEAD, NodeStatus.SUSPECT):
                    effects += suspect_rules.on_suspect(Suspect(incarnation, name, self.name), now)
            if (few or record.addr in forms) and len(checks) < MAX_CHECKS:
                node = nodes.get(name)
                if node is not None and not node.reached:
                    checks.append(CheckReached(node))
        effects += checks
        if turned_away:
            effects.append(TurnedAway(turned_away))
        return effects

    # --- failure detection --------------------------------------------------------------

    def suspect_failed(self, name: str, incarnation: Incarnation, now: float) -> list[Effect]:
        """A local probe failed.

        Args:
          incarnation: of the node when the probe began: a higher one is not suspected.
        """
        return self._suspect_rules.on_suspect(
            Suspect(incarnation, name, self.name), now, local=True
        )

    def declare_refused(
        self, name: str, incarnation: Incarnation, why: str, now: float
    ) -> list[Effect]:
        """Declare a suspect dead whose host refuses its ports; see `refusal`.

        Args:
          incarnation: of the node when it was suspected: a higher one has refuted.
          why: what that is based on.
        """
        return self._suspect_rules.refused(name, incarnation, why, now)

    def next_deadline(self) -> float:
        """When `expired` is due next (seconds, trio clock); infinity for never.

        May move in either direction with every call that returns effects.
        """
        return self._store.suspicions.next_deadline()

    def expired(self, now: float) -> list[Effect]:
        """Declare dead every node whose suspicion is over."""
        return self._suspect_rules.expired(now)

    def suspicion(self, name: str) -> Suspicion | None:
        """The running suspicion about a node."""
        return self._store.suspicions.get(name)

    def purge(self, now: float) -> list[Effect]:
        """Drop nodes that are dead or left for longer than ``gossip_to_the_dead_time``."""
        effects: list[Effect] = []
        for node in self._store.remove_gone(now - self._window):
            removed = self._alive_rules.drop(node, now)
            effects.append(NodeForgotten(node.name, discard=not self._faithful))
            if not removed:
                effects.append(NodeDropped(node))
        self._alive_rules.expire(now)
        return effects

    def mark_removed(self, name: str) -> None:
        """Note that a node, dead or left, was removed on purpose: see `alive_rules`."""
        self._alive_rules.mark_removed(name)

    # --- reads --------------------------------------------------------------------------

    def records(self) -> list[NodeRecord]:
        """Everything that is known, for a push/pull; the local node included."""
        return [node.record for node in self.sequence]

    @property
    def num_nodes(self) -> int:
        """All records, dead and left ones included: the n of every formula."""
        return len(self.sequence)

    def other_hosts(self, name: str) -> tuple[str, ...]:
        """Hosts from which this node acks, beside the one that is asked."""
        node = self.nodes.get(name)
        return () if node is None else node.hosts

    def at(self, address: Address) -> list[Node]:
        """The nodes at an address, whatever their status.

        The records are compared by their bytes: texts of all addresses would take long to make.
        """
        forms, port = forms_of(address.host), address.port
        return [node for node in self.sequence if node.port == port and node.addr in forms]

    def live_count(self) -> int:
        """Nodes alive or suspect, the local one included."""
        return self._store.live

    def counts(self) -> Mapping[NodeStatus, int]:
        """Number of nodes in each status."""
        return self._store.counts


def _node_from_record(record: NodeRecord) -> Node:
    node = node_from(record.name, record)
    known = record.status in tuple(NodeStatus)
    node.status = NodeStatus(record.status) if known else NodeStatus.DEAD
    return node


def forms_of(host: str) -> tuple[bytes, ...]:
    """The bytes that a record at a host may have: an IPv4 address has two forms."""
    try:
        packed = ip_address(host.partition("%")[0]).packed  # records have no zone
    except ValueError:
        return ()
    return (packed, bytes(10) + b"\xff\xff" + packed) if len(packed) == 4 else (packed,)
