"""What memberlist calls in Serf, and where the effects of Serf's rules are applied.

`SerfDelegate` implements the interfaces of `abc`.  It asks the rules in `_cluster`, and applies the
effects they return, here alone and without a wait: to the queues, the event pipeline, the network,
the log and the counters.  A change of state and its event happen without another task in between,
so events come in the order of the changes.

It makes what effects act upon, memberlist included, because these parts and it need each other.
Nothing runs yet when it is made; `trioserf._serf.tree` starts the tasks.

Source: hashicorp/serf v0.9.4, serf/delegate.go, serf/event_delegate.go,
serf/conflict_delegate.go, serf/merge_delegate.go, serf/serf.go, Create; main,
validateMemberInfo.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, assert_never, final

import trio

from .. import _attrs as attrs
from .._cluster.conflicts import on_conflict
from .._cluster.effects import (
    Broadcast,
    Count,
    Deliver,
    Drop,
    Effect,
    ExchangeState,
    Log,
    NodeForgotten,
    Prune,
    Publish,
    QueueName,
    ResolveConflict,
    Sample,
    SendTo,
)
from .._cluster.member_record import check_peer
from .._cluster.push_pull import merge_pieces, state_encoder, state_version
from .._cluster.responses import forward
from .._cluster.size_limits import check_tags
from .._config import (
    PROTOCOL_VERSION_MAP,
    PROTOCOL_VERSION_MAX,
    PROTOCOL_VERSION_MIN,
    Config,
    MemberlistConfig,
)
from .._events import EventType, Member, MemberEvent
from .._exceptions import ConfigError, LocalProtocolError, MergeRefused, RemoteProtocolError
from .._memberlist.deadlines import Deadlines
from .._memberlist.drop_log import DropLog
from .._memberlist.memberlist import Memberlist
from .._memberlist.metrics import Metrics
from .._memberlist.node_log import Log as NodeLog
from .._memberlist.node_log import node_log
from .._net.udp_tcp import NetTransport
from .._wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    PushPull,
    QueryMessage,
    QueryResponseMessage,
    SerfMessage,
    SerfMessageType,
    UserEventMessage,
    decode_push_pull,
    decode_serf,
)
from .._wire.tags import encode_tags
from ..abc import NodeView
from .conflict_resolver import ConflictResolver
from .coordinates import Coordinates
from .core import Core, ignore_old_events
from .fanout import Fanout, Subscription
from .following import Followers
from .internal_queries import InternalQueryStage
from .member_log import MEMBER_LEVELS, log_member_event
from .membership import Membership
from .pipeline import Sink, coalescing_stages
from .query_tracker import QueryTracker
from .snapshotter import Snapshotter
from .user_events import UserEventSender

_REQUESTS: Final = frozenset(
    bytes([kind]) for kind in (SerfMessageType.QUERY, SerfMessageType.RELAY)
)
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_GONE: Final = frozenset({EventType.MEMBER_FAILED, EventType.MEMBER_LEAVE, EventType.MEMBER_REAP})


@final
class SerfDelegate:
    """`abc.Delegate`, `abc.EventHandler` and `abc.ConflictHandler` of the membership half.

    Args:
      config: settings.
      snapshotter: the open snapshot, already replayed; None if there is none.
      random_bytes: source of nonces.

    Raises:
      ConfigError, TagsTooLarge: nothing was started.
    """

    def __init__(
        self,
        config: Config,
        snapshotter: Snapshotter | None,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.snapshotter: Snapshotter | None = snapshotter
        self.log: NodeLog = node_log("serf", config.node_name)
        self.metrics: Metrics = Metrics(config.memberlist.tap, config.metric_labels, self.log)
        self.drop_log: DropLog = DropLog(self.log)
        core = Core.create(config, None if snapshotter is None else snapshotter.state)
        self.core: Core = core
        self.waiting: Callable[[], int] = core.broadcasts.waiting
        """Bytes that wait to be broadcast; of `abc.BulkDelegate`."""
        self.unsent: Callable[[], int] = core.broadcasts.unsent
        """Those of them that are new."""
        self.coordinates: Coordinates = Coordinates(
            core=core, metrics=self.metrics, drop_log=self.drop_log
        )
        self.memberlist: Memberlist = self._make_memberlist(random_bytes)
        self.deadlines: Deadlines = self.memberlist.deadlines
        if self.memberlist.meta_limit < 0:
            size = config.memberlist.udp_buffer_size
            raise ConfigError("udp_buffer_size", size, "room for an alive message of this node")
        check_tags(encode_tags(config.tags, config.protocol_version), self.memberlist.meta_limit)
        if not config.memberlist.faithful_go:
            core.message_limit = lambda: self.memberlist.user_message_limit
        self.fanout: Fanout = Fanout(self.log)
        self.followers: Followers = Followers(core.members)
        self.events: Subscription = self.fanout.add(
            config.event_buffer_size, name="events", optional=True
        )
        self.pipeline: Sink = coalescing_stages(config, self.fanout, self.deadlines)
        self.membership: Membership = Membership(
            core=core,
            memberlist=self.memberlist,
            apply=self.apply_effects,
            snapshotter=snapshotter,
            log=self.log,
        )
        self.user_events: UserEventSender = UserEventSender(core=core, apply=self.apply_effects)
        self.internal: InternalQueryStage = InternalQueryStage(
            core=core,
            memberlist=self.memberlist,
            send=self.send,
            apply=self.apply_effects,
            log=self.log,
            then=self.pipeline,
        )
        self.tracker: QueryTracker = QueryTracker(
            core=core,
            memberlist=self.memberlist,
            deadlines=self.deadlines,
            apply=self.apply_effects,
            log=self.log,
        )
        self.resolver: ConflictResolver = ConflictResolver(
            core=core,
            memberlist=self.memberlist,
            tracker=self.tracker,
            apply=self.apply_effects,
            log=self.log,
        )
        if snapshotter is not None:
            snapshotter.attach(core, self._incarnation)

    def _make_memberlist(self, random_bytes: Callable[[int], bytes]) -> Memberlist:
        config = self.core.config
        settings = memberlist_config(config)
        check = None
        if config.merge is not None:
            check = MergeCheck(
                merge=config.merge, validate_names=config.validate_node_names, log=self.log
            )
        return Memberlist(
            settings,
            transport=settings.transport or NetTransport(settings.bind_addr, settings.bind_port),
            rng=self.core.rng,
            random_bytes=random_bytes,
            delegate=self,
            events=self,
            conflict=self,
            merge=check,
            alive=check,
            ping=self.coordinates if self.coordinates.enabled else None,
        )

    def _incarnation(self) -> int:
        return self.memberlist.local_node.incarnation if self.memberlist.announced else 0

    # --- effects

    def apply_effects(self, effects: Iterable[Effect]) -> None:
        """Apply what a rule has just returned, in order."""
        for effect in effects:
            match effect:
                case Broadcast():
                    self.core.broadcasts.add(effect)
                    self.memberlist.wake_gossip(copies_wait=effect.queue == "event")
                case Publish(event=event):
                    if self.snapshotter is not None:
                        self.snapshotter.note(event)
                    self.pipeline.put(event)
                    if isinstance(event, MemberEvent):
                        level = MEMBER_LEVELS.get(event.type)
                        if level is not None and self.log.isEnabledFor(level):
                            local, notes = self.core.config.node_name, self.memberlist.history.notes
                            log_member_event(self.log, event, local, notes)
                        if event.type in _GONE:
                            self._members_gone(event)
                case Deliver():
                    if self.snapshotter is not None:
                        self.snapshotter.note(effect)
                    self.internal.put(effect)
                case SendTo():
                    self._reply(effect)
                case Count(metric=metric, value=value):
                    self.metrics.count(metric, value)
                case Sample(metric=metric, value=value):
                    self.metrics.sample(metric, value)
                case Log(text=text, level=level):
                    self.log.log(_LEVELS[level], "%s", text)
                case Drop(reason=reason, text=text):
                    self.drop_log(reason, "gossip", text)
                case NodeForgotten(name=name, removed=removed):
                    self.core.broadcasts.forget_known()
                    self.coordinates.forget(name)
                    if removed:
                        self.memberlist.forget(name)
                case Prune():
                    self._prune(effect)
                case ResolveConflict():
                    self.resolver.request()
                case ExchangeState():
                    self.memberlist.exchange_soon()
                case _:
                    assert_never(effect)

    def _members_gone(self, event: MemberEvent) -> None:
        if self.tracker.open:
            self.tracker.members_gone([member.name for member in event.members])
        if event.type is EventType.MEMBER_FAILED and self.metrics.tap is not None:
            self._sample_detection(event)
        if event.type is EventType.MEMBER_LEAVE:
            # It left, or was removed: nobody shall try to reach it any more.
            for member in event.members:
                self.memberlist.history.left(member.name)
                self.memberlist.forget(member.name)
        if self.user_events.waiting:
            self.user_events.release()

    def _sample_detection(self, event: MemberEvent) -> None:
        """How long it took from the first suspicion to the failure (milliseconds)."""
        now = trio.current_time()
        for member in event.members:
            notes = self.memberlist.history.notes(member.name)
            began = [note.since for note in notes if note.what == "suspected"]
            if began:
                self.metrics.sample("trioserf.serf.detection", (now - began[-1]) * 1000)

    def _reply(self, reply: SendTo) -> None:
        """Send at once: a packet costs less than handing it to another task would."""
        try:
            self.send(reply)
        except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError) as error:
            self.log.error("failed to send to %s at %s: %s", reply.name, reply.address, error)

    def send(self, reply: SendTo) -> None:
        """Send one packet.  Raises as ``Memberlist.send_to_address``."""
        self.memberlist.send_to_address(reply.address, reply.name, reply.message)

    def _prune(self, prune: Prune) -> None:
        config = self.core.config
        due = trio.current_time() + config.broadcast_timeout + config.leave_propagate_delay
        finish = self.core.members.finish_prune
        self.deadlines.call_at(due, lambda: self.apply_effects(finish(prune)))

    # --- abc.Delegate

    def node_meta(self, limit: int) -> bytes:
        """This node's tags, encoded; their size was checked when they were set."""
        meta = encode_tags(self.core.tags, self.core.config.protocol_version)
        assert len(meta) <= limit, "tags are checked before they are put in force"
        return meta

    def notify_message(self, message: bytes) -> None:
        """A Serf message was received, by gossip or directly."""
        if not message:
            return
        if self.metrics.tap is not None:
            self.metrics.sample("serf.msgs.received", len(message))
        try:
            if message[0] == SerfMessageType.RELAY:
                self._reply(forward(message))
            else:
                self._on_message(decode_serf(message), message)
        except RemoteProtocolError as error:
            self.drop_log("serf", "gossip", error)

    def _on_message(self, msg: SerfMessage, raw: bytes) -> None:
        """Process a message; what is new is broadcast further, byte for byte as it came."""
        core, now = self.core, trio.current_time()
        queue: QueueName = "intent"
        too_long = len(raw) > core.message_limit()
        match msg:
            case UserEventMessage():
                again, effects = core.events.on_user_event(msg, now, private=too_long)
                queue = "event"
            case QueryMessage():
                again, effects = core.queries.on_query(msg, now, core.tags, private=too_long)
                queue = "query"
            case LeaveIntent() | JoinIntent():
                if isinstance(msg, LeaveIntent):
                    again, effects = core.members.on_leave_intent(msg, now, serf_state=core.state)
                else:
                    again, effects = core.members.on_join_intent(msg, now)
            case QueryResponseMessage():
                self.tracker.on_response(msg)
                return
            case _:
                assert_never(msg)
        if again and not too_long:
            about = msg.node if isinstance(msg, LeaveIntent | JoinIntent) else None
            effects.append(Broadcast(queue=queue, message=raw, name=about, ltime=msg.ltime))
        elif again:
            # It fits into no packet, and would be in the queue for ever.  A peer whose packets
            # are longer sent it; an event goes on by push/pull.
            effects.append(Count("trioserf.serf.too_long_to_broadcast"))
        self.apply_effects(effects)

    def get_broadcasts(self, overhead: int, limit: int) -> list[bytes]:
        """Broadcasts for one packet: intents, then queries, then user events."""
        return self.get_broadcasts_for(0, overhead, limit)

    def local_state(self, join: bool) -> bytes:
        """Serf's part of a push/pull."""
        return self.state_encoder(join)()

    def merge_remote_state(self, state: bytes, join: bool) -> None:
        """Serf's part of what a peer sent."""
        for _ in self.merge_decoded(self.decode_state(state), join, began=False):
            pass

    # --- abc.LargeStateDelegate

    def state_version(self) -> object:
        """What is equal as long as Serf's part of a push/pull is the same."""
        core = self.core
        return state_version(core.members, core.events, core.queries)

    def state_encoder(self, join: bool) -> Callable[[], bytes]:
        """Note Serf's part; encode it later."""
        core = self.core
        return state_encoder(core.members, core.events, core.queries)

    def decode_state(self, state: bytes) -> PushPull | RemoteProtocolError:
        """Serf's part of what a peer sent, or what is wrong with it."""
        try:
            return decode_push_pull(state)
        except RemoteProtocolError as error:
            error.__traceback__ = error.__cause__ = error.__context__ = None
            return error

    def merge_decoded(self, decoded: object, join: bool, began: bool) -> Iterator[None]:
        """Merge it in pieces.  The effects of each are applied before anything else happens."""
        if not isinstance(decoded, PushPull):
            self.drop_log("push/pull", "a peer", str(decoded))
            return
        core = self.core
        pieces = merge_pieces(
            decoded,
            ignore_old=join and ignore_old_events.get(),
            members=core.members,
            events=core.events,
            queries=core.queries,
            first=began and not core.knows_times,
        )
        for piece in pieces:
            self.apply_effects(piece(trio.current_time(), core.state))
            core.knows_times |= began
            yield

    # --- abc.BulkDelegate

    def get_broadcasts_for(self, copies: int, overhead: int, limit: int) -> list[bytes]:
        """As `get_broadcasts`, for a packet of new messages to ``copies`` nodes, if above 0."""
        messages = self.core.broadcasts.take(overhead, limit, copies)
        if messages:
            if self.metrics.tap is not None:
                for message in messages:
                    self.metrics.sample("serf.msgs.sent", len(message))
            if self.user_events.waiting:
                self.user_events.release()
        elif not copies and limit - overhead >= self.core.message_limit():
            self._drop_longer(limit - overhead)
        return messages

    def _drop_longer(self, size: int) -> None:
        """An empty packet had no room: what waits may be too long since encryption began."""
        if dropped := self.core.broadcasts.discard_longer(size):
            self.drop_log("too_long", "this node", f"{dropped} messages fit into no packet")
            self.user_events.release()

    def is_behind(self) -> bool:
        """Whether readers of events have much to catch up with, and do."""
        return self.fanout.is_behind()

    def is_duplicate(self, message: bytes) -> bool:
        """Whether this event, query or intent was here before, byte for byte."""
        if not self.core.broadcasts.knows(message):
            return False
        if self.user_events.under_way:
            self.user_events.came_back(message)
        return True

    def is_request(self, message: bytes) -> bool:
        """Whether it is a query, or asks to relay something."""
        return message[:1] in _REQUESTS

    # --- abc.EventHandler

    def notify_join(self, node: NodeView) -> None:
        """A node is alive."""
        self.apply_effects(self.core.members.on_node_join(node, trio.current_time()))

    def notify_leave(self, node: NodeView) -> None:
        """A node is dead or has left."""
        self.apply_effects(self.core.members.on_node_leave(node, trio.current_time()))

    def notify_update(self, node: NodeView) -> None:
        """A node changed its metadata."""
        self.apply_effects(self.core.members.on_node_update(node, trio.current_time()))

    # --- abc.ConflictHandler

    def notify_conflict(self, existing: NodeView, other: NodeView) -> None:
        """A known name is used at a second address."""
        config = self.core.config
        resolve = config.enable_name_conflict_resolution
        self.apply_effects(on_conflict(existing, other, local_name=self.core.name, resolve=resolve))


