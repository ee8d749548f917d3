"""The rules for alive messages.

An alive message is applied when its incarnation is higher than the record's.  It may add a
node, bring one back, end a suspicion, or change metadata.  One about the local node comes
from an earlier run of it, and is refuted, or from another node with the same name.

Source: hashicorp/memberlist v0.2.2, state.go, aliveNode; net.go, handleAlive.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import assert_never, final

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import MergeRefused
from .._wire.messages import Alive, NodeRecord, encode_message
from ..abc import Address
from .address_changes import AddressChanges, AddressDecision
from .admission import AllowedNetworks, defect
from .dropped_nodes import DroppedNodes
from .effects import (
    Applied,
    Broadcast,
    Conflict,
    Effect,
    NodeJoined,
    NodeUpdated,
    ProbeAddress,
    Refused,
)
from .incarnations import ALIVE_BAND, plausible_alive
from .node_store import NodeStore
from .nodes import VERSIONS_LENGTH, Node, NodeStatus
from .refutation import StaleReplies, refute, refute_implausible

_DEAD = NodeStatus.DEAD


@final
class AliveRules:
    """Applies alive messages, or refuses them.

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
        self._networks = AllowedNetworks(config.cidrs_allowed)
        self._bind_port = config.bind_port
        self._ports_are_shared = config.protocol_version == 1
        self._address_changes = AddressChanges(config)
        self._dropped = DroppedNodes(0.0 if config.faithful_go else config.seed_memory)
        self._replies = StaleReplies(
            store.name, max(config.probe_interval, config.gossip_interval), rng
        )

    def on_alive(self, alive: Alive, now: float, source: Address | None) -> list[Effect]:
        """Apply one message.  Most are stale, and end here at once."""
        store = self._store
        node = store.nodes.get(alive.node)
        if node is None:
            return self._about_unknown(alive, now, source)
        if node is store.local_node:
            return self._about_local(node, alive, now, source)
        if alive.addr == node.addr and alive.port == node.port:
            if alive.incarnation > node.incarnation:
                return self._about_known(node, alive, now, source)
            if node.status < _DEAD and node.incarnation < ALIVE_BAND:
                return []
            return self._stale(node, alive, now, source)
        return self._about_known(node, alive, now, source)

    def _about_unknown(self, alive: Alive, now: float, source: Address | None) -> list[Effect]:
        examined = self._examine(alive, source)
        if isinstance(examined, Refused):
            return [examined]
        alive = examined
        removed = self._dropped.removed(alive.node)
        if removed is not None and alive.incarnation <= self._address_changes.reached(
            removed, alive
        ):
            return self._stale(removed, alive, now, source)
        refused = self._refused_by_check(alive)
        if refused is not None:
            return [refused]
        node = node_from(alive)
        node.update(incarnation=0, status=NodeStatus.DEAD)
        self._store.insert(node)
        return self.apply_alive(node, alive, now)

    def _about_known(
        self, node: Node, alive: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        examined = self._examine(alive, source)
        if isinstance(examined, Refused):
            return [examined]
        alive = examined
        same_place = self._same_address(node, alive)
        if same_place and alive.incarnation <= node.incarnation:
            return self._stale(node, alive, now, source)
        if not (
            self._faithful
            or plausible_alive(alive.incarnation, node.incarnation)
            or _from_the_node(alive, source)
        ):
            return [Refused(node.name, f"implausible incarnation {alive.incarnation}")]
        refused = self._refused_by_check(alive)
        if refused is not None:
            return [refused]
        if same_place:
            return self.apply_alive(node, alive, now)
        return self._move(node, alive, now, source)

    def _move(self, node: Node, alive: Alive, now: float, source: Address | None) -> list[Effect]:
        match self._address_changes.decide(node, alive, now):
            case AddressDecision.ACCEPT:
                return self.apply_alive(node, alive, now)
            case AddressDecision.REFUSE:
                return [Conflict(node, node_from(alive))]
            case AddressDecision.PROBE:
                return [ProbeAddress(node, node.address, alive)]
            case AddressDecision.WAIT:
                return []
            case AddressDecision.STALE:
                return self._stale(node, alive, now, source)
            case never:
                assert_never(never)

    def address_probed(self, alive: Alive, answered: bool, now: float) -> list[Effect]:
        """Decide, now that the address was probed."""
        node = self._store.nodes.get(alive.node)
        if node is not None and node is self._store.local_node:
            return self._local_address_probed(node, alive, answered, now)
        if node is None or node.is_gone:
            return self.on_alive(alive, now, None)
        if self._address_changes.conclude(node, answered, now):
            return self.apply_alive(node, alive, now)
        return [Conflict(node, node_from(alive))] if answered else []

    def trusts(self, place: Address) -> bool:
        """Whether a peer that was dialled there counts as the source of its own record.

        Only the senders of packets must be in ``cidrs_allowed``: an address that was dialled
        may be that of a gateway.
        """
        return self._networks.allow(place.host)

    # --- about the local node ---------------------------------------------------------------

    def _about_local(
        self, local: Node, alive: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        if self._store.leaving:
            return []
        examined = self._examine(alive, source)
        if isinstance(examined, Refused):
            return [examined]
        alive = examined
        if not self._same_address(local, alive):
            return self._about_local_name(local, alive, now)
        if alive.incarnation < local.incarnation or (
            alive.incarnation == local.incarnation
            and (alive.meta or b"") == local.meta
            and alive.versions == local.versions
        ):
            return []
        refused = self._refused_by_check(alive)
        return [refused] if refused is not None else self._refute(local, alive)

    def _about_local_name(self, local: Node, alive: Alive, now: float) -> list[Effect]:
        refused = self._refused_by_check(alive)
        if refused is not None:
            return [refused]
        match self._address_changes.decide_local(local.name, alive, now):
            case AddressDecision.PROBE:
                return [ProbeAddress(local, node_from(alive).address, alive)]
            case AddressDecision.WAIT:
                return []
            case _:
                return [Conflict(local, node_from(alive))]

    def _local_address_probed(
        self, local: Node, alive: Alive, answered: bool, now: float
    ) -> list[Effect]:
        if self._store.leaving:
            return []
        if not self._address_changes.conclude_local(local.name, alive, answered, now):
            return [Conflict(local, node_from(alive))] if answered else []
        # No node is there: peers have a record of the former address of this node, perhaps
        # with a higher incarnation than now.
        return self._refute(local, alive) if alive.incarnation >= local.incarnation else []

    def _refute(self, local: Node, alive: Alive) -> list[Effect]:
        if self._faithful or plausible_alive(alive.incarnation, local.incarnation):
            return refute(local, alive.incarnation, faithful=self._faithful)
        return refute_implausible(local, alive.incarnation)

    # --- steps --------------------------------------------------------------------------

    def _examine(self, alive: Alive, source: Address | None) -> Alive | Refused:
        """The message in the form in which it is gossiped on, or why it is refused."""
        if self._ports_are_shared or alive.port == 0:
            alive = attrs.evolve(alive, port=self._default_port())
        reason = defect(alive)
        if reason is not None:
            return Refused(alive.node, reason)
        assert alive.addr is not None, "a well-formed message has an address"
        assert alive.versions is not None, "a well-formed message has versions"
        if self._networks:
            if source is not None and not self._networks.allow(source.host):
                return Refused(alive.node, f"packet from {source.host} not allowed", quiet=True)
            node = self._store.nodes.get(alive.node)
            moves = node is None or node.addr != alive.addr or node.port != alive.port
            if (moves or source is not None) and not self._networks.allow(alive.addr):
                return Refused(alive.node, "address not allowed", quiet=source is not None)
        if len(alive.versions) > VERSIONS_LENGTH:
            alive = attrs.evolve(alive, versions=alive.versions[:VERSIONS_LENGTH])
        return alive

    def _same_address(self, node: Node, alive: Alive) -> bool:
        """Whether a well-formed message names the address of the record.

        DIFFERS: to Go an IPv4 address in 4 bytes and in 16 are a conflict.  A node that is
        restarted with other settings may change the form.
        Test: test_an_ipv4_address_in_another_form_is_the_same_address.
        """
        if alive.addr == node.addr and alive.port == node.port:
            return True
        return not self._faithful and node_from(alive).address == node.address

    def _default_port(self) -> int:
        """What port 0 stands for: the local one, because clusters share one by default."""
        local = self._store.local_node
        return self._bind_port or (local.port if local is not None else 0)

    def _refused_by_check(self, alive: Alive) -> Refused | None:
        if self._check is None:
            return None
        try:
            self._check(node_from(alive))
        except MergeRefused as refusal:
            return Refused(alive.node, str(refusal) or "refused by the alive hook")
        return None

    def _stale(self, node: Node, alive: Alive, now: float, source: Address | None) -> list[Effect]:
        if self._faithful:
            return []
        from_the_node = _from_the_node(alive, source)
        reached = self._address_changes.reached(node, alive)
        if not (node.is_gone or self._same_address(node, alive)):
            return []
        if from_the_node and not plausible_alive(reached, alive.incarnation):
            return self._correct(node, alive, now, source)
        if not node.is_gone:
            return []
        assert alive.addr is not None, "the address of a record"
        reply = self._replies.reply(
            node,
            Address.from_bytes(alive.addr, alive.port),
            reached,
            now,
            from_the_node=from_the_node,
            num_nodes=len(self._store.sequence),
        )
        return [] if reply is None else [reply]

    def _correct(
        self, node: Node, alive: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        """Go back from an incarnation in the band to the one that the node itself sent."""
        examined = self._examine(alive, source)
        if isinstance(examined, Refused):
            return [examined]
        refused = self._refused_by_check(examined)
        return [refused] if refused is not None else self.apply_alive(node, examined, now)

    def apply_alive(self, node: Node, alive: Alive, now: float) -> list[Effect]:
        """Change the record as the message says, and broadcast the message."""
        assert alive.addr is not None, "a well-formed message has an address"
        store = self._store
        if node.status is NodeStatus.SUSPECT:
            store.suspicions.refute(node.name)
        was_gone = node.is_gone
        meta = alive.meta or b""
        changed = meta != node.meta
        if alive.addr != node.addr or alive.port != node.port:
            self._address_changes.remember(node)
            before = node.address
            node.move(alive.addr, alive.port)
            changed = changed or node.address != before
        node.update(incarnation=alive.incarnation, meta=meta, versions=alive.versions)
        if node.status is not NodeStatus.ALIVE:
            store.set_status(node, NodeStatus.ALIVE, now)
        effects: list[Effect] = [
            Broadcast(node.name, encode_message(alive)),
            Applied("alive"),
        ]
        if was_gone:
            self._replies.forget(node.name)
            self._dropped.forget(node.name)
            effects.append(NodeJoined(node))
        elif changed:
            effects.append(NodeUpdated(node))
        return effects

    # --- dropped records -------------------------------------------------------------------

    def remove(self, name: str) -> None:
        """This node was removed on purpose; nothing happens if it is not dead or left."""
        node = self._store.nodes.get(name)
        if node is None or (node.is_gone and node is not self._store.local_node):
            self._dropped.remove(name, in_table=node is not None)

    def trust_peer(self, record: NodeRecord, host: str) -> None:
        """A peer sent an unknown node: one at its own host is alive, whatever its incarnation."""
        if len(record.addr or b"") in (4, 16) and host == _place(record).host:
            self._dropped.forget(record.name)

    def drop(self, node: Node, now: float) -> bool:
        """The record of a node was dropped; whether the node was removed on purpose."""
        removed = self._dropped.drop(node, now)
        if not removed:
            self._address_changes.forget(node.name)
        self._replies.forget(node.name)
        return removed

    def expire(self, now: float) -> None:
        """Forget what was dropped too long ago."""
        for name in self._dropped.expire(now):
            self._address_changes.forget(name)
            self._replies.forget(name)


def node_from(alive: Alive) -> Node:
    """The node that a well-formed alive message describes."""
    return Node(
        name=alive.node,
        addr=alive.addr or b"",
        port=alive.port,
        meta=alive.meta or b"",
        versions=alive.versions or b"",
        incarnation=alive.incarnation,
    )


def _place(record: NodeRecord) -> Address:
    return Address.from_bytes(record.addr or b"", record.port)


def _from_the_node(alive: Alive, source: Address | None) -> bool:
    """Whether the message came from the address that it names."""
    return source is not None and source == Address.from_bytes(alive.addr or b"", alive.port)
