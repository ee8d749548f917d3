"""User events: each delivered once, in a ring of the newest Lamport times.

The ring has one slot per Lamport time, taken modulo its size; a slot belongs to the time that
used it last and has all events of that time.  An event is stale, and ignored, once the clock
is more than a ring ahead of it: its slot could have been reused, so it is unknown whether the
event was delivered before.

Source: hashicorp/serf v0.9.4, serf/serf.go, UserEvent, handleUserEvent.
"""

from __future__ import annotations

import math

from .. import _attrs as attrs
from .._config import Config
from .._events import UserEvent
from .._wire.codec import encode
from .._wire.serf_messages import (
    UserEventMessage,
    UserEventRecord,
    UserEventSlot,
    encode_serf,
)
from .._wire.values import pack_value
from .effects import Broadcast, Count, Effect, ExchangeState, Log, Publish
from .lamport import REFUSED, LamportClock
from .recent_times import RecentTimes
from .size_limits import NO_LIMIT, check_user_event


@attrs.define(eq=False)
class _Slot:
    """The events of one Lamport time by name and payload, and their encoding once asked for."""

    ltime: int
    events: dict[tuple[str, bytes], UserEventRecord] = attrs.field(factory=dict)
    encoded: bytes | None = None

    def public(self) -> UserEventSlot:
        return UserEventSlot(self.ltime, tuple(self.events.values()))


class UserEventLog:
    """The user events seen lately; owner of the event clock.

    Attributes:
      clock: the event clock.
      min_time: events before this Lamport time are ignored (raised by a snapshot, and by a
        join that ignores old events).
      recent: the events by Lamport time.
    """

    def __init__(
        self, config: Config, *, clock: LamportClock | None = None, min_time: int = 0
    ) -> None:
        self.clock: LamportClock = clock or LamportClock()
        self.clock.faithful = config.memberlist.faithful_go
        self.min_time = min_time
        self.recent: RecentTimes[_Slot] = RecentTimes(self.clock, config.event_buffer)
        self._config = config
        self._size = config.event_buffer
        empty = pack_value([None] * self._size)
        self._list_header = empty[: -self._size]
        self._encoded: bytes | None = empty

    def originate(
        self, name: str, payload: bytes, *, coalesce: bool, packet_limit: int = NO_LIMIT
    ) -> list[Effect]:
        """Send an event: it is published here and broadcast.

        Args:
          packet_limit: longest message that a packet of gossip has room for (bytes).

        Raises:
          UserEventTooLarge: nothing was changed.
        """
        msg = UserEventMessage(self.clock.time, name, payload or None, coalesce)
        raw = encode_serf(msg)
        limit = self._config.user_event_size_limit
        if len(raw) > min(limit, packet_limit):  # one that is too long is so encoded, too
            check_user_event(name, payload, raw, limit, packet_limit)
        # Processing the event here moves the clock past it.
        _, effects = self.on_user_event(msg)
        effects.append(Broadcast(queue="event", message=raw, local=True))
        return effects

    def on_user_event(
        self, msg: UserEventMessage, now: float = math.inf
    ) -> tuple[bool, list[Effect]]:
        """An event arrived.  Returns whether to rebroadcast it, and the effects.

        Args:
          now: trio clock (seconds); only a time that is far ahead asks for it.

        DIFFERS: Go also counts every event under its name, without a bound on the names
        (test_events_are_counted_in_one_counter_whatever_their_name).
        """
        clock = self.clock
        spread = clock.observe(msg.ltime, now)
        if spread is None:
            return False, [*REFUSED]
        if msg.ltime < self.min_time or msg.ltime <= self.recent.floor:
            return False, []
        if self.recent.is_old(msg.ltime):
            if not clock.is_current(msg.ltime):
                problem = f"received old event {msg.name} of time {msg.ltime} (now {clock.time})"
                return False, [Log(problem)]
            spread = (ExchangeState(),)
        payload = msg.payload or b""
        slot = self.recent.get(msg.ltime)
        if slot is None:
            slot = _Slot(msg.ltime)
            self.recent.put(slot)
        elif (msg.name, payload) in slot.events:
            return False, []
        slot.events[msg.name, payload] = UserEventRecord(msg.name, msg.payload)
        slot.encoded = self._encoded = None
        event = UserEvent(msg.ltime, msg.name, payload, msg.coalesce)
        return True, [Count("serf.events"), Publish(event), *spread]

    def slots(self) -> tuple[UserEventSlot | None, ...]:
        """The ring in slot order; None for unused slots."""
        ring = self.recent.in_ring()
        return tuple([None if slot is None else slot.public() for slot in ring])

    def encoded_slots(self) -> bytes:
        """The ring as a msgpack list, for a push/pull; cached until an event arrives."""
        if self._encoded is None:
            pieces = [b"\xc0"] * self._size  # nil
            for index, slot in enumerate(self.recent.in_ring()):
                if slot is not None:
                    if slot.encoded is None:
                        slot.encoded = encode(slot.public())
                    pieces[index] = slot.encoded
            self._encoded = self._list_header + b"".join(pieces)
        return self._encoded
