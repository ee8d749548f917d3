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

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final, TypeAlias

from .._events import MemberStatus, SerfState
from .._wire.codec import pack_value
from .._wire.limits import MAX_U64
from .._wire.serf_messages import (
    LeaveIntent,
    PushPull,
    SerfMessageType,
    UserEventMessage,
    UserEventSlot,
    decode_push_pull,
)
from .effects import Effect
from .lamport import REFUSED
from .members import MemberRegistry, send_leave_intent
from .queries import QueryLog
from .user_events import UserEventLog

MAX_STATE: Final = 12 << 20
"""Longest local state (bytes), unless the members alone need more; what is sent may have 20 MB,
the records of the nodes included."""
LEFT_PIECE: Final = 64
"""Names of members that left which are looked at in one piece of a merge."""
INTENTS_PIECE: Final = 512
"""Times of members, most of which are known."""
EVENTS_PIECE: Final = 16
"""Events, each of which may be published to readers."""
MEMBER_SIZE: Final = 160
"""Most bytes of a member whose name has 128 characters, and half of one that left."""
Piece: TypeAlias = Callable[[float, SerfState], list[Effect]]
"""A part of a merge: is given the time and this node's state, and returns effects."""
_MAP_OF_SIX = 0x86


def local_state(
    members: MemberRegistry, events: UserEventLog, queries: QueryLog, limit: int = MAX_STATE
) -> bytes:
    """The local state, for a peer: as many events as fit into ``limit`` bytes, the newest."""
    head, tail = _around_the_ring(*_noted(members, events, queries))
    return head + events.encoded_slots(limit - len(head) - len(tail)) + tail


def state_version(members: MemberRegistry, events: UserEventLog, queries: QueryLog) -> object:
    """What is equal as long as `local_state` is the same."""
    times = events.clock.time, queries.clock.time
    return members.version, *times, events.encoded_slots()


def state_encoder(
    members: MemberRegistry, events: UserEventLog, queries: QueryLog, limit: int = MAX_STATE
) -> Callable[[], bytes]:
    """Note the state of this moment; the function returned encodes it, in whatever thread."""
    before, after = _noted(members, events, queries)
    ring = events.encoded_slots()
    if (
        len(ring) + MEMBER_SIZE * (len(after["StatusLTimes"]) + len(after["LeftMembers"]) + 1)
        > limit
    ):
        # Which events have room can only be said here.
        whole = local_state(members, events, queries, limit)
        return lambda: whole

    def encode() -> bytes:
        head, tail = _around_the_ring(before, after)
        return head + ring + tail

    return encode


def _noted(
    members: MemberRegistry, events: UserEventLog, queries: QueryLog
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of this moment, before and after the ring of events.

    They are the fields of Go's messagePushPull, in the order of their names.  The ring is the
    largest part, and cached in bytes.
    """
    before = {"EventLTime": events.clock.time, "Events": None}
    after = {
        "LTime": members.clock.time,
        "LeftMembers": members.left_names(),
        "QueryLTime": queries.clock.time,
        "StatusLTimes": members.status_ltimes(),
    }
    return before, after


def _around_the_ring(before: dict[str, Any], after: dict[str, Any]) -> tuple[bytes, bytes]:
    head = bytes([SerfMessageType.PUSH_PULL, _MAP_OF_SIX]) + pack_value(before)[1:-1]
    return head, pack_value(after)[1:]


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
    pieces = merge_pieces(
        decode_push_pull(state),
        ignore_old=ignore_old,
        members=members,
        events=events,
        queries=queries,
        first=first,
    )
    return [effect for piece in pieces for effect in piece(now, serf_state)]


def merge_pieces(
    remote: PushPull,
    *,
    ignore_old: bool,
    members: MemberRegistry,
    events: UserEventLog,
    queries: QueryLog,
    first: bool,
) -> Iterator[Piece]:
    """`merge_remote_state` in pieces, each of which takes a millisecond or less.

    They are called in order, each before the next is asked for.  In between anything may
    happen: a piece judges by what it finds.
    """

    def clocks(now: float, _state: SerfState) -> list[Effect]:
        effects: list[Effect] = []
        for clock, time in (
            (members.clock, remote.ltime),
            (queries.clock, remote.query_ltime),
            (events.clock, remote.event_ltime),
        ):
            jumped = clock.catch_up(time, now, first=first)
            effects += REFUSED if jumped is None else jumped
        if ignore_old and jumped is not None:  # the time of events, which is the last one
            events.min_time = max(events.min_time, remote.event_ltime)
        return effects

    def outdo(now: float, state: SerfState) -> list[Effect]:
        return members.outdo_forged_intents(now) if state is SerfState.ALIVE else []

    def all_members(now: float, state: SerfState) -> list[Effect]:
        effects = clocks(now, state)
        effects += _merge_left(left, ltimes, members, now, state)
        effects += _merge_intents(ltimes, gone, members, now, state)
        return effects + outdo(now, state)

    ltimes, left = remote.status_ltimes, remote.left_members
    gone = frozenset(left)
    if len(left) <= LEFT_PIECE // 2 and len(ltimes) <= INTENTS_PIECE // 2:
        yield all_members
    else:
        yield clocks
        for start in range(0, len(left), LEFT_PIECE):
            yield partial(_merge_left, left[start : start + LEFT_PIECE], ltimes, members)
        rest = iter(ltimes.items())
        while some := dict(islice(rest, INTENTS_PIECE)):
            yield partial(_merge_intents, some, gone, members)
        yield outdo
    for slot in remote.events:
        if slot is not None:
            for start in range(0, len(slot.events), EVENTS_PIECE):
                yield partial(_merge_slot, slot, start, events)


def _merge_left(
    names: Iterable[str],
    ltimes: Mapping[str, int],
    members: MemberRegistry,
    now: float,
    state: SerfState,
) -> list[Effect]:
    effects: list[Effect] = []
    for name in names:
        ltime = ltimes.get(name, 0)
        effects += on_listed_as_left(name, ltime, now, serf_state=state, members=members)
    return effects


def _merge_intents(
    ltimes: Mapping[str, int],
    left: frozenset[str],
    members: MemberRegistry,
    now: float,
    _state: SerfState,
) -> list[Effect]:
    return members.merge_join_intents(ltimes, left, now)


def _merge_slot(
    slot: UserEventSlot, start: int, events: UserEventLog, now: float, _state: SerfState
) -> list[Effect]:
    effects: list[Effect] = []
    for record in slot.events[start : start + EVENTS_PIECE]:
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
    _, effects = members.on_leave_intent(leave, now, serf_state=serf_state, private=True)
    member = members.get(name)
    if doubtful and member is not None and member.status is MemberStatus.LEAVING:
        effects.append(send_leave_intent(member, leave.ltime))
    return effects