@attrs.define(eq=False, kw_only=True)
class MergeCheck:
    """Calls the user's callback; `abc.MergeHandler` and `abc.AliveHandler`.

    Args:
      merge: the callback.
      validate_names: whether names must pass `check_node_name`.
      log: where a callback that crashes is noted; that refuses, too.
    """

    merge: Callable[[Sequence[Member]], object]
    validate_names: bool
    log: NodeLog

    def notify_merge(self, nodes: Sequence[NodeView]) -> None:
        """A peer joins with these nodes.  Raises `MergeRefused` to refuse all."""
        self._ask(tuple(check_peer(node, validate_name=self.validate_names) for node in nodes))

    def notify_alive(self, node: NodeView) -> None:
        """An alive message about a node.  Raises `MergeRefused` to ignore it."""
        self._ask((check_peer(node, validate_name=self.validate_names),))

    def _ask(self, members: tuple[Member, ...]) -> None:
        try:
            self.merge(members)
        except MergeRefused:
            raise
        except Exception as error:
            self.log.exception("the merge callback crashed, which refuses the merge")
            raise MergeRefused(f"merge callback crashed: {error!r}") from error


def memberlist_config(config: Config) -> MemberlistConfig:
    """The settings of the membership half, with those that Serf decides.

    Source: hashicorp/serf v0.9.4, serf/serf.go, Create; main for the labels.
    """
    given = config.memberlist
    return attrs.evolve(
        given,
        name=config.node_name,
        protocol_version=PROTOCOL_VERSION_MAP[config.protocol_version],
        delegate_protocol_version=config.protocol_version,
        delegate_protocol_min=PROTOCOL_VERSION_MIN,
        delegate_protocol_max=PROTOCOL_VERSION_MAX,
        metric_labels=config.metric_labels or given.metric_labels,
    )
