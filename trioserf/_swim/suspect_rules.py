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
    NEXT_INTERVAL,
    SHORT_DELAY,
    Applied,
    Broadcast,
    Effect,
    NodeLeft,
    Refused,
    SendTo,
    TimeoutDegraded,
)
from .incarnations import plausible_suspect
from .node_store import NodeStore
from .nodes import Node, NodeStatus
from .refutation import refute, refute_implausible
from .scaling import suspicion_timeout
from .suspicion import Suspicion


@final
class SuspectRules:
    """Judges accusations, and carries out those that nobody answers.

    Args:
      store: what is held, and changed here.
      config: settings.
    """

    def __init__(self, store: NodeStore, config: MemberlistConfig) -> None:
        self._store = store
        self._config = config
        self._faithful = config.faithful_go

    def on_suspect(self, claim: Suspect, now: float, *, local: bool = False) -> list[Effect]:
        """Judge a suspicion; ``own`` says that it began here."""
        store = self._store
        node = store.nodes.get(claim.node)
        if node is None or claim.incarnation < node.incarnation:
            return []
        if not self._plausible(node, claim):
            return self._implausible(node, claim)
        suspicion = store.suspicions.get(claim.node)
        if suspicion is not None:
            return self._confirm(node, suspicion, claim, local)
        if node.status is not NodeStatus.ALIVE:
            self._raise_incarnation(node, claim)
            return []
        if node is store.local_node:
            return refute(node, claim.incarnation, faithful=self._faithful)
        node.update(incarnation=claim.incarnation)
        store.set_status(node, NodeStatus.SUSPECT, now)
        store.suspicions.add(claim.node, self._begin(claim.from_node, now))
        return [self._accusation(claim, local), Applied("suspect")]

    def _accusation(self, claim: Suspect, local: bool) -> Broadcast:
        """Tell of a suspicion, with the next tick: nothing depends on it for seconds.

        Under loss most are soon replaced by a newer one, or by a refutation, and were then
        sent in vain.
        """
        return Broadcast(claim.node, encode_message(claim), local=local, max_delay=NEXT_INTERVAL)

    def _begin(self, from_node: str, now: float) -> Suspicion:
        config = self._config
        n = len(self._store.sequence)
        wanted = config.suspicion_mult - 2
        shortest = suspicion_timeout(config.suspicion_mult, n, config.probe_interval)
        return Suspicion(
            from_node=from_node,
            started=now,
            wanted=0 if n - 2 < wanted else wanted,
            shortest=shortest,
            longest=config.suspicion_max_timeout_mult * shortest,
        )

    def _confirm(
        self, node: Node, suspicion: Suspicion, claim: Suspect, local: bool
    ) -> list[Effect]:
        news = self._raise_incarnation(node, claim)
        if suspicion.confirm(claim.from_node):
            self._store.suspicions.rearm(claim.node, suspicion)
            news = True
        return [self._accusation(claim, local)] if news else []

    def on_dead(self, claim: Dead, now: float, *, local: bool = False) -> list[Effect]:
        """Judge a declaration of death; ``own`` says that it began here."""
        store = self._store
        node = store.nodes.get(claim.node)
        if node is None or claim.incarnation < node.incarnation:
            return []
        if not self._plausible(node, claim):
            return self._implausible(node, claim)
        if node.is_gone:
            raised = self._raise_incarnation(node, claim)
            return [Broadcast(claim.node, encode_message(claim), local=local)] if raised else []
        if node is store.local_node:
            return refute(node, claim.incarnation, faithful=self._faithful)
        return self._declare_dead(node, claim, now, local=local, on_finished=None)

    def _declare_dead(
        self,
        node: Node,
        claim: Dead,
        now: float,
        *,
        local: bool,
        on_finished: Callable[[], object] | None,
    ) -> list[Effect]:
        left = claim.node == claim.from_node
        self._store.suspicions.drop(claim.node)
        node.update(incarnation=claim.incarnation)
        self._store.set_status(node, NodeStatus.LEFT if left else NodeStatus.DEAD, now)
        message = encode_message(claim)
        max_delay = SHORT_DELAY if left else NEXT_INTERVAL
        effects: list[Effect] = [
            Broadcast(
                claim.node, message, local=local, max_delay=max_delay, on_finished=on_finished
            ),
            Applied("dead"),
            NodeLeft(node),
        ]
        if local and not left and not self._faithful:
            effects.append(SendTo(node.address, node.name, message))
        return effects

    def leave(
        self, local: Node, now: float, on_finished: Callable[[], object] | None
    ) -> list[Effect]:
        """Declare the own node left; the only way in which it can be."""
        self._store.leaving = True
        claim = Dead(incarnation=local.incarnation, node=local.name, from_node=local.name)
        return self._declare_dead(local, claim, now, local=True, on_finished=on_finished)

    def expired(self, now: float) -> list[Effect]:
        """Declare dead whose suspicion is over."""
        store = self._store
        effects: list[Effect] = []
        while (due := store.suspicions.pop_due(now)) is not None:
            name, suspicion = due
            if suspicion.degraded:
                effects.append(TimeoutDegraded(name))
            claim = Dead(incarnation=store.nodes[name].incarnation, node=name, from_node=store.name)
            effects += self.on_dead(claim, now, local=True)
        return effects

    # --- incarnations -------------------------------------------------------------------

    def _raise_incarnation(self, node: Node, claim: Suspect | Dead) -> bool:
        """Hold the higher incarnation of an accusation that changes nothing else.

        DIFFERS: Go forgets it, and a claim of life from between the two accusations brings
        back a node that is known to be accused in a later life.
        Test: test_a_life_between_two_accusations_does_not_resurrect.
        """
        if (
            self._faithful
            or node is self._store.local_node
            or claim.incarnation <= node.incarnation
        ):
            return False
        node.update(incarnation=claim.incarnation)
        return True

    def _plausible(self, node: Node, claim: Suspect | Dead) -> bool:
        return self._faithful or plausible_suspect(claim.incarnation, node.incarnation)

    def _implausible(self, node: Node, claim: Suspect | Dead) -> list[Effect]:
        if node is not self._store.local_node:
            return [Refused(node.name, f"implausible incarnation {claim.incarnation}")]
        return [] if self._store.leaving else refute_implausible(node, claim.incarnation)
