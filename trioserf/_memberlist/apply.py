"""Effects of the rules become queue entries, calls of handlers, counters and log lines.

The only place of the membership half where rules meet the rest.  Nothing here waits, so a
change of the table and its consequences happen without another task in between.

Handlers are the user's code and are called because of what peers send: one that raises is
logged and counted, and the next effect is applied.

Source: hashicorp/memberlist v0.2.2, state.go: aliveNode, suspectNode, deadNode, refute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

import trio

from .. import _attrs as attrs
from .._swim.awareness import Awareness
from .._swim.broadcasts import TransmitLimitedQueue
from .._swim.effects import (
    Applied,
    Broadcast,
    Conflict,
    Effect,
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
)
from .._swim.nodes import Node
from .._swim.table import NodeTable
from ..abc import ConflictHandler, EventHandler
from .alarm import Alarm
from .drop_log import DropLog, Log
from .metrics import Metrics
from .packet_sender import PacketSender
from .seeds import Seeds


@attrs.define(eq=False, kw_only=True)
class Applier:
    """Applies effects, in order.

    Args:
      table: asked for the next suspicion to end.
      queue: takes broadcasts.
      sender: takes direct answers.
      awareness: hears of refutations.
      suspicion_alarm: re-armed whenever suspicions may have moved.
      wake_gossip: called when the queue has news, with the max_delay of that.
      challenge: takes conflicts that want a probe of the old address.
      seeds: remembers nodes that were dropped while dead.
      events, conflict: the user's handlers.
      bad_input, metrics, log: where it is noted.
    """

    table: NodeTable
    queue: TransmitLimitedQueue
    sender: PacketSender
    awareness: Awareness
    suspicion_alarm: Alarm
    wake_gossip: Callable[[float], object]
    challenge: Callable[[ProbeAddress], object]
    seeds: Seeds
    events: EventHandler | None
    conflict: ConflictHandler | None
    drop_log: DropLog
    metrics: Metrics
    log: Log
    changes: int = attrs.field(default=0, init=False)
    """Grows whenever the table may have changed."""
    conflicts: int = attrs.field(default=0, init=False)
    refuted: int = attrs.field(default=0, init=False)

    def __call__(self, effects: Sequence[Effect]) -> None:
        """Apply ``effects``, which a rule has just returned."""
        if effects:
            # First, because a handler may ask for the state in between.
            self.changes += 1
            for effect in effects:
                self._apply(effect)
            self.suspicion_alarm.set(self.table.next_deadline())

    def change_health(self, delta: int) -> None:
        """Change the health score."""
        if delta and self.awareness.apply_delta(delta):
            self.metrics.gauge("memberlist.health.score", self.awareness.score)

    def _apply(self, effect: Effect) -> None:
        match effect:
            case Broadcast(key=key, message=message):
                self.queue.queue(
                    message, name=key, on_finished=effect.on_finished, local=effect.local
                )
                self.wake_gossip(effect.max_delay)
            case Applied(kind=kind):
                self.metrics.count("memberlist.msg." + kind)
            case NodeJoined(node=node):
                self.log.debug("%s joined from %s", node.name, node.address)
                if self.events is not None:
                    self._notify(self.events.notify_join, node)
            case NodeUpdated(node=node):
                if self.events is not None:
                    self._notify(self.events.notify_update, node)
            case NodeLeft(node=node):
                self.log.info("%s is %s", node.name, node.status)
                if self.events is not None:
                    self._notify(self.events.notify_leave, node)
            case Conflict(existing=existing, other=other):
                self._report_conflict(existing, other)
            case ProbeAddress():
                self.challenge(effect)
            case Refuted(incarnation=incarnation):
                self.refuted += 1
                self.change_health(1)
                self.log.warning("refuted an accusation, with incarnation %d", incarnation)
            case SendTo():
                self._answer(effect)
            case Refused(name=name, reason=reason, quiet=quiet):
                self.metrics.count("trioserf.memberlist.refused")
                if quiet:
                    self.log.debug("refused a claim about %r: %s", name, reason)
                else:
                    self.drop_log("claim", name, reason)
            case TimeoutDegraded():
                self.metrics.count("memberlist.degraded.timeout")
            case NodeDropped(node=node):
                self.seeds.lose(node, trio.current_time())
            case NodeForgotten(name=name):
                self.queue.discard(name)
            case _:
                assert_never(effect)

    def _notify(self, handler: Callable[..., object], *args: object) -> None:
        try:
            handler(*args)
        except Exception as error:
            self.drop_log.crash("handler", handler, error)

    def _report_conflict(self, existing: Node, other: Node) -> None:
        self.conflicts += 1
        self.drop_log("conflict", other.address, f"{existing.name!r} is {existing.address} already")
        if self.conflict is not None:
            self._notify(self.conflict.notify_conflict, existing, other)

    def _answer(self, answer: SendTo) -> None:
        try:
            self.sender.send(answer.message, answer.address, answer.name)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.log.debug("cannot answer %s at %s: %s", answer.name, answer.address, error)


@attrs.define(eq=False)
class SuspicionTimer:
    """Task: declares suspects dead when their timeout is over.

    The alarm is set by `Applier`, so the task sleeps until a suspicion really ends, however
    often it was shortened or refuted meanwhile.

    Source: hashicorp/memberlist v0.2.2, suspicion.go; state.go: suspectNode.

    Args:
      table: the suspicions.
      alarm: set to the next deadline by `Applier`.
      apply: applies what the table says.
    """

    table: NodeTable
    alarm: Alarm
    apply: Applier

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            self.alarm.set(self.table.next_deadline())
            await self.alarm.wait()
            self.apply(self.table.expired(trio.current_time()))
