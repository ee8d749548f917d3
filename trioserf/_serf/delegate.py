"""Where the rules of Serf meet the rest: the only place, and it never waits.

`SerfDelegate` is what the membership half calls.  It asks the rules, and applies the effects
they return: to the queues, the event pipeline, the network, the log and the counters.  A
change of state and its event happen without another task in between, so events come in the
order of the changes.

Source: hashicorp/serf v0.9.4, serf/delegate.go, serf/event_delegate.go,
serf/conflict_delegate.go, serf/merge_delegate.go; main, validateMemberInfo.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, assert_never

import trio

from .. import _attrs as attrs
from .._cluster.conflicts import on_conflict
from .._cluster.effects import (
    Broadcast,
    Count,
    Deliver,
    Effect,
    Log,
    NodeForgotten,
    Prune,
    Publish,
    ResolveConflict,
    Sample,
    SendTo,
)
from .._cluster.member_record import check_peer
from .._cluster.push_pull import local_state, merge_remote_state
from .._cluster.responses import forward
from .._events import EventType, Member, MemberEvent
from .._exceptions import LocalProtocolError, MergeRefused, RemoteProtocolError
from .._memberlist.drop_log import DropLog
from .._memberlist.drop_log import Log as NodeLog
from .._memberlist.memberlist import Memberlist
from .._memberlist.metrics import Metrics
from .._wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    QueryMessage,
    QueryResponseMessage,
    SerfMessage,
    SerfMessageType,
    UserEventMessage,
    decode_serf,
)
from .._wire.tags import encode_tags
from ..abc import NodeView
from .coordinates import Coordinates
from .core import Core
from .deadlines import Deadlines
from .pipeline import Head
from .query_tracker import QueryTracker
from .user_events import UserEventSender

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_GONE: Final = frozenset({EventType.MEMBER_FAILED, EventType.MEMBER_LEAVE, EventType.MEMBER_REAP})


@attrs.define(eq=False)
class Partners:
    """What the effects act upon; made after the delegate, which memberlist needs first.

    Args:
      memberlist: sends packets, and gossips.
      pipeline: takes events.
      tracker: takes responses to our queries.
      sender: lets user events wait for room.
      resolve_conflict: starts a vote about our name, unless one is under way.
    """

    memberlist: Memberlist
    pipeline: Head
    tracker: QueryTracker
    sender: UserEventSender
    resolve_conflict: Callable[[], object]


@attrs.define(eq=False, kw_only=True)
class SerfDelegate:
    """`abc.Delegate`, `abc.EventHandler` and `abc.ConflictHandler` of the membership half.

    Args:
      core: the rules.
      coordinates: forgets members that are reaped.
      deadlines: ends the waits of pruned members.
      metrics, bad_input, log: where it is noted.

    Attributes:
      drop_type: for tests: whether to ignore inbound messages of a type.
    """

    core: Core
    coordinates: Coordinates
    deadlines: Deadlines
    metrics: Metrics
    drop_log: DropLog
    log: NodeLog
    drop_type: Callable[[int], bool] | None = attrs.field(default=None, init=False)
    _partners: Partners | None = attrs.field(default=None, init=False)

    def connect(self, partners: Partners) -> None:
        """Complete the delegate; before memberlist announces the own node."""
        self._partners = partners

    @property
    def _to(self) -> Partners:
        assert self._partners is not None, "nothing is applied before the node is assembled"
        return self._partners

    # --- effects

    def apply_effects(self, effects: Iterable[Effect]) -> None:
        """Apply what a rule has just returned, in order."""
        for effect in effects:
            self._apply(effect)

    def _apply(self, effect: Effect) -> None:
        match effect:
            case Broadcast():
                self.core.broadcasts.add(effect)
                self._to.memberlist.wake_gossip()
            case Publish(event=event):
                self._to.pipeline.put(event)
                if isinstance(event, MemberEvent) and event.type in _GONE:
                    self._members_gone(event)
            case Deliver():
                self._to.pipeline.put(effect)
            case SendTo():
                self._reply(effect)
            case Count(metric=metric, value=value):
                self.metrics.count(metric, value)
            case Sample(metric=metric, value=value):
                self.metrics.sample(metric, value)
            case Log(text=text, level=level):
                self.log.log(_LEVELS[level], "%s", text)
            case NodeForgotten(name=name, removed=removed):
                self.coordinates.forget(name)
                if removed:
                    self._to.memberlist.forget(name)
            case Prune():
                self._prune(effect)
            case ResolveConflict():
                self._to.resolve_conflict()
            case _:
                assert_never(effect)

    def _members_gone(self, event: MemberEvent) -> None:
        self._to.tracker.members_gone(member.name for member in event.members)
        if event.type is EventType.MEMBER_LEAVE:
            # By itself, or because somebody removed it: nobody shall look for it.
            for member in event.members:
                self._to.memberlist.forget(member.name)
        self._to.sender.release()

    def _reply(self, reply: SendTo) -> None:
        """Send at once: a packet costs less than handing it to another task would."""
        try:
            self.send(reply)
        except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError) as error:
            self.log.error("failed to send to %s at %s: %s", reply.name, reply.address, error)

    def send(self, reply: SendTo) -> None:
        """Send one packet.  Raises as ``Memberlist.send_to_address``."""
        self._to.memberlist.send_to_address(reply.address, reply.name, reply.message)

    def _prune(self, prune: Prune) -> None:
        config = self.core.config
        due = trio.current_time() + config.broadcast_timeout + config.leave_propagate_delay
        self.deadlines.call_at(due, partial(self._finish_prune, prune))

    def _finish_prune(self, prune: Prune) -> None:
        self.apply_effects(self.core.members.finish_prune(prune))

    # --- abc.Delegate

    def node_meta(self, limit: int) -> bytes:
        """The own tags, encoded; `SerfDelegate` checked their size when they were set."""
        meta = encode_tags(self.core.tags, self.core.config.protocol_version)
        assert len(meta) <= limit, "tags are checked before they are put in force"
        return meta

    def notify_message(self, message: bytes) -> None:
        """A Serf message arrived, by gossip or directly."""
        if not message:
            return
        self.metrics.sample("serf.msgs.received", len(message))
        if self.drop_type is not None and self.drop_type(message[0]):
            return
        try:
            if message[0] == SerfMessageType.RELAY:
                self._reply(forward(message))
            else:
                self._on_message(decode_serf(message), message)
        except RemoteProtocolError as error:
            self.drop_log("serf", "gossip", error)

    def _on_message(self, msg: SerfMessage, raw: bytes) -> None:
        """Process a message; what is news is passed on, byte for byte as it came."""
        core, now = self.core, trio.current_time()
        match msg:
            case LeaveIntent():
                again, effects = core.members.on_leave_intent(msg, now, serf_state=core.state)
                queue = Broadcast(queue="intent", message=raw, name=msg.node, ltime=msg.ltime)
            case JoinIntent():
                again, effects = core.members.on_join_intent(msg, now)
                queue = Broadcast(queue="intent", message=raw, name=msg.node, ltime=msg.ltime)
            case UserEventMessage():
                again, effects = core.events.on_user_event(msg)
                queue = Broadcast(queue="event", message=raw)
            case QueryMessage():
                again, effects = core.queries.on_query(
                    msg, now, rng=core.rng, tags=core.tags, members=core.members.members()
                )
                queue = Broadcast(queue="query", message=raw)
            case QueryResponseMessage():
                self._to.tracker.on_response(msg)
                return
            case _:
                assert_never(msg)
        self.apply_effects(effects)
        if again:
            self._apply(queue)

    def get_broadcasts(self, overhead: int, limit: int) -> list[bytes]:
        """What to gossip: intents, then queries, then user events."""
        if not len(self.core.broadcasts):
            return []
        messages = self.core.broadcasts.take(overhead, limit)
        for message in messages:
            self.metrics.sample("serf.msgs.sent", len(message))
        self._to.sender.release()
        return messages

    def local_state(self, join: bool) -> bytes:
        """Serf's part of a state exchange."""
        core = self.core
        return local_state(core.members, core.events, core.queries)

    def merge_remote_state(self, state: bytes, join: bool) -> None:
        """Serf's part of what a peer told."""
        core = self.core
        if self.drop_type is not None and self.drop_type(SerfMessageType.PUSH_PULL):
            return
        try:
            effects = merge_remote_state(
                state,
                now=trio.current_time(),
                serf_state=core.state,
                ignore_old=join and core.ignore_old_events,
                members=core.members,
                events=core.events,
                queries=core.queries,
            )
        except RemoteProtocolError as error:
            self.drop_log("push/pull", "a peer", error)
            return
        self.apply_effects(effects)

    # --- abc.EventHandler

    def notify_join(self, node: NodeView) -> None:
        """A node is alive."""
        if self.drop_type is not None and self.drop_type(SerfMessageType.JOIN):
            return
        self.apply_effects(self.core.members.on_node_join(node, trio.current_time()))

    def notify_leave(self, node: NodeView) -> None:
        """A node is dead or has left."""
        self.apply_effects(self.core.members.on_node_leave(node, trio.current_time()))

    def notify_update(self, node: NodeView) -> None:
        """A node changed its metadata."""
        self.apply_effects(self.core.members.on_node_update(node, trio.current_time()))

    # --- abc.ConflictHandler

    def notify_conflict(self, existing: NodeView, other: NodeView) -> None:
        """A second address claims a known name."""
        config = self.core.config
        resolve = config.enable_name_conflict_resolution
        self.apply_effects(on_conflict(existing, other, local_name=self.core.name, resolve=resolve))


@attrs.define(eq=False, kw_only=True)
class MergeCheck:
    """Asks the user's callback; `abc.MergeHandler` and `abc.AliveHandler`.

    Args:
      merge: the callback.
      validate_names: whether names must pass `check_node_name`.
      log: told of a callback that crashes; that refuses, too.
    """

    merge: Callable[[Sequence[Member]], object]
    validate_names: bool
    log: NodeLog

    def notify_merge(self, nodes: Sequence[NodeView]) -> None:
        """A peer joins and brings these nodes.  Raises `MergeRefused` to refuse all."""
        self._ask(tuple(check_peer(node, validate_name=self.validate_names) for node in nodes))

    def notify_alive(self, node: NodeView) -> None:
        """A node says that it is alive.  Raises `MergeRefused` to ignore that."""
        self._ask((check_peer(node, validate_name=self.validate_names),))

    def _ask(self, members: tuple[Member, ...]) -> None:
        try:
            self.merge(members)
        except MergeRefused:
            raise
        except Exception as error:
            self.log.exception("the merge callback crashed, which refuses the merge")
            raise MergeRefused(f"merge callback crashed: {error!r}") from error
