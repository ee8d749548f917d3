"""The rules for alive messages.

An alive message is applied when its incarnation is higher than the record's.  It may add a
node, bring one back, end a suspicion, or change metadata.  An alive message about the local node
that does not say what the node is now comes from an earlier run of it, and is refuted, or from
another node with the same name.

Source: hashicorp/memberlist v0.2.2, state.go, aliveNode; net.go, handleAlive.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from typing import Final, assert_never

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import MergeRefused
from .._wire.messages import Alive, Dead, NodeRecord, encode_message
from ..abc import Address
from .address_changes import AddressChanges, AddressDecision
from .admission import AllowedNetworks, UnreachedNodes, defect, live_together
from .effects import (
    Applied,
    Broadcast,
    Conflict,
    Effect,
    FormerAddress,
    NodeJoined,
    NodeUpdated,
    ProbeAddress,
    Refused,
    SendTo,
)
from .nodes import VERSIONS_LENGTH, AliveState, Incarnation, Node, NodeStatus, NodeStore
from .refutation import (
    ALIVE_BAND,
    SUSPECT_BAND,
    announce,
    next_incarnation,
    plausible_alive,
    refute,
    refute_implausible,
)

_DEAD = NodeStatus.DEAD


class AliveRules:
    """Applies alive messages, or refuses them.

    The name of the node is an argument, because a message and a record call that field otherwise.

    Args:
      store: the records, changed here.
      config: settings.
      rng: source of random choices.
      check: may refuse a message by raising `MergeRefused`.
    """

    def __init__(
        self,
        store: NodeStore,
        config: MemberlistConfig,
        rng: random.Random,
        check: Callable[[Node], object] | None,
    ) -> None:
        self._store = store
        self._check = check
        self._faithful = config.faithful_go
        self._networks = AllowedNetworks(config.cidrs_allowed) if config.cidrs_allowed else None
        self._bind_port = config.bind_port
        self._one_port = config.protocol_version == 1
        self._address_changes = AddressChanges(config)
        self._dropped = DroppedNodes(0.0 if config.faithful_go else config.seed_memory)
        interval = max(config.probe_interval, config.gossip_interval)
        self._replies = StaleReplies(store.name, interval, rng)
        self._unreached = UnreachedNodes(store)

    def has_room(self, name: str, now: float, factor: int = 1) -> bool:
        """Whether an unknown node may be entered that is known by hearsay alone.

        Args:
          factor: what the limit is multiplied by.
        """
        return (
            self._faithful
            or self._unreached.has_room(now, factor)
            or self._dropped.removed_record(name) is not None
        )

    def on_alive(
        self,
        name: str,
        alive: AliveState,
        now: float,
        source: Address | None,
        *,
        hearsay: bool = False,
    ) -> list[Effect]:
        """Apply one message.  Most are stale, and end here at once.

        Args:
          source: who sent the packet, or the address that was dialled.
          hearsay: whether this node did not ask for it; the caller looked at `has_room`.
        """
        store = self._store
        node = store.nodes.get(name)
        is_local = node is not None and node is store.local_node
        if is_local and store.leaving:
            return []
        if (
            node is not None
            and not is_local
            and alive.incarnation <= node.incarnation
            and alive.addr == node.addr
            and alive.port == node.port
        ):
            if node.status < _DEAD and node.incarnation < ALIVE_BAND:
                return []
            return self._stale(node, alive, now, source)
        examined = self._examine(name, alive, source)
        if isinstance(examined, Refused):
            return [examined]
        if node is None:
            return self._about_unknown(name, examined, now, source, hearsay)
        if is_local:
            return self._about_local(node, examined, now)
        return self._about_known(node, examined, now, source)

    def _about_unknown(
        self, name: str, alive: AliveState, now: float, source: Address | None, hearsay: bool
    ) -> list[Effect]:
        removed = self._dropped.removed_record(name)
        if removed is not None:
            known_there = self._address_changes.highest_incarnation_at(removed, alive)
            if alive.incarnation <= known_there:
                return self._stale(removed, alive, now, source)
        refused = self._refused_by_check(name, alive)
        if refused is not None:
            return [refused]
        node = node_from(name, alive)
        node.incarnation, node.status = 0, _DEAD
        if hearsay:
            node.hearsay = True
            self._unreached.count += 1
        self._store.insert(node)
        return self._apply(node, alive, now)

    def _about_known(
        self, node: Node, alive: AliveState, now: float, source: Address | None
    ) -> list[Effect]:
        same_address = self._same_address(node, alive)
        if same_address and alive.incarnation <= node.incarnation:
            return self._stale(node, alive, now, source)
        if not (
            self._faithful
            or plausible_alive(alive.incarnation, node.incarnation)
            or _from_the_node(alive, source)
        ):
            return [Refused(node.name, f"implausible incarnation {alive.incarnation}")]
        refused = self._refused_by_check(node.name, alive)
        if refused is not None:
            return [refused]
        if same_address:
            return self._apply(node, alive, now)
        match self._address_changes.decide(node, alive, now):
            case AddressDecision.ACCEPT:
                return self._apply(node, alive, now)
            case AddressDecision.REFUSE:
                return [Conflict(node, node_from(node.name, alive))]
            case AddressDecision.PROBE:
                return [ProbeAddress(node, node.address, alive)]
            case AddressDecision.WAIT:
                return []
            case AddressDecision.STALE:
                return self._stale(node, alive, now, source)
            case never:
                assert_never(never)

    def _about_local(self, local: Node, alive: AliveState, now: float) -> list[Effect]:
        same_address = self._same_address(local, alive)
        if same_address and (
            alive.incarnation < local.incarnation
            or (
                alive.incarnation == local.incarnation
                and (alive.meta or b"") == local.meta
                and alive.versions == local.versions
            )
        ):
            return []
        if self._faithful:
            refused = self._refused_by_check(local.name, alive)
            if refused is not None:
                return [refused]
        if same_address:
            return self._refute(local, alive)
        match self._address_changes.decide_local(local.name, alive, now):
            case AddressDecision.PROBE:
                return [ProbeAddress(local, _address(alive), alive)]
            case AddressDecision.WAIT:
                return []
            case _:
                return [Conflict(local, node_from(local.name, alive))]

    def _refute(self, local: Node, alive: AliveState) -> list[Effect]:
        if self._faithful or plausible_alive(alive.incarnation, local.incarnation):
            return refute(local, alive.incarnation, faithful=self._faithful)
        return refute_implausible(local, alive.incarnation)

    def address_probed(self, probe: ProbeAddress, answered: bool, now: float) -> list[Effect]:
        """Decide, now that the address was probed."""
        name, alive = probe.existing.name, probe.alive
        node = self._store.nodes.get(name)
        if node is None or (node.is_gone and node is not self._store.local_node):
            return self.on_alive(name, alive, now, None)
        if node is not self._store.local_node:
            if self._address_changes.conclude(node, answered, now):
                return self._apply(node, alive, now)
        elif self._store.leaving:
            return []
        elif self._address_changes.conclude_local(name, alive, answered, now):
            # No node is there: peers have a record of the former address of this node, perhaps
            # with a higher incarnation than now.
            effects: list[Effect] = []
            if self._address_changes.note_local((alive.addr or b"", alive.port)):
                effects.append(FormerAddress(node, _address(alive)))
            if alive.incarnation >= node.incarnation:
                effects += self._refute(node, alive)
            return effects
        return [Conflict(node, node_from(name, alive))] if answered else []

    def move_local(self, local: Node, addr: bytes, port: int, now: float) -> list[Effect]:
        """The local node has another address from now on."""
        self._address_changes.note_local((local.addr, local.port))
        before = local.address
        local.move(addr, port)
        local.update(incarnation=next_incarnation(local.incarnation))
        applied = Applied("alive", local.name, moved_from=before)
        return [announce(local), applied, NodeUpdated(local)]

    # --- steps --------------------------------------------------------------------------

    def _examine(
        self, name: str, alive: AliveState, source: Address | None
    ) -> AliveState | Refused:
        """The message in the form in which it is gossiped on, or why it is refused."""
        if isinstance(alive, Alive) and (self._one_port or alive.port == 0):
            # In packets port 0 stands for the local one, because clusters share one by default;
            # in a push/pull it is what it says, as in Go, and leads nowhere.
            local = self._store.local_node
            port = self._bind_port or (local.port if local is not None else 0)
            alive = attrs.evolve(alive, port=port)
        reason = defect(name, alive)
        if reason is not None:
            return Refused(name, reason)
        assert alive.addr is not None, "a well-formed message has an address"
        assert alive.versions is not None, "a well-formed message has versions"
        # DIFFERS: Go enters such a node by gossip, and from then on refuses all states.
        # Test: test_a_node_with_impossible_versions_is_not_entered.
        mine, versions = self._store.local_node, alive.versions[:VERSIONS_LENGTH]
        if not (self._faithful or mine is None or live_together(mine.versions, versions)):
            return Refused(name, f"versions {versions.hex()}, with which this node cannot live")
        if self._networks is not None:
            if source is not None and not self._networks.allow(source.host):
                return Refused(name, f"packet from {source.host} not allowed", quiet=True)
            node = self._store.nodes.get(name)
            moves = node is None or node.addr != alive.addr or node.port != alive.port
            if (moves or source is not None) and not self._networks.allow(alive.addr):
                return Refused(name, "address not allowed", quiet=source is not None)
        # DIFFERS: Go keeps and passes on what follows the six bytes.  A version of Go that has
        # more would not be understood by those that have six, and a peer may add a megabyte.
        # Test: test_longer_versions_are_gossiped_on_as_six_bytes.
        if len(alive.versions) > VERSIONS_LENGTH:
            alive = attrs.evolve(alive, versions=alive.versions[:VERSIONS_LENGTH])
        return alive

    def _refused_by_check(self, name: str, alive: AliveState) -> Refused | None:
        if self._check is not None:
            try:
                self._check(node_from(name, alive))
            except MergeRefused as refusal:
                return Refused(name, str(refusal) or "refused by the alive hook")
        return None

    def _same_address(self, node: Node, alive: AliveState) -> bool:
        """Whether a well-formed message names the address of the record.

        DIFFERS: to Go an IPv4 address in 4 bytes and in 16 are a conflict.  A node that is
        restarted with other settings may change the form.
        Test: test_an_ipv4_address_in_another_form_is_the_same_address.
        """
        if alive.addr == node.addr and alive.port == node.port:
            return True
        return not self._faithful and _address(alive) == node.address

    def _stale(
        self, node: Node, alive: AliveState, now: float, source: Address | None
    ) -> list[Effect]:
        if self._faithful or not (node.is_gone or self._same_address(node, alive)):
            return []
        from_the_node = _from_the_node(alive, source)
        known_there = self._address_changes.highest_incarnation_at(node, alive)
        if from_the_node and not plausible_alive(known_there, alive.incarnation):
            # Go back from an incarnation in the band to the one that the node itself sent.
            examined = self._examine(node.name, alive, source)
            if isinstance(examined, Refused):
                return [examined]
            refused = self._refused_by_check(node.name, examined)
            return [refused] if refused is not None else self._apply(node, examined, now)
        if not node.is_gone:
            return []
        num_nodes = len(self._store.sequence)
        reply = self._replies.reply(
            node,
            _address(alive),
            known_there,
            now,
            from_the_node=from_the_node,
            num_nodes=num_nodes,
        )
        return [] if reply is None else [reply]

    def _apply(self, node: Node, alive: AliveState, now: float) -> list[Effect]:
        """Change the record as the message says, and broadcast the message."""
        assert alive.addr is not None, "a well-formed message has an address"
        name, status, meta = node.name, node.status, _shared(alive.meta or b"")
        changed, moved_from = meta != node.meta, None
        if alive.addr != node.addr or alive.port != node.port:
            self._address_changes.remember(node)
            before = node.address
            node.move(alive.addr, alive.port)
            if node.address != before:
                changed, moved_from = True, before
        versions = alive.versions and _shared(alive.versions)
        # DIFFERS: to Go this is no update, so that Serf goes on showing the versions from before
        # an upgrade.  Test: test_new_versions_are_an_update.
        changed = changed or bool(versions and versions != node.versions and not self._faithful)
        node.update(incarnation=alive.incarnation, meta=meta, versions=versions)
        if status is NodeStatus.SUSPECT:
            self._store.suspicions.refute(name)
        if status is not NodeStatus.ALIVE:
            self._store.set_status(node, NodeStatus.ALIVE, now)
        if isinstance(alive, NodeRecord):
            alive = Alive(
                alive.incarnation, name, alive.addr, alive.port, alive.meta, alive.versions
            )
        effects: list[Effect] = [
            Broadcast(name, encode_message(alive)),
            Applied("alive", name, was=status, moved_from=moved_from),
        ]
        if status >= _DEAD:
            self._replies.forget(name)
            self._dropped.forget(name)
            effects.append(NodeJoined(node))
        elif changed:
            effects.append(NodeUpdated(node))
        return effects

    # --- peers and dropped records -------------------------------------------------------

    def trusts(self, dialled: Address) -> bool:
        """Whether a peer that was dialled there counts as the source of its own record.

        Only the senders of packets must be in ``cidrs_allowed``: an address that was dialled
        may be that of a gateway.
        """
        return self._networks is None or self._networks.allow(dialled.host)

    def trust_peer(self, record: NodeRecord, host: str) -> None:
        """A peer sent an unknown node: one at its own host is alive, whatever its incarnation."""
        if (
            record.name in self._dropped
            and len(record.addr or b"") in (4, 16)
            and host == _address(record).host
        ):
            self._dropped.forget(record.name)

    def mark_removed(self, name: str) -> None:
        """This node was removed on purpose; nothing happens if it is not dead or left."""
        node = self._store.nodes.get(name)
        if node is None or (node.is_gone and node is not self._store.local_node):
            self._dropped.mark_removed(name, in_table=node is not None)

    def drop(self, node: Node, now: float) -> bool:
        """The record of a node was dropped; whether the node was removed on purpose."""
        removed = self._dropped.add(node, now)
        if not removed:
            self._address_changes.forget(node.name)
        self._replies.forget(node.name)
        return removed

    def expire(self, now: float) -> None:
        """Forget what was dropped too long ago."""
        for name in self._dropped.expire(now):
            self._address_changes.forget(name)
            self._replies.forget(name)


def node_from(name: str, alive: AliveState) -> Node:
    """The node that an alive message describes."""
    return Node(
        name=name,
        addr=alive.addr or b"",
        port=alive.port,
        meta=alive.meta or b"",
        versions=alive.versions or b"",
        incarnation=alive.incarnation,
    )


@lru_cache(maxsize=256)
def _shared(value: bytes) -> bytes:
    """One object for what most nodes of a cluster have alike."""
    return value


def _address(alive: AliveState) -> Address:
    return Address.from_bytes(alive.addr or b"", alive.port)


def _from_the_node(alive: AliveState, source: Address | None) -> bool:
    """Whether the message came from the address that it names."""
    return source is not None and source == _address(alive)


# --- replies to stale messages ----------------------------------------------------------


REPLYING_NODES: Final = 8
"""Nodes that reply to one stale message, on average, of those that got it from a third node."""


class StaleReplies:
    """Decides which stale alive messages get a reply, and which.

    A stale alive message may come from a node that has to refute and does not know it.  A node
    that restarts counts its incarnations from one again.  For peers whose record of it is dead,
    with a higher incarnation, its alive messages are stale; and if the peer that it joined was
    restarted as well, no peer would let it know.  So after a mass restart live nodes would be
    dead to others for as long as records are kept.  The reply to a stale alive message about a dead
    node is the dead message, sent to the address in the stale one: a node that is alive refutes it.

    DIFFERS: Go drops the stale message silently.
    Test: test_the_reply_to_a_stale_alive_message_about_a_dead_node_is_the_dead_message.

    A reply is smaller than the message, goes to an address that the record has or had, and at most
    one in each ``interval`` goes to one node.  Of the nodes that received the message from a third
    node only some `REPLYING_NODES` reply, whatever the size of the cluster.

    Args:
      name: the local name, the sender of the dead message.
      interval: least time between two replies to one node (seconds).
      rng: chooses the nodes that reply.
    """

    def __init__(self, name: str, interval: float, rng: random.Random) -> None:
        self._name = name
        self._interval = interval
        self._rng = rng
        self._replied_at: dict[str, float] = {}

    def reply(
        self,
        node: Node,
        address: Address,
        known_there: Incarnation,
        now: float,
        *,
        from_the_node: bool,
        num_nodes: int,
    ) -> SendTo | None:
        """The reply to a stale alive message about a dead or left node, or None.

        Args:
          address: that of the message.
          known_there: the highest incarnation known of it there.
          from_the_node: whether the message came from there.
        """
        last = self._replied_at.get(node.name)
        if last is not None and now - last < self._interval:
            return None
        if not from_the_node and self._rng.random() * num_nodes >= REPLYING_NODES:
            return None
        self._replied_at[node.name] = now
        from_node = node.name if node.status is NodeStatus.LEFT else self._name
        dead = Dead(
            incarnation=max(known_there, node.incarnation), node=node.name, from_node=from_node
        )
        return SendTo(address, node.name, encode_message(dead))

    def forget(self, name: str) -> None:
        """The record is dropped, or the node is alive."""
        self._replied_at.pop(name, None)


# --- what is kept of dropped nodes ------------------------------------------------------


MAX_DROPPED: Final = 1 << 14
"""Names remembered, 20 MB if all have long tags; beyond it the one dropped first is forgotten."""


@attrs.define(eq=False)
class _DroppedNode:
    node: Node
    dropped_at: float
    removed: bool


class DroppedNodes:
    """Records that were dropped, by name: the last incarnations of their nodes.

    A record is dropped some time after its node is dead or left.  From then on every alive message
    about it would be accepted, also one from a peer that was away: a process that was stopped, or
    the other side of a partition, sends the state it had, and a node that was removed is a member
    again, everywhere, until a probe fails.

    So the incarnation of each dropped record is kept for a while.  If the node was *removed*, by
    its own leave or on purpose, an alive message that is not above it is stale, as if the record
    were still there: the reply is the dead message (`StaleReplies`), and a node that is alive,
    though it counts from one again, refutes it and joins.  Where packets are blocked no reply
    would arrive; so what a peer sends of itself on a stream is applied at once.  If the node merely
    failed, any alive message is applied, as in Go: that is how partitions heal.

    DIFFERS: Go keeps nothing.
    Test: test_a_removed_node_is_not_brought_back_by_a_stale_alive_message.

    Args:
      memory: how long they are kept (seconds); 0 keeps none.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._records: dict[str, _DroppedNode] = {}
        self._removed: set[str] = set()

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def mark_removed(self, name: str, *, in_table: bool) -> None:
        """A node that is gone was removed on purpose.

        Args:
          in_table: whether its record was not dropped yet.
        """
        if in_table:
            self._removed.add(name)
        elif name in self._records:
            self._records[name].removed = True

    def add(self, node: Node, now: float) -> bool:
        """Remember a dropped record; return whether its node was removed."""
        removed = node.status is NodeStatus.LEFT or node.name in self._removed
        self.forget(node.name)
        # An incarnation that high was forged; see `refutation`.
        if self._memory > 0 and node.incarnation < SUSPECT_BAND:
            self._records[node.name] = _DroppedNode(node.copy(), now, removed)
            if len(self._records) > MAX_DROPPED:
                del self._records[next(iter(self._records))]
        return removed

    def removed_record(self, name: str) -> Node | None:
        """The last record of a node that was removed on purpose and dropped."""
        dropped = self._records.get(name)
        return dropped.node if dropped is not None and dropped.removed else None

    def forget(self, name: str) -> None:
        """The node is alive."""
        self._records.pop(name, None)
        self._removed.discard(name)

    def expire(self, now: float) -> list[str]:
        """Forget what was dropped too long ago; return the names."""
        expired = []
        for name, dropped in self._records.items():
            if now - dropped.dropped_at <= self._memory:
                break  # in the order in which they were dropped
            expired.append(name)
        for name in expired:
            del self._records[name]
        return expired
