"""The rules for suspect and dead messages, and for suspicions that end.

A suspicion gives its node time to refute.  Suspect messages of other nodes confirm it and make
the time shorter; an alive message with a higher incarnation ends it; when the time is over the
node is declared dead.  A node that declares itself dead has left.

A dead message is sent to its subject at once, and to others at the next gossip interval, for
it may be wrong: a refutation that arrives before takes its place in the queue.  With 30 %
loss, eight simulated nodes declared a node dead 109 times in 80 minutes, and 291 others learnt
of it; with dead messages that went out early it was 133 and 491, by Go's rules 153 and 351.

DIFFERS: in Go the subject learns of it when gossip happens to choose it.
Test: test_a_node_declared_dead_is_sent_the_message_before_others.

Anybody can declare a node dead in its own name, and gossip passes over those that left.  So a few
of the nodes that learn of a leave send it back: a node that did not leave refutes it at once.

DIFFERS: in Go the subject learns of it from the next state exchange.
Test: test_a_few_nodes_send_a_leave_back_to_the_node_that_it_is_about.

Source: hashicorp/memberlist v0.2.2, state.go: suspectNode, deadNode.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from .._config import MemberlistConfig
from .._wire.messages import Dead, Suspect, encode_message
from .effects import (
    NEXT_INTERVAL,
    SHORT_DELAY,
    Applied,
    Broadcast,
    Confirmed,
    Effect,
    NodeLeft,
    Refused,
    SendTo,
    TimeoutDegraded,
)
from .nodes import Incarnation, Node, NodeStatus, NodeStore
from .refutation import SUSPECT_BAND, plausible_suspect, refute, refute_implausible
from .scaling import suspicion_timeout
from .suspicion import Suspicion

RETURNED_LEAVES: Final = 3
"""How many nodes of a cluster send a leave back, on average."""


class SuspectRules:
    """Applies suspect and dead messages, and declares nodes dead whose suspicion ends.

    Args:
      store: the records, changed here.
      config: settings.
      rng: chooses the nodes that send a leave back.
    """

    def __init__(self, store: NodeStore, config: MemberlistConfig, rng: random.Random) -> None:
        self._store = store
        self._config = config
        self._rng = rng
        self._faithful = config.faithful_go

    def on_suspect(self, suspect: Suspect, now: float, *, local: bool = False) -> list[Effect]:
        """Apply a suspect message; ``local`` says that it began here."""
        store = self._store
        node = store.nodes.get(suspect.node)
        if node is None or suspect.incarnation < node.incarnation:
            return []
        if suspect.incarnation >= SUSPECT_BAND and self._is_implausible(suspect, node):
            return self._refuse(node, suspect)
        suspicion = store.suspicions.get(suspect.node)
        if suspicion is not None:
            return self._confirm(node, suspicion, suspect, local)
        if node.status is not NodeStatus.ALIVE:
            self._raise_incarnation(node, suspect)
            return []
        if node is store.local_node:
            return refute(
                node,
                suspect.incarnation,
                faithful=self._faithful,
                kind="suspect",
                by=suspect.from_node,
            )
        node.update(incarnation=suspect.incarnation)
        store.set_status(node, NodeStatus.SUSPECT, now)
        store.suspicions.add(suspect.node, self._begin(suspect.from_node, now))
        applied = Applied("suspect", suspect.node, by=suspect.from_node)
        return [self._broadcast(suspect, local), applied]

    def _broadcast(self, suspect: Suspect, local: bool) -> Broadcast:
        """Broadcast a suspicion at the next gossip interval: nothing depends on it for seconds.

        Under loss most are soon replaced by a newer one, or by a refutation, and were then
        sent in vain.
        """
        return Broadcast(
            suspect.node, encode_message(suspect), local=local, max_delay=NEXT_INTERVAL
        )

    def _begin(self, from_node: str, now: float) -> Suspicion:
        config = self._config
        n = len(self._store.sequence)
        k = config.suspicion_mult - 2
        min_timeout = suspicion_timeout(config.suspicion_mult, n, config.probe_interval)
        return Suspicion(
            from_node=from_node,
            started=now,
            k=0 if n - 2 < k else k,
            min_timeout=min_timeout,
            max_timeout=config.suspicion_max_timeout_mult * min_timeout,
        )

    def _confirm(
        self, node: Node, suspicion: Suspicion, suspect: Suspect, local: bool
    ) -> list[Effect]:
        changed = self._raise_incarnation(node, suspect)
        if suspicion.confirm(suspect.from_node):
            self._store.suspicions.rearm(suspect.node, suspicion)
            return [self._broadcast(suspect, local), Confirmed(suspect.node, suspect.from_node)]
        return [self._broadcast(suspect, local)] if changed else []

    def on_dead(self, dead: Dead, now: float, *, local: bool = False) -> list[Effect]:
        """Apply a dead message; ``local`` says that it began here."""
        store = self._store
        node = store.nodes.get(dead.node)
        if node is None or dead.incarnation < node.incarnation:
            return []
        if dead.incarnation >= SUSPECT_BAND and self._is_implausible(dead, node):
            return self._refuse(node, dead)
        if node.is_gone:
            raised = self._raise_incarnation(node, dead)
            return [Broadcast(dead.node, encode_message(dead), local=local)] if raised else []
        if node is store.local_node:
            return refute(
                node, dead.incarnation, faithful=self._faithful, kind="dead", by=dead.from_node
            )
        return self._apply_dead(node, dead, now, local)

    def _apply_dead(
        self,
        node: Node,
        dead: Dead,
        now: float,
        local: bool,
        on_finished: Callable[[], object] | None = None,
        *,
        why: str = "",
    ) -> list[Effect]:
        left, was = dead.node == dead.from_node, node.status
        self._store.suspicions.drop(dead.node)
        node.update(incarnation=dead.incarnation)
        self._store.set_status(node, NodeStatus.LEFT if left else NodeStatus.DEAD, now)
        message = encode_message(dead)
        max_delay = SHORT_DELAY if left or why else NEXT_INTERVAL
        effects: list[Effect] = [
            Broadcast(
                dead.node, message, local=local, max_delay=max_delay, on_finished=on_finished
            ),
            Applied("dead", dead.node, by=dead.from_node, was=was, why=why),
            NodeLeft(node),
        ]
        informed = self._rng.random() * self._store.live < RETURNED_LEAVES if left else local
        if informed and not self._faithful and node is not self._store.local_node:
            effects.append(SendTo(node.address, node.name, message))
        return effects

    def leave(
        self, local: Node, now: float, on_finished: Callable[[], object] | None
    ) -> list[Effect]:
        """Declare the local node left; the only way in which it can be."""
        self._store.leaving = True
        dead = Dead(local.incarnation, local.name, local.name)
        return self._apply_dead(local, dead, now, True, on_finished)

    def expired(self, now: float) -> list[Effect]:
        """Declare dead every node whose suspicion is over."""
        store = self._store
        effects: list[Effect] = []
        while (due := store.suspicions.pop_due(now)) is not None:
            name, suspicion = due
            if suspicion.degraded:
                effects.append(TimeoutDegraded(name))
            node = store.nodes[name]
            dead = Dead(node.incarnation, name, store.name)
            effects += self._apply_dead(node, dead, now, local=True)
        return effects

    def refused(self, name: str, incarnation: Incarnation, why: str, now: float) -> list[Effect]:
        """Declare a suspect dead at once, if it is still one in this incarnation."""
        node = self._store.nodes.get(name)
        if node is None or node.status is not NodeStatus.SUSPECT or node.incarnation != incarnation:
            return []
        dead = Dead(incarnation, name, self._store.name)
        return self._apply_dead(node, dead, now, local=True, why=why)

    # --- incarnations -------------------------------------------------------------------

    def _raise_incarnation(self, node: Node, message: Suspect | Dead) -> bool:
        """Keep the higher incarnation of a message that changes nothing else.

        DIFFERS: Go ignores it, and an alive message with an incarnation between the two brings
        back a node that is known to be suspected at a later one.
        Test: test_an_alive_message_between_two_suspicions_does_not_resurrect.
        """
        raised = message.incarnation > node.incarnation
        if self._faithful or node is self._store.local_node or not raised:
            return False
        node.update(incarnation=message.incarnation)
        return True

    def _is_implausible(self, message: Suspect | Dead, node: Node) -> bool:
        return not (self._faithful or plausible_suspect(message.incarnation, node.incarnation))

    def _refuse(self, node: Node, message: Suspect | Dead) -> list[Effect]:
        if node is not self._store.local_node:
            return [Refused(node.name, f"implausible incarnation {message.incarnation}")]
        return [] if self._store.leaving else refute_implausible(node, message.incarnation)
