"""User events: each delivered once, in a ring of the newest Lamport times."""

from __future__ import annotations

from .._config import Config
from .._wire.serf_messages import UserEventMessage, UserEventSlot
from .clock import LamportClock
from .effects import Effect


class UserEventLog:
    """The user events seen lately; owner of the event clock.

    Attributes:
      clock: the event clock.
      min_time: events before this Lamport time are ignored (raised by a snapshot, and by a
        join that ignores old events).
    """

    clock: LamportClock
    min_time: int

    def __init__(
        self, config: Config, *, clock: LamportClock | None = None, min_time: int = 0
    ) -> None: ...

    def originate(self, name: str, payload: bytes, *, coalesce: bool) -> list[Effect]:
        """Send an event: it is published here and queued for all others.

        Raises:
          UserEventTooLarge: nothing was changed.
        """
        ...

    def on_user_event(self, msg: UserEventMessage) -> tuple[bool, list[Effect]]:
        """An event arrived.  Returns whether to pass it on, and the effects."""
        ...

    def slots(self) -> tuple[UserEventSlot | None, ...]:
        """The ring in slot order; None for unused slots."""
        ...

    def encoded_slots(self) -> bytes:
        """The ring as a msgpack list, for a state exchange; kept until an event arrives."""
        ...
