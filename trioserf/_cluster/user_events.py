"""User events: each delivered once, in a ring of the newest Lamport times.

The ring has one slot per Lamport time, taken modulo its size; a slot belongs to the time that
used it last and has all events of that time.  An event is stale, and ignored, once the clock
is too far ahead of it: its slot was forgotten, so it is unknown whether the event was delivered
before.

DIFFERS (unless ``faithful_go``): in Go that is one ring, half a second of a busy cluster.  A node
whose processor is busy for so long gets events that are on their way by one of its peers later
than newer ones by another, and loses them.  So `RINGS` are remembered; a push/pull has the newest
time of each slot, as in Go (test_an_event_may_be_some_rings_behind).

The ring is bounded, whatever comes.  Of the oldest events the contents are dropped first, and a
hash is kept, so that a further copy is known as one; they are missing in push/pulls only.  If
there are too many hashes, the lowest Lamport times are forgotten and become stale.  One Lamport
time has room for `MAX_SLOT_EVENTS`; what comes after them is refused, because forgetting any of
them would let it circulate again.

DIFFERS: Go has no bounds, and accepts events of any length.  Some twenty packets then make the
state of a node too long to be sent, so that nobody can join through it
(test_an_event_over_the_hard_limit_of_go_is_refused,
test_a_flood_of_events_leaves_a_ring_of_bounded_size,
test_events_that_lost_their_contents_are_not_delivered_again).

Source: hashicorp/serf v0.9.4, serf/serf.go, UserEvent, handleUserEvent.
"""

from __future__ import annotations

import math
from typing import Final

from .. import _attrs as attrs
from .._config import USER_EVENT_SIZE_LIMIT, Config
from .._events import UserEvent
from .._text import raw_text
from .._wire.codec import encode, pack_value
from .._wire.serf_messages import (
    UserEventMessage,
    UserEventRecord,
    UserEventSlot,
    encode_serf,
)
from .effects import Broadcast, Count, Drop, Effect, ExchangeState, Publish
from .lamport import REFUSED, LamportClock, RecentTimes
from .size_limits import NO_LIMIT, check_user_event

LEAST_BYTES: Final = 1 << 20
"""Room for the contents of events (bytes), unless the settings allow longer ones."""
MAX_BYTES: Final = 8 << 20
"""Room that no settings exceed: the whole state of a node must fit into one push/pull."""
MAX_KEPT: Final = 1 << 13
"""Events whose contents are kept."""
MAX_SLOT_EVENTS: Final = 1 << 12
"""Events of one Lamport time; as many nodes would have to send at the same moment."""
MAX_KNOWN: Final = 1 << 16
"""Events that are known as seen, all together; 8 MB at most."""
RINGS: Final = 4
"""How far behind the clock an event may be that is not stale (rings): two seconds of a thousand
events each.  What is remembered of one takes less than a kilobyte, and contents have `LEAST_BYTES`
all together."""
_NIL: Final = b"\xc0"


@attrs.define(eq=False)
class _Slot:
    """The events of one Lamport time by name and payload, and their encoding once asked for."""

    ltime: int
    events: dict[tuple[str, bytes], UserEventRecord] = attrs.field(factory=dict)
    encoded: bytes | None = None
    size: int = 0
    """Bytes of the events."""
    hashes: set[int] = attrs.field(factory=set)
    """Hashes of the events whose contents were dropped."""

    def public(self) -> UserEventSlot | None:
        """The slot as it is in a push/pull; None if there is no event with its contents."""
        if not self.events:
            return None
        return UserEventSlot(self.ltime, tuple(self.events.values()))

    def as_bytes(self) -> bytes:
        """The slot as it is in a push/pull, encoded; nil for None."""
        if self.encoded is None:
            public = self.public()
            self.encoded = _NIL if public is None else encode(public)
        return self.encoded

    def drop_oldest(self) -> int:
        """Drop the contents of the oldest event; returns its size."""
        key = next(iter(self.events))
        del self.events[key]
        self.hashes.add(hash(key))
        self.encoded = None
        size = _size(*key)
        self.size -= size
        return size


