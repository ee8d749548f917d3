"""Serf's part of a push/pull: everything that gossip may have missed.

A peer lists the names that left, and for each member the Lamport time of the newest intent
that it knows, of whatever kind.  When the member left is not in the message, so the entry is
taken as a leave intent one above that time: otherwise it would be stale.  This goes wrong for a
member that returns: its join intent may reach a peer before its alive message is applied there,
and then the peer lists it as left, with the time of the *join*.  A node that knows the member
alive would take it for leaving, by an intent newer than any it ever sent; nobody informs the
member, so it never refutes, and stays leaving.

So for a member that is alive here the entry is ignored if the peer knows no newer intent: the
alive message came after it.  Where the entry is applied it may still be wrong, so the leave
intent is also sent to the member itself: if it lives, it refutes with a join intent, as it does
when somebody removes it.  The same is done when a member joins about which such an entry, or a
late intent, was stored before.

DIFFERS: Go does neither.  Tests: test_a_leave_entry_without_a_newer_intent_is_ignored,
test_a_member_that_becomes_leaving_by_an_entry_is_notified,
test_a_member_that_joins_as_leaving_is_notified,
test_a_member_that_returns_is_not_leaving_for_ever.

Source: hashicorp/serf v0.9.4, serf/delegate.go, LocalState, MergeRemoteState.
"""

from __future__ import annotations

from typing import Final

from .._events import MemberStatus, SerfState
from .._wire.limits import MAX_U64
from .._wire.serf_messages import (
    LeaveIntent,
    SerfMessageType,
    UserEventMessage,
    UserEventSlot,
    decode_push_pull,
)
from .._wire.values import pack_value
from .effects import Effect
from .lamport import REFUSED
from .members import MemberRegistry, send_leave_intent
from .queries import QueryLog
from .user_events import UserEventLog

MAX_STATE: Final = 12 << 20
"""Longest local state (bytes), unless the members alone need more; what is sent may have 20 MB,
the records of the nodes included."""
# The keys of Go's messagePushPull in the order of their bytes, behind the header of a map of
# six.  Assembled by hand because the largest part, the ring of events, is cached encoded.
_PREFIX = bytes([SerfMessageType.PUSH_PULL, 0x86])
_EVENT_LTIME, _EVENTS, _LTIME, _LEFT_MEMBERS, _QUERY_LTIME, _STATUS_LTIMES = (
    pack_value(key)
    for key in ("EventLTime", "Events", "LTime", "LeftMembers", "QueryLTime", "StatusLTimes")
)


def local_state(
    members: MemberRegistry, events: UserEventLog, queries: QueryLog, limit: int = MAX_STATE
) -> bytes:
    """The local state, for a peer: as many events as fit into ``limit`` bytes, the newest."""
    before = (_PREFIX, _EVENT_LTIME, pack_value(events.clock.time), _EVENTS)
    after = (
        _LTIME,
        pack_value(members.clock.time),
        _LEFT_MEMBERS,
        pack_value(members.left_names()),
        _QUERY_LTIME,
        pack_value(queries.clock.time),
        _STATUS_LTIMES,
        pack_value(members.status_ltimes()),
    )
    room = limit - sum(map(len, before)) - sum(map(len, after))
    return b"".join((*before, events.encoded_slots(room), *after))


def merge_remote_state(
    state: bytes,
    *,
    now: float,
    serf_state: SerfState,
    ignore_old: bool,
    members: MemberRegistry,
    events: UserEventLog,
    queries: QueryLog,
    first: bool = False,
) -> list[Effect]:
    """Merge the state of a peer; nothing of it is rebroadcast.

    Args:
      ignore_old: the exchange is part of a join that ignores old events.
      first: this node has just started, knows no times, and began the exchange.

    Raises:
      RemoteProtocolError: the state is broken; nothing was changed.
    """
    remote = decode_push_pull(state)
    effects: list[Effect] = []
    plausible = True
    for clock, time in (
        (members.clock, remote.ltime),
        (queries.clock, remote.query_ltime),
        (events.clock, remote.event_ltime),
    ):
        jumped = clock.catch_up(time, now, first=first)
        plausible = jumped is not None
        effects += REFUSED if jumped is None else jumped
    ltimes, left = remote.status_ltimes, remote.left_members
    for name in left:
        effects += on_listed_as_left(
            name, ltimes.get(name, 0), now, serf_state=serf_state, members=members
        )
    effects += members.merge_join_intents(ltimes, frozenset(left), now)
    if serf_state is SerfState.ALIVE:
        effects += members.outdo_forged_intents(now)
    if ignore_old and plausible:
        events.min_time = max(events.min_time, remote.event_ltime)
    for slot in remote.events:
        if slot is not None:
            effects += _merge_slot(slot, events, now)
    return effects


def _merge_slot(slot: UserEventSlot, events: UserEventLog, now: float) -> list[Effect]:
    effects: list[Effect] = []
    for record in slot.events:
        if record is not None:
            msg = UserEventMessage(slot.ltime, record.name, record.payload, False)
            effects += events.on_user_event(msg, now, private=True)[1]
    return effects


def on_listed_as_left(
    name: str,
    ltime: int,
    now: float,
    *,
    serf_state: SerfState,
    members: MemberRegistry,
) -> list[Effect]:
    """A peer lists a member as left.

    Args:
      name: the member.
      ltime: the newest intent about it that the peer knows; 0 for none.
      now: trio clock (seconds).
      serf_state: the state of this node.
      members: changed here.
    """
    member = members.get(name)
    was_alive = member is not None and member.status is MemberStatus.ALIVE
    was_alive = was_alive and name != members.local_member.name
    doubtful = was_alive and not members.faithful
    if doubtful and 0 < ltime <= members.status_ltime(name):
        return []
    after = (ltime + 1) & MAX_U64 if members.faithful else ltime + 1
    leave = LeaveIntent(after, name, False)
    _, effects = members.on_leave_intent(leave, now, serf_state=serf_state)
    member = members.get(name)
    if doubtful and member is not None and member.status is MemberStatus.LEAVING:
        effects.append(send_leave_intent(member, leave.ltime))
    return effects
