"""Serf's part of a state exchange: everything that gossip may have missed.

Source: hashicorp/serf v0.9.4, serf/delegate.go, LocalState, MergeRemoteState.
"""

from __future__ import annotations

from .._events import SerfState
from .._wire.codec import pack_value
from .._wire.serf_messages import (
    JoinIntent,
    SerfMessageType,
    UserEventMessage,
    UserEventSlot,
    decode_push_pull,
)
from .clock import LamportClock
from .departed import on_told_as_left
from .effects import Effect
from .members import MemberRegistry
from .queries import QueryLog
from .user_events import UserEventLog

# The keys of Go's messagePushPull in the order of their bytes, behind the header of a map of
# six.  Assembled by hand because the largest part, the ring of events, is kept encoded.
_PREFIX = bytes([SerfMessageType.PUSH_PULL, 0x86])
_EVENT_LTIME, _EVENTS, _LTIME, _LEFT_MEMBERS, _QUERY_LTIME, _STATUS_LTIMES = (
    pack_value(key)
    for key in ("EventLTime", "Events", "LTime", "LeftMembers", "QueryLTime", "StatusLTimes")
)


def local_state(members: MemberRegistry, events: UserEventLog, queries: QueryLog) -> bytes:
    """What to tell a peer."""
    left = [member.name for member in members.left()]
    return b"".join(
        (
            _PREFIX,
            _EVENT_LTIME,
            pack_value(events.clock.time),
            _EVENTS,
            events.encoded_slots(),
            _LTIME,
            pack_value(members.clock.time),
            _LEFT_MEMBERS,
            pack_value(left),
            _QUERY_LTIME,
            pack_value(queries.clock.time),
            _STATUS_LTIMES,
            pack_value(members.status_ltimes()),
        )
    )


def merge_remote_state(
    state: bytes,
    *,
    now: float,
    own_state: SerfState,
    ignore_old: bool,
    members: MemberRegistry,
    events: UserEventLog,
    queries: QueryLog,
) -> list[Effect]:
    """Take in what a peer told; nothing of it is passed on.

    Args:
      ignore_old: the exchange is part of a join that ignores old events.

    Raises:
      RemoteProtocolError: the state is broken; nothing was changed.
    """
    remote = decode_push_pull(state)
    _witness_before(members.clock, remote.ltime)
    _witness_before(events.clock, remote.event_ltime)
    _witness_before(queries.clock, remote.query_ltime)
    effects = _merge_members(
        remote.status_ltimes, remote.left_members, now, own_state=own_state, members=members
    )
    if ignore_old:
        events.min_time = max(events.min_time, remote.event_ltime)
    for slot in remote.events:
        if slot is not None:
            effects += _merge_slot(slot, events)
    return effects


def _witness_before(clock: LamportClock, time: int) -> None:
    """Learn of a peer's clock, whose value the peer itself has not used yet."""
    if time:
        clock.witness(time - 1)


def _merge_members(
    status_ltimes: dict[str, int],
    left_members: tuple[str, ...],
    now: float,
    *,
    own_state: SerfState,
    members: MemberRegistry,
) -> list[Effect]:
    effects: list[Effect] = []
    for name in left_members:
        ltime = status_ltimes.get(name, 0)
        effects += on_told_as_left(name, ltime, now, own_state=own_state, members=members)
    left = frozenset(left_members)
    for name, ltime in members.newer(status_ltimes):
        if name not in left:
            effects += members.on_join_intent(JoinIntent(ltime, name), now)[1]
    return effects


def _merge_slot(slot: UserEventSlot, events: UserEventLog) -> list[Effect]:
    effects: list[Effect] = []
    for record in slot.events:
        if record is not None:
            msg = UserEventMessage(slot.ltime, record.name, record.payload, False)
            effects += events.on_user_event(msg)[1]
    return effects