def _size(name: str, payload: bytes) -> int:
    return len(name if name.isascii() else raw_text(name)) + len(payload)


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
        rings = 1 if config.memberlist.faithful_go else RINGS
        self.recent: RecentTimes[_Slot] = RecentTimes(
            self.clock,
            config.event_buffer,
            self._slot_dropped,
            memory=rings * config.event_buffer,
        )
        self._memory = self.recent.memory
        self._config = config
        usual = config.event_buffer * config.user_event_size_limit
        self._room = min(MAX_BYTES, max(LEAST_BYTES, usual))
        self._kept = self._bytes = self._known = 0
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
        if len(raw) > limit or len(raw) > packet_limit:  # encoding makes no event shorter
            check_user_event(name, payload, raw, limit, packet_limit)
        # Processing the event here moves the clock past it.
        _, effects = self.on_user_event(msg)
        effects.append(Broadcast(queue="event", message=raw, local=True))
        return effects

    def on_user_event(
        self, msg: UserEventMessage, now: float = math.inf, *, private: bool = False
    ) -> tuple[bool, list[Effect]]:
        """An event arrived.  Returns whether to rebroadcast it, and the effects.

        Args:
          now: trio clock (seconds); only a time that is far ahead asks for it.
          private: it is not passed on: it fits into no packet, or is part of a peer's state.

        DIFFERS: Go also counts every event under its name, without a bound on the names
        (test_events_are_counted_in_one_counter_whatever_their_name).
        """
        payload = msg.payload or b""
        size = _size(msg.name, payload)
        if size > USER_EVENT_SIZE_LIMIT:
            return False, [Count("trioserf.serf.event_too_long")]
        clock = self.clock
        spread = clock.observe(msg.ltime, now, private=private)
        if spread is None:
            return False, [*REFUSED]
        if msg.ltime < self.min_time:
            return False, []
        forgotten = msg.ltime <= self.recent.floor
        if forgotten or msg.ltime < clock.time - self._memory:  # `RecentTimes.is_old`, inlined
            if forgotten or not clock.is_current(msg.ltime):
                problem = f"received old event {msg.name} of time {msg.ltime} (now {clock.time})"
                return False, [Drop("old_event", problem)]
            spread = (ExchangeState(),)
        key = msg.name, payload
        slot = self.recent.get(msg.ltime)
        if slot is None:
            slot = _Slot(msg.ltime)
            self.recent.put(slot)
        elif key in slot.events or (slot.hashes and hash(key) in slot.hashes):
            return False, []
        elif len(slot.events) + len(slot.hashes) >= MAX_SLOT_EVENTS:
            return False, [Count("trioserf.serf.event_slot_full")]
        if clock.skipped and msg.ltime < clock.time - 1 and not private:
            clock.fill()
        slot.events[key] = UserEventRecord(msg.name, msg.payload or None)  # as Go has it
        slot.size += size
        slot.encoded = self._encoded = None
        self._kept, self._known, self._bytes = self._kept + 1, self._known + 1, self._bytes + size
        if self._bytes > self._room or self._kept > MAX_KEPT or self._known > MAX_KNOWN:
            self._trim()
        event = UserEvent(msg.ltime, msg.name, payload, msg.coalesce)
        return True, [Count("serf.events"), Publish(event), *spread]

    def _trim(self) -> None:
        """Drop the oldest, and some more, so that this is not needed at every event."""
        if self._known > MAX_KNOWN:
            while self._known > MAX_KNOWN * 7 // 8:
                self.recent.drop_lowest(1)
        for slot in sorted(self.recent, key=lambda slot: slot.ltime):
            while slot.events and (
                self._bytes > self._room * 7 // 8 or self._kept > MAX_KEPT * 7 // 8
            ):
                self._bytes -= slot.drop_oldest()
                self._kept -= 1

    def _slot_dropped(self, slot: _Slot) -> None:
        self._kept -= len(slot.events)
        self._known -= len(slot.events) + len(slot.hashes)
        self._bytes -= slot.size

    def slots(self) -> tuple[UserEventSlot | None, ...]:
        """The ring in slot order; None for unused slots."""
        ring = self.recent.in_ring()
        return tuple([None if slot is None else slot.public() for slot in ring])

    def encoded_slots(self, limit: int = MAX_BYTES * 2) -> bytes:
        """The ring as a msgpack list, for a push/pull; cached until an event arrives.

        If it is longer than ``limit`` bytes the slots of the lowest times are left out.
        """
        if self._encoded is None:
            pieces = [_NIL if slot is None else slot.as_bytes() for slot in self.recent.in_ring()]
            self._encoded = self._list_header + b"".join(pieces)
        if len(self._encoded) <= limit:
            return self._encoded
        slots = [slot for slot in self.recent.in_ring() if slot is not None]
        kept: dict[int, bytes] = {}
        room = limit - len(self._list_header) - self._size
        slots.sort(key=lambda slot: slot.ltime)
        while (room := room - len(slots[-1].as_bytes())) >= 0:  # not all of them fit
            slot = slots.pop()
            kept[slot.ltime % self._size] = slot.as_bytes()
        return self._list_header + b"".join([kept.get(at, _NIL) for at in range(self._size)])
