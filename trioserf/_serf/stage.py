"""What a stage of the event pipeline is.

The stages are plain objects linked by calls: ``put`` hands an event to the next stage at
once or keeps it, and never waits.  So an event published by a rule is in every reader's
buffer before the rule's caller goes on, and costs no task switch on its way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from .._cluster.effects import Deliver
from .._events import MemberEvent, Query, UserEvent

NodeEvent: TypeAlias = MemberEvent | UserEvent | Query
"""What readers get, marks of gaps apart."""

Occurrence: TypeAlias = MemberEvent | UserEvent | Deliver
"""What the rules publish; a query is not yet in its public form."""


Task: TypeAlias = Callable[..., Awaitable[None]]
"""A long-lived task; `trioserf._serf.tree` starts it."""


class Sink(Protocol):
    """A stage that takes public events."""

    def put(self, event: NodeEvent) -> None: ...

    def close(self) -> None:
        """Pass on what is held, then close the next stage."""


class Head(Protocol):
    """A stage that takes what the rules publish."""

    def put(self, item: Occurrence) -> None: ...

    def close(self) -> None:
        """Pass on what is held, then close the next stage."""
