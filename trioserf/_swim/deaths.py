"""Claims that a node may be dead, or is.

A suspicion gives its node time to answer.  Other nodes' suspicions confirm it and make the
time shorter; a newer claim of life ends it; when the time is over the node is declared dead,
to everybody.  A node that declares itself dead has left.

A death goes to the accused at once, and to the others with the next tick, for it may be wrong:
then a refutation that arrives before the tick takes its place in the queue.  With 30 % loss,
eight simulated nodes declared 109 deaths in 80 minutes and told 291 others; with deaths that went
early it was 133 and 491, by Go's rules 153 and 351.

DIFFERS: Go tells the accused when gossip happens to choose it.
Test: test_whom_we_declare_dead_is_told_before_the_others.

Source: hashicorp/memberlist v0.2.2, state.go: suspectNode, deadNode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from .._config import MemberlistConfig
from .._wire.messages import Dead, Suspect, encode_message
from .effects import (
    EARLY,
    WITH_THE_TICK,
    Answer,
    Applied,
    Broadcast,
    Effect,
    NodeLeft,
    Refused,
    TimeoutDegraded,
)
from .incarnations import plausible_accusation
from .nodes import Node, NodeStatus
from .refutation import dismiss, refute
from .roster import Roster
from .scaling import suspicion_timeout
from .suspicion import Suspicion


@final
class DeathRules:
    """Judges accusations, and carries out those that nobody answers.

    Args:
      roster: what is held, and changed here.
      config: settings.
    """

    def __init__(self, roster: Roster, config: MemberlistConfig) -> None:
        self._roster = roster
        self._config = config
        self._faithful = config.faithful_go

    def on_suspect(self, claim: Suspect, now: float, *, own: bool = False) -> list[Effect]:
        """Judge a suspicion; ``own`` says that it began here."""
        roster = self._roster
        node = roster.nodes.get(claim.node)
        if node is None or claim.incarnation < node.incarnation:
            return []
        if not self._plausible(node, claim):
            return self._implausible(node, claim)
        suspicion = roster.suspicions.get(claim.node)
        if suspicion is not None:
            return self._confirm(node, suspicion, claim, own)
        if node.status is not NodeStatus.ALIVE:
            self._raise_incarnation(node, claim)
            return []
        if node is roster.own:
            return refute(node, claim.incarnation, faithful=self._faithful)
        node.update(incarnation=claim.incarnation)
        roster.set_status(node, NodeStatus.SUSPECT, now)
        roster.suspicions.add(claim.node, self._begin(claim.from_node, now))
        return [self._accusation(claim, own), Applied("suspect")]

    def _accusation(self, claim: Suspect, own: bool) -> Broadcast:
        """Tell of a suspicion, with the next tick: nothing depends on it for seconds.

        Under loss most are soon replaced by a newer one, or by a refutation, and were then
        sent in vain.
        """
        return Broadcast(claim.node, encode_message(claim), own=own, patience=WITH_THE_TICK)

    def _begin(self, accuser: str, now: float) -> Suspicion:
        config = self._config
        n = len(self._roster.sequence)
        wanted = config.suspicion_mult - 2
        shortest = suspicion_timeout(config.suspicion_mult, n, config.probe_interval)
        return Suspicion(
            accuser=accuser,
            started=now,
            wanted=0 if n - 2 < wanted else wanted,
            shortest=shortest,
            longest=config.suspicion_max_timeout_mult * shortest,
        )

    def _confirm(self, node: Node, suspicion: Suspicion, claim: Suspect, own: bool) -> list[Effect]:
        news = self._raise_incarnation(node, claim)
        if suspicion.confirm(claim.from_node):
            self._roster.suspicions.rearm(claim.node, suspicion)
            news = True
        return [self._accusation(claim, own)] if news else []

    def on_dead(self, claim: Dead, now: float, *, own: bool = False) -> list[Effect]:
        """Judge a declaration of death; ``own`` says that it began here."""
        roster = self._roster
        node = roster.nodes.get(claim.node)
        if node is None or claim.incarnation < node.incarnation:
            return []
        if not self._plausible(node, claim):
            return self._implausible(node, claim)
        if node.is_gone:
            raised = self._raise_incarnation(node, claim)
            return [Broadcast(claim.node, encode_message(claim), own=own)] if raised else []
        if node is roster.own:
            return refute(node, claim.incarnation, faithful=self._faithful)
        return self._bury(node, claim, now, own=own, on_finished=None)

    def _bury(
        self,
        node: Node,
        claim: Dead,
        now: float,
        *,
        own: bool,
        on_finished: Callable[[], object] | None,
    ) -> list[Effect]:
        left = claim.node == claim.from_node
        self._roster.suspicions.drop(claim.node)
        node.update(incarnation=claim.incarnation)
        self._roster.set_status(node, NodeStatus.LEFT if left else NodeStatus.DEAD, now)
        message = encode_message(claim)
        patience = EARLY if left else WITH_THE_TICK
        effects: list[Effect] = [
            Broadcast(claim.node, message, own=own, patience=patience, on_finished=on_finished),
            Applied("dead"),
            NodeLeft(node),
        ]
        if own and not left and not self._faithful:
            effects.append(Answer(node.address, node.name, message))
        return effects

    def leave(
        self, own: Node, now: float, on_finished: Callable[[], object] | None
    ) -> list[Effect]:
        """Declare the own node left; the only way in which it can be."""
        self._roster.leaving = True
        claim = Dead(incarnation=own.incarnation, node=own.name, from_node=own.name)
        return self._bury(own, claim, now, own=True, on_finished=on_finished)

    def expired(self, now: float) -> list[Effect]:
        """Declare dead whose suspicion is over."""
        roster = self._roster
        effects: list[Effect] = []
        while (due := roster.suspicions.pop_due(now)) is not None:
            name, suspicion = due
            if suspicion.degraded:
                effects.append(TimeoutDegraded(name))
            claim = Dead(
                incarnation=roster.nodes[name].incarnation, node=name, from_node=roster.name
            )
            effects += self.on_dead(claim, now, own=True)
        return effects

    # --- incarnations -------------------------------------------------------------------

    def _raise_incarnation(self, node: Node, claim: Suspect | Dead) -> bool:
        """Hold the higher incarnation of an accusation that changes nothing else.

        DIFFERS: Go forgets it, and a claim of life from between the two accusations brings
        back a node that is known to be accused in a later life.
        Test: test_a_life_between_two_accusations_does_not_resurrect.
        """
        if self._faithful or node is self._roster.own or claim.incarnation <= node.incarnation:
            return False
        node.update(incarnation=claim.incarnation)
        return True

    def _plausible(self, node: Node, claim: Suspect | Dead) -> bool:
        return self._faithful or plausible_accusation(claim.incarnation, node.incarnation)

    def _implausible(self, node: Node, claim: Suspect | Dead) -> list[Effect]:
        if node is not self._roster.own:
            return [Refused(node.name, f"implausible incarnation {claim.incarnation}")]
        return [] if self._roster.leaving else dismiss(node, claim.incarnation)
