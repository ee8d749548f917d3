"""What the rules of membership want done: frozen, and applied without awaiting.

Rules change the table and return a list of these, in the order in which they must be
applied.  ``_memberlist`` applies them: queue, handlers, log, counters, sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from .. import _attrs as attrs
from ..abc import Address
from .nodes import AliveState, Incarnation, Node, NodeStatus

MessageKind: TypeAlias = Literal["alive", "suspect", "dead"]

SHORT_DELAY: Final = 0.1
NEXT_INTERVAL: Final = 1.0
"""Values of `Broadcast.max_delay`."""


@attrs.frozen
class Broadcast:
    """Queue ``message`` under the name of the node that it is about.

    Args:
      key: that name; an older message under it is replaced.
      message: type byte and body.
      local: whether it began here, rather than being passed on.
      max_delay: how long it may wait to share a packet with others, as a share of the gossip
        interval; from 1 on it waits for the next interval.  A join is an alive message, which
        begins at one node, and an intent of Serf, which begins at another one some
        milliseconds later: sent apart, they cost more packets than in Go, where all wait.
      on_finished: called once when it was sent its full number of times, or was replaced.
    """

    key: str
    message: bytes = attrs.field(repr=lambda message: f"<{len(message)} bytes>")
    local: bool = attrs.field(default=False, kw_only=True)
    max_delay: float = attrs.field(default=SHORT_DELAY, kw_only=True)
    on_finished: Callable[[], object] | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class NodeJoined:
    """A node is alive that was unknown, dead or left."""

    node: Node


@attrs.frozen
class NodeUpdated:
    """The metadata of a live node changed, or its address or versions did."""

    node: Node


@attrs.frozen
class NodeLeft:
    """A node is dead (`NodeStatus.DEAD`) or left (`NodeStatus.LEFT`)."""

    node: Node


@attrs.frozen
class Conflict:
    """An alive message has another address than the node of that name; refused.

    Args:
      existing: the record, unchanged.
      other: the node in the message; not in the table.
    """

    existing: Node
    other: Node


@attrs.frozen
class ProbeAddress:
    """An alive message has another address than the node of that name: probe before deciding.

    Ping ``existing.name`` at ``address`` (with the usual ``probe_timeout``) and call
    ``NodeTable.address_probed(probe, answered, now)``.  Until then further alive messages with
    other addresses are ignored for this name.

    Args:
      existing: the record in the table; may have changed when the result is there.
      address: what to probe: where the record was when the message came; for a message with the
        name of the local node, the address in it.
      alive: the message.
    """

    existing: Node
    address: Address
    alive: AliveState


@attrs.frozen
class CheckReached:
    """A node that was never reached seems to be there: ping it.

    An ack is noted in `Node.answered_at`; silence means nothing.
    """

    node: Node


@attrs.frozen
class FormerAddress:
    """Peers know the local node at an address where no node of its name answers: warn, once.

    Args:
      node: the local node.
      address: the one that the message had.
    """

    node: Node
    address: Address


@attrs.frozen
class Refuted:
    """The local node refuted a message about itself: the health score rises by one.

    Args:
      incarnation: that of the local node from now on.
      kind: of the message.
      by: who suspects the local node, or declared it dead.
    """

    incarnation: Incarnation
    kind: MessageKind = "alive"
    by: str = ""


@attrs.frozen
class SendTo:
    """Send ``message`` directly to one node, as one message in one packet.

    Args:
      address: where the node is.
      name: the node.
      message: type byte and body.
    """

    address: Address
    name: str
    message: bytes = attrs.field(repr=lambda message: f"<{len(message)} bytes>")


@attrs.frozen
class Refused:
    """A message was dropped as a whole: count it, and log it.

    Args:
      name: the node that it is about; may be empty.
      reason: in a few words.
      quiet: log for debugging only.
    """

    name: str
    reason: str
    quiet: bool = False


@attrs.frozen
class TurnedAway:
    """Alive messages about unknown names found no room: count them.

    Args:
      count: how many.
    """

    count: int


@attrs.frozen
class Applied:
    """A message changed the table (Go's counters ``memberlist.msg.*``).

    Args:
      kind: of the message.
      name: the node that it is about.
      by: who suspects the node, or declared it dead; the node itself if it left.
      was: the status of the node before.
      why: what a declaration is based on, where it is more than a suspicion that ended.
      moved_from: where the node was before, if the message moved it.
    """

    kind: MessageKind
    name: str
    by: str = attrs.field(default="", kw_only=True)
    was: NodeStatus = attrs.field(default=NodeStatus.ALIVE, kw_only=True)
    why: str = attrs.field(default="", kw_only=True)
    moved_from: Address | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class Confirmed:
    """One more node suspects a suspect.

    Args:
      name: the suspect.
      by: the other node.
    """

    name: str
    by: str


@attrs.frozen
class TimeoutDegraded:
    """A node was declared dead with fewer confirmations than hoped for.

    Go's counter ``memberlist.degraded.timeout``.
    """

    name: str


@attrs.frozen
class NodeDropped:
    """A failed node, not removed, was dropped from the table: a healer may look for it."""

    node: Node


@attrs.frozen
class NodeForgotten:
    """A dead or left node was dropped from the table.

    DIFFERS: what is queued about it is dropped as well; in Go it is still gossiped, and brings
    the node back to peers that have dropped it, too.
    Test: test_what_is_queued_about_a_dropped_node_goes_with_it.

    Args:
      discard: whether to drop what is queued about it.
    """

    name: str
    discard: bool = True


Effect: TypeAlias = (
    Broadcast
    | NodeJoined
    | NodeUpdated
    | NodeLeft
    | Conflict
    | ProbeAddress
    | CheckReached
    | FormerAddress
    | Refuted
    | SendTo
    | Refused
    | TurnedAway
    | Applied
    | Confirmed
    | TimeoutDegraded
    | NodeDropped
    | NodeForgotten
)
