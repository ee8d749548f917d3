"""The members of the cluster, and what moves each of them from one status to another.

Memberlist detects whether a member is up; intents, spread by gossip and push/pull, announce
that a node joins or leaves.  Only memberlist brings a member up or down; the newest intent
decides whether going down is a leave or a failure::

    from     memberlist join  memberlist leave  newer leave intent     newer join intent
    absent   alive+join (*)   -                 stored                 stored
    alive    alive+join       failed+failed     leaving                alive
    leaving  alive+join       left+leave        leaving                alive
    left     alive+join       warning           left                   left
    failed   alive+join       warning           left+leave             failed

``+x`` is a published event; (*) leaving instead if a leave intent is stored for the name.
An intent is newer if its Lamport time is above that of the last one about the member; a stale
one changes nothing and is not rebroadcast, which is what ends its gossip.

A member that failed or left stays in the list (left: a tombstone) until it is reaped or pruned.
Which are reaped, and what is stored of intents about names that are absent, is in `member_record`.

Source: hashicorp/serf v0.9.4, serf/serf.go, handleNodeJoin, handleNodeLeave,
handleNodeUpdate, handleNodeJoinIntent, handleNodeLeaveIntent, handlePrune, eraseNode, reap,
broadcastJoin, forceLeave.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv4Address

from .. import _attrs as attrs
from .._config import Config
from .._events import EventType, Member, MemberEvent, MemberStatus, SerfState
from .._swim.nodes import NAME_LIMIT
from .._wire.serf_messages import JoinIntent, LeaveIntent, encode_serf
from ..abc import NodeView
from .effects import Broadcast, Count, Drop, Effect, Log, NodeForgotten, Prune, Publish, SendTo
from .intents import RecentIntents
from .lamport import LIMIT, REFUSED, LamportClock
from .member_record import Record, SortedMembers, member_address, member_of, overdue, too_many


class MemberRegistry:
    """Every known member, whatever its status; owner of the member clock.

    Args:
      config: settings of the node.
      clock: the member clock; a new one that reads 0 if not given.

    Attributes:
      clock: the member clock.
      faithful: whether to do as Go does where it has a bug.
      intents: intents about names that are not members yet.
      count: gives the number of known members of any status.
      watchers: called after every change of the list of members.
      intents_applied: intents that moved the time of a member.
    """

    def __init__(self, config: Config, *, clock: LamportClock | None = None) -> None:
        self.clock: LamportClock = clock or LamportClock()
        self.clock.faithful = config.memberlist.faithful_go
        self.intents: RecentIntents = RecentIntents(config.memberlist.faithful_go)
        self._local_name = config.node_name
        self._announced = 0
        """Time of the newest join intent that this node made about itself."""
        self._config = config
        self.faithful: bool = config.memberlist.faithful_go
        self._records: dict[str, Record] = {}
        self.count: Callable[[], int] = self._records.__len__
        self._failed: dict[str, Record] = {}
        self._left: dict[str, Record] = {}
        self._leaving: dict[str, bool] = {}
        """Names of the members that are leaving, and whether they were at the last `reap`."""
        self._local = Member(name=config.node_name, addr=IPv4Address(0), port=0, tags=config.tags)
        self._sorted = SortedMembers()
        self.watchers: list[Callable[[], object]] = self._sorted.watchers
        self.intents_applied: int = 0

    # --- reads

    def members(self) -> tuple[Member, ...]:
        """All members ordered by name: an immutable snapshot, the same object until a change.

        May be called from any thread.
        """
        return self._sorted.snapshot()

    def get(self, name: str) -> Member | None:
        """The member of that name."""
        record = self._records.get(name)
        return None if record is None else record.member

    def status_ltime(self, name: str) -> int:
        """The Lamport time of the newest intent about a member; 0 if unknown."""
        record = self._records.get(name)
        return 0 if record is None else record.status_ltime

    def status_ltimes(self) -> dict[str, int]:
        """`status_ltime` of every member, for a push/pull."""
        return {name: record.status_ltime for name, record in self._records.items()}

    @property
    def version(self) -> object:
        """What is equal as long as a push/pull would say the same of the members."""
        return self.clock.time, self.intents_applied, self._sorted.version

    def failed(self) -> tuple[Member, ...]:
        """Members that failed and are not yet reaped."""
        return tuple(record.member for record in self._failed.values())

    def failed_and_reached(self) -> tuple[Member, ...]:
        """Those of them of which this node had an answer before."""
        return tuple(record.member for record in self._failed.values() if record.reached)

    def left_names(self) -> list[str]:
        """Names of the members that left and are not yet reaped, for a push/pull."""
        return list(self._left)

    @property
    def num_members(self) -> int:
        """Known members of any status."""
        return len(self._records)

    @property
    def num_failed(self) -> int:
        """How many of them failed."""
        return len(self._failed)

    @property
    def num_left(self) -> int:
        """How many of them left."""
        return len(self._left)

    @property
    def local_member(self) -> Member:
        """This node: as last known, also after it was reaped or before it joined.

        DIFFERS: Go crashes there (test_the_local_member_outlives_its_reaping).
        """
        record = self._records.get(self._local_name)
        return self._local if record is None else record.member

    def others_alive(self) -> bool:
        """Whether any member but this node is alive."""
        local = self._records.get(self._local_name)
        here = local is not None and local.member.status is MemberStatus.ALIVE
        return self._sorted.alive > here

    # --- what memberlist notifies

    def on_node_join(self, node: NodeView, now: float) -> list[Effect]:
        """Memberlist: a node is alive.

        DIFFERS: a stored intent is used once.  In Go it stays for its five minutes, so a node
        that is erased and comes back within them appears as leaving
        (test_a_stored_intent_is_used_once).
        """
        effects: list[Effect] = []
        status, ltime = MemberStatus.ALIVE, 0
        record = self._records.get(node.name)
        if record is None:
            intent = self.intents.get(node.name)
            if intent is not None:
                ltime = intent.ltime
                if intent.kind == "leave":
                    status = MemberStatus.LEAVING
                if not self.faithful:
                    self.intents.drop(node.name)
        elif record.member.status is MemberStatus.FAILED:
            assert record.leave_time is not None, "a failed record has a leave time"
            if now - record.leave_time < self._config.flap_timeout:
                effects.append(Count("serf.member.flap"))
        member, broken = member_of(node, status)
        if broken:
            effects.append(_broken_tags(node.name))
        if record is None:
            record = self._records[node.name] = Record(member, ltime)
        else:
            record.leave_time = None
            self._failed.pop(node.name, None)
            self._left.pop(node.name, None)
        self._set_member(record, member)
        event = MemberEvent(EventType.MEMBER_JOIN, (member,))
        effects += (Count("serf.member.join"), Publish(event))
        if status is MemberStatus.LEAVING and not self.faithful:
            effects.append(send_leave_intent(member, ltime))
        return effects

    def on_node_leave(self, node: NodeView, now: float) -> list[Effect]:
        """Memberlist: a node is dead or left; which of them, the intents decide."""
        record = self._records.get(node.name)
        if record is None:
            return []
        if record.member.status is MemberStatus.LEAVING:
            status, kind, departed = MemberStatus.LEFT, EventType.MEMBER_LEAVE, self._left
        elif record.member.status is MemberStatus.ALIVE:
            status, kind, departed = MemberStatus.FAILED, EventType.MEMBER_FAILED, self._failed
        else:
            return [Log(f"Bad state when leave: {record.member.status} ({node.name})")]
        record.leave_time, record.reached = now, node.reached
        departed[node.name] = record
        self._set_status(record, status)
        effects: list[Effect] = [Count(f"serf.member.{status}")]
        effects.append(Publish(MemberEvent(kind, (record.member,))))
        if record.prune_due:
            effects += self.erase(node.name, removed=True)
        return effects

    def on_node_update(self, node: NodeView, now: float) -> list[Effect]:
        """Memberlist: a node changed its metadata.

        DIFFERS: no event if the member looks the same as before, for example when the same
        tags are encoded in another order (test_an_update_that_changes_nothing_is_no_event).
        """
        record = self._records.get(node.name)
        if record is None:
            return []
        effects: list[Effect] = []
        member, broken = member_of(node, record.member.status)
        if broken:
            effects.append(_broken_tags(node.name))
        if member != record.member or self.faithful:
            record.member = member
            self._sorted.put(member)
            event = MemberEvent(EventType.MEMBER_UPDATE, (member,))
            effects += (Count("serf.member.update"), Publish(event))
        return effects

    # --- intents

    def on_join_intent(
        self, msg: JoinIntent, now: float, *, local: bool = False, private: bool = False
    ) -> tuple[bool, list[Effect]]:
        """A join intent arrived, or is made by this node (``local``).

        Args:
          private: this node does not pass it on.

        Returns whether to rebroadcast it, and the effects.
        """
        if not (local or self._may_take(msg, now, private)):
            return False, [Drop("intents", f"about {msg.node!r}, who is no member")]
        jumped = self._observe(msg.ltime, now, local)
        if jumped is None:
            return False, [*REFUSED]
        record = self._records.get(msg.node)
        if record is None:
            return self.intents.upsert(msg.node, "join", msg.ltime, now), [*jumped]
        if msg.ltime <= record.status_ltime:
            return False, []
        record.status_ltime = msg.ltime
        self.intents_applied += 1
        if record.member.status is MemberStatus.LEAVING:
            self._set_status(record, MemberStatus.ALIVE)
        record.prune_due = False
        return True, [*jumped]

    def _may_take(self, msg: JoinIntent | LeaveIntent, now: float, private: bool) -> bool:
        """Whether an intent is taken: one of gossip beyond the limit is as if it never came.

        DIFFERS: in Go such an intent may have a name of any length, and is kept
        (test_an_intent_about_an_impossible_name_is_not_kept).
        """
        if msg.node in self._records:
            return True
        if len(msg.node) > NAME_LIMIT and not self.faithful:
            return False
        if private or not self.intents.is_newer(msg.node, msg.ltime):
            return True
        return self.intents.take_unknown(now)

    def _observe(self, ltime: int, now: float, local: bool) -> tuple[Effect, ...] | None:
        """Observe the time of an intent; one that this node made is always accepted."""
        if local and ltime > self.clock.time:
            return ()  # see `_next_time`
        return self.clock.observe(ltime, now)

    def _next_time(self, name: str) -> int:
        """A time for a new intent about a member.

        The clock is past all times that were accepted, but for those of forged messages that
        would have moved it too far.
        """
        record = self._records.get(name)
        if record is None or self.faithful:
            return self.clock.time
        return max(self.clock.time, min(record.status_ltime + 1, LIMIT - 1))

    def merge_join_intents(
        self, ltimes: Mapping[str, int], left: Collection[str], now: float
    ) -> list[Effect]:
        """Take the times of a peer's members, but for those that ``left``, as join intents.

        Entries that are not newer change nothing, not even the clock; in Go the clock sees them,
        which shows when it has wrapped.
        """
        effects: list[Effect] = []
        get = self._records.get
        for name, ltime in ltimes.items():
            record = get(name)
            newer = record is None or ltime > record.status_ltime
            if (newer or self.faithful) and name not in left:
                effects += self.on_join_intent(JoinIntent(ltime, name), now, private=True)[1]
        return effects

    def on_leave_intent(
        self,
        msg: LeaveIntent,
        now: float,
        *,
        serf_state: SerfState,
        local: bool = False,
        private: bool = False,
    ) -> tuple[bool, list[Effect]]:
        """A leave intent arrived, or is made by this node (``local``).

        Args:
          private: this node does not pass it on.

        Returns whether to rebroadcast it, and the effects.

        One about this node while it is alive is refuted: the effects have the join intent.

        DIFFERS: so is one as new as the local join, whose time a peer derived
        (test_a_leave_as_new_as_the_local_join_is_refuted).
        """
        if not (local or self._may_take(msg, now, private)):
            return False, [Drop("intents", f"about {msg.node!r}, who is no member")]
        jumped = self._observe(msg.ltime, now, local)
        if jumped is None:
            return False, [*REFUSED]
        record = self._records.get(msg.node)
        if record is None:
            return self.intents.upsert(msg.node, "leave", msg.ltime, now), [*jumped]
        is_newer = msg.ltime > record.status_ltime
        if msg.node == self._local_name and serf_state is SerfState.ALIVE:
            is_tie = msg.ltime == record.status_ltime and not self.faithful
            refutes = is_newer or is_tie
            refutation = self.join_intent(now, refuted=msg.ltime) if refutes else []
            return False, [*jumped, *refutation]
        if not is_newer:
            return False, []
        # Also when the status stays as it is: otherwise two leaves about one member would
        # each be newer in turn, and be rebroadcast for ever.
        record.status_ltime = msg.ltime
        self.intents_applied += 1
        effects: list[Effect] = [*jumped]
        match record.member.status:
            case MemberStatus.ALIVE:
                self._set_status(record, MemberStatus.LEAVING)
            case MemberStatus.FAILED:
                # The time of leaving stays the time of the failure.
                self._left[msg.node] = self._failed.pop(msg.node)
                self._set_status(record, MemberStatus.LEFT)
                event = MemberEvent(EventType.MEMBER_LEAVE, (record.member,))
                effects.append(Publish(event))
            case _:
                pass
        if msg.prune:
            effects += self._prune(record)
        return True, effects

    def join_intent(self, now: float, *, refuted: int = 0) -> list[Effect]:
        """Announce this node: after a join, and to refute a leave, with its time."""
        ltime = self._next_time(self._local_name)
        if not self.faithful:
            ltime = max(ltime, min(refuted + 1, LIMIT - 1))
        msg = JoinIntent(ltime, self._local_name)
        self.on_join_intent(msg, now, local=True)
        self._announced = msg.ltime
        return [_broadcast(msg)]

    def outdo_forged_intents(self, now: float) -> list[Effect]:
        """Announce this node again if there is an intent about it that it did not make.

        Somebody may have forged a leave with that time, and this node may have refused it, while
        others list it as leaving.

        DIFFERS: Go answers leave intents alone
        (test_an_intent_that_this_node_did_not_make_is_outdone).
        """
        if self.faithful or self.status_ltime(self._local_name) <= self._announced:
            return []
        return self.join_intent(now)

    def leave_intent(
        self,
        name: str,
        now: float,
        *,
        serf_state: SerfState,
        prune: bool = False,
        on_finished: Callable[[], object] | None = None,
    ) -> tuple[bool, list[Effect]]:
        """Announce that ``name`` leaves: this node, or a failed one that is removed.

        Returns whether another member is alive, so that the announcement was queued and
        ``on_finished`` will be called; and the effects.

        DIFFERS: Go looks for others only after it marked the member, so with two nodes an
        alive one that is removed never receives it, cannot refute, and stays leaving for ever
        (test_an_alive_node_that_is_removed_by_its_only_peer_is_notified).
        """
        msg = LeaveIntent(self._next_time(name), name, prune)
        others = self.others_alive()
        # Processing the intent here moves the clock past it.
        _, effects = self.on_leave_intent(msg, now, serf_state=serf_state, local=True)
        if not others:
            return False, effects
        effects.append(_broadcast(msg, on_finished))
        return True, effects

    # --- pruning and reaping

    def _prune(self, record: Record) -> list[Effect]:
        """Erase a member that left; one that is leaving gets time to do so first.

        DIFFERS: Go waits while it has its member lock, so the whole node stalls, and then drops
        the member even if it refuted meanwhile
        (test_pruning_a_leaving_member_that_refutes_keeps_it).
        """
        if record.member.status is not MemberStatus.LEAVING:
            return self.erase(record.member.name, removed=True)
        if record.pruning:
            return []
        record.pruning = True
        return [Prune(record.member.name, record)]

    def finish_prune(self, prune: Prune) -> list[Effect]:
        """The wait of a `Prune` is over: erase the record, or as soon as the member is gone.

        DIFFERS: Go erases a member that is still leaving, which memberlist lists as alive: if it
        never received the leave, or refuses it, it is missing here until it restarts
        (test_pruning_a_member_that_stays_waits_until_it_is_gone).
        """
        record = self._records.get(prune.name)
        if record is None or record is not prune.record:
            return []
        record.pruning = False
        leaving = record.member.status is MemberStatus.LEAVING
        if record.member.status is MemberStatus.LEFT or (leaving and self.faithful):
            return self.erase(prune.name, removed=True)
        record.prune_due = leaving
        return []

    def reap(self, now: float) -> list[Effect]:
        """Erase members that were gone for too long, those beyond what is kept of members that
        this node never reached, and old intents; remind those that are said to leave.  Every
        ``reap_interval``.
        """
        config = self._config
        override = config.reconnect_timeout_override
        gone = overdue(self._failed.values(), now, config.reconnect_timeout, override)
        gone += overdue(self._left.values(), now, config.tombstone_timeout, override)
        effects = self._erase_all(gone)
        if not self.faithful:
            rest = [*self._failed.values(), *self._left.values()]
            effects += self._erase_all(too_many(rest, self._sorted.alive))
        self.intents.expire(now, config.recent_intent_timeout)
        return effects if self.faithful else effects + self._remind_leaving()

    def _erase_all(self, records: Iterable[Record]) -> list[Effect]:
        effects: list[Effect] = []
        for record in records:
            effects.append(
                Log(f"EventMemberReap: {record.member.name} {record.member.addr}", "info")
            )
            effects += self.erase(record.member.name)
        return effects

    def _remind_leaving(self) -> list[Effect]:
        """Send the leave intent to each member that stays, though it is said to leave.

        One that leaves is gone within seconds.  What if it never announced that, and its join
        intent has the same time as the forged leave?  Then both lists have the same times, and
        no push/pull says who is right.

        DIFFERS: in Go such a member is leaving for ever
        (test_a_member_that_stays_is_reminded_that_it_leaves).
        """
        effects: list[Effect] = []
        for name, before in self._leaving.items():
            record = self._records[name]
            if before and name != self._local_name:
                effects.append(send_leave_intent(record.member, record.status_ltime))
            self._leaving[name] = True
        return effects

    def erase(self, name: str, *, removed: bool = False) -> list[Effect]:
        """Erase a member at once, whatever its status; nothing if it is unknown."""
        record = self._records.pop(name, None)
        if record is None:
            return []
        self._failed.pop(name, None)
        self._left.pop(name, None)
        self._leaving.pop(name, None)
        self._sorted.remove(name)
        if name == self._local_name:
            self._local = record.member
        event = MemberEvent(EventType.MEMBER_REAP, (record.member,))
        return [NodeForgotten(name, removed), Publish(event)]

    def _set_status(self, record: Record, status: MemberStatus) -> None:
        self._set_member(record, attrs.evolve(record.member, status=status))

    def _set_member(self, record: Record, member: Member) -> None:
        if member.status is MemberStatus.LEAVING:
            self._leaving.setdefault(member.name, False)
        else:
            self._leaving.pop(member.name, None)
        record.member = member
        self._sorted.put(member)


def _broadcast(
    msg: JoinIntent | LeaveIntent, on_finished: Callable[[], object] | None = None
) -> Broadcast:
    return Broadcast(
        queue="intent",
        message=encode_serf(msg),
        local=True,
        on_finished=on_finished,
        name=msg.node,
        ltime=msg.ltime,
    )


def _broken_tags(name: str) -> Log:
    return Log(f"Failed to decode tags of {name}: kept what could be read", "error")


def send_leave_intent(member: Member, ltime: int) -> SendTo:
    """Send a member the leave intent about itself: one that is alive refutes it."""
    leave = LeaveIntent(ltime, member.name, False)
    return SendTo(member_address(member), member.name, encode_serf(leave))
