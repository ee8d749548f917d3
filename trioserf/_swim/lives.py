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

import attrs

from .._config import MemberlistConfig
from .._exceptions import MergeRefused
from .._wire.messages import Alive, NodeRecord, encode_message
from ..abc import Address
from .admission import AllowedNetworks, defect
from .answers import StaleAnswers
from .effects import (
    Applied,
    Broadcast,
    Challenge,
    Conflict,
    Effect,
    NodeJoined,
    NodeUpdated,
    Refused,
)
from .incarnations import ALIVE_BAND, plausible_life
from .nodes import VERSIONS_LENGTH, Node, NodeStatus
from .refutation import dismiss, refute
from .roster import Roster
from .takeovers import Move, Takeovers
from .tombstones import Tombstones

_DEAD = NodeStatus.DEAD


@final
class LifeRules:
    """Judges claims of life.

    Args:
      roster: what is held, and changed here.
      config: settings.
      rng: source of random choices.
      check: may refuse a claim by raising `MergeRefused`.
    """

    def __init__(
        self,
        roster: Roster,
        config: MemberlistConfig,
        rng: random.Random,
        check: Callable[[Node], object] | None,
    ) -> None:
        self._roster = roster
        self._check = check
        self._faithful = config.faithful_go
        self._networks = AllowedNetworks(config.cidrs_allowed)
        self._bind_port = config.bind_port
        self._ports_are_ours = config.protocol_version == 1
        self._takeovers = Takeovers(config)
        self._tombstones = Tombstones(0.0 if config.faithful_go else config.seed_memory)
        self._answers = StaleAnswers(
            roster.name, max(config.probe_interval, config.gossip_interval), rng
        )

    def on_alive(self, claim: Alive, now: float, source: Address | None) -> list[Effect]:
        """Judge a claim.  Most are old news, and leave here at once."""
        roster = self._roster
        node = roster.nodes.get(claim.node)
        if node is None:
            return self._about_unknown(claim, now, source)
        if node is roster.own:
            return self._about_self(node, claim, now, source)
        if claim.addr == node.addr and claim.port == node.port:
            if claim.incarnation > node.incarnation:
                return self._about_known(node, claim, now, source)
            if node.status < _DEAD and node.incarnation < ALIVE_BAND:
                return []
            return self._old_news(node, claim, now, source)
        return self._about_known(node, claim, now, source)

    def _about_unknown(self, claim: Alive, now: float, source: Address | None) -> list[Effect]:
        examined = self._examine(claim, source)
        if isinstance(examined, Refused):
            return [examined]
        claim = examined
        removed = self._tombstones.removed(claim.node)
        if removed is not None and claim.incarnation <= self._takeovers.reached(removed, claim):
            return self._old_news(removed, claim, now, source)
        refused = self._ask(claim)
        if refused is not None:
            return [refused]
        node = node_of(claim)
        node.update(incarnation=0, status=NodeStatus.DEAD)
        self._roster.insert(node)
        return self.believe(node, claim, now)

    def _about_known(
        self, node: Node, claim: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        examined = self._examine(claim, source)
        if isinstance(examined, Refused):
            return [examined]
        claim = examined
        same_place = self._same_place(node, claim)
        if same_place and claim.incarnation <= node.incarnation:
            return self._old_news(node, claim, now, source)
        if not (
            self._faithful
            or plausible_life(claim.incarnation, node.incarnation)
            or _first_hand(claim, source)
        ):
            return [Refused(node.name, f"implausible incarnation {claim.incarnation}")]
        refused = self._ask(claim)
        if refused is not None:
            return [refused]
        if same_place:
            return self.believe(node, claim, now)
        return self._move(node, claim, now, source)

    def _move(self, node: Node, claim: Alive, now: float, source: Address | None) -> list[Effect]:
        match self._takeovers.decide(node, claim, now):
            case Move.ACCEPT:
                return self.believe(node, claim, now)
            case Move.REFUSE:
                return [Conflict(node, node_of(claim))]
            case Move.CHALLENGE:
                return [Challenge(node, node.address, claim)]
            case Move.WAIT:
                return []
            case Move.STALE:
                return self._old_news(node, claim, now, source)
            case never:
                assert_never(never)

    def challenge_result(self, claim: Alive, answered: bool, now: float) -> list[Effect]:
        """Decide after the old address was asked."""
        node = self._roster.nodes.get(claim.node)
        if node is not None and node is self._roster.own:
            return self._own_challenge_result(node, claim, answered, now)
        if node is None or node.is_gone:
            return self.on_alive(claim, now, None)
        if self._takeovers.conclude(node, answered, now):
            return self.believe(node, claim, now)
        return [Conflict(node, node_of(claim))] if answered else []

    def may_vouch(self, place: Address) -> bool:
        """Whether a peer that we dialled there is heard first-hand.

        Only the senders of packets must be in ``cidrs_allowed``: an address that we chose may
        be that of a gateway.
        """
        return self._networks.allow(place.host)

    # --- about ourselves ----------------------------------------------------------------

    def _about_self(
        self, own: Node, claim: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        if self._roster.leaving:
            return []
        examined = self._examine(claim, source)
        if isinstance(examined, Refused):
            return [examined]
        claim = examined
        if not self._same_place(own, claim):
            return self._about_namesake(own, claim, now)
        if claim.incarnation < own.incarnation or (
            claim.incarnation == own.incarnation
            and (claim.meta or b"") == own.meta
            and claim.versions == own.versions
        ):
            return []
        refused = self._ask(claim)
        return [refused] if refused is not None else self._outbid(own, claim)

    def _about_namesake(self, own: Node, claim: Alive, now: float) -> list[Effect]:
        refused = self._ask(claim)
        if refused is not None:
            return [refused]
        match self._takeovers.decide_own(own.name, claim, now):
            case Move.CHALLENGE:
                return [Challenge(own, node_of(claim).address, claim)]
            case Move.WAIT:
                return []
            case _:
                return [Conflict(own, node_of(claim))]

    def _own_challenge_result(
        self, own: Node, claim: Alive, answered: bool, now: float
    ) -> list[Effect]:
        if self._roster.leaving:
            return []
        if not self._takeovers.conclude_own(own.name, claim, answered, now):
            return [Conflict(own, node_of(claim))] if answered else []
        # Nobody is there: others hold a record of where we were, perhaps with a higher
        # incarnation than ours.
        return self._outbid(own, claim) if claim.incarnation >= own.incarnation else []

    def _outbid(self, own: Node, claim: Alive) -> list[Effect]:
        if self._faithful or plausible_life(claim.incarnation, own.incarnation):
            return refute(own, claim.incarnation, faithful=self._faithful)
        return dismiss(own, claim.incarnation)

    # --- steps --------------------------------------------------------------------------

    def _examine(self, claim: Alive, source: Address | None) -> Alive | Refused:
        """The claim in the form in which it is passed on, or why it is dropped."""
        if self._ports_are_ours or claim.port == 0:
            claim = attrs.evolve(claim, port=self._default_port())
        reason = defect(claim)
        if reason is not None:
            return Refused(claim.node, reason)
        assert claim.addr is not None, "a sound claim has an address"
        assert claim.versions is not None, "a sound claim has versions"
        if self._networks:
            if source is not None and not self._networks.allow(source.host):
                return Refused(claim.node, f"packet from {source.host} not allowed", quiet=True)
            node = self._roster.nodes.get(claim.node)
            moves = node is None or node.addr != claim.addr or node.port != claim.port
            if (moves or source is not None) and not self._networks.allow(claim.addr):
                return Refused(claim.node, "address not allowed", quiet=source is not None)
        if len(claim.versions) > VERSIONS_LENGTH:
            claim = attrs.evolve(claim, versions=claim.versions[:VERSIONS_LENGTH])
        return claim

    def _same_place(self, node: Node, claim: Alive) -> bool:
        """Whether a well-formed claim names the address of the record.

        DIFFERS: to Go an IPv4 address in 4 bytes and in 16 are a conflict.  A node that is
        restarted with other settings may change the form.
        Test: test_an_ipv4_address_in_another_form_is_the_same_place.
        """
        if claim.addr == node.addr and claim.port == node.port:
            return True
        return not self._faithful and node_of(claim).address == node.address

    def _default_port(self) -> int:
        """What port 0 stands for: our own, because clusters share one by default."""
        own = self._roster.own
        return self._bind_port or (own.port if own is not None else 0)

    def _ask(self, claim: Alive) -> Refused | None:
        if self._check is None:
            return None
        try:
            self._check(node_of(claim))
        except MergeRefused as refusal:
            return Refused(claim.node, str(refusal) or "refused by the alive hook")
        return None

    def _old_news(
        self, node: Node, claim: Alive, now: float, source: Address | None
    ) -> list[Effect]:
        if self._faithful:
            return []
        first_hand = _first_hand(claim, source)
        reached = self._takeovers.reached(node, claim)
        if not (node.is_gone or self._same_place(node, claim)):
            return []
        if first_hand and not plausible_life(reached, claim.incarnation):
            return self._correct(node, claim, now, source)
        if not node.is_gone:
            return []
        assert claim.addr is not None, "a known address"
        answer = self._answers.answer(
            node,
            Address.from_bytes(claim.addr, claim.port),
            reached,
            now,
            first_hand=first_hand,
            num_nodes=len(self._roster.sequence),
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
        return [refused] if refused is not None else self.believe(node, examined, now)

    def believe(self, node: Node, claim: Alive, now: float) -> list[Effect]:
        """Change the record to what the claim says, and pass the claim on."""
        assert claim.addr is not None, "a sound claim has an address"
        roster = self._roster
        if node.status is NodeStatus.SUSPECT:
            roster.suspicions.refute(node.name)
        was_gone = node.is_gone
        meta = claim.meta or b""
        changed = meta != node.meta
        if claim.addr != node.addr or claim.port != node.port:
            self._takeovers.remember(node)
            before = node.address
            node.move(claim.addr, claim.port)
            changed = changed or node.address != before
        node.update(incarnation=claim.incarnation, meta=meta, versions=claim.versions)
        if node.status is not NodeStatus.ALIVE:
            roster.set_status(node, NodeStatus.ALIVE, now)
        effects: list[Effect] = [
            Broadcast(node.name, encode_message(claim)),
            Applied("alive"),
        ]
        if was_gone:
            self._answers.forget(node.name)
            self._tombstones.lift(node.name)
            effects.append(NodeJoined(node))
        elif changed:
            effects.append(NodeUpdated(node))
        return effects

    # --- forgetting ---------------------------------------------------------------------

    def remove(self, name: str) -> None:
        """Somebody removed this node on purpose; nothing if it is not gone."""
        node = self._roster.nodes.get(name)
        if node is None or (node.is_gone and node is not self._roster.own):
            self._tombstones.remove(name, held=node is not None)

    def welcome(self, record: NodeRecord, host: str) -> None:
        """A host tells of unknown nodes: one that is there lives, whatever it counts."""
        if len(record.addr or b"") in (4, 16) and host == _place(record).host:
            self._tombstones.lift(record.name)

    def bury(self, node: Node, now: float) -> bool:
        """The record of a node was dropped; whether the node was removed on purpose."""
        removed = self._tombstones.bury(node, now)
        if not removed:
            self._takeovers.forget(node.name)
        self._answers.forget(node.name)
        return removed

    def expire(self, now: float) -> None:
        """Forget tombstones that are too old."""
        for name in self._tombstones.expire(now):
            self._takeovers.forget(name)
            self._answers.forget(name)


def node_of(claim: Alive) -> Node:
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


def _first_hand(claim: Alive, source: Address | None) -> bool:
    """Whether the claim came from the address that it names."""
    return source is not None and source == Address.from_bytes(claim.addr or b"", claim.port)
