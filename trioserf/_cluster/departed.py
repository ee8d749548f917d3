"""When a peer says in a state exchange that a member left.

A peer lists the names that left, and for each member the Lamport time of the newest intent
that it knows, of whatever kind.  When the member left is not told, so the list is taken as a
leave intent one above that time, to pass as news.  This goes wrong for a member that returns:
its join intent may reach a peer before its claim of life is believed there, and then the peer
lists it as left, with the time of the *join*.  Whoever knows the member alive would take it for
leaving, by an intent newer than any it ever sent; nobody tells the member, and so it stays.

So of a member that is alive here a peer that knows no newer intent is not believed: the claim
of life came after it.  Where a peer is believed it may still be wrong, so the member itself is
told: if it lives, it refutes with a join intent, as it does when somebody removes it.  So it is
when a member turns up here of which such a list, or a late intent, said before that it leaves.

DIFFERS: Go does neither.  Tests: test_a_list_that_knows_nothing_newer_is_not_believed,
test_who_becomes_leaving_by_a_list_is_told, test_who_joins_as_leaving_is_told,
test_a_member_that_returns_is_not_leaving_for_ever.

Source: hashicorp/serf v0.9.4, serf/delegate.go, MergeRemoteState.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._events import Member, MemberStatus, SerfState
from .._wire.serf_messages import LeaveIntent, encode_serf
from .effects import Effect, Reply
from .records import member_address

if TYPE_CHECKING:
    from .members import MemberRegistry

_MASK = (1 << 64) - 1


def on_told_as_left(
    name: str,
    ltime: int,
    now: float,
    *,
    own_state: SerfState,
    members: MemberRegistry,
) -> list[Effect]:
    """A peer lists a member as left; nothing of it is passed on to others.

    Args:
      name: the member.
      ltime: newest intent about it that the peer knows; 0 for none.
      now: trio clock (seconds).
      own_state: of this node.
      members: changed here.
    """
    was_alive = _status(members, name) is MemberStatus.ALIVE and name != members.local_member.name
    doubted = was_alive and not members.faithful
    if doubted and 0 < ltime <= members.status_ltime(name):
        return []
    leave = LeaveIntent((ltime + 1) & _MASK, name, False)
    _, effects = members.on_leave_intent(leave, now, own_state=own_state)
    member = members.get(name)
    if doubted and member is not None and member.status is MemberStatus.LEAVING:
        effects.append(tell_that_it_leaves(member, leave.ltime))
    return effects


def tell_that_it_leaves(member: Member, ltime: int) -> Reply:
    """Tell a member for what it is taken: one that lives refutes."""
    leave = LeaveIntent(ltime, member.name, False)
    return Reply(member_address(member), member.name, encode_serf(leave))


def _status(members: MemberRegistry, name: str) -> MemberStatus | None:
    member = members.get(name)
    return None if member is None else member.status
