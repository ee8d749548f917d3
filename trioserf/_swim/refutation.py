"""Refutation: announcing the local node.

A suspect or dead message about the local node is refuted with an alive message of a higher
incarnation.  So is an alive message about it that does not say what it is now: one of an earlier
run of this node, for example.

Source: hashicorp/memberlist v0.2.2, state.go, refute.
"""

from __future__ import annotations

from collections.abc import Callable

from .._wire.messages import Alive, encode_message
from .effects import Broadcast, Effect, MessageKind, Refused, Refuted
from .incarnations import successor, wrapped_successor
from .nodes import Incarnation, Node


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
