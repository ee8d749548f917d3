"""Refutation: announcing the local node, and letting another node know what to refute.

A suspect or dead message about the local node is refuted with an alive message of a higher
incarnation.  A *stale* alive message comes from a node that may have to refute, and does not
know: a node that restarts counts its incarnations from one again.  For peers that have it as
dead with a higher one, its alive messages are stale; and if the peer that it joined restarted
as well, no peer would let it know.  After a mass restart live nodes stay dead that way for as
long as records are kept.  So the reply to a stale alive message about a dead node is the dead
message, sent to the address in the message: a node that is alive refutes it.

DIFFERS: Go drops the stale message silently.
Test: test_the_reply_to_a_stale_alive_message_about_a_dead_node_is_the_dead_message.

A reply is smaller than the message, goes to an address that the record has or had, and to each
node at most once in a while; and of the nodes that received the message from others only a few
reply, whatever the size of the cluster.

Source: hashicorp/memberlist v0.2.2, state.go, refute.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from .._wire.messages import Alive, Dead, encode_message
from ..abc import Address
from .effects import Broadcast, Effect, MessageKind, Refused, Refuted, SendTo
from .incarnations import successor, wrapped_successor
from .nodes import Incarnation, Node, NodeStatus

REPLIES: Final = 8
"""How many of the nodes that receive a stale message from others reply to it, on average."""


def announce(local: Node, on_finished: Callable[[], object] | None = None) -> Broadcast:
    """Broadcast the local node as it is now.

    DIFFERS: Go queues a refutation under its IP address, so that an older announcement may
    wait beside it; here all messages about a node share its name.
    Test: test_a_refutation_replaces_what_is_queued_about_the_local_node.
    """
    alive = Alive(
        incarnation=local.incarnation,
        node=local.name,
        addr=local.addr,
        port=local.port,
        meta=local.meta,
        versions=local.versions,
    )
    return Broadcast(local.name, encode_message(alive), local=True, on_finished=on_finished)


def refute(
    local: Node,
    refuted: Incarnation,
    *,
    faithful: bool,
    kind: MessageKind = "alive",
    by: str = "",
) -> list[Effect]:
    """Refute a message about the local node.

    Args:
      refuted: incarnation of the message; plausible.
      faithful: wrap at the end of the range as Go does.
      kind, by: what message it was, and who suspects the node or declared it dead.
    """
    following = wrapped_successor if faithful else successor
    local.update(incarnation=following(local.incarnation, refuted))
    return [Refuted(local.incarnation, kind, by), announce(local)]


def refute_implausible(local: Node, refuted: Incarnation) -> list[Effect]:
    """Refute an implausible message about the local node without following its number.

    The health score stays: a forged number says nothing about the health of this node.
    """
    local.update(incarnation=successor(local.incarnation))
    return [
        Refused(local.name, f"implausible incarnation {refuted} of the local node"),
        announce(local),
    ]


class StaleReplies:
    """Decides which stale alive messages get a reply, and which.

    Args:
      name: the local name, the sender of the dead message.
      interval: least time between two replies to one node (seconds).
      rng: chooses the few.
    """

    def __init__(self, name: str, interval: float, rng: random.Random) -> None:
        self._name = name
        self._interval = interval
        self._rng = rng
        self._replied_at: dict[str, float] = {}

    def reply(
        self,
        node: Node,
        place: Address,
        reached: Incarnation,
        now: float,
        *,
        from_the_node: bool,
        num_nodes: int,
    ) -> SendTo | None:
        """The reply to a stale alive message about a dead or left node, or None.

        Args:
          place: the address in the message.
          reached: the highest incarnation known of it there.
          from_the_node: whether the message came from there.
        """
        last = self._replied_at.get(node.name)
        if last is not None and now - last < self._interval:
            return None
        if not from_the_node and self._rng.random() * num_nodes >= REPLIES:
            return None
        self._replied_at[node.name] = now
        from_node = node.name if node.status is NodeStatus.LEFT else self._name
        dead = Dead(incarnation=max(reached, node.incarnation), node=node.name, from_node=from_node)
        return SendTo(place, node.name, encode_message(dead))

    def forget(self, name: str) -> None:
        """The record is dropped, or the node is alive."""
        self._replied_at.pop(name, None)
