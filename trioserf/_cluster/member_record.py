"""One member: its record, how users see it, and all of them in order.

Here it is also decided which records are reaped (`overdue`, `too_many`), and which failed member is
tried again (`choose_reconnect`).

Source: hashicorp/serf v0.9.4, serf/serf.go, memberState, handleNodeJoin, reap, reconnect;
main, serf/merge_delegate.go, nodeToMember,
validateMemberInfo; main, reap (ReconnectTimeoutOverride).
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from .. import _attrs as attrs
from .._config import check_node_name
from .._events import IPAddress, Member, MemberStatus
from .._exceptions import InvalidNodeName, MergeRefused
from .._wire.tags import decode_tags
from ..abc import Address, NodeView
from .size_limits import TAGS_LIMIT


@attrs.define(eq=False)
class Record:
    """What is known about one member.

    Args:
      member: what the user sees; replaced as a whole at every change.
      status_ltime: Lamport time of the newest intent about it.
      leave_time: when it failed or left (seconds); None while it is up.
      reached: whether this node had an answer of it before it failed or left.
      pruning: a wait that will end in erasing it is under way.
      prune_due: that wait is over, and it is erased as soon as it is gone.
    """

    member: Member
    status_ltime: int = 0
    leave_time: float | None = None
    reached: bool = True
    pruning: bool = False
    prune_due: bool = False


@lru_cache(maxsize=4096)
def member_ip(addr: bytes) -> IPAddress:
    """The IP address in 4 or 16 bytes; anything else is shown as 0.0.0.0."""
    if len(addr) == 4:
        return IPv4Address(addr)
    if len(addr) == 16:
        address = IPv6Address(addr)
        return address.ipv4_mapped or address
    return IPv4Address(0)


def member_of(node: NodeView, status: MemberStatus) -> tuple[Member, bool]:
    """``node`` as a member, and whether its metadata is broken (then the tags may lack some).

    Equal nodes give one and the same object.  Members are immutable, and a simulation with a
    thousand nodes in one process would otherwise hold a million of them.
    """
    return _shared_member(node.name, node.addr, node.port, node.meta, node.versions, status)


@lru_cache(maxsize=4096)
def _shared_member(
    name: str, addr: bytes, port: int, meta: bytes, versions: bytes, status: MemberStatus
) -> tuple[Member, bool]:
    tags, broken = decode_tags(meta)
    return Member(name, member_ip(addr), port, tags, status, *versions), broken


def member_address(member: Member) -> Address:
    """Where packets for ``member`` go."""
    return Address(str(member.addr), member.port)


def check_peer(node: NodeView, *, validate_name: bool) -> Member:
    """``node`` as the merge callback sees it: status left if it left, else none.

    Raises:
      MergeRefused: name, address or metadata are impossible.
    """
    if validate_name:
        try:
            check_node_name(node.name)
        except InvalidNodeName as error:
            raise MergeRefused(str(error)) from error
    if len(node.addr) not in (4, 16):
        raise MergeRefused(
            f"IP byte length is invalid: {len(node.addr)} bytes is not either 4 or 16"
        )
    if len(node.meta) > TAGS_LIMIT:
        raise MergeRefused(
            f"Encoded length of tags exceeds limit of {TAGS_LIMIT} bytes: {len(node.meta)} bytes"
        )
    status = MemberStatus.LEFT if node.status == _NODE_LEFT else MemberStatus.NONE
    return member_of(node, status)[0]


_NODE_LEFT = 3


class SortedMembers:
    """The public list of members, ordered by name; each snapshot of it is immutable.

    Changes come from one thread; `snapshot` may be called from any.

    Attributes:
      watchers: called after every change; they must neither wait nor change members.
      alive: how many of them are alive.
      version: how often the members changed.
    """

    def __init__(self) -> None:
        self.watchers: list[Callable[[], object]] = []
        self.alive: int = 0
        # Parallel lists: finding a place needs names alone.
        self._names: list[str] = []
        self._members: list[Member] = []
        self.version: int = 0
        self._snapshot: tuple[int, tuple[Member, ...]] = (0, ())

    def snapshot(self) -> tuple[Member, ...]:
        """All members: the same object until a change."""
        # The version is read before the list and raised after the list changes, so what
        # another thread stores here in between is at worst dropped too early.
        version = self.version
        known, snapshot = self._snapshot
        if known != version:
            snapshot = tuple(self._members)
            self._snapshot = (version, snapshot)
        return snapshot

    def put(self, member: Member) -> None:
        """Add a member, or replace the one of that name."""
        name = member.name
        at = bisect_left(self._names, name)
        self.alive += member.status is MemberStatus.ALIVE
        if at < len(self._names) and self._names[at] == name:
            self.alive -= self._members[at].status is MemberStatus.ALIVE
            self._members[at] = member
        else:
            self._names.insert(at, name)
            self._members.insert(at, member)
        self._changed()

    def remove(self, name: str) -> None:
        """Remove a member that is there."""
        at = bisect_left(self._names, name)
        assert self._names[at] == name, "only members that were put can be removed"
        self.alive -= self._members[at].status is MemberStatus.ALIVE
        del self._names[at]
        del self._members[at]
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        for notify in self.watchers:
            notify()


def overdue(
    records: Iterable[Record],
    now: float,
    timeout: float,
    override: Callable[[Member, float], float] | None = None,
) -> list[Record]:
    """The records that have been gone for more than ``timeout`` seconds; equal stays.

    Args:
      override: asked for the timeout of each member, given the member and ``timeout``.
    """
    gone: list[Record] = []
    for record in records:
        assert record.leave_time is not None, "a failed or left record has a leave time"
        limit = timeout if override is None else override(record.member, timeout)
        if now - record.leave_time > limit:
            gone.append(record)
    return gone


MAX_NEVER_REACHED: Final = 256
"""Members that failed or left and that this node never reached, which are kept beside as many as
there are members alive."""


def too_many(records: Iterable[Record], alive: int) -> list[Record]:
    """The records that are too many, of members that are gone and were never reached: those that
    went first.

    Anybody can make up members, and have them fail: each would be listed, and tried to reconnect
    to, for a day.

    DIFFERS (unless ``faithful_go``): Go keeps them all
    (test_members_that_were_never_reached_are_not_kept_without_bound).
    """
    doubtful = [record for record in records if not record.reached]
    excess = len(doubtful) - MAX_NEVER_REACHED - alive
    if excess <= 0:
        return []
    doubtful.sort(key=lambda record: record.leave_time or 0.0)
    return doubtful[:excess]


def choose_reconnect(
    rng: random.Random,
    *,
    num_members: int,
    failed: Sequence[Member],
    num_left: int,
    reached: Sequence[Member] = (),
) -> Member | None:
    """The failed member to reconnect to in this round, or None to skip the round.

    The chance of a try is the number of failed members over that of the others that are up,
    so that the cluster as a whole tries about each failed member once per round.

    DIFFERS: Go draws among all; made-up ones would keep it from those that were there
    (test_every_other_try_is_of_a_member_that_was_reached).

    Args:
      reached: those of the failed that this node reached once: every other try is of one of
        them.
    """
    if not failed:
        return None
    chance = len(failed) / max(1, num_members - len(failed) - num_left)
    if rng.random() > chance:
        return None
    chosen = failed
    if 0 < len(reached) < len(failed) and rng.random() < 0.5:
        chosen = reached
    return chosen[rng.randrange(len(chosen))]
