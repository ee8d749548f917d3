"""What the rules of Serf want done.

Every effect is frozen and can be applied without waiting.  A rule changes its own state and
returns the effects in the order in which they must be applied; nothing is awaited between the
two, so events are published in the order of the changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from .. import _attrs as attrs
from .._events import MemberEvent, UserEvent
from .._swim.effects import SendTo as SendTo
from .._wire.serf_messages import QueryMessage

QueueName: TypeAlias = Literal["intent", "query", "event"]
"""The three broadcast queues, in the order in which packets are filled from them."""

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]


@attrs.frozen(kw_only=True)
class Broadcast:
    """Gossip ``message``: pass this effect to `BroadcastQueues.add`.

    Args:
      queue: which of the three queues.
      message: the complete encoded message.
      local: it originates here; such messages get a share of every packet.
      on_finished: called once, when it was sent its full number of times, was pruned, or
        was superseded by a newer intent about the same node.
      name, ltime: for intents, the node they are about and their Lamport time.
    """

    queue: QueueName
    message: bytes = attrs.field(repr=lambda message: f"<{len(message)} bytes>")
    local: bool = False
    on_finished: Callable[[], object] | None = attrs.field(default=None, repr=False)
    name: str | None = None
    ltime: int = 0


@attrs.frozen
class Publish:
    """Put the event at the head of the event pipeline."""

    event: MemberEvent | UserEvent


@attrs.frozen
class Deliver:
    """Put a query at the head of the event pipeline.

    Args:
      query: as received.
      deadline: until when an answer is accepted (trio clock, seconds).
    """

    query: QueryMessage
    deadline: float


@attrs.frozen
class NodeForgotten:
    """A member was erased: drop what is cached about it, its coordinate and latency samples.

    Args:
      name: the node.
      removed: whether it was pruned, rather than reaped.
    """

    name: str
    removed: bool = False


@attrs.frozen
class Count:
    """Add to a counter."""

    metric: str
    value: int = 1


@attrs.frozen
class Sample:
    """Add a value to a distribution."""

    metric: str
    value: float


@attrs.frozen
class Log:
    """Log a line, at Go's level."""

    text: str
    level: LogLevel = "warning"


@attrs.frozen
class Drop:
    """A message of a peer was dropped: count it under ``reason``, and log it once in a while."""

    reason: str
    text: str


@attrs.frozen
class Prune:
    """Wait ``broadcast_timeout + leave_propagate_delay``, then call `finish_prune` with this.

    Args:
      name: the member to erase.
      record: which record of that name; a later one is left alone.
    """

    name: str
    record: object = attrs.field(repr=False)


@attrs.frozen
class ResolveConflict:
    """Another node has this node's name: start a conflict query, unless one is under way."""


@attrs.frozen
class ExchangeState:
    """Begin push/pulls with some members soon: they do not know what this node knows."""


Effect: TypeAlias = (
    Broadcast
    | Publish
    | Deliver
    | SendTo
    | NodeForgotten
    | Count
    | Sample
    | Log
    | Drop
    | Prune
    | ResolveConflict
    | ExchangeState
)
