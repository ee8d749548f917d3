"""Effects of the rules become queue entries, calls of handlers, counters and log lines.

The only place of the membership half where rules meet the rest.  Nothing here waits, so a
change of the table and its consequences happen without another task in between.

Handlers are the user's code and are called because of what peers send: one that raises is
logged and counted, and the next effect is applied.

Source: hashicorp/memberlist v0.2.2, state.go: aliveNode, suspectNode, deadNode, refute;
suspicion.go.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypedDict, assert_never

import trio

from .. import _attrs as attrs
from .._swim.awareness import Awareness
from .._swim.effects import (
    SHORT_DELAY,
    Applied,
    Broadcast,
    CheckReached,
    Confirmed,
    Conflict,
    Effect,
    FormerAddress,
    NodeDropped,
    NodeForgotten,
    NodeJoined,
    NodeLeft,
    NodeUpdated,
    ProbeAddress,
    Refused,
    Refuted,
    SendTo,
    TimeoutDegraded,
    TurnedAway,
)
from .._swim.nodes import Node
from .._swim.table import NodeTable
from ..abc import (
    AliveHandler,
    ConflictHandler,
    Delegate,
    EventHandler,
    MergeHandler,
    PingHandler,
)
from .address_prober import AddressProber
from .deadlines import Deadlines, Timer
from .drop_log import DropLog
from .gossiper import Gossiper
from .history import History, Source
from .metrics import Metrics
from .node_log import Log
from .packet_sender import PacketSender


class Handlers(TypedDict, total=False):
    """What the user plugs into a `Memberlist`."""

    delegate: Delegate | None
    events: EventHandler | None
    conflict: ConflictHandler | None
    merge: MergeHandler | None
    alive: AliveHandler | None
    ping: PingHandler | None


def _nobody(_effect: Applied) -> None:
    """Nobody wants to know."""


@attrs.define(eq=False, kw_only=True)
class Applier:
    """Applies effects, in order; also of what the table does when time passes."""

    table: NodeTable
    sender: PacketSender
    gossiper: Gossiper
    address_prober: AddressProber
    awareness: Awareness
    node_lost: Callable[[Node, float], object]
    """Is given each failed node whose record was dropped, to remember it as lost."""
    events: EventHandler | None
    conflict: ConflictHandler | None
    history: History
    drop_log: DropLog
    metrics: Metrics
    log: Log
    deadlines: Deadlines
    changes: int = attrs.field(default=0, init=False)
    """Grows whenever the table may have changed."""
    applied: Callable[[Applied], object] = attrs.field(default=_nobody, init=False)
    """Is called after each message that changed the table."""
    conflicts: int = attrs.field(default=0, init=False)
    refuted: int = attrs.field(default=0, init=False)
    turned_away: Callable[[], object] | None = attrs.field(default=None, init=False)
    """Called when there was no room for a node."""
    watchers: list[Callable[[], object]] = attrs.field(factory=list, init=False)
    """Called when a node was declared dead, or left."""
    suspicion_timer: Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.suspicion_timer = self.deadlines.timer(self.expire_suspicions)

    def __call__(self, effects: Sequence[Effect], source: Source = None) -> None:
        """Apply ``effects``, which a rule has just returned.

        Args:
          source: who sent what the rule was given: the source of the packet, the host of the
            state exchange, or None for this node itself.
        """
        if not effects:
            return
        if len(effects) == 1 and isinstance(only := effects[0], TurnedAway):
            self._turned_away(only, source)  # nothing changed
            return
        # First, because a handler may ask for the state in between.
        self.changes += 1
        for effect in effects:
            match effect:
                case Broadcast(key=key, message=message, on_finished=on_finished, local=local):
                    self.sender.queue.queue(message, name=key, on_finished=on_finished, local=local)
                    self.gossiper.wake(effect.max_delay)
                case Applied(kind=kind):
                    self.metrics.count("memberlist.msg." + kind)
                    self.history.applied(effect, source)
                    self.applied(effect)
                case Confirmed(name=name, by=by):
                    self.history.note(name, "confirmed", by=by, source=source)
                case NodeJoined(node=node):
                    if self.log.isEnabledFor(logging.DEBUG):
                        self.log.debug("%s joined from %s", node.name, node.address)
                    if self.events is not None:
                        self._notify(self.events.notify_join, node)
                case NodeUpdated(node=node):
                    if self.events is not None:
                        self._notify(self.events.notify_update, node)
                case NodeLeft(node=node):
                    self._node_left(node)
                case Conflict():
                    self._report(effect, source)
                case ProbeAddress():
                    self.history.other_address(effect, source)
                    if not self.address_prober.start(effect, self):
                        self(self.table.address_probed(effect, True, trio.current_time()))
                case CheckReached(node=node):
                    self.address_prober.check_reached(node)
                case FormerAddress(node=node, address=address):
                    self.log.warning(
                        "peers know this node at %s, where no node of its name answers; it is at"
                        " %s.  Go agents keep the former address until they have forgotten that"
                        " it failed",
                        address,
                        node.address,
                    )
                case Refuted():
                    self._refuted(effect, source)
                case SendTo():
                    self._send(effect)
                case Refused(name=name, reason=reason, quiet=quiet):
                    self.metrics.count("trioserf.memberlist.refused")
                    self.history.note(name, "refused", source=source, detail=reason)
                    if quiet:
                        self.log.debug("refused a message about %r: %s", name, reason)
                    else:
                        self.drop_log("refused", name, reason)
                case TurnedAway():
                    self._turned_away(effect, source)
                case TimeoutDegraded():
                    self.metrics.count("memberlist.degraded.timeout")
                case NodeDropped(node=node):
                    self.node_lost(node, trio.current_time())
                case NodeForgotten(name=name, discard=discard):
                    self.history.note(name, "forgotten")
                    if discard:
                        self.sender.queue.discard(name)
                case _:
                    assert_never(effect)
        deadline = self.table.suspicions.next_deadline()
        if deadline != self.suspicion_timer.due:
            self.suspicion_timer.set(deadline)

    def _refuted(self, effect: Refuted, source: Source) -> None:
        self.history.refuted(effect, source)
        self.refuted += 1
        self.change_health(1)
        kind, incarnation = effect.kind, effect.incarnation
        self.log.warning("refuted a message (%s), with incarnation %d", kind, incarnation)

    def spread_soon(self) -> None:
        """Do not let what is queued wait for the next gossip interval."""
        self.gossiper.wake(SHORT_DELAY)

    def _node_left(self, node: Node) -> None:
        if self.log.isEnabledFor(logging.DEBUG):
            self.log.debug("%s is %s", node.name, node.status)
        if self.events is not None:
            self._notify(self.events.notify_leave, node)
        for notify in self.watchers:
            notify()

    def change_health(self, delta: int) -> None:
        """Add to the health score."""
        if delta and self.awareness.apply_delta(delta):
            self.metrics.gauge("memberlist.health.score", self.awareness.score)

    def expire_suspicions(self) -> None:
        """Declare suspects dead whose timeout is over.

        The timer is set whenever effects are applied, so this is called when a suspicion really
        ends, however often it was shortened or refuted meanwhile.
        """
        self(self.table.expired(trio.current_time()))
        self.suspicion_timer.set(self.table.suspicions.next_deadline())

    def _turned_away(self, effect: TurnedAway, source: Source) -> None:
        problem = "no room for more nodes that were never reached"
        self.drop_log("unreached", source, problem, effect.count)
        if self.turned_away is not None:
            self.turned_away()

    def _notify(self, handler: Callable[..., object], *args: object) -> None:
        try:
            handler(*args)
        except Exception as error:
            self.drop_log.crash("handler", handler, error)

    def _report(self, conflict: Conflict, source: Source) -> None:
        self.history.conflict(conflict, source)
        existing, other = conflict.existing, conflict.other
        self.conflicts += 1
        self.drop_log("conflict", other.address, f"{existing.name!r} is {existing.address} already")
        if self.conflict is not None:
            self._notify(self.conflict.notify_conflict, existing, other)

    def _send(self, effect: SendTo) -> None:
        try:
            self.sender.send(effect.message, effect.address, effect.name)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.log.debug("cannot send to %s at %s: %s", effect.name, effect.address, error)
