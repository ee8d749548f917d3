"""Claims that a node is alive.

A claim of life is believed when its incarnation is higher than what is held.  It may bring
a new node, bring one back, clear a suspicion, or change metadata.  Claims about the own node
come from an earlier life or from somebody who uses our name: the first are outbid.

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
from .answers import StaleAnswers
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
from .refutation import refute, refute_implausible

_DEAD = NodeStatus.DEAD


@final
class AliveRules:
    """Judges claims of life.

    Args:
      store: what is held, and changed here.
      config: settings.
      rng: source of random choices.
      check: may refuse a claim by raising `MergeRefused`.
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
        self._answers = StaleAnswers(
            store.name, max(config.probe_interval, config.gossip_interval), rng
        )

    def on_alive(self, claim: Alive, now: float, source: Address | None) -> list[Effect]:
        """Judge a claim.  Most are old news, and leave here at once."""
        store = self._store
        node = store.nodes.get(claim.node)
        if node is None:
            return self._about_unknown(claim, now, source)
        if node is store.local_node:
            return self._about_local(node, claim, now, source)
        if claim.addr == node.addr and claim.port == node.port:
            if claim.incarnation > node.incarnation:
                return self._about_known(node, claim, now, source)
            if node.status < _DEAD and node.incarnation < ALIVE_BAND:
                return []
            return self._stale(node, claim, now, source)
        return self._about_known(node, claim, now, source)

    def _about_unknown(self, claim: Alive, now: float, source: Address | None) -> list[Effect]:
        examined = self._examine(claim, source)
        if isinstance(examined, Refused):
            return [examined]
        claim = examined
        removed = self._dropped.removed(claim.node)
        if removed is not None and claim.incarnation <= self._address_changes.reached(
            removed, claim
        ):
            return self._stale(removed, claim, now, source)
        refused = self._ask(claim)
        if refused is not None:
            return [refused]
        node = node_from(claim)
        node.update(incarnation=0, status=NodeStatus.DEAD)
        self._store.insert(node)
        return self.apply_alive(node, claim, now)

    def _about_known(
        self, node: Node, claim: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        examined = self._examine(claim, source)
        if isinstance(examined, Refused):
            return [examined]
        claim = examined
        same_place = self._same_address(node, claim)
        if same_place and claim.incarnation <= node.incarnation:
            return self._stale(node, claim, now, source)
        if not (
            self._faithful
            or plausible_alive(claim.incarnation, node.incarnation)
            or _from_the_node(claim, source)
        ):
            return [Refused(node.name, f"implausible incarnation {claim.incarnation}")]
        refused = self._ask(claim)
        if refused is not None:
            return [refused]
        if same_place:
            return self.apply_alive(node, claim, now)
        return self._move(node, claim, now, source)

    def _move(self, node: Node, claim: Alive, now: float, source: Address | None) -> list[Effect]:
        match self._address_changes.decide(node, claim, now):
            case AddressDecision.ACCEPT:
                return self.apply_alive(node, claim, now)
            case AddressDecision.REFUSE:
                return [Conflict(node, node_from(claim))]
            case AddressDecision.PROBE:
                return [ProbeAddress(node, node.address, claim)]
            case AddressDecision.WAIT:
                return []
            case AddressDecision.STALE:
                return self._stale(node, claim, now, source)
            case never:
                assert_never(never)

    def address_probed(self, claim: Alive, answered: bool, now: float) -> list[Effect]:
        """Decide after the old address was asked."""
        node = self._store.nodes.get(claim.node)
        if node is not None and node is self._store.local_node:
            return self._local_address_probed(node, claim, answered, now)
        if node is None or node.is_gone:
            return self.on_alive(claim, now, None)
        if self._address_changes.conclude(node, answered, now):
            return self.apply_alive(node, claim, now)
        return [Conflict(node, node_from(claim))] if answered else []

    def trusts(self, place: Address) -> bool:
        """Whether a peer that we dialled there is heard first-hand.

        Only the senders of packets must be in ``cidrs_allowed``: an address that we chose may
        be that of a gateway.
        """
        return self._networks.allow(place.host)

    # --- about ourselves ----------------------------------------------------------------

    def _about_local(
        self, local: Node, claim: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        if self._store.leaving:
            return []
        examined = self._examine(claim, source)
        if isinstance(examined, Refused):
            return [examined]
        claim = examined
        if not self._same_address(local, claim):
            return self._about_local_name(local, claim, now)
        if claim.incarnation < local.incarnation or (
            claim.incarnation == local.incarnation
            and (claim.meta or b"") == local.meta
            and claim.versions == local.versions
        ):
            return []
        refused = self._ask(claim)
        return [refused] if refused is not None else self._refute(local, claim)

    def _about_local_name(self, local: Node, claim: Alive, now: float) -> list[Effect]:
        refused = self._ask(claim)
        if refused is not None:
            return [refused]
        match self._address_changes.decide_local(local.name, claim, now):
            case AddressDecision.PROBE:
                return [ProbeAddress(local, node_from(claim).address, claim)]
            case AddressDecision.WAIT:
                return []
            case _:
                return [Conflict(local, node_from(claim))]

    def _local_address_probed(
        self, local: Node, claim: Alive, answered: bool, now: float
    ) -> list[Effect]:
        if self._store.leaving:
            return []
        if not self._address_changes.conclude_local(local.name, claim, answered, now):
            return [Conflict(local, node_from(claim))] if answered else []
        # Nobody is there: others hold a record of where we were, perhaps with a higher
        # incarnation than ours.
        return self._refute(local, claim) if claim.incarnation >= local.incarnation else []

    def _refute(self, local: Node, claim: Alive) -> list[Effect]:
        if self._faithful or plausible_alive(claim.incarnation, local.incarnation):
            return refute(local, claim.incarnation, faithful=self._faithful)
        return refute_implausible(local, claim.incarnation)

    # --- steps --------------------------------------------------------------------------

    def _examine(self, claim: Alive, source: Address | None) -> Alive | Refused:
        """The claim in the form in which it is passed on, or why it is dropped."""
        if self._ports_are_shared or claim.port == 0:
            claim = attrs.evolve(claim, port=self._default_port())
        reason = defect(claim)
        if reason is not None:
            return Refused(claim.node, reason)
        assert claim.addr is not None, "a sound claim has an address"
        assert claim.versions is not None, "a sound claim has versions"
        if self._networks:
            if source is not None and not self._networks.allow(source.host):
                return Refused(claim.node, f"packet from {source.host} not allowed", quiet=True)
            node = self._store.nodes.get(claim.node)
            moves = node is None or node.addr != claim.addr or node.port != claim.port
            if (moves or source is not None) and not self._networks.allow(claim.addr):
                return Refused(claim.node, "address not allowed", quiet=source is not None)
        if len(claim.versions) > VERSIONS_LENGTH:
            claim = attrs.evolve(claim, versions=claim.versions[:VERSIONS_LENGTH])
        return claim

    def _same_address(self, node: Node, claim: Alive) -> bool:
        """Whether a well-formed claim names the address of the record.

        DIFFERS: to Go an IPv4 address in 4 bytes and in 16 are a conflict.  A node that is
        restarted with other settings may change the form.
        Test: test_an_ipv4_address_in_another_form_is_the_same_place.
        """
        if claim.addr == node.addr and claim.port == node.port:
            return True
        return not self._faithful and node_from(claim).address == node.address

    def _default_port(self) -> int:
        """What port 0 stands for: our own, because clusters share one by default."""
        local = self._store.local_node
        return self._bind_port or (local.port if local is not None else 0)

    def _ask(self, claim: Alive) -> Refused | None:
        if self._check is None:
            return None
        try:
            self._check(node_from(claim))
        except MergeRefused as refusal:
            return Refused(claim.node, str(refusal) or "refused by the alive hook")
        return None

    def _stale(self, node: Node, claim: Alive, now: float, source: Address | None) -> list[Effect]:
        if self._faithful:
            return []
        from_the_node = _from_the_node(claim, source)
        reached = self._address_changes.reached(node, claim)
        if not (node.is_gone or self._same_address(node, claim)):
            return []
        if from_the_node and not plausible_alive(reached, claim.incarnation):
            return self._correct(node, claim, now, source)
        if not node.is_gone:
            return []
        assert claim.addr is not None, "a known address"
        answer = self._answers.answer(
            node,
            Address.from_bytes(claim.addr, claim.port),
            reached,
            now,
            from_the_node=from_the_node,
            num_nodes=len(self._store.sequence),
        )
        return [] if answer is None else [answer]

    def _correct(
        self, node: Node, claim: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        """Go back from a number in the band to what the node itself says it is."""
        examined = self._examine(claim, source)
        if isinstance(examined, Refused):
            return [examined]
        refused = self._ask(examined)
        return [refused] if refused is not None else self.apply_alive(node, examined, now)

    def apply_alive(self, node: Node, claim: Alive, now: float) -> list[Effect]:
        """Change the record to what the claim says, and pass the claim on."""
        assert claim.addr is not None, "a sound claim has an address"
        store = self._store
        if node.status is NodeStatus.SUSPECT:
            store.suspicions.refute(node.name)
        was_gone = node.is_gone
        meta = claim.meta or b""
        changed = meta != node.meta
        if claim.addr != node.addr or claim.port != node.port:
            self._address_changes.remember(node)
            before = node.address
            node.move(claim.addr, claim.port)
            changed = changed or node.address != before
        node.update(incarnation=claim.incarnation, meta=meta, versions=claim.versions)
        if node.status is not NodeStatus.ALIVE:
            store.set_status(node, NodeStatus.ALIVE, now)
        effects: list[Effect] = [
            Broadcast(node.name, encode_message(claim)),
            Applied("alive"),
        ]
        if was_gone:
            self._answers.forget(node.name)
            self._dropped.forget(node.name)
            effects.append(NodeJoined(node))
        elif changed:
            effects.append(NodeUpdated(node))
        return effects

    # --- forgetting ---------------------------------------------------------------------

    def remove(self, name: str) -> None:
        """Somebody removed this node on purpose; nothing if it is not gone."""
        node = self._store.nodes.get(name)
        if node is None or (node.is_gone and node is not self._store.local_node):
            self._dropped.remove(name, in_table=node is not None)

    def trust_peer(self, record: NodeRecord, host: str) -> None:
        """A host tells of unknown nodes: one that is there lives, whatever it counts."""
        if len(record.addr or b"") in (4, 16) and host == _place(record).host:
            self._dropped.forget(record.name)

    def drop(self, node: Node, now: float) -> bool:
        """The record of a node was dropped; whether the node was removed on purpose."""
        removed = self._dropped.drop(node, now)
        if not removed:
            self._address_changes.forget(node.name)
        self._answers.forget(node.name)
        return removed

    def expire(self, now: float) -> None:
        """Forget dropped nodes that are too old."""
        for name in self._dropped.expire(now):
            self._address_changes.forget(name)
            self._answers.forget(name)


def node_from(claim: Alive) -> Node:
    """The node that a well-formed claim speaks of, as if it were believed."""
    return Node(
        name=claim.node,
        addr=claim.addr or b"",
        port=claim.port,
        meta=claim.meta or b"",
        versions=claim.versions or b"",
        incarnation=claim.incarnation,
    )


def _place(record: NodeRecord) -> Address:
    return Address.from_bytes(record.addr or b"", record.port)


def _from_the_node(claim: Alive, source: Address | None) -> bool:
    """Whether the claim came from the address that it names."""
    return source is not None and source == Address.from_bytes(claim.addr or b"", claim.port)
