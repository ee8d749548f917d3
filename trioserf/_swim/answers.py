"""Telling a node that it is held dead.

A node that restarts counts its incarnations from one again.  Whoever holds it dead with a
higher one takes its claims for old news; and if the peer that it joined restarted as well,
nobody tells it.  After a mass restart live nodes stay dead that way for as long as records
are kept.  So an old claim of life about a dead node is answered with the accusation, directly
to where the node claims to be: if it lives, it outbids it.

DIFFERS: Go drops the claim silently.
Test: test_a_stale_claim_of_life_about_a_dead_node_is_answered_with_the_accusation.

An answer is smaller than the claim, goes to an address that the record has or had, and to
each node at most once in a while; and of those who heard the claim at second hand only a few
answer, whatever the size of the cluster.
"""

from __future__ import annotations

import random
from typing import Final, final

from .._wire.messages import Dead, encode_message
from ..abc import Address
from .effects import SendTo
from .nodes import Incarnation, Node, NodeStatus

ANSWERERS: Final = 8
"""How many of those who hear a stale claim at second hand answer it, on average."""


@final
class StaleAnswers:
    """Decides which stale claims are answered, and with what.

    Args:
      name: the own name, which vouches for the accusation.
      interval: least time between two answers to one node (seconds).
      rng: chooses the few.
    """

    def __init__(self, name: str, interval: float, rng: random.Random) -> None:
        self._name = name
        self._interval = interval
        self._rng = rng
        self._answered_at: dict[str, float] = {}

    def answer(
        self,
        node: Node,
        place: Address,
        reached: Incarnation,
        now: float,
        *,
        from_the_node: bool,
        num_nodes: int,
    ) -> SendTo | None:
        """The answer to a stale claim about a dead or left node, or None.

        Args:
          place: where the node claims to be.
          reached: the highest incarnation known of it there.
          from_the_node: whether the claim came from there.
        """
        last = self._answered_at.get(node.name)
        if last is not None and now - last < self._interval:
            return None
        if not from_the_node and self._rng.random() * num_nodes >= ANSWERERS:
            return None
        self._answered_at[node.name] = now
        from_node = node.name if node.status is NodeStatus.LEFT else self._name
        claim = Dead(
            incarnation=max(reached, node.incarnation), node=node.name, from_node=from_node
        )
        return SendTo(place, node.name, encode_message(claim))

    def forget(self, name: str) -> None:
        """The record is dropped, or the node lives."""
        self._answered_at.pop(name, None)
